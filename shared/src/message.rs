//! What stands in a queue between intake and delivery: one event for one mapping, as JSON.
//!
//! `{"mapping":"track-event","received_at":"…","request_id":"…","trace_id":"…","event":{…}}`. The mapping is named, not applied: after
//! a wrong mapping is mended, a redrive of the dead letters maps again.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::json::ObjectWriter;
use crate::segment::{Event, Function, Mapping};

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
    /// Whether another mapping of the same action takes the event as well and comes before this one: Koala keeps one entry
    /// of a message id, so this one's needs another.
    #[serde(default)]
    pub another: bool,
    /// The event, byte for byte.
    #[serde(borrow)]
    pub event: &'a RawValue,
}

/// A message that no intake wrote. It names the place and not what stands there, so that it may be logged.
#[derive(Debug, Error)]
#[error("the message is not one of dispatch's: line {line}, column {column}")]
pub struct ReadMessageError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

impl<'a> Message<'a> {
    /// Reads a message's body.
    ///
    /// # Errors
    /// When it has another form; such a message can never be delivered.
    pub fn parse(body: &'a str) -> Result<Self, ReadMessageError> {
        serde_json::from_str(body).map_err(|error| ReadMessageError { line: error.line(), column: error.column() })
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
}

impl Origin<'_> {
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
    object.string("mapping", mapping.name());
    origin.write(&mut object);
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

/// The message that keeps a rejected event with its reason. Of one larger than 256 KiB the beginning is kept, as text.
#[must_use]
pub fn rejected(json: &str, reason: &str, origin: Origin<'_>) -> OutgoingMessage {
    let mut body = String::with_capacity(json.len().min(MOST_OF_A_REJECTED_EVENT) + 256);
    let mut object = ObjectWriter::start(&mut body);
    object.string("reason", reason);
    origin.write(&mut object);
    if json.len() <= MOST_OF_A_REJECTED_EVENT {
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
        let origin = Origin { received_at: "2026-01-01T00:00:00.000Z", request_id: "r \"1\"", trace_id: "1-2-3" };
        let sent = accepted(&event, &Mapping::preset(Action::TrackEvent), false, origin);
        let read = Message::parse(&sent.body).expect("a message");
        assert_eq!((read.mapping.as_ref(), read.event.get()), ("track-event", json));
        assert_eq!((read.request_id.as_ref(), read.trace_id.as_ref(), read.another), ("r \"1\"", "1-2-3", false));
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
