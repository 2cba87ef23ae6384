//! A secret that a request shows as it is: a bearer token or a write key.

use std::fmt;

use subtle::ConstantTimeEq;

/// A bearer token or a write key. It has no `Debug` that would show it.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl Token {
    /// Takes a token; none when it is blank.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.as_bytes().to_vec()))
    }

    /// The token, for who shows it as its owner would.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `shown` is this token; the time it takes tells no more than the length.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}
