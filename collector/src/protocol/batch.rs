//! A batch request: one visitor's entries.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use koala_destination::clock;
use koala_destination::ids::{EventIds, WrittenIds, text_if_any};
use koala_destination::json::{remove_ip_addresses, without_ip_addresses};
use koala_destination::koala::{self, Email, MOST_ENTRIES, ProfileId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::company::Said;
use crate::networks::{self, Guess, Networks};

use super::page_view::{self, Extent};
use super::refusal::Refusal;

/// A request that holds the rules.
#[derive(Debug)]
pub struct Batch {
    /// The ids of its visitor: all that the events of the request said of who it is.
    pub ids: EventIds,
    /// When intake took the events, in milliseconds since 1970, as the sender says; to be believed of our own handlers alone.
    pub received_at: Option<i64>,
    /// The visitor's traits, at the top of the request.
    pub traits: Option<Map<String, Value>>,
    /// Its entries of every kind.
    pub entries: Vec<ReceivedEntry>,
}

impl Batch {
    /// Takes out what the sender says of when the events were taken in: a stranger's word on that counts for nothing.
    pub fn forget_arrival(&mut self) {
        self.received_at = None;
        for entry in &mut self.entries {
            entry.received_at = None;
        }
    }

    /// Looks up whose networks the addresses of its entries are of, within a time: what is not known by then has no guess.
    pub async fn guess_companies(&mut self, networks: &Networks, within: Duration) {
        let looking = async {
            // The entries of a request are mostly from one address.
            let mut last: Option<(IpAddr, Option<Guess>)> = None;
            for entry in &mut self.entries {
                let Some(address) = networks::address_of(&entry.json) else { continue };
                if last.as_ref().is_none_or(|(before, _)| *before != address) {
                    last = Some((address, networks.guess(address).await));
                }
                entry.guess = last.as_ref().and_then(|(_, guess)| guess.clone());
            }
        };
        // Its end is no fault: the guesses so far stand.
        let _ = tokio::time::timeout(within, looking).await;
    }

    /// Takes out the IP addresses that the events came from.
    pub fn forget_addresses(&mut self) {
        self.traits.iter_mut().for_each(remove_ip_addresses);
        for entry in &mut self.entries {
            entry.traits.iter_mut().for_each(remove_ip_addresses);
            entry.traits_of_company.iter_mut().for_each(remove_ip_addresses);
            if let Cow::Owned(json) = without_ip_addresses(&entry.json) {
                entry.json = json;
            }
        }
    }
}

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

/// What an entry is in the store, by the array of a request that it stood in. What stands in the fourth array, `groups`, is kept as an
/// identify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `identifies`
    Identify,
    /// `events`
    Event,
    /// `page_views`
    PageView,
}

impl EntryKind {
    /// The name in the store and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Event => "event",
            Self::PageView => "page_view",
        }
    }

    /// The kind that has a name in the store.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Identify, Self::Event, Self::PageView].into_iter().find(|kind| kind.name() == name)
    }

    /// The array of a request that it stands in.
    pub(crate) fn array(self) -> &'static str {
        let sent = match self {
            Self::Identify => koala::EntryKind::Identify,
            Self::Event => koala::EntryKind::Event,
            Self::PageView => koala::EntryKind::PageView,
        };
        sent.array()
    }
}

/// The array of companies.
const GROUPS: &str = koala::EntryKind::Group.array();

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
        if is_group { group(raw) } else { entry(EntryKind::Identify, raw) }.ok()
    }

    /// Whether a page view has grown since it was sent as `before`: Koala's script sends it again under the same message id
    /// while it lasts. Whatever else is sent under a message id that is taken is a repeat.
    #[must_use]
    pub fn has_grown_from(&self, before: &str) -> bool {
        self.kind == EntryKind::PageView && Extent::of(&self.json) > Extent::of(before)
    }
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
            return Err(Refusal::TooMany(kind.array(), array.len()));
        }
        for (at, raw) in array.iter().enumerate() {
            entries.push(entry(kind, raw).map_err(|reason| Refusal::Entry(kind.array(), at, reason))?);
        }
    }
    if written.groups.len() > MOST_ENTRIES {
        return Err(Refusal::TooMany(GROUPS, written.groups.len()));
    }
    for (at, raw) in written.groups.iter().enumerate() {
        entries.push(group(raw).map_err(|reason| Refusal::Entry(GROUPS, at, reason))?);
    }
    Ok(Batch { ids, received_at, traits: written.traits, entries })
}

/// The company of a person is a trait of theirs, which `$account` names as Koala's script does.
fn group(raw: &RawValue) -> Result<ReceivedEntry, &'static str> {
    let mut account: Map<String, Value> = serde_json::from_str(raw.get()).map_err(|_| "must be an object")?;
    let traits_of_company = match account.remove("traits") {
        Some(Value::Object(traits)) => traits,
        _ => Map::new(),
    };
    account.retain(|key, _| matches!(key.as_str(), "group_id" | "domain" | "name"));
    let traits = Map::from_iter([("$account".to_owned(), Value::Object(account))]);
    let traits_of_company = Some(traits_of_company);
    Ok(ReceivedEntry { traits: Some(traits), traits_of_company, ..entry(EntryKind::Identify, raw)? })
}

fn entry(kind: EntryKind, raw: &RawValue) -> Result<ReceivedEntry, &'static str> {
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
    Ok(ReceivedEntry {
        kind,
        name,
        message_id: text(written.message_id, "message_id must be a string")?,
        at: text(written.sent_at, "sent_at must be a string")?.as_deref().and_then(clock::milliseconds).or(began_at),
        received_at: written.received_at.as_ref().and_then(page_view::time),
        traits,
        traits_of_company: None,
        guess: None,
        json: raw.get().to_owned(),
    })
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
    fn a_page_view_grows_with_its_end_and_with_how_long_it_was_looked_at() {
        let view = |json: &str| {
            let body = format!(r#"{{"email":"a@b","page_views":[{json}]}}"#);
            read(body.as_bytes()).expect("a batch").entries.remove(0)
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
