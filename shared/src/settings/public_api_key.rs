//! The workspace's key at Koala.

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// A longer key than any that Koala gave out; it keeps URLs and logs of proxies in bounds.
const LONGEST_KEY: usize = 128;

/// The Public API Key of a Koala workspace: it stands in the path of every request, so only characters that need no
/// escape in a URL are allowed. It is public in a browser pixel, but names the workspace, so `Debug` hides it.
#[derive(Debug, Clone)]
pub struct PublicApiKey(SecretString);

impl PartialEq for PublicApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PublicApiKey {}

/// Why a text is not a Public API Key. The text itself is not repeated: it may be a secret put in the wrong place.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParsePublicApiKeyError {
    /// Nothing there.
    #[error("is empty: put the workspace's Public API Key there")]
    Empty,
    /// Longer than any key.
    #[error("has {0} characters, and a Public API Key has at most {LONGEST_KEY}")]
    TooLong(usize),
    /// Something that would need an escape.
    #[error("has {0:?} at character {1}, and a Public API Key has only letters, digits, `-`, `_`, `.` and `~`")]
    Character(char, usize),
}

impl PublicApiKey {
    /// Takes a key; white space around it is dropped, since files end with a line break.
    ///
    /// # Errors
    /// When it is empty, too long, or has a character that a URL path would need to escape.
    pub fn parse(text: &str) -> Result<Self, ParsePublicApiKeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParsePublicApiKeyError::Empty);
        }
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        if let Some((at, found)) = text.chars().enumerate().find(|(_, c)| !unreserved(*c)) {
            return Err(ParsePublicApiKeyError::Character(found, at + 1));
        }
        if text.len() > LONGEST_KEY {
            return Err(ParsePublicApiKeyError::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// Enough of the key to tell it from another, for a page: `pk_…3f9a`.
    #[must_use]
    pub fn masked(&self) -> String {
        // Only ASCII is allowed, so that any byte is a character.
        let key = self.as_str();
        let (shown_first, shown_last) = if key.len() >= 12 { (3, 4) } else { (0, key.len().min(4) / 2) };
        format!("{}…{}", &key[..shown_first], &key[key.len() - shown_last..])
    }

    /// The key, for the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_url_takes_unescaped_is_a_key() {
        assert_eq!(PublicApiKey::parse(" pk_live-1.~\n").expect("a key").as_str(), "pk_live-1.~");
        assert!(!format!("{:?}", PublicApiKey::parse("pk_hidden")).contains("pk_hidden"));
        assert_eq!(PublicApiKey::parse(" "), Err(ParsePublicApiKeyError::Empty));
        assert_eq!(PublicApiKey::parse("a/../b"), Err(ParsePublicApiKeyError::Character('/', 2)));
        assert_eq!(PublicApiKey::parse("ключ"), Err(ParsePublicApiKeyError::Character('к', 1)));
        assert_eq!(PublicApiKey::parse(&"k".repeat(129)), Err(ParsePublicApiKeyError::TooLong(129)));
    }

    #[test]
    fn a_masked_key_shows_less_than_half_of_it() {
        let masked = |key| PublicApiKey::parse(key).expect("a key").masked();
        assert_eq!(masked("pk_live_00003f9a9"), "pk_…f9a9");
        assert_eq!(["pk_vector", "abcd", "ab", "a"].map(masked), ["…or", "…cd", "…b", "…"]);
    }
}
