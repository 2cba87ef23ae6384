//! A batch request: one visitor's entries.

use koala_destination::clock;
use koala_destination::ids::{EventIds, WrittenIds, text_if_any};
use koala_destination::koala::{self, Email, MOST_ENTRIES, ProfileId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::received::{Batch, EntryKind, ReceivedEntry};

/// The array of companies.
const GROUPS: &str = koala::SentKind::Group.array();

/// The ids stand here once more, since what serde flattens cannot be borrowed as [`RawValue`], and a body is parsed once.
#[derive(Deserialize)]
struct Written<'a> {
    profile_id: Option<Value>,
    email: Option<Value>,
    #[serde(default, deserialize_with = "text_if_any")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    anonymous_id: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    email_from: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    previous_id: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    group_id: Option<String>,
    #[serde(default, deserialize_with = "text_if_any")]
    received_at: Option<String>,
    traits: Option<Map<String, Value>>,
    #[serde(borrow, default)]
    identifies: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    page_views: Vec<&'a RawValue>,
    /// What Koala's protocol does not have: the company of the request's person.
    #[serde(borrow, default)]
    groups: Vec<&'a RawValue>,
}

/// The array of a request that entries of a kind stand in.
#[must_use]
pub fn array_of(kind: EntryKind) -> &'static str {
    let sent = match kind {
        EntryKind::Identify => koala::SentKind::Identify,
        EntryKind::Event => koala::SentKind::Event,
        EntryKind::PageView => koala::SentKind::PageView,
    };
    sent.array()
}

/// Reads a batch request, by the rules.
///
/// # Errors
/// With the rule that it does not hold.
pub fn read(body: &[u8]) -> Result<Batch, Refusal> {
    let written: Written<'_> = serde_json::from_slice(body).map_err(|error| Refusal::Form(error.to_string()))?;
    let profile_id = match &written.profile_id {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_str().and_then(ProfileId::parse).ok_or(Refusal::ProfileId)?),
    };
    let email = match &written.email {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_str().and_then(Email::parse).ok_or(Refusal::Email)?),
    };
    let is_named = profile_id.is_some() || email.is_some();
    if !is_named && written.user_id.is_none() && written.anonymous_id.is_none() {
        return Err(Refusal::NoIdentity);
    }
    let ids = EventIds::from(&WrittenIds {
        profile_id: profile_id.map(|id| id.to_string()),
        user_id: written.user_id,
        anonymous_id: written.anonymous_id,
        email: email.map(|email| email.as_str().to_owned()),
        email_from: written.email_from,
        previous_id: written.previous_id,
        group_id: written.group_id,
    });
    if !ids.name_a_visitor() {
        return Err(Refusal::Nobody);
    }
    let received_at = written.received_at.as_deref().and_then(clock::milliseconds);
    let mut entries = Vec::new();
    let arrays = [
        (EntryKind::Identify, &written.identifies),
        (EntryKind::Event, &written.events),
        (EntryKind::PageView, &written.page_views),
    ];
    for (kind, array) in arrays {
        if array.len() > MOST_ENTRIES {
            return Err(Refusal::TooMany(array_of(kind), array.len()));
        }
        for (at, raw) in array.iter().enumerate() {
            entries.push(ReceivedEntry::read(kind, raw).map_err(|reason| Refusal::Entry(array_of(kind), at, reason))?);
        }
    }
    if written.groups.len() > MOST_ENTRIES {
        return Err(Refusal::TooMany(GROUPS, written.groups.len()));
    }
    for (at, raw) in written.groups.iter().enumerate() {
        entries.push(ReceivedEntry::read_group(raw).map_err(|reason| Refusal::Entry(GROUPS, at, reason))?);
    }
    Ok(Batch { ids, received_at, traits: written.traits, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(body: &str) -> String {
        read(body.as_bytes()).expect_err("a refusal").to_string()
    }

    #[test]
    fn the_example_of_koalas_guide_is_taken() {
        let body = r#"{"profile_id":"3e6a2c18-3b02-40c4-b8d2-1842c193d3ba","email":"netto@getkoala.com","events":[
            {"message_id":"abc123-unique-id","type":"track","event":"Created Account","properties":{},"sent_at":"2022-11-09T23:57:14.776Z"}]}"#;
        let batch = read(body.as_bytes()).expect("a batch");
        assert_eq!(batch.entries[0].name.as_deref(), Some("Created Account"));
        assert_eq!(batch.entries[0].at, Some(1_668_038_234_776));
    }

    #[test]
    fn a_request_of_our_own_handlers_needs_no_more_than_a_user_id_or_a_device() {
        let body = r#"{"user_id":"u1","anonymous_id":"a1","email":"Ada@Acme.com","email_from":"properties","received_at":"2022-11-09T23:57:14.776Z"}"#;
        let batch = read(body.as_bytes()).expect("a batch");
        assert_eq!(batch.ids.strongest_first(|_| false).len(), 3);
        assert!(batch.ids.email_is_loose());
        assert_eq!(batch.received_at, Some(1_668_038_234_776));
        for body in [r#"{"user_id":"u1"}"#, r#"{"anonymous_id":"a1"}"#] {
            assert_eq!(read(body.as_bytes()).expect("a batch").ids.strongest_first(|_| false).len(), 1);
        }
    }

    #[test]
    fn each_rule_has_its_reason() {
        assert!(why("{").contains("not a batch request"));
        assert!(why("{}").contains("profile_id or email is required"));
        assert!(why(r#"{"user_id":"null","anonymous_id":"undefined"}"#).contains("no usable visitor id"));
        assert!(why(r#"{"profile_id":"7"}"#).contains("must be a UUID"));
        assert!(why(r#"{"email":"nobody"}"#).contains("must be an email address"));
        assert!(why(r#"{"email":"a@b","events":[{}]}"#).contains("events[0]"));
        let many = vec![r#"{"event":"A"}"#; 31].join(",");
        assert!(why(&format!(r#"{{"email":"a@b","events":[{many}]}}"#)).contains("31 entries, and 30 is the most"));
    }
}
