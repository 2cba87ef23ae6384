//! Where a browser goes after it has signed in: to the page that it asked for, and never to another site.

use axum::http::{HeaderValue, Uri};

/// Longer ones lead to the first page.
const LONGEST: usize = 2048;

/// A path of this site with its query, as a `Location` can say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

impl Default for Destination {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl Destination {
    /// What a form says; what could lead elsewhere leads to the first page.
    ///
    /// A browser takes a backslash for a slash, passes over tabs and line breaks (<https://url.spec.whatwg.org/#url-parsing>), and
    /// takes what follows two slashes for a host.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !is_path || !is_plain || text.len() > LONGEST || is_of_sign_in(text) {
            return Self::default();
        }
        Self(text.to_owned())
    }

    /// The page that a request asks for, without a token in its query: links had one there once.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        let has_token = |query: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "token");
        match uri.query() {
            Some(query) if !has_token(query) => Self::parse(&format!("{}?{query}", uri.path())),
            _ => Self::parse(uri.path()),
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the value of a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("/"))
    }
}

/// Who has signed in would be asked to do so again, or be signed out.
fn is_of_sign_in(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    matches!(path, "/sign-in" | "/sign-out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_ours_is_led_to() {
        for path in
            ["/", "/visitors", "/companies/acme.example", "/visitors?q=a%20b&who=known", "/a//b", "/?next=https://x"]
        {
            assert_eq!(Destination::parse(path).as_str(), path);
        }
    }

    #[test]
    fn nothing_leads_to_another_site_or_breaks_the_header() {
        for text in [
            "",
            "evil.example",
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: a=b",
            "/a\u{0}",
            "/ä",
            "javascript:alert(1)",
            "/sign-in",
            "/sign-out?x",
            &format!("/{}", "a".repeat(2048)),
        ] {
            assert_eq!(Destination::parse(text), Destination::default(), "{text:?}");
        }
    }

    #[test]
    fn a_token_in_an_old_link_goes_no_further() {
        let of = |uri: &'static str| Destination::of(&Uri::from_static(uri)).as_str().to_owned();
        assert_eq!(of("/visitors?token=abc&q=x"), "/visitors");
        assert_eq!(of("/visitors?q=token"), "/visitors?q=token");
        assert_eq!(of("//evil.example/?token=abc"), "/");
    }
}
