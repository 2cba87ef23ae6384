//! The ids that a message's body names: those of its event, of what is no event, and of what cannot be read at all.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use koala_collector::store::deletion::Departed;
use koala_destination::clock;
use koala_destination::ids::{EventIds, Id, IdKind, MappedIds};
use koala_destination::json::without_lone_surrogates;
use koala_destination::segment::Event;
use koala_destination::settings::Settings;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The ids of a message, where its event can be read and names somebody, and when it was received.
pub(super) fn read(body: &str, settings: &Settings) -> (Option<EventIds>, Option<i64>) {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow, default)]
        mapping: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        received_at: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        event: Option<&'a RawValue>,
    }
    let Ok(Written { mapping, received_at, event }) = serde_json::from_str(body) else { return (None, None) };
    let received_at = received_at.as_deref().and_then(clock::milliseconds);
    let ids = event.and_then(|event| {
        let event = without_lone_surrogates(event.get());
        let Ok(event) = Event::from_json(&event) else { return ids_of_no_event(&event) };
        let mapping = mapping.and_then(|name| settings.mapping(&name));
        // One that makes its mapping panic is dead for that, and has the ids of its event.
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            let mapped = mapping?.map(&event).ok()?;
            let text = |given: Option<Cow<'_, str>>| given.map(Cow::into_owned);
            Some((text(mapped.email.mapped()), text(mapped.profile_id.mapped())))
        }));
        let (email, profile_id) = mapped.ok().flatten().unwrap_or_default();
        let ids = EventIds::of(&event, &MappedIds { email: email.as_deref(), profile_id: profile_id.as_deref() });
        ids.name_a_visitor().then_some(ids)
    });
    (ids, received_at)
}

/// The ids of what is JSON and no event: as those of the event that it would be.
fn ids_of_no_event(json: &str) -> Option<EventIds> {
    let mut fields: Map<String, Value> = serde_json::from_str(json).ok()?;
    fields.insert("type".to_owned(), "identify".into());
    let json = Value::Object(fields).to_string();
    let ids = EventIds::of(&Event::from_json(&json).ok()?, &MappedIds::default());
    ids.name_a_visitor().then_some(ids)
}

/// Whether one of the ids stands in a text as a value: an address anywhere, another id under a name of its kind.
pub(super) fn names_one_of(text: &str, departed: &Departed) -> bool {
    let mut is_named = false;
    values(text, 0, &mut |key, value| {
        let key: String =
            key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).take(32).collect();
        let of_key = match key.as_str() {
            "userid" => Some(IdKind::User),
            "anonymousid" | "profileid" | "koprofileid" | "previousid" => Some(IdKind::Device),
            _ => None,
        };
        let ids = [Some(IdKind::Email), of_key].into_iter().flatten().filter_map(|kind| Id::parse(kind, value));
        is_named |= ids.into_iter().any(|id| departed.ids.contains_key(&id));
    });
    is_named
}

/// The strings of a text that may be no JSON, or cut off, with the key before each; numbers where they have one. JSON that stands
/// in a string is looked into.
fn values(text: &str, depth: u8, found: &mut impl FnMut(&str, &str)) {
    let (mut rest, mut key) = (text, None);
    while let Some(begin) = rest.find('"') {
        let token = &rest[begin..];
        let mut is_escaped = false;
        let end = token.bytes().enumerate().skip(1).find_map(|(at, byte)| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end.then_some(at + 1)
        });
        let Some(end) = end else { return };
        let string: String = serde_json::from_str(&without_lone_surrogates(&token[..end])).unwrap_or_default();
        rest = &token[end..];
        if let Some(after) = rest.trim_start().strip_prefix(':') {
            let is_end = |c: char| matches!(c, ',' | '}' | ']' | '{' | '[' | '"') || c.is_whitespace();
            let literal = after.trim_start().split(is_end).next().unwrap_or_default();
            if !literal.is_empty() {
                found(&string, literal);
            }
            (rest, key) = (after, Some(string));
            continue;
        }
        if depth == 0 && string.contains('"') {
            values(&string, depth + 1, found);
        }
        found(key.take().as_deref().unwrap_or_default(), &string);
    }
}

#[cfg(test)]
mod tests {
    use koala_collector::store::deletion::DeletionId;
    use koala_collector::tombstone::Tombstone;

    use super::*;

    fn departed(ids: &[(IdKind, &str)]) -> Departed {
        let tombstone = Tombstone { at: 0, is_whole: true };
        let ids = ids.iter().map(|(kind, value)| (Id::stored(*kind, *value), tombstone)).collect();
        Departed { id: DeletionId::new("d"), ids }
    }

    #[test]
    fn what_has_no_type_is_whose_ids_stand_where_an_event_has_them() {
        let ids = |json: &str| {
            let ids = ids_of_no_event(json)?;
            Some(ids.all().map(|id| format!("{} {}", id.kind().name(), id.value())).collect::<Vec<_>>())
        };
        assert_eq!(ids(r#"{"userId":"ub","properties":{"note":"a@example.com"}}"#), Some(vec!["user ub".to_owned()]));
        assert_eq!(
            ids(r#"{"context":{"traits":{"email":"a@example.com"}}}"#),
            Some(vec!["email a@example.com".to_owned()])
        );
        assert_eq!(ids(r#"{"properties":{"note":"a@example.com"}}"#), None);
        assert_eq!((ids("[]"), ids(r#"{"userId":"ub""#)), (None, None));
    }

    #[test]
    fn text_that_is_no_event_names_a_person_by_whole_values_alone() {
        let ada = departed(&[(IdKind::Email, "a@example.com"), (IdKind::User, "7"), (IdKind::Device, "d-1")]);
        for text in [
            r#"{"email":"A@Example.com"}"#,
            r#"{"x":["\u0061@example.com"]"#,
            r#"{"userId":7,"x""#,
            r#"{"user_id" : "7"}"#,
            r#"garbage "anonymousId":"d-1" and more"#,
            r#"{"v":1,"beginning":"{\"type\":\"track\" \"email\":\"a@example.com\""}"#,
        ] {
            assert!(names_one_of(text, &ada), "{text}");
        }
        for text in [
            r#"{"email":"ada@example.com","to":"a@example.com.au","note":"write to a@example.com"}"#,
            r#"{"plan":"7","userId":"77","x":"d-1"}"#,
            r#"{"userId":"#,
            "a@example.com",
            "\"a@example.com",
        ] {
            assert!(!names_one_of(text, &ada), "{text}");
        }
    }
}
