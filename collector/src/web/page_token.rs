//! What opens the page and the API.

use koala_destination::settings::Token;
use thiserror::Error;

/// What opens the page and the API where others can reach them. Its `Debug` shows nothing of it.
#[derive(Debug, Clone)]
pub struct PageToken(Token);

/// A token that cannot be used.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum PageTokenError {
    /// It is blank.
    #[error("the token is empty: give it at least one character")]
    Empty,
    /// A browser would not send it back.
    #[error(
        "the token has a character that a cookie cannot carry (a space, a quote, a comma, a semicolon, a backslash, or one that is \
         not ASCII): use letters, digits and signs as - _ . ~ + /"
    )]
    NotForCookies,
}

impl PageToken {
    /// Takes a token that a cookie can carry (RFC 6265, 4.1.1: `cookie-octet`).
    ///
    /// # Errors
    /// When it is blank, or has another character.
    pub fn parse(text: &str) -> Result<Self, PageTokenError> {
        let text = text.trim();
        let is_for_cookies = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        if !text.bytes().all(is_for_cookies) {
            return Err(PageTokenError::NotForCookies);
        }
        Token::parse(text).map(Self).ok_or(PageTokenError::Empty)
    }
}

impl PageToken {
    /// Whether `shown` is this token; the time it takes tells no more than the length.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.is(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_a_cookie_cannot_carry_is_refused() {
        for token in ["a;b", "a,b", "a b", "a\"b", "a\\b", "grün", "a\tb", ";"] {
            assert_eq!(PageToken::parse(token).err(), Some(PageTokenError::NotForCookies), "{token}");
        }
        assert_eq!(PageToken::parse(" ").err(), Some(PageTokenError::Empty));
        for token in ["a-token", "x=y", "AZaz09-_.~+/!#$%&'()*:<>?@[]^`{|}"] {
            PageToken::parse(token).expect("a token");
        }
    }
}
