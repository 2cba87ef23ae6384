//! One entry of a batch request: what Koala learns from one event.

use std::net::IpAddr;

use serde_json::value::RawValue;
use thiserror::Error;

use super::Visitor;
use crate::clock;
use crate::json::{self, Kind, Object, ObjectWriter};
use crate::segment::{Action, Event, MappedEvent, Mapping, MappingProblem};

/// What may be told of the way entries are made.
#[derive(Debug, Clone)]
pub struct EntryOptions {
    /// Keep visitors of whom neither a profile id nor an email is known.
    pub keep_anonymous_visitors: bool,
    /// Tell Koala the visitor's IP address.
    pub forward_ip: bool,
    /// Put an identify's traits at the top of the request too, as Segment's cloud-mode destination does.
    pub repeat_identify_traits: bool,
    /// What `context.source` says.
    pub context_source: String,
}

impl Default for EntryOptions {
    fn default() -> Self {
        Self {
            keep_anonymous_visitors: true,
            forward_ip: true,
            repeat_identify_traits: false,
            context_source: "segment-webhook".to_owned(),
        }
    }
}

/// One entry, ready to be put into a request of its visitor.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Whose it is.
    pub visitor: Visitor,
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
    /// Nobody to tell Koala about.
    #[error("the event names no visitor: it has no profile_id, email, anonymousId or userId")]
    NoVisitor,
    /// Only an anonymous visitor, and those are left out by the settings: nothing is wrong.
    #[error("the visitor is anonymous, and anonymous visitors are left out")]
    AnonymousLeftOut,
}

/// Makes the entry of one event under a mapping; `received_at` (RFC 3339) stands in for a timestamp that is missing.
///
/// # Errors
/// When the fields do not fit the action, or the event names nobody.
pub fn entry(
    event: &Event<'_>,
    mapping: &Mapping,
    received_at: &str,
    options: &EntryOptions,
) -> Result<Entry, EntryProblem> {
    let action = mapping.action();
    let mapped = mapping.map(event)?;
    let visitor = visitor(event, action, options)?;
    let fields = event.fields();
    let context = fields.get_object("context");
    let context_traits =
        context.as_ref().and_then(|context| context.get_present("traits")).filter(|value| is_object(value));
    let device_ip = context.as_ref().and_then(ip_address).filter(|_| options.forward_ip);
    let own = fields.get_object(if action == Action::TrackEvent { "properties" } else { "traits" });
    // The event's own word first: a server that sends for a visitor has an address of its own in the context.
    let ip = own.as_ref().and_then(ip_address).filter(|_| options.forward_ip).or_else(|| device_ip.clone());
    let sent_at = fields.get_str("timestamp").filter(|text| !text.trim().is_empty());
    let sent_at = sent_at.as_deref().unwrap_or(received_at);

    let mut json = String::with_capacity(event.json().len() + 160);
    let mut object = ObjectWriter::start(&mut json);
    let mut traits = None;
    match mapped {
        MappedEvent::Identify { traits: own } => {
            object.string("type", "identify");
            if let Some(email) = visitor.email() {
                object.string("email", email.as_str());
            }
            write_object(object.key("traits"), Some(own), options, None);
            if options.repeat_identify_traits {
                traits = Some(written_object(own, options));
            }
        }
        MappedEvent::Track { name, properties } => {
            object.string("type", "track");
            object.string("event", &name);
            write_object(object.key("properties"), properties, options, None);
            if let Some(context_traits) = context_traits {
                write_object(object.key("traits"), Some(context_traits), options, None);
            }
            traits = Some(context_traits.map_or_else(|| "{}".to_owned(), |traits| written_object(traits, options)));
        }
    }
    object.string("sent_at", sent_at);
    let context = fields.get_present("context").filter(|value| is_object(value));
    write_object(object.key("context"), context, options, Some(&options.context_source));
    if let Some(device_ip) = &device_ip {
        object.string("device_ip", device_ip);
    }
    object.string("message_id", event.message_id());
    object.end();

    let at = clock::milliseconds(sent_at).or_else(|| clock::milliseconds(received_at)).unwrap_or_default();
    Ok(Entry { visitor, message_id: event.message_id().to_owned(), at, json, traits, ip })
}

fn visitor(event: &Event<'_>, action: Action, options: &EntryOptions) -> Result<Visitor, EntryProblem> {
    if let Some(visitor) = Visitor::of(event, action, options.keep_anonymous_visitors) {
        return Ok(visitor);
    }
    let anonymous = Visitor::of(event, action, true);
    Err(anonymous.map_or(EntryProblem::NoVisitor, |_| EntryProblem::AnonymousLeftOut))
}

fn is_object(value: &RawValue) -> bool {
    json::kind(value) == Kind::Object
}

/// An object's `ip`; what is no address is passed over.
fn ip_address(object: &Object<'_>) -> Option<String> {
    let text = object.get_str("ip")?;
    text.trim().parse::<IpAddr>().is_ok().then(|| text.trim().to_owned())
}

fn written_object(value: &RawValue, options: &EntryOptions) -> String {
    let mut out = String::with_capacity(value.get().len());
    write_object(&mut out, Some(value), options, None);
    out
}

/// Writes an object of the event: without its `ip` when addresses stay here, and with `source` where one is given.
/// When neither changes anything its bytes are copied as they came.
fn write_object(out: &mut String, value: Option<&RawValue>, options: &EntryOptions, source: Option<&str>) {
    let Some(value) = value else {
        let mut empty = ObjectWriter::start(out);
        if let Some(source) = source {
            empty.string("source", source);
        }
        return empty.end();
    };
    if options.forward_ip && source.is_none() {
        return out.push_str(value.get());
    }
    let Some(fields) = Object::from_raw(value) else {
        return out.push_str(value.get());
    };
    let mut object = ObjectWriter::start(out);
    for (key, value) in fields.iter() {
        let dropped = (key == "ip" && !options.forward_ip) || (key == "source" && source.is_some());
        if dropped {
            continue;
        }
        if key == "traits" && !options.forward_ip {
            // A context holds traits, and they may hold an address of their own.
            write_object(object.key(key), Some(value), options, None);
        } else {
            object.raw(key, value.get());
        }
    }
    if let Some(source) = source {
        object.string("source", source);
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: &str, options: &EntryOptions) -> Result<Entry, EntryProblem> {
        let event = Event::parse(serde_json::from_str(json).expect("JSON")).expect("an event");
        let action = if event.kind() == "identify" { Action::IdentifyVisitor } else { Action::TrackEvent };
        entry(&event, &Mapping::preset(action), "2026-01-02T03:04:05.678Z", options)
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
            why(r#"{"type":"track","event":5,"userId":"u"}"#),
            "Event Name (`event`) must be a string, and is a number"
        );
        assert_eq!(
            why(r#"{"type":"track","userId":"u"}"#),
            "Event Name (`event`) is missing, and the action requires it"
        );
        assert_eq!(
            why(r#"{"type":"track","event":"A","properties":[1]}"#),
            "Event Properties (`properties`) must be an object, and is an array"
        );
        assert_eq!(
            why(r#"{"type":"identify","userId":"u","traits":"x"}"#),
            "Traits (`traits`) must be an object, and is a string"
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
    fn anonymous_visitors_can_be_left_out() {
        let options = EntryOptions { keep_anonymous_visitors: false, ..EntryOptions::default() };
        assert_eq!(
            made(r#"{"type":"track","event":"A","anonymousId":"a"}"#, &options).err(),
            Some(EntryProblem::AnonymousLeftOut)
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
