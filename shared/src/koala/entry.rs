//! One entry of a batch request: what the collector learns from one event.

use std::borrow::Cow;

use thiserror::Error;

use super::ip::{ip_address, parse_ip};
use super::write::{write_context, write_object, written_object};
use super::{CollectorKind, EntryOptions, SentKind, Subject, account, page_view};
use crate::clock;
use crate::ids::{EventIds, MappedIds};
use crate::json::{self, ObjectWriter};
use crate::segment::{Action, Event, Given, MappedAction, Mapping, MappingProblem, Value};

/// One entry, ready to be put into a request of its subject.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Whom it is about.
    pub subject: Subject,
    /// What it is.
    pub kind: SentKind,
    /// Its idempotency key.
    pub message_id: String,
    /// When it happened, in milliseconds since 1970; what orders a visitor's entries.
    pub at: i64,
    /// The entry as JSON.
    pub json: String,
    /// What it says about the visitor at the top of the request, as a JSON object.
    pub traits: Option<String>,
    /// The visitor's address: the event's own word, else the context's.
    pub ip: Option<String>,
}

/// Why an event makes no entry. Each is final for this event under this mapping.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EntryProblem {
    /// The mapping's fields do not fit the action.
    #[error(transparent)]
    Mapping(#[from] MappingProblem),
    /// A number that JSON can write and strict readers refuse, with all that stands around it.
    #[error("`{field}` is a number too large for a double: strict readers of JSON refuse it")]
    NumberTooLarge {
        /// Where it stands in the entry.
        field: String,
    },
    /// Nobody to tell the collector about.
    #[error("the event names no visitor: it has no profile_id, email, anonymousId or userId")]
    NoVisitor,
    /// A company without a domain, for a collector that knows companies by nothing else.
    #[error("Domain (`domain`) is missing, and the collector knows companies by their domain")]
    NoDomain,
    /// Only an anonymous visitor, and the settings skip those: nothing is wrong.
    #[error("the visitor is anonymous, and the settings skip anonymous visitors")]
    AnonymousSkipped,
}

/// How an event is delivered.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    /// When intake took it, RFC 3339; stands in for a timestamp that is missing.
    pub received_at: &'a str,
    /// Whether another mapping of the same action delivers it under its own message id, so that this one needs another.
    pub another: bool,
}

/// Makes the entry of one event under a mapping.
///
/// # Errors
/// When the fields do not fit the action, or the event names nobody.
pub fn entry(
    event: &Event<'_>,
    mapping: &Mapping,
    delivered: Delivered<'_>,
    options: &EntryOptions,
) -> Result<Entry, EntryProblem> {
    let action = mapping.action();
    let mapped = mapping.map(event)?;
    let account = match &mapped.action {
        MappedAction::Account(own) if options.collector == CollectorKind::Koala => {
            Some(account::domain(own).ok_or(EntryProblem::NoDomain)?)
        }
        _ => None,
    };
    let is_account = account.is_some();
    let subject = match account {
        // The request is about the company: whoever said so is no part of it.
        Some(domain) => Subject::Account(domain),
        None => visitor(event, mapped.profile_id.mapped().as_deref(), mapped.email.mapped().as_deref(), options)?,
    };
    let fields = event.fields();
    let context = match mapped.context {
        Given::Default => fields.get("context").map(Value::Raw).filter(Value::is_object),
        Given::Mapped(context) => context,
    };
    let device_ip = fields.get_object("context").and_then(ip_address).filter(|_| options.forward_ip);
    let ip = match mapped.ip {
        // The event's own word first: a server that sends for a visitor has an address of its own in the context.
        Given::Default => {
            let own = match action {
                Action::TrackEvent | Action::PageView => fields.get_object("properties"),
                Action::IdentifyVisitor => fields.get_object("traits"),
                // What a company's traits say of an address is not the visitor's.
                Action::IdentifyAccount => None,
            };
            own.and_then(ip_address).or_else(|| device_ip.clone())
        }
        Given::Mapped(ip) => ip.as_deref().and_then(parse_ip),
    };
    let message_id = match mapped.message_id.mapped().filter(|id| !id.trim().is_empty()) {
        Some(id) => id,
        None if delivered.another => Cow::Owned(format!("{}.{}", event.message_id(), mapping.name())),
        None => Cow::Borrowed(event.message_id()),
    };
    let sent_at =
        mapped.sent_at.mapped().or_else(|| fields.get_str("timestamp")).filter(|text| !text.trim().is_empty());
    let sent_at = sent_at.as_deref().unwrap_or(delivered.received_at);

    let mut json = String::with_capacity(event.json().len() + 160);
    let mut object = ObjectWriter::start(&mut json);
    let mut traits = None;
    let context_traits = || context.as_ref().map(|context| context.get("traits")).filter(Value::is_object);
    let kind = match mapped.action {
        MappedAction::Identify { traits: own } => {
            object.string("type", "identify");
            if let Some(email) = subject.email() {
                object.string("email", email);
            }
            write_object(object.key("traits"), Some(&own), options, &[]);
            if options.repeat_identify_traits {
                traits = Some(written_object(&own, options));
            }
            SentKind::Identify
        }
        MappedAction::Track { name, properties } => {
            object.string("type", "track");
            object.string("event", &name);
            write_object(object.key("properties"), properties.as_ref(), options, &[]);
            let context_traits = context_traits();
            if let Some(context_traits) = &context_traits {
                write_object(object.key("traits"), Some(context_traits), options, &[]);
            }
            traits = Some(context_traits.map_or_else(|| "{}".to_owned(), |traits| written_object(&traits, options)));
            SentKind::Event
        }
        MappedAction::Page(page) => {
            object.string("type", "page");
            page_view::write(&mut object, &page, fields.get_object("context"));
            write_object(object.key("properties"), page.properties.as_ref(), options, &[]);
            object.string("visit_start", sent_at);
            traits = context_traits().map(|traits| written_object(&traits, options));
            SentKind::PageView
        }
        MappedAction::Account(own) if is_account => {
            write_object(object.key("traits"), own.traits.as_ref(), options, &account::additions(&own));
            SentKind::Account
        }
        MappedAction::Account(own) => {
            object.string("type", "group");
            account::write(&mut object, &own);
            write_object(object.key("traits"), own.traits.as_ref(), options, &[]);
            SentKind::Group
        }
    };
    object.string("sent_at", sent_at);
    write_context(object.key("context"), context.as_ref(), fields, options);
    if let Some(device_ip) = &device_ip {
        object.string("device_ip", device_ip);
    }
    object.string("message_id", &message_id);
    if options.collector == CollectorKind::Own {
        // At each entry, since those of a request may have come at different times.
        object.string("received_at", delivered.received_at);
    }
    object.end();
    if let Some(field) = json::number_out_of_range(&json) {
        return Err(EntryProblem::NumberTooLarge { field });
    }

    let at = clock::milliseconds(sent_at).or_else(|| clock::milliseconds(delivered.received_at)).unwrap_or_default();
    let (message_id, ip) = (message_id.into_owned(), ip.filter(|_| options.forward_ip));
    Ok(Entry { subject, kind, message_id, at, json, traits, ip })
}

/// The visitor of an event as the collector knows it, with what a mapping says of who it is.
fn visitor(
    event: &Event<'_>,
    profile_id: Option<&str>,
    email: Option<&str>,
    options: &EntryOptions,
) -> Result<Subject, EntryProblem> {
    let ids = EventIds::of(event, &MappedIds { email, profile_id });
    let knows_user_ids = options.collector == CollectorKind::Own;
    let is_known = ids.profile_id().is_some() || ids.email().is_some() || (knows_user_ids && ids.user_id().is_some());
    let subject = Subject::of(ids, options.collector).ok_or(EntryProblem::NoVisitor)?;
    if is_known || options.keep_anonymous_visitors { Ok(subject) } else { Err(EntryProblem::AnonymousSkipped) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: &str, options: &EntryOptions) -> Result<Entry, EntryProblem> {
        let event = Event::parse(json).expect("an event");
        let action = if event.kind() == "identify" { Action::IdentifyVisitor } else { Action::TrackEvent };
        let delivered = Delivered { received_at: "2026-01-02T03:04:05.678Z", another: false };
        entry(&event, &Mapping::preset(action), delivered, options)
    }

    fn json(json: &str, options: &EntryOptions) -> serde_json::Value {
        serde_json::from_str(&made(json, options).expect("an entry").json).expect("JSON")
    }

    #[test]
    fn numbers_go_through_digit_for_digit() {
        let entry = made(
            r#"{"type":"track","event":"A","userId":"u","properties":{"n":12345678901234567890.10}}"#,
            &EntryOptions::default(),
        );
        assert!(entry.expect("an entry").json.contains("12345678901234567890.10"));
    }

    #[test]
    fn the_event_name_must_be_a_string_and_traits_an_object() {
        let why = |text| made(text, &EntryOptions::default()).expect_err("no entry").to_string();
        assert_eq!(
            why(r#"{"type":"track","event":["A","B"],"userId":"u"}"#),
            "Event Name (`event`) must be a string, not an array"
        );
        assert_eq!(
            why(r#"{"type":"track","userId":"u"}"#),
            "Event Name (`event`) is missing, and the action requires it"
        );
        assert_eq!(
            why(r#"{"type":"track","event":"A","properties":[1]}"#),
            "Event Properties (`properties`) must be an object, not an array"
        );
        assert_eq!(
            why(r#"{"type":"identify","userId":"u","traits":"x"}"#),
            "Traits (`traits`) must be an object, not a string"
        );
        assert_eq!(
            why(r#"{"type":"identify","userId":"u","traits":null}"#),
            "Traits (`traits`) is missing, and the action requires it"
        );
    }

    #[test]
    fn an_event_of_nobody_makes_no_entry() {
        assert_eq!(
            made(r#"{"type":"track","event":"A"}"#, &EntryOptions::default()).err(),
            Some(EntryProblem::NoVisitor)
        );
    }

    #[test]
    fn a_number_that_no_double_holds_is_named_by_its_field_and_only_where_it_would_be_delivered() {
        for (event, field) in [
            (
                r#"{"type":"track","event":"A","userId":"u","properties":{"sizes":[1,{"n":1e999}]}}"#,
                "properties.sizes[1].n",
            ),
            (r#"{"type":"identify","userId":"u","traits":{"debt":-1e999}}"#, "traits.debt"),
            (
                r#"{"type":"track","event":"A","userId":"u","context":{"screen":{"width":9e400}}}"#,
                "context.screen.width",
            ),
        ] {
            let error = made(event, &EntryOptions::default()).expect_err("no entry");
            assert_eq!(error, EntryProblem::NumberTooLarge { field: field.to_owned() });
            assert!(error.to_string().contains(field));
        }
        let elsewhere = r#"{"type":"track","event":"A","userId":"u","_metadata":{"n":1e999},"properties":{"n":1e308}}"#;
        assert!(made(elsewhere, &EntryOptions::default()).is_ok());
    }

    #[test]
    fn anonymous_visitors_can_be_skipped() {
        let options = EntryOptions { keep_anonymous_visitors: false, ..EntryOptions::default() };
        assert_eq!(
            made(r#"{"type":"track","event":"A","anonymousId":"a"}"#, &options).err(),
            Some(EntryProblem::AnonymousSkipped)
        );
    }

    #[test]
    fn no_address_leaves_when_addresses_stay_here() {
        let options = EntryOptions { forward_ip: false, ..EntryOptions::default() };
        let event = r#"{"type":"track","event":"A","userId":"u","properties":{"ip":"192.0.2.1","a":1},"context":{"ip":"192.0.2.2","traits":{"ip":"192.0.2.3"}}}"#;
        let entry = made(event, &options).expect("an entry");
        assert!(entry.ip.is_none());
        assert!(!format!("{} {:?}", entry.json, entry.traits).contains("192.0.2"));
    }

    #[test]
    fn the_source_in_the_context_is_ours_and_stands_once() {
        let event = r#"{"type":"track","event":"A","userId":"u","context":{"source":"theirs","page":{"path":"/"}}}"#;
        let entry = json(event, &EntryOptions::default());
        assert_eq!(entry["context"], serde_json::json!({"page":{"path":"/"},"source":"segment-webhook"}));
        assert!(!made(event, &EntryOptions::default()).expect("an entry").json.contains("theirs"));
    }

    #[test]
    fn an_event_without_a_timestamp_has_the_time_of_its_arrival() {
        assert_eq!(
            json(r#"{"type":"track","event":"A","userId":"u"}"#, &EntryOptions::default())["sent_at"],
            "2026-01-02T03:04:05.678Z"
        );
    }
}
