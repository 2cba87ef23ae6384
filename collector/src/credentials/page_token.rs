//! What opens the page and the API: the parameter `page-token`.

use koala_destination::settings::Token;
use thiserror::Error;

use super::fingerprint::Fingerprint;

/// The least bytes of a token: as many as the hash of a session's signature has.
pub const LEAST_TOKEN_BYTES: usize = 32;

/// A token that opens the page and the API. Its `Debug` shows nothing of it.
#[derive(Debug, Clone)]
pub struct PageToken {
    token: Token,
    fingerprint: Fingerprint,
}

/// The tokens that open the page and the API, one a line, any of which serves; with none they open to nobody who is elsewhere.
#[derive(Debug, Clone, Default)]
pub struct PageTokens(Vec<PageToken>);

/// A token that cannot be used. What it is stands in no message.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum PageTokenError {
    /// The parameter has no token.
    #[error("has no token: delete the parameter, or set it to what `openssl rand -hex 32` prints")]
    Empty,
    /// It can be guessed.
    #[error(
        "the token in line {line} is too short, {bytes} of at least {LEAST_TOKEN_BYTES} random bytes: `openssl rand -hex 32` prints some"
    )]
    TooShort {
        /// Which line, from 1.
        line: usize,
        /// How many it has.
        bytes: usize,
    },
    /// `Authorization: Bearer` cannot say it.
    #[error(
        "the token in line {line} has a character that a header cannot carry (a space, or one that is not ASCII): `openssl rand -hex 32` prints one without"
    )]
    NotForHeaders {
        /// Which line, from 1.
        line: usize,
    },
}

impl PageTokens {
    /// Reads tokens, one a line.
    ///
    /// # Errors
    /// When the text has no token, or a token cannot be used.
    pub fn parse(text: &str) -> Result<Self, PageTokenError> {
        let mut tokens = Vec::new();
        for (at, text) in text.lines().map(str::trim).enumerate() {
            let Some(token) = Token::parse(text) else { continue };
            let line = at + 1;
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(PageTokenError::NotForHeaders { line });
            }
            if text.len() < LEAST_TOKEN_BYTES {
                return Err(PageTokenError::TooShort { line, bytes: text.len() });
            }
            tokens.push(PageToken { token, fingerprint: Fingerprint::of(text.as_bytes()) });
        }
        if tokens.is_empty() { Err(PageTokenError::Empty) } else { Ok(Self(tokens)) }
    }

    /// Whether there are no tokens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which token `shown` is. All are compared, each in a time that tells no more than its length.
    #[must_use]
    pub fn find(&self, shown: &[u8]) -> Option<Fingerprint> {
        self.0.iter().fold(
            None,
            |found, PageToken { token, fingerprint }| {
                if token.is(shown) { Some(*fingerprint) } else { found }
            },
        )
    }

    /// Whether one of them has this fingerprint.
    #[must_use]
    pub fn has(&self, fingerprint: Fingerprint) -> bool {
        self.0.iter().any(|token| token.fingerprint == fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn any_of_the_lines_opens_and_what_is_shown_is_told_by_its_fingerprint() {
        let tokens = PageTokens::parse(&format!("\n  {ONE} \r\n\n{OTHER}\n")).expect("two tokens");
        let found = [ONE, OTHER].map(|token| tokens.find(token.as_bytes()).expect("one of the two"));
        assert_ne!(found[0], found[1]);
        // printf %s 0123456789abcdef0123456789abcdef | sha256sum
        assert_eq!(found[0].to_string(), "3eb1bd439947eb76".to_owned());
        for fingerprint in found {
            assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
            assert!(tokens.has(fingerprint));
        }
        assert!(!PageTokens::parse(ONE).expect("a token").has(found[1]));
        for shown in ["", &ONE[1..], &format!("{ONE}0"), &ONE.to_uppercase()] {
            assert_eq!(tokens.find(shown.as_bytes()), None, "{shown}");
        }
        assert_eq!(PageTokens::default().find(b""), None);
    }

    #[test]
    fn a_token_that_can_be_guessed_or_no_header_can_carry_is_refused_by_its_line_without_being_said() {
        assert_eq!(PageTokens::parse(" \n").err(), Some(PageTokenError::Empty));
        let short = PageTokens::parse(&format!("{ONE}\nhunter2hunter2")).expect_err("a short token");
        assert_eq!(short, PageTokenError::TooShort { line: 2, bytes: 14 });
        let spaced = PageTokens::parse(&format!("correct horse {ONE}")).expect_err("a token with spaces");
        assert_eq!(spaced, PageTokenError::NotForHeaders { line: 1 });
        assert!(PageTokens::parse(&format!("{ONE}ü")).is_err() && PageTokens::parse(&format!("{ONE}\u{7f}")).is_err());
        assert!(!format!("{short} {spaced}").contains("hunter2"));
        assert!(PageTokens::parse(&format!("{ONE};\",\\")).is_ok());
    }

    #[test]
    fn a_token_is_never_printed() {
        assert!(!format!("{:?}", PageTokens::parse(ONE)).contains(ONE));
    }
}
