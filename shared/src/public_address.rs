//! Which addresses are of the internet, and not of this machine, a private network or a cloud's metadata service.

use std::net::IpAddr;

/// Whether an address is one of the internet: none of this machine, of a private network, or of a cloud's metadata service. IPv4 addresses that are written as IPv6 count as what they are.
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
}
