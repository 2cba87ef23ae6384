//! One event of Segment's, as the [Segment spec](https://segment.com/docs/connections/spec/common/) writes it.

use std::borrow::Cow;

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::json::{self, Kind, Object, ObjectError};

/// The largest event that Segment's tracking API takes: 32 KB
/// (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size>).
pub const LARGEST_EVENT_BYTES: usize = 32 * 1024;
/// The `context.library.name` of what the collector sends to Segment itself.
pub const OWN_LIBRARY: &str = "koala-destination";

/// The longest message id that is passed on as it came; Segment's own have 36 to 60 characters.
const LONGEST_MESSAGE_ID: usize = 256;

/// An event whose fields are still the bytes that came in.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    json: &'a str,
    fields: Object<'a>,
    kind: Cow<'a, str>,
    /// Empty where it has none.
    message_id: Cow<'a, str>,
}

/// Why some JSON is not an event. Every one of them is final: the same bytes can never be one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EventError {
    /// A number, a string, an array …
    #[error("an event is an object, this is {0}")]
    NotAnObject(Kind),
    /// Text that is not JSON; the parser's message, with line and column.
    #[error("not valid JSON: {0}")]
    NotJson(String),
    /// Deeper than [`json::DEEPEST`].
    #[error("the event has more than {} objects and arrays inside each other", json::DEEPEST)]
    TooDeep,
    /// No `type` at all.
    #[error("`type` is missing: it says what the event is (track, identify, page, screen, group, alias)")]
    TypeMissing,
    /// A `type` that is not a string.
    #[error("`type` is {0}, not a string")]
    TypeNotAString(Kind),
    /// More bytes than Segment sends.
    #[error("the event has {bytes} bytes, and {limit} is the most that Segment takes for one")]
    TooLarge {
        /// The event's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// More bytes than Segment sends, once it has what its batch says of all events.
    #[error("the event has {bytes} bytes together with its batch's context, and {limit} is the most for one")]
    TooLargeWithContext {
        /// The event's size as it would be queued.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The batch's context was copied into the events before it, and the copies have come to their limit.
    #[error("the batch's context is too large for so many events: send fewer at once, or a smaller context")]
    TooManyCopies,
}

impl From<ObjectError> for EventError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotJson(why) => Self::NotJson(why),
            ObjectError::NotAnObject(kind) => Self::NotAnObject(kind),
            ObjectError::TooDeep => Self::TooDeep,
        }
    }
}

impl<'a> Event<'a> {
    /// Reads one event as it came in: an object with a `type`, at most [`LARGEST_EVENT_BYTES`] long and
    /// [`json::DEEPEST`] deep.
    ///
    /// # Errors
    /// When `json` is not that; an event that is refused here can never be taken.
    pub fn parse(json: &'a str) -> Result<Self, EventError> {
        fits(json)?;
        Self::from_json(json)
    }

    /// Reads an event that was taken in before, whatever its size is since.
    ///
    /// # Errors
    /// When the text is not a JSON object, or no event.
    pub fn from_json(json: &'a str) -> Result<Self, EventError> {
        let fields = Object::with_children(json)?;
        let kind = match fields.get_present("type") {
            None => return Err(EventError::TypeMissing),
            Some(value) => json::string(value).ok_or_else(|| EventError::TypeNotAString(json::kind(value)))?,
        };
        let message_id = usable_message_id(&fields).unwrap_or_default();
        Ok(Self { json, fields, kind, message_id })
    }

    /// The event with this id, unless it has one of its own.
    #[must_use]
    pub fn or_message_id(self, id: impl Into<Cow<'a, str>>) -> Self {
        if self.message_id.is_empty() { Self { message_id: id.into(), ..self } } else { self }
    }

    /// The event's `type`: `track`, `identify`, `page`, …
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The event's `messageId`; empty where it has none and was given none.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The event's own fields.
    #[must_use]
    pub fn fields(&self) -> &Object<'a> {
        &self.fields
    }

    /// The event as it came.
    #[must_use]
    pub fn json(&self) -> &'a str {
        self.json
    }

    /// Whether analytics.js in the visitor's browser sent it (`context.library.name`).
    #[must_use]
    pub fn is_from_analytics_js(&self) -> bool {
        self.is_from("analytics.js")
    }

    /// Whether the collector sent it to Segment itself: taken in again, it would go round for ever.
    #[must_use]
    pub fn is_our_own(&self) -> bool {
        self.is_from(OWN_LIBRARY)
    }

    fn is_from(&self, library: &str) -> bool {
        self.fields
            .get_object("context")
            .and_then(|context| context.get_object("library"))
            .and_then(|library| library.get_str("name"))
            .is_some_and(|name| name == library)
    }
}

/// Whether an event has no more bytes than Segment takes.
///
/// # Errors
/// With both sizes when it has.
pub fn fits(json: &str) -> Result<(), EventError> {
    let (bytes, limit) = (json.len(), LARGEST_EVENT_BYTES);
    if bytes > limit { Err(EventError::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// The id of an event that may not be readable otherwise: for the answer that names a rejected one.
#[must_use]
pub fn message_id_of(json: &str) -> Option<String> {
    let fields = Object::only(json, &["messageId"]).ok()?;
    fields.get_str("messageId").filter(|id| id.len() <= LONGEST_MESSAGE_ID).map(Cow::into_owned)
}

/// The event's `messageId` where it has one. A number counts as its text, as Segment reads it; of one that is longer than
/// an id may be there is a hash, so that the same event sent again still has the same.
#[must_use]
pub fn usable_message_id<'a>(fields: &Object<'a>) -> Option<Cow<'a, str>> {
    let value = fields.get("messageId")?;
    let id = match json::kind(value) {
        Kind::Number => Cow::Borrowed(value.get()),
        _ => json::string(value).filter(|id| !id.trim().is_empty())?,
    };
    Some(if id.len() <= LONGEST_MESSAGE_ID { id } else { Cow::Owned(hashed_message_id(&id)) })
}

/// An id in place of a text that is too long for one.
#[must_use]
pub fn hashed_message_id(text: &str) -> String {
    format!("sha1-{}", hex::encode(Sha1::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_own_id_or_the_one_that_it_is_given() {
        let id = |value: &str| {
            let json = format!(r#"{{"type":"track","messageId":{value}}}"#);
            Event::parse(&json).expect("an event").or_message_id("given").message_id().to_owned()
        };
        assert_eq!(id("\"mine\""), "mine");
        assert_eq!(id("17"), "17");
        for none in ["null", "\"\"", "\" \"", "{}", "[\"a\"]", "true"] {
            assert_eq!(id(none), "given", "{none}");
        }
        let long = format!("\"{}\"", "x".repeat(257));
        assert_eq!(id(&long), id(&long));
        assert!(id(&long).len() <= 256 && id(&long) != "given");
    }

    #[test]
    fn what_is_no_event_says_why() {
        let why = |json| Event::parse(json).expect_err("no event").to_string();
        assert_eq!(why("5"), "an event is an object, this is a number");
        assert!(why("{}").starts_with("`type` is missing"));
        assert_eq!(why(r#"{"type":["track"]}"#), "`type` is an array, not a string");
        let large = format!(r#"{{"type":"track","event":"{}"}}"#, "x".repeat(LARGEST_EVENT_BYTES));
        assert!(why(&large).contains("32768 is the most"));
    }
}
