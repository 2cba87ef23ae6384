//! Host names → addresses, with an error that tells a name that does not exist from a resolver that fails.

use std::net::SocketAddr;
use std::sync::Arc;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// Why a host name has no addresses; found among the causes of a request's error.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum LookupError {
    /// The resolver knows that there is no such name (`EAI_NONAME`: NXDOMAIN).
    #[error("the host name {0} does not exist")]
    NotFound(String),
    /// The resolver does not know now: it cannot be reached, or fails itself. Another time it may.
    #[error("the host name {host} cannot be resolved now: {reason}")]
    Failed {
        /// The name.
        host: String,
        /// What the system says.
        reason: String,
    },
}

/// A way to look a name up; it may block.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a host, their port 0.
    ///
    /// # Errors
    /// When there are none, or they cannot be told now.
    fn lookup(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError> {
        // Nothing is ever there, whatever a resolver that cannot be reached says (RFC 6761, 6.4).
        if host.trim_end_matches('.').to_ascii_lowercase().ends_with(".invalid") {
            return Err(LookupError::NotFound(host.to_owned()));
        }
        let failed = |reason: String| LookupError::Failed { host: host.to_owned(), reason };
        // One socket type, or each address would come three times.
        let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
        let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| match error.kind() {
            LookupErrorKind::NoName => LookupError::NotFound(host.to_owned()),
            _ => failed(std::io::Error::from(error).to_string()),
        })?;
        found.map(|info| info.map(|info| info.sockaddr).map_err(|error| failed(error.to_string()))).collect()
    }
}

/// The resolver of an HTTP client.
pub(crate) struct Resolver<L>(pub Arc<L>);

impl<L: Lookup> Resolve for Resolver<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let asked = host.clone();
            let found = tokio::task::spawn_blocking(move || lookup.lookup(&asked)).await;
            let addresses =
                found.unwrap_or_else(|error| Err(LookupError::Failed { host, reason: error.to_string() }))?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_never_exist_is_not_found_even_where_no_resolver_can_be_reached() {
        for host in ["koala.invalid", "koala.INVALID."] {
            assert_eq!(SystemLookup.lookup(host), Err(LookupError::NotFound(host.to_owned())));
        }
    }

    #[test]
    fn a_name_of_this_machine_has_each_address_once() {
        let mut addresses = SystemLookup.lookup("localhost").expect("addresses");
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        let count = addresses.len();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), count);
    }
}
