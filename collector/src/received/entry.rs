//! One entry of a request, read.

use koala_destination::clock;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::kind::EntryKind;
use super::page_view::{self, Extent};
use crate::company::{Guess, Said};

/// One entry of a request.
#[derive(Debug)]
pub struct ReceivedEntry {
    /// The array it stood in.
    pub kind: EntryKind,
    /// The event's name.
    pub name: Option<String>,
    /// Its idempotency key.
    pub message_id: Option<String>,
    /// Its `sent_at`, in milliseconds since 1970.
    pub at: Option<i64>,
    /// When intake took it, in milliseconds since 1970, as the sender says; where it is not said, that of the request.
    pub received_at: Option<i64>,
    /// Its `traits`.
    pub traits: Option<Map<String, Value>>,
    /// What a group call says of the company, besides what it is known by; nothing for all other entries.
    pub traits_of_company: Option<Map<String, Value>>,
    /// The company whose network its address is of, where nobody knows better.
    pub guess: Option<Guess>,
    /// The entry as it came.
    pub json: String,
}

#[derive(Deserialize)]
struct WrittenEntry {
    event: Option<Value>,
    message_id: Option<Value>,
    sent_at: Option<Value>,
    visit_start: Option<Value>,
    received_at: Option<Value>,
    traits: Option<Value>,
    name: Option<Value>,
}

impl ReceivedEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn read(kind: EntryKind, raw: &RawValue) -> Result<Self, &'static str> {
        let written: WrittenEntry = serde_json::from_str(raw.get()).map_err(|_| "must be an object")?;
        let text = |value: Option<Value>, reason| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(reason),
        };
        let name = text(written.event, "event must be a string")?;
        let name = match kind {
            // A page has a name, and a page view that was sent by hand may say it as an event does.
            EntryKind::PageView => name.or(text(written.name, "name must be a string")?),
            EntryKind::Identify | EntryKind::Event => name,
        };
        if kind == EntryKind::Event && name.as_deref().is_none_or(|name| name.trim().is_empty()) {
            return Err("event, the event's name, is missing");
        }
        let began_at = written.visit_start.as_ref().filter(|_| kind == EntryKind::PageView).and_then(page_view::time);
        let traits = match written.traits {
            None | Some(Value::Null) => None,
            Some(Value::Object(traits)) => Some(traits),
            Some(_) => return Err("traits must be an object"),
        };
        Ok(Self {
            kind,
            name,
            message_id: text(written.message_id, "message_id must be a string")?,
            at: text(written.sent_at, "sent_at must be a string")?
                .as_deref()
                .and_then(clock::milliseconds)
                .or(began_at),
            received_at: written.received_at.as_ref().and_then(page_view::time),
            traits,
            traits_of_company: None,
            guess: None,
            json: raw.get().to_owned(),
        })
    }

    /// Reads a call about the company of a person, which is a trait of theirs: `$account` names it as Koala's script does.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn read_group(raw: &RawValue) -> Result<Self, &'static str> {
        let mut account: Map<String, Value> = serde_json::from_str(raw.get()).map_err(|_| "must be an object")?;
        let traits_of_company = match account.remove("traits") {
            Some(Value::Object(traits)) => traits,
            _ => Map::new(),
        };
        account.retain(|key, _| matches!(key.as_str(), "group_id" | "domain" | "name"));
        let traits = Map::from_iter([("$account".to_owned(), Value::Object(account))]);
        let traits_of_company = Some(traits_of_company);
        Ok(Self { traits: Some(traits), traits_of_company, ..Self::read(EntryKind::Identify, raw)? })
    }

    /// What it says of its visitor's company.
    #[must_use]
    pub fn said(&self) -> Vec<Said> {
        let by_group_call = self.traits_of_company.is_some();
        let said = self.traits.as_ref().map(Said::of_traits).unwrap_or_default();
        said.into_iter().map(|said| Said { by_group_call, ..said }).collect()
    }

    /// An entry of who somebody is, or of their company, as a store has it.
    #[must_use]
    pub fn of_stored_identify(kind: EntryKind, json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Type<'a> {
            #[serde(borrow, default, rename = "type")]
            kind: Option<std::borrow::Cow<'a, str>>,
        }
        let raw: &RawValue = serde_json::from_str(json).ok()?;
        if kind != EntryKind::Identify {
            return None;
        }
        let is_group = serde_json::from_str::<Type<'_>>(json).is_ok_and(|it| it.kind.as_deref() == Some("group"));
        if is_group { Self::read_group(raw) } else { Self::read(EntryKind::Identify, raw) }.ok()
    }

    /// Whether a page view has grown since it was sent as `before`: Koala's script sends it again under the same message id
    /// while it lasts. Whatever else is sent under a message id that is taken is a repeat.
    #[must_use]
    pub fn has_grown_from(&self, before: &str) -> bool {
        self.kind == EntryKind::PageView && Extent::of(&self.json) > Extent::of(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_view_grows_with_its_end_and_with_how_long_it_was_looked_at() {
        let view = |json: &str| {
            let raw: &RawValue = serde_json::from_str(json).expect("JSON");
            ReceivedEntry::read(EntryKind::PageView, raw).expect("an entry")
        };
        let begun = r#"{"visit_start":"2022-11-09T23:57:14.776Z","focus_intervals":[100]}"#;
        let later = r#"{"visit_start":"2022-11-09T23:57:14.776Z","focus_intervals":[100,50.5]}"#;
        let ended = r#"{"visit_end":"2022-11-09T23:58:14.776Z"}"#;
        assert_eq!(view(begun).at, Some(1_668_038_234_776));
        for (now, before, has_grown) in [
            (later, begun, true),
            (ended, later, true),
            (begun, later, false),
            (begun, begun, false),
            (begun, ended, false),
        ] {
            assert_eq!(view(now).has_grown_from(before), has_grown, "{before} {now}");
        }
    }
}
