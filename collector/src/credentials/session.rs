//! What a browser keeps in place of the token: until when it is signed in and by which token, signed.
//!
//! `<end>.<fingerprint>.<signature>`: the end in seconds since 1970, the fingerprint of the token that was shown, and the
//! HMAC-SHA256 of what stands before under the parameter `session-key` (RFC 2104), in base64url. Nothing is kept of it here: it
//! ends with its time, with its token, and with the key.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use koala_destination::clock;
use sha2::Sha256;
use thiserror::Error;

use super::fingerprint::Fingerprint;

/// How long a browser stays signed in: a working day.
pub const LONGEST_SESSION: Duration = Duration::from_hours(12);

/// The least bytes of a key: as many as the hash has (RFC 2104, 3).
pub const LEAST_KEY_BYTES: usize = 32;

/// Stands before what is signed, so that a signature of these keys means nothing else.
const PURPOSE: &[u8] = b"koala session 1\0";

/// The keys of the parameter `session-key`, one a line: the first signs, any of them is good.
#[derive(Clone, Default)]
pub struct SessionKeys(Vec<Hmac<Sha256>>);

/// A key that cannot be used. What it is stands in no message.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum SessionKeyError {
    /// The parameter has no key.
    #[error("has no key: delete the parameter, or set it to what `openssl rand -hex 32` prints")]
    Empty,
    /// It can be guessed.
    #[error(
        "the key in line {line} is too short, {bytes} of at least {LEAST_KEY_BYTES} random bytes: `openssl rand -hex 32` prints some"
    )]
    TooShort {
        /// Which line, from 1.
        line: usize,
        /// How many it has.
        bytes: usize,
    },
}

impl SessionKeys {
    /// Reads keys, one a line.
    ///
    /// # Errors
    /// When the text has no key, or a key is too short.
    pub fn parse(text: &str) -> Result<Self, SessionKeyError> {
        let mut keys = Vec::new();
        for (at, key) in text.lines().map(str::trim).enumerate().filter(|(_, key)| !key.is_empty()) {
            if key.len() < LEAST_KEY_BYTES {
                return Err(SessionKeyError::TooShort { line: at + 1, bytes: key.len() });
            }
            // HMAC takes keys of any length.
            keys.extend(Hmac::<Sha256>::new_from_slice(key.as_bytes()));
        }
        if keys.is_empty() { Err(SessionKeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// Whether there are no keys, so that signing in is not possible.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A session that begins now; none where there is no key.
    pub(crate) fn begin(&self, token: Fingerprint) -> Option<String> {
        self.sign(
            token,
            clock::now_milliseconds() / 1000 + i64::try_from(LONGEST_SESSION.as_secs()).unwrap_or_default(),
        )
    }

    fn sign(&self, token: Fingerprint, end: i64) -> Option<String> {
        let signed = format!("{end}.{token}");
        let signature = URL_SAFE_NO_PAD.encode(mac(self.0.first()?, &signed).finalize().into_bytes());
        Some(format!("{signed}.{signature}"))
    }

    /// The token of a session that one of the keys has signed and that has not ended. Whether the token still opens anything is
    /// another question.
    pub(crate) fn read(&self, session: &str) -> Option<Fingerprint> {
        self.read_at(session, clock::now_milliseconds() / 1000)
    }

    fn read_at(&self, session: &str, now: i64) -> Option<Fingerprint> {
        let (signed, signature) = session.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Each in constant time.
        let is_good = self.0.iter().any(|key| mac(key, signed).verify_slice(&signature).is_ok());
        let (end, token) = signed.split_once('.').filter(|_| is_good)?;
        let end: i64 = end.parse().ok()?;
        (now < end).then(|| Fingerprint::parse(token)).flatten()
    }
}

fn mac(key: &Hmac<Sha256>, signed: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(PURPOSE);
    mac.update(signed.as_bytes());
    mac
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SessionKeys({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old key, which nobody can guess, of 32 bytes";
    const NEW: &str = "a new key, which nobody can guess, of 32 bytes";
    const NOW: i64 = 1_800_000_000;

    fn keys(text: &str) -> SessionKeys {
        SessionKeys::parse(text).expect("keys")
    }

    fn token() -> Fingerprint {
        Fingerprint::parse("0123456789abcdef").expect("a fingerprint")
    }

    #[test]
    fn a_session_is_what_rfc_2104_makes_of_its_words() {
        // python3 -c 'import hmac,hashlib,base64; print(base64.urlsafe_b64encode(hmac.new(
        //   b"a new key, which nobody can guess, of 32 bytes", b"koala session 1\0" b"1800000000.0123456789abcdef", hashlib.sha256).digest()))'
        let session = keys(NEW).sign(token(), NOW).expect("a session");
        assert_eq!(session, "1800000000.0123456789abcdef.p_UT9QCinhSlS01eMd1gj0WQKEryUxzXJY3sUVs_-ts");
    }

    #[test]
    fn a_session_is_good_until_it_ends() {
        let session = keys(NEW).sign(token(), NOW + 1).expect("a session");
        assert_eq!(keys(NEW).read_at(&session, NOW), Some(token()));
        assert_eq!(keys(NEW).read_at(&session, NOW + 1), None);
        let begun = keys(NEW).begin(token()).expect("a session");
        let now = clock::now_milliseconds() / 1000;
        assert_eq!(keys(NEW).read_at(&begun, now + 12 * 3600 - 60), Some(token()));
        assert_eq!(keys(NEW).read_at(&begun, now + 12 * 3600 + 60), None);
    }

    #[test]
    fn keys_are_rotated_without_a_gap_and_a_removed_one_ends_its_sessions() {
        let session = keys(OLD).sign(token(), NOW + 60).expect("a session");
        assert_eq!(keys(&format!("{NEW}\n{OLD}\n")).read_at(&session, NOW), Some(token()));
        assert_eq!(keys(NEW).read_at(&session, NOW), None);
        // The first signs.
        let session = keys(&format!("{NEW}\n{OLD}")).sign(token(), NOW + 60).expect("a session");
        assert_eq!(keys(NEW).read_at(&session, NOW), Some(token()));
        assert_eq!(
            (SessionKeys::default().sign(token(), NOW), SessionKeys::default().read_at(&session, NOW)),
            (None, None)
        );
    }

    #[test]
    fn a_session_with_anything_changed_is_none() {
        let session = keys(NEW).sign(token(), NOW + 60).expect("a session");
        let later = session.replacen("1800000060", "1900000060", 1);
        let other = session.replacen("0123456789abcdef", "1123456789abcdef", 1);
        let (signed, signature) = session.rsplit_once('.').expect("a signature");
        let unsigned = format!("{signed}.");
        let bare = signed.to_owned();
        let cut = session[..session.len() - 1].to_owned();
        let half = format!("{signed}.{}", &signature[..20]);
        let padded = format!("{session}=");
        for changed in [later, other, unsigned, bare, cut, half, padded, String::new(), "..".to_owned()] {
            assert_eq!(keys(NEW).read_at(&changed, NOW), None, "{changed}");
        }
        for at in 0..session.len() {
            let mut bytes = session.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).expect("a text");
            assert_eq!(keys(NEW).read_at(&changed, NOW), None, "{changed}");
        }
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused_without_being_said() {
        assert_eq!(SessionKeys::parse(" \n").err(), Some(SessionKeyError::Empty));
        let error = SessionKeys::parse(&format!("{NEW}\n\nhunter2")).expect_err("a short key");
        assert_eq!(error, SessionKeyError::TooShort { line: 3, bytes: 7 });
        assert!(!format!("{error} {:?}", keys(NEW)).contains("hunter2"));
    }
}
