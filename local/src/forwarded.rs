//! Whom a proxy says that a request comes from.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// The address that the proxy next to this set has seen: the last of `X-Forwarded-For`, since each proxy adds its own at the
/// end and what stands before may be anybody's words; else the last `for` of `Forwarded` (RFC 7239).
pub fn client(headers: &HeaderMap) -> Option<IpAddr> {
    if let Some(last) = last_of(headers, "x-forwarded-for") {
        return address(last);
    }
    let pairs = last_of(headers, "forwarded")?.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    named.next().and_then(|(_, value)| address(value))
}

/// The last element of a list, which may be written in one header or several.
fn last_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next()
}

/// An address, with a port or without, in quotes or brackets or without.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.trim_matches(['[', ']']).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_address_is_the_one_that_the_last_proxy_has_seen() {
        for (name, value, expected) in [
            ("x-forwarded-for", "203.0.113.7", Some("203.0.113.7")),
            ("x-forwarded-for", "6.6.6.6, 203.0.113.7", Some("203.0.113.7")),
            ("x-forwarded-for", "203.0.113.7:4711", Some("203.0.113.7")),
            ("x-forwarded-for", "[2001:db8::1]:4711", Some("2001:db8::1")),
            ("x-forwarded-for", "2001:db8::1", Some("2001:db8::1")),
            ("x-forwarded-for", "203.0.113.7, unknown", None),
            // The examples of RFC 7239, section 4.
            ("forwarded", r#"for="_gazonk""#, None),
            ("forwarded", r#"For="[2001:db8:cafe::17]:4711""#, Some("2001:db8:cafe::17")),
            ("forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43", Some("192.0.2.60")),
            ("forwarded", "for=192.0.2.43, for=198.51.100.17", Some("198.51.100.17")),
            ("via", "1.1 proxy", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_static(value));
            assert_eq!(client(&headers), expected.map(|it| it.parse().expect("an address")), "{name}: {value}");
        }
    }
}
