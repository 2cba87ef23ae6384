//! Which addresses alerts may go to: none of this machine, of a private network, or of a cloud's metadata service, unless a
//! setting allows it. A name is looked up by [`Guarded`], which gives the connection no other address, so that no answer of a DNS
//! server can lead elsewhere.

use std::net::{IpAddr, SocketAddr};

use koala_destination::public_address::is_public;
use koala_destination::resolver::{Lookup, LookupError};
use reqwest::Url;

/// Why a request is not sent.
pub const PRIVATE: &str =
    "the address is one of this machine or of a private network; ALERTS_ALLOW_PRIVATE=true allows it";
/// Why a request is not sent.
pub const NOT_HTTPS: &str = "the target's URL does not begin with https://; ALERTS_ALLOW_PRIVATE=true allows http://";

/// Whom alerts may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses by HTTPS.
    Public,
    /// Any address, also by HTTP: for a receiver in one's own network, and for tests.
    Private,
}

impl Reach {
    /// Why alerts may not go to a URL; nothing where it may be, as far as the URL tells: a name is looked up later.
    #[must_use]
    pub fn forbids(self, url: &Url) -> Option<&'static str> {
        if self == Self::Private {
            return None;
        }
        if url.scheme() != "https" {
            return Some(NOT_HTTPS);
        }
        // A URL's host is an address in whatever way it was written: `https://0x7f.1/` too.
        let host = url.host_str()?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
        (!is_public(address)).then_some(PRIVATE)
    }
}

/// A resolver that gives out only addresses that alerts may go to.
#[derive(Debug, Clone, Copy)]
pub struct Guarded<L> {
    /// What is asked.
    pub lookup: L,
    /// What is let through.
    pub reach: Reach,
}

impl<L: Lookup> Lookup for Guarded<L> {
    fn lookup(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError> {
        let found = self.lookup.lookup(host)?;
        if self.reach == Reach::Private {
            return Ok(found);
        }
        let public: Vec<_> = found.into_iter().filter(|address| is_public(address.ip())).collect();
        if public.is_empty() {
            return Err(LookupError::Failed { host: host.to_owned(), reason: PRIVATE.to_owned() });
        }
        Ok(public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_names_a_private_address_in_any_way_is_forbidden_and_so_is_http() {
        let forbids = |url: &str| Reach::Public.forbids(&Url::parse(url).expect("a URL"));
        assert_eq!(forbids("https://hooks.slack.com/services/x"), None);
        assert_eq!(forbids("https://8.8.8.8/"), None);
        assert_eq!(forbids("http://hooks.slack.com/services/x"), Some(NOT_HTTPS));
        for host in
            ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "[::1]", "[::ffff:169.254.169.254]", "10.1", "0"]
        {
            assert_eq!(forbids(&format!("https://{host}/")), Some(PRIVATE), "{host}");
        }
        assert_eq!(Reach::Private.forbids(&Url::parse("http://127.0.0.1:9/").expect("a URL")), None);
    }

    /// A DNS server of somebody who wants to get in.
    struct Says(Vec<SocketAddr>);

    impl Lookup for Says {
        fn lookup(&self, _: &str) -> Result<Vec<SocketAddr>, LookupError> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn a_name_leads_to_public_addresses_alone() {
        let at = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let guarded =
            |found: Vec<SocketAddr>| Guarded { lookup: Says(found), reach: Reach::Public }.lookup("x.example");
        assert_eq!(guarded(vec![at("169.254.169.254"), at("8.8.8.8")]), Ok(vec![at("8.8.8.8")]));
        assert!(guarded(vec![at("127.0.0.1"), at("fd00:ec2::254")]).is_err());
    }
}
