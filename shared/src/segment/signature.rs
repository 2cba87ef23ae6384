//! The signature of Segment's webhook: `X-Signature`, the hex HMAC-SHA1 of the body under a shared secret
//! (<https://segment.com/docs/connections/destinations/catalog/actions-webhook/#authentication>).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use thiserror::Error;

/// The secret that a webhook destination shares with this set. It is not kept as text, its `Debug` shows nothing of it, and its
/// state is wiped when it is dropped.
#[derive(Clone)]
pub struct SharedSecret {
    /// The key's HMAC state, made once: a signature then costs two block hashes less.
    keyed: Hmac<Sha1>,
}

/// Why a text is not a shared secret.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a shared secret is empty")]
pub struct ParseSecretError;

impl SharedSecret {
    /// Takes the secret as it was typed into Segment.
    ///
    /// # Errors
    /// When it is empty: everyone could sign with that.
    pub fn parse(text: &str) -> Result<Self, ParseSecretError> {
        if text.is_empty() {
            return Err(ParseSecretError);
        }
        let keyed = Hmac::new_from_slice(text.as_bytes()).map_err(|_| ParseSecretError)?;
        Ok(Self { keyed })
    }

    /// The signature of `bytes`, as Segment sends it.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        let mut mac = self.keyed.clone();
        mac.update(bytes);
        Signature(mac.finalize().into_bytes().into())
    }

    /// Whether `signature` is the one of `bytes`; takes the same time whatever it is.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        let mut mac = self.keyed.clone();
        mac.update(bytes);
        mac.verify_slice(&signature.0).is_ok()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedSecret(…)")
    }
}

/// The value of an `X-Signature` header.
#[derive(Debug, Clone, Copy)]
pub struct Signature([u8; 20]);

impl Signature {
    /// Reads 40 hex digits.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(hex.trim(), &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202, test case 2 for HMAC-SHA-1.
    #[test]
    fn a_signature_is_the_hmac_of_rfc_2202() {
        let secret = SharedSecret::parse("Jefe").expect("a secret");
        let signature = secret.sign(b"what do ya want for nothing?");
        assert_eq!(signature.to_string(), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert!(secret.verifies(b"what do ya want for nothing?", &signature));
        assert!(!secret.verifies(b"what do ya want for nothing!", &signature));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = SharedSecret::parse("hunter2").expect("a secret");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_not_hex_is_not_a_signature() {
        assert!(Signature::parse("").is_none());
        assert!(Signature::parse(&"g".repeat(40)).is_none());
        assert!(Signature::parse(&"é".repeat(20)).is_none());
    }
}
