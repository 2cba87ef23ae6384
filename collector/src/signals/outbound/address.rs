//! Which addresses alerts may go to: none of this machine, of a private network, or of a cloud's metadata service, unless a
//! setting allows it. A name is looked up by [`Guarded`], which gives the connection no other address, so that no answer of a DNS
//! server can lead elsewhere.

use std::net::{IpAddr, SocketAddr};

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

/// Whether an address is one that alerts may go to without a setting: none of this machine, of a private network, or of a
/// cloud's metadata service. IPv4 addresses that are written as IPv6 count as what they are.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_unspecified()
                || v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                // Carriers' networks (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544), reserved (RFC 1112).
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b))
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(v4));
            }
            let embedded = |high: u16, low: u16| {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                is_public(IpAddr::from([a, b, c, d]))
            };
            match segments {
                // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address in them.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
                // What is given out (RFC 4291), but for documentation (RFC 3849) and Teredo (RFC 4380).
                [first, second, ..] => {
                    first & 0xe000 == 0x2000 && !(first == 0x2001 && (second == 0xdb8 || second == 0))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_this_machine_a_private_network_or_a_metadata_service_is_public() {
        let is_public = |text: &str| is_public(text.parse().expect("an address"));
        for address in ["8.8.8.8", "3.5.140.2", "2606:4700::1111", "100.128.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.64.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(address), "{address}");
        }
    }

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
