//! Where a request comes from: this site's own page, another site's, or a program.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method};

/// What a request tells of where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOrigin {
    /// A page of ours, as its browser says.
    Own,
    /// A page of another site, as its browser says.
    Other,
    /// Nothing is said: a program, or an address that somebody typed.
    Unsaid,
}

impl RequestOrigin {
    /// By `Sec-Fetch-Site`, which no page can set, and where a browser does not send it by `Origin`.
    pub fn of(headers: &HeaderMap) -> Self {
        match (text(headers, "sec-fetch-site"), text(headers, ORIGIN.as_str())) {
            (Some("same-origin"), _) => Self::Own,
            // Typed, or opened from a bookmark.
            (Some("none"), _) | (None, None) => Self::Unsaid,
            (Some(_), _) => Self::Other,
            (None, Some(origin)) => {
                let host = origin.split_once("://").map(|(_, host)| host);
                if host.is_some() && host == text(headers, HOST.as_str()) { Self::Own } else { Self::Other }
            }
        }
    }
}

/// Whether a request only opens an address in a browser's window, as a link on another site does: that site sees nothing of it.
pub fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && text(headers, "sec-fetch-mode") == Some("navigate")
        && text(headers, "sec-fetch-dest") == Some("document")
}

/// Whether a proxy says that it hands on somebody else's request.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    const OF_PROXIES: [&str; 9] = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
    ];
    headers.keys().any(|name| name.as_str().starts_with("x-forwarded") || OF_PROXIES.contains(&name.as_str()))
}

/// Whether a proxy says that it was reached by HTTPS: the last that wrote so, in `X-Forwarded-Proto` or in `Forwarded` (RFC 7239).
pub fn is_forwarded_from_https(headers: &HeaderMap) -> bool {
    let last = |name: &str| headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next();
    if let Some(proto) = last("x-forwarded-proto") {
        return proto.trim().eq_ignore_ascii_case("https");
    }
    let proto = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"').eq_ignore_ascii_case("https"))
    };
    last("forwarded").is_some_and(|forwarded| forwarded.split(';').find_map(proto) == Some(true))
}

/// A page of another site can make its own name lead to this machine; the request then still has that name.
pub fn names_this_machine(headers: &HeaderMap) -> bool {
    // One host, as HTTP/1.1 asks for (RFC 9112, 3.2): of two a proxy before us may have looked at the other.
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A header's value; one that is not a text says something else than what is looked for.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        headers.iter().map(header).collect()
    }

    #[test]
    fn a_browser_says_whose_page_asks_and_what_it_says_goes_before_the_origin() {
        for (said, origin) in [
            (&[][..], RequestOrigin::Unsaid),
            (&[("sec-fetch-site", "none")], RequestOrigin::Unsaid),
            (&[("sec-fetch-site", "same-origin")], RequestOrigin::Own),
            (&[("sec-fetch-site", "same-site")], RequestOrigin::Other),
            (
                &[("sec-fetch-site", "cross-site"), ("host", "localhost"), ("origin", "http://localhost")],
                RequestOrigin::Other,
            ),
            (&[("host", "localhost:8787"), ("origin", "http://localhost:8787")], RequestOrigin::Own),
            (&[("host", "localhost:8787"), ("origin", "http://localhost:3000")], RequestOrigin::Other),
            (&[("host", "localhost"), ("origin", "null")], RequestOrigin::Other),
        ] {
            assert_eq!(RequestOrigin::of(&headers(said)), origin, "{said:?}");
        }
    }

    #[test]
    fn one_host_that_is_this_machine_s_names_it() {
        for host in ["localhost", "127.0.0.1:8787", "[::1]:8787"] {
            assert!(names_this_machine(&headers(&[("host", host)])), "{host}");
        }
        let mut two = headers(&[("host", "127.0.0.1")]);
        two.append("host", HeaderValue::from_static("evil.example"));
        for other in [headers(&[]), headers(&[("host", "evil.example")]), two] {
            assert!(!names_this_machine(&other), "{other:?}");
        }
    }

    #[test]
    fn the_last_proxy_says_whether_it_was_reached_by_https() {
        for (name, value, is_https) in [
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "http", false),
            ("x-forwarded-proto", "http, HTTPS", true),
            ("x-forwarded-proto", "https,http", false),
            // The examples of RFC 7239, section 4.
            ("forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43", false),
            ("forwarded", "for=192.0.2.60;Proto=\"https\";by=203.0.113.43", true),
            ("forwarded", "for=192.0.2.43;proto=https, for=198.51.100.17", false),
            ("via", "https", false),
        ] {
            assert_eq!(is_forwarded_from_https(&headers(&[(name, value)])), is_https, "{name}: {value}");
        }
    }

    #[test]
    fn every_header_of_a_proxy_is_known() {
        for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "x-real-ip"] {
            assert!(is_forwarded(&headers(&[(name, "x")])), "{name}");
        }
        assert!(!is_forwarded(&headers(&[("host", "localhost"), ("accept", "text/html")])));
    }
}
