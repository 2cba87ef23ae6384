//! Who an event is about.

use std::borrow::Cow;
use std::fmt;

use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::json::{self, Kind, Object, RawJson};
use crate::segment::{Action, Event};

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

/// Who a request to Koala is about, by either or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Visitor {
    profile_id: Option<ProfileId>,
    email: Option<Email>,
}

impl Visitor {
    /// A visitor known by either or both.
    #[must_use]
    pub fn new(profile_id: Option<ProfileId>, email: Option<Email>) -> Option<Self> {
        (profile_id.is_some() || email.is_some()).then_some(Self { profile_id, email })
    }

    /// The visitor of an event under an action, by the first that is found: the `profile_id` and the email that the mapping
    /// gives; `profile_id` or `ko_profile_id` in its properties (Track Event) or traits (Identify Visitor); the email in
    /// its properties, its traits, the traits of its context; and with `keep_anonymous` the anonymousId, then the userId.
    #[must_use]
    pub fn of(event: &Event<'_>, action: Action, mapped: &Self, keep_anonymous: bool) -> Option<Self> {
        let fields = event.fields();
        let properties = fields.get_object("properties");
        let traits = fields.get_object("traits");
        let own = match action {
            Action::TrackEvent | Action::PageView => properties,
            Action::IdentifyVisitor | Action::IdentifyAccount => traits,
        };
        let profile_id = mapped.profile_id.or_else(|| {
            let own = own?;
            ["profile_id", "ko_profile_id"].iter().find_map(|key| ProfileId::parse(&own.get_str(key)?))
        });
        let email = mapped.email.clone().or_else(|| email_in(properties)).or_else(|| email_in(traits));
        let email =
            email.or_else(|| email_in(fields.get_object("context").and_then(|context| context.get_object("traits"))));
        let known = Self::new(profile_id, email);
        if known.is_some() || !keep_anonymous {
            return known;
        }
        ["anonymousId", "userId"].iter().find_map(|key| {
            let id = identifier(fields.get(key)?)?;
            // Only an anonymousId can be the profile id itself: Koala's script and analytics.js share that cookie's form.
            let own = if *key == "anonymousId" { ProfileId::parse(&id) } else { None };
            Self::new(Some(own.unwrap_or_else(|| ProfileId::derived(key, &id))), None)
        })
    }

    /// What a mapping alone tells of the visitor; it may be nothing.
    #[must_use]
    pub fn mapped(profile_id: Option<&str>, email: Option<&str>) -> Self {
        Self { profile_id: profile_id.and_then(ProfileId::parse), email: email.and_then(Email::parse) }
    }

    /// The `profile_id`, where it is known.
    #[must_use]
    pub fn profile_id(&self) -> Option<ProfileId> {
        self.profile_id
    }

    /// The email address, where it is known.
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }
}

fn email_in(object: Option<&Object<'_>>) -> Option<Email> {
    Email::parse(&object?.get_str("email")?)
}

/// An id as text: Segment's are strings, but some senders write numbers.
fn identifier(value: RawJson<'_>) -> Option<Cow<'_, str>> {
    match json::kind(value) {
        Kind::Number => Some(Cow::Borrowed(value.get())),
        _ => json::string(value).filter(|text| !text.trim().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(json: &str, action: Action) -> Option<Visitor> {
        Visitor::of(&Event::parse(json).expect("an event"), action, &Visitor::mapped(None, None), true)
    }

    fn profile_id(json: &str) -> String {
        visitor(json, Action::TrackEvent).and_then(|v| v.profile_id()).map(|id| id.to_string()).expect("a profile id")
    }

    #[test]
    fn a_uuid_as_anonymous_id_is_the_profile_id() {
        let json = r#"{"type":"track","anonymousId":"507f191e-810c-4197-9de8-60ea00000001","userId":"u-1"}"#;
        assert_eq!(profile_id(json), "507f191e-810c-4197-9de8-60ea00000001");
    }

    #[test]
    fn any_other_anonymous_id_always_gives_the_same_uuid_of_version_4() {
        let id = profile_id(r#"{"type":"track","anonymousId":"anon-7"}"#);
        assert_eq!(id, profile_id(r#"{"type":"track","anonymousId":"anon-7","userId":"u-1"}"#));
        assert_ne!(id, profile_id(r#"{"type":"track","userId":"anon-7"}"#));
        assert_eq!(Uuid::parse_str(&id).expect("a UUID").get_version_num(), 4);
    }

    #[test]
    fn a_profile_id_that_is_no_uuid_is_passed_over() {
        let json = r#"{"type":"track","properties":{"profile_id":"7","ko_profile_id":"3e6a2c18-3b02-40c4-b8d2-1842c193d3ba"}}"#;
        assert_eq!(profile_id(json), "3e6a2c18-3b02-40c4-b8d2-1842c193d3ba");
    }

    #[test]
    fn the_profile_id_of_an_identify_is_in_its_traits() {
        let json = r#"{"type":"identify","traits":{"profile_id":"3e6a2c18-3b02-40c4-b8d2-1842c193d3ba","email":"a@example.com"}}"#;
        let both = visitor(json, Action::IdentifyVisitor).expect("a visitor");
        assert!(both.profile_id().is_some() && both.email().is_some());
        assert!(visitor(json, Action::TrackEvent).expect("a visitor").profile_id().is_none());
    }

    #[test]
    fn nobody_is_not_a_visitor() {
        assert_eq!(visitor(r#"{"type":"track","userId":"","anonymousId":null}"#, Action::TrackEvent), None);
    }

    #[test]
    fn what_is_no_address_is_no_email() {
        for text in ["", "@", "a@", "@b", "a b@c", "a@b@c", "a\n@b"] {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
        assert_eq!(Email::parse(" Ada@Example.com ").expect("an email").as_str(), "Ada@Example.com");
    }
}
