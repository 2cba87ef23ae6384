//! One id, as it is compared and kept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lists;

/// The longest id in bytes; what is longer is not an id. It keeps an id within the key of any store's index.
pub const LONGEST_ID_BYTES: usize = 255;

/// What kind of id it is, the strongest first: a stronger one says more about who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdKind {
    /// A `userId`.
    User,
    /// An email address.
    Email,
    /// A `profile_id` or an `anonymousId`: one space of values.
    Device,
}

impl IdKind {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::User, Self::Email, Self::Device];

    /// The name in a store and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Email => "email",
            Self::Device => "device",
        }
    }

    /// The kind that has a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An id of somebody or of a device. A copy shares its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    kind: IdKind,
    value: Arc<str>,
}

impl Id {
    /// Takes a value as it was sent: white space and quotes around it are dropped, addresses and UUIDs of devices are written
    /// in lower case, a user id stays as it is. Nothing where it is more than [`LONGEST_ID_BYTES`] long, nobody's
    /// (`null`, `anonymous`, an unexpanded template …), or an email that is not an address.
    #[must_use]
    pub fn parse(kind: IdKind, value: &str) -> Option<Self> {
        let value = match kind {
            IdKind::User => text(value)?,
            IdKind::Email => address(value)?,
            IdKind::Device => device(value)?,
        };
        Some(Self { kind, value: value.into() })
    }

    /// An id that was parsed before, as a store gives it back.
    #[must_use]
    pub fn stored(kind: IdKind, value: impl Into<Arc<str>>) -> Self {
        Self { kind, value: value.into() }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> IdKind {
        self.kind
    }

    /// Its text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it is the address of a role (`info@…`, `sales@…`): that joins nothing, and is a visitor only where it stands
    /// alone.
    #[must_use]
    pub fn is_role_mailbox(&self) -> bool {
        self.kind == IdKind::Email && lists::is_role_mailbox(&self.value)
    }

    /// Whether it is a device's that has the form of a UUID.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        self.kind == IdKind::Device && is_uuid(&self.value)
    }
}

impl fmt::Debug for Id {
    /// Without its text: an id is about a person, and logs are not.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}(…)", self.kind.name())
    }
}

/// A value without what stands around it, or nothing where it says nothing.
///
/// What is dropped is dropped until nothing is left to drop, so that reading what was written changes nothing. A NUL, which
/// `PostgreSQL` cannot keep, becomes U+FFFD.
pub(super) fn text(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim_matches(|c| is_space(c) || c == '"');
    let value = if value.contains('\0') { Cow::Owned(value.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(value) };
    (value.len() <= LONGEST_ID_BYTES && !lists::is_nobodys(&value)).then_some(value)
}

/// White space as the rules have it: that of Unicode, and the separators U+001C to U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Something before and something behind one `@`, no white space, in lower case.
fn address(value: &str) -> Option<Cow<'_, str>> {
    let value = text(value)?;
    let (name, host) = value.split_once('@')?;
    if name.is_empty() || host.is_empty() || host.contains('@') || value.contains(is_space) {
        return None;
    }
    let is_lower = value.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    let value = if is_lower { value } else { Cow::Owned(value.to_lowercase()) };
    // Some letters are longer in lower case.
    (value.len() <= LONGEST_ID_BYTES).then_some(value)
}

fn device(value: &str) -> Option<Cow<'_, str>> {
    let value = text(value)?;
    let is_upper = is_uuid(&value) && value.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if is_upper { Cow::Owned(value.to_ascii_lowercase()) } else { value })
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: IdKind, text: &str) -> Option<String> {
        Id::parse(kind, text).map(|id| id.value().to_owned())
    }

    #[test]
    fn white_space_and_quotes_around_an_id_are_dropped() {
        for text in ["u1", " u1\n", "\"u1\"", " \" u1 \" ", "\u{1c}u1\u{a0}"] {
            assert_eq!(value(IdKind::User, text).as_deref(), Some("u1"), "{text:?}");
        }
        assert_eq!(value(IdKind::User, "u \" 1").as_deref(), Some("u \" 1"));
    }

    #[test]
    fn uuids_and_addresses_are_in_lower_case_and_a_user_id_stays_as_it_is() {
        let uuid = "507F191E-810C-4197-9DE8-60EA00000001";
        assert_eq!(value(IdKind::Device, uuid), Some(uuid.to_lowercase()));
        assert_eq!(value(IdKind::Device, "Anon-7").as_deref(), Some("Anon-7"));
        assert_eq!(value(IdKind::User, uuid).as_deref(), Some(uuid));
        assert_eq!(value(IdKind::Email, " Ada@Acme.COM").as_deref(), Some("ada@acme.com"));
    }

    #[test]
    fn what_is_no_address_is_no_email() {
        for text in ["", "@", "a@", "@b", "a b@c", "a@b@c", "a\u{1d}@b", "user@example.com", "Test@Test.com"] {
            assert_eq!(value(IdKind::Email, text), None, "{text:?}");
        }
    }

    #[test]
    fn an_id_has_at_most_255_bytes() {
        assert!(Id::parse(IdKind::User, &"ü".repeat(127)).is_some());
        assert!(Id::parse(IdKind::User, &"ü".repeat(128)).is_none());
        // U+0130 has two bytes, in lower case three.
        assert!(Id::parse(IdKind::Email, &format!("{}@b", "\u{130}".repeat(100))).is_none());
    }

    #[test]
    fn the_address_of_a_role_is_told_with_and_without_a_tag() {
        let role = |text| Id::parse(IdKind::Email, text).expect("an address").is_role_mailbox();
        assert!(role("Info@acme.com") && role("support+eu@acme.com"));
        assert!(!role("infos@acme.com") && !role("ada+info@acme.com"));
        assert!(!Id::parse(IdKind::User, "info@acme.com").expect("an id").is_role_mailbox());
    }

    #[test]
    fn an_id_keeps_its_text_out_of_logs() {
        assert_eq!(format!("{:?}", Id::parse(IdKind::Email, "ada@acme.com").expect("an id")), "email(…)");
    }
}
