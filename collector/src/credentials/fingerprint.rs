//! Which token somebody has.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The bytes of a token's SHA-256 that tell it from the others.
const FINGERPRINT_BYTES: usize = 8;

/// Tells which token somebody has, and nothing of it: the first 16 digits of its SHA-256, as `sha256sum` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl Fingerprint {
    /// That of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; FINGERPRINT_BYTES];
        bytes.iter_mut().zip(Sha256::digest(token)).for_each(|(byte, of_hash)| *byte = of_hash);
        Self(bytes)
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_written = text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; FINGERPRINT_BYTES];
        (is_written && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex::encode(self.0))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_16_digits_and_nothing_else() {
        for text in ["", "+123456789abcdef", "0123456789ABCDEF", "0123456789abcdef0", "é23456789abcdef"] {
            assert_eq!(Fingerprint::parse(text), None, "{text}");
        }
    }
}
