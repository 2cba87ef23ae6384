//! A secret that a request shows as it is: a bearer token or a write key.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// A bearer token or a write key. Its `Debug` shows nothing of it, and it is wiped from memory when it is dropped.
#[derive(Debug, Clone)]
pub struct Token(SecretString);

impl Token {
    /// Takes a token; none when it is blank.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The token, for who shows it as its owner would.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }

    /// Whether `shown` is this token; the time it takes tells no more than the length.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(shown).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::parse("hunter2").expect("a token");
        assert!(!format!("{token:?}").contains("hunter2"));
        assert!(token.is(b"hunter2") && !token.is(b"hunter"));
    }
}
