//! The two ids that Koala's protocol knows visitors by.

use std::fmt;

use sha1::{Digest, Sha1};
use uuid::Uuid;

/// The longest address that mail can have (RFC 5321, 4.5.3.1.3, less the angle brackets).
const LONGEST_EMAIL: usize = 254;

/// Koala's id of an anonymous visitor: a UUID, in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileId(Uuid);

impl ProfileId {
    /// Takes a UUID in its hyphenated form, any version, any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() == 36).then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
    }

    /// The id of a visitor whom another system names `id`: the same each time, different for each `kind`.
    ///
    /// Koala asks for UUIDs of version 4, so the hash has that version's marks.
    #[must_use]
    pub fn derived(kind: &str, id: &str) -> Self {
        let mut hash = Sha1::new();
        for part in ["koala-destination", "\0", kind, "\0", id] {
            hash.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An email address: something before and after one `@`, no white space, at most 254 bytes. Kept as it was written.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// Takes an address; white space around it is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        (!local.is_empty() && !local.contains('@') && !domain.is_empty() && plain && text.len() <= LONGEST_EMAIL)
            .then(|| Self(text.to_owned()))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_is_the_same_each_time_and_a_uuid_of_version_4() {
        let id = ProfileId::derived("anonymousId", "anon-7");
        assert_eq!(id, ProfileId::derived("anonymousId", "anon-7"));
        assert_ne!(id, ProfileId::derived("userId", "anon-7"));
        assert_eq!(id.0.get_version_num(), 4);
    }

    #[test]
    fn what_is_no_address_is_no_email() {
        for text in ["", "@", "a@", "@b", "a b@c", "a@b@c", "a\n@b"] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
        assert_eq!(Email::parse(" Ada@Example.com ").expect("an email").as_str(), "Ada@Example.com");
    }
}
