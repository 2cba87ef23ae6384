//! What stands in a queue between intake and delivery: one event for one mapping, as JSON.
//!
//! `{"v":1,"mapping":"track-event","received_at":"…","request_id":"…","trace_id":"…","event":{…}}`, and `message_id` where
//! the event has no id of its own. The mapping is named, not applied: after a wrong mapping is fixed, a redrive of the dead
//! letters maps again. A message says its version first; a consumer that meets a newer one retries it, so that during a
//! deployment nothing is lost.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json::{Object, ObjectWriter};
use crate::segment::{Event, Function, Mapping};

/// The version of the messages that are written and read here. A change that an older consumer would misread raises it;
/// consumers are deployed before intake.
pub const VERSION: u64 = 1;

/// A message for a queue, ready to send.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// The queue it is for.
    pub queue: Queue,
    /// JSON, in the characters that SQS takes.
    pub body: String,
}

/// The queues that intake writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// A function's queue.
    Function(Function),
    /// Events that were rejected, kept to be looked at.
    Rejected,
}

/// A message as a consumer reads it.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Its version; what a person writes by hand may leave it out.
    #[serde(default = "this_version")]
    v: u64,
    /// The name of the mapping that took the event.
    #[serde(borrow)]
    pub mapping: Cow<'a, str>,
    /// When intake took the event, RFC 3339.
    #[serde(borrow)]
    pub received_at: Cow<'a, str>,
    /// The request that brought it, for the logs.
    #[serde(borrow, default)]
    pub request_id: Cow<'a, str>,
    /// The trace that the request belongs to: X-Ray's where there is one, else the request's id.
    #[serde(borrow, default)]
    pub trace_id: Cow<'a, str>,
    /// The event's id where it has none of its own: made at intake from the request and the event's place in it, so that it
    /// is the same each time that the message is delivered.
    #[serde(borrow, default)]
    pub message_id: Option<Cow<'a, str>>,
    /// Whether another mapping of the same action takes the event as well and comes before this one: the collector keeps one entry
    /// of a message id, so this one's needs another.
    #[serde(default)]
    pub another: bool,
    /// The event, byte for byte.
    #[serde(borrow)]
    pub event: &'a RawValue,
}

fn this_version() -> u64 {
    VERSION
}

/// Why a message cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReadMessageError {
    /// A later release wrote it: its consumer will read it.
    #[error("the message is of version {version}, and this release reads {VERSION}")]
    Newer {
        /// Its version.
        version: u64,
    },
    /// No intake wrote it, and nobody will ever read it. The place is named and not what stands there, so that it may be
    /// logged.
    #[error("not a message from dispatch: line {line}, column {column}")]
    Form {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
}

impl<'a> Message<'a> {
    /// Reads a message's body.
    ///
    /// # Errors
    /// When it is of a newer version, whatever else is in it, or has another form.
    pub fn parse(body: &'a str) -> Result<Self, ReadMessageError> {
        let read: Result<Self, _> = serde_json::from_str(body);
        // What is newer may have any form, so its version is looked for alone.
        let version = match &read {
            Ok(message) => Some(message.v),
            Err(_) => Object::only(body, &["v"]).ok().and_then(|message| message.get("v")?.get().parse().ok()),
        };
        match (read, version) {
            (_, Some(version)) if version > VERSION => Err(ReadMessageError::Newer { version }),
            (Ok(message), Some(VERSION)) => Ok(message),
            (Ok(_), _) => Err(ReadMessageError::Form { line: 1, column: 1 }),
            (Err(error), _) => Err(ReadMessageError::Form { line: error.line(), column: error.column() }),
        }
    }
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// When intake took the event, RFC 3339.
    pub received_at: &'a str,
    /// The request that brought it.
    pub request_id: &'a str,
    /// The trace that the request belongs to.
    pub trace_id: &'a str,
    /// The event's place in the request, from 0.
    pub place: usize,
}

impl Origin<'_> {
    /// The id of an event that has none: of this request and this place, whatever is in it. Two equal events are two.
    #[must_use]
    pub fn message_id(self) -> String {
        format!("{}-{}", self.request_id, self.place)
    }

    fn write(self, object: &mut ObjectWriter<'_>) {
        object.string("received_at", self.received_at);
        object.string("request_id", self.request_id);
        object.string("trace_id", self.trace_id);
    }
}

/// The message that takes `event` to the function of a mapping's action; `another` as in [`Message`].
#[must_use]
pub fn accepted(event: &Event<'_>, mapping: &Mapping, another: bool, origin: Origin<'_>) -> OutgoingMessage {
    let mut body = String::with_capacity(event.json().len() + 256);
    let mut object = ObjectWriter::start(&mut body);
    object.raw("v", &VERSION.to_string());
    object.string("mapping", mapping.name());
    origin.write(&mut object);
    if event.message_id().is_empty() {
        object.string("message_id", &origin.message_id());
    }
    if another {
        object.raw("another", "true");
    }
    object.raw("event", event.json());
    object.end();
    OutgoingMessage { queue: Queue::Function(mapping.action().function()), body: in_characters_of_sqs(body) }
}

/// The most bytes of a rejected event that are kept; with its reason it stays far below what SQS takes for a message
/// (1 MiB) and for a batch.
const MOST_OF_A_REJECTED_EVENT: usize = 256 * 1024;

/// The message that keeps a rejected event with its reason. Of one larger than 256 KiB, or not well-formed, the
/// beginning is kept, as text.
#[must_use]
pub fn rejected(json: &str, reason: &str, origin: Origin<'_>) -> OutgoingMessage {
    let mut body = String::with_capacity(json.len().min(MOST_OF_A_REJECTED_EVENT) + 256);
    let mut object = ObjectWriter::start(&mut body);
    object.raw("v", &VERSION.to_string());
    object.string("reason", reason);
    origin.write(&mut object);
    // What is not well-formed, which may be why it is rejected, stands there as text: the message itself is always JSON.
    let is_kept_whole = json.len() <= MOST_OF_A_REJECTED_EVENT && serde_json::from_str::<&RawValue>(json).is_ok();
    if is_kept_whole {
        object.raw("event", json);
    } else {
        object.string("beginning", &json[..json.floor_char_boundary(MOST_OF_A_REJECTED_EVENT)]);
    }
    object.end();
    OutgoingMessage { queue: Queue::Rejected, body: in_characters_of_sqs(body) }
}

/// SQS refuses a message with U+FFFE or U+FFFF in it
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>). In JSON both can only
/// stand inside a string, so that an escape says the same.
fn in_characters_of_sqs(json: String) -> String {
    // Two searches for a text are far quicker than one for either of two characters.
    if json.contains("\u{fffe}") || json.contains("\u{ffff}") {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Action;

    #[test]
    fn an_event_comes_out_of_the_queue_byte_for_byte() {
        let json = r#"{"type":"track", "event":"A \u00e9", "properties":{"big":12345678901234567890.10}}"#;
        let event = Event::parse(json).expect("an event");
        let origin =
            Origin { received_at: "2026-01-01T00:00:00.000Z", request_id: "r \"1\"", trace_id: "1-2-3", place: 0 };
        let sent = accepted(&event, &Mapping::preset(Action::TrackEvent), false, origin);
        let read = Message::parse(&sent.body).expect("a message");
        assert_eq!((read.mapping.as_ref(), read.event.get()), ("track-event", json));
        assert_eq!((read.request_id.as_ref(), read.trace_id.as_ref(), read.another), ("r \"1\"", "1-2-3", false));
    }

    #[test]
    fn a_message_has_a_version_and_the_id_of_an_event_that_has_none_of_its_own() {
        let origin = |place| Origin { request_id: "r-1", place, ..Origin::default() };
        let sent = |json: &str, place| {
            let event = Event::parse(json).expect("an event");
            accepted(&event, &Mapping::preset(Action::TrackEvent), false, origin(place)).body
        };
        let without = r#"{"type":"track","event":"A","userId":"u"}"#;
        let (first, second) = (sent(without, 0), sent(without, 1));
        assert!(first.starts_with(r#"{"v":1,"#), "{first}");
        let id = |body: &str| Message::parse(body).expect("a message").message_id.map(Cow::into_owned);
        assert!(id(&first).is_some() && id(&first) != id(&second), "{first} {second}");
        assert_eq!(id(&sent(r#"{"type":"track","event":"A","messageId":"mine"}"#, 0)), None);
    }

    #[test]
    fn a_message_of_a_newer_version_is_told_from_one_that_nobody_can_read() {
        let parsed = |body: &str| Message::parse(body).map(|message| message.mapping.into_owned());
        let newer = Err(ReadMessageError::Newer { version: 2 });
        assert_eq!(parsed(r#"{"events":[{}],"mappings":["a"],"v":2}"#), newer);
        assert_eq!(parsed(r#"{"v":2,"mapping":"a","received_at":"","event":{}}"#), newer);
        assert_eq!(parsed(r#"{"mapping":"a","received_at":"","event":{}}"#), Ok("a".to_owned()));
        for nobodys in
            ["no message", "[]", r#"{"v":"2"}"#, r#"{"v":0,"mapping":"a","received_at":"","event":{}}"#, r#"{"v":1}"#]
        {
            assert!(matches!(parsed(nobodys), Err(ReadMessageError::Form { .. })), "{nobodys}");
        }
    }

    #[test]
    fn a_rejected_event_that_is_not_well_formed_stands_in_a_message_that_is() {
        for event in ["{\"type\":\"track\" \"event\"", "{\n\"a\" 1}", "nul", "\u{ffff}"] {
            let message = rejected(event, "not valid JSON", Origin::default());
            let read: serde_json::Value = serde_json::from_str(&message.body).expect("JSON");
            assert_eq!(read["beginning"], event);
        }
        let message = rejected("{\"type\":1}", "no type", Origin::default());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&message.body).expect("JSON")["event"]["type"], 1);
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let json = "{\"type\":\"track\",\"event\":\"a\u{ffff}b\u{fffe}\"}";
        let event = Event::parse(json).expect("an event");
        let sent = accepted(&event, &Mapping::preset(Action::TrackEvent), false, Origin::default());
        assert!(!sent.body.contains(['\u{fffe}', '\u{ffff}']));
        let read: serde_json::Value = serde_json::from_str(&sent.body).expect("JSON");
        assert_eq!(read["event"]["event"], "a\u{ffff}b\u{fffe}");
    }

    #[test]
    fn a_huge_rejected_event_keeps_its_beginning() {
        let json = format!("\"{}\"", "é".repeat(MOST_OF_A_REJECTED_EVENT));
        let sent = rejected(&json, "too large", Origin::default());
        assert!(sent.body.len() < MOST_OF_A_REJECTED_EVENT + 1024);
        assert!(serde_json::from_str::<serde_json::Value>(&sent.body).is_ok());
    }
}
