//! Segment's HTTP tracking API: what an SDK sends, made into the events that Segment's servers would make of it.
//!
//! A batch's `context`, `integrations` and `sentAt` hold for each of its events. Added is what
//! <https://segment.com/docs/connections/spec/common/> says that Segment adds: `receivedAt`, `timestamp` corrected by the
//! skew of the client's clock with the client's own as `originalTimestamp`, `messageId`, `context.ip`.

use std::borrow::Cow;

use super::body::{self, MOST_EVENTS};
use super::shared_context::{SharedContext, TakenOver};
use super::{Answer, IntakeRoute};
use crate::clock;
use crate::json::{self, Elements, Kind, Object, ObjectError, ObjectWriter, RawJson};
use crate::message::Origin;
use crate::segment::{self, EventError, LARGEST_EVENT_BYTES};

/// The longest text that is copied as a time; RFC 3339 needs 35 characters, and what is not a time is worth no copy.
const LONGEST_TIME: usize = 64;
/// What is read of a body; its other fields are nobody's, however many there are.
const READ_OF_A_BODY: [&str; 5] = ["batch", "context", "integrations", "sentAt", "writeKey"];

/// The libraries whose requests come from a team's own servers: the address of such a server is not the visitor's, and a
/// visitor shown at the wrong company is worse than one without an address.
const SERVER_LIBRARIES: [&str; 11] = [
    "@segment/analytics-node",
    "analytics-node",
    "analytics-python",
    "segment-analytics-python",
    "analytics-ruby",
    "analytics-java",
    "analytics-kotlin-jvm",
    "analytics-go",
    "analytics-php",
    "Analytics.NET",
    "analytics-rust",
];

/// A body of the tracking API.
#[derive(Debug)]
pub struct TrackingBody<'a> {
    body: Object<'a>,
    events: Elements<'a>,
    /// The type that the path says, for a single event.
    kind: Option<&'static str>,
}

impl<'a> TrackingBody<'a> {
    /// Reads a body: one event, or `{"batch":[…]}`.
    ///
    /// # Errors
    /// With the answer to what is not that.
    pub fn parse(text: &'a str, route: IntakeRoute) -> Result<Self, Answer> {
        let text = json::trim(text);
        let body = match Object::only(text, &READ_OF_A_BODY) {
            Ok(body) => body,
            Err(ObjectError::NotAnObject(Kind::Array)) if route != IntakeRoute::Batch => {
                return Err(Answer::no_event("one event is expected here; several go to /v1/batch"));
            }
            Err(ObjectError::NotAnObject(kind)) => {
                return Err(Answer::no_event(&format!("the body must be an object, not {kind}")));
            }
            Err(error) => return Err(Answer::not_json(&error.to_string())),
        };
        if let IntakeRoute::Event(kind) = route {
            let events = Elements { values: vec![text], more: false };
            return Ok(Self { body, events, kind: Some(kind) });
        }
        let events = body.get("batch").and_then(|batch| json::elements(batch.get(), MOST_EVENTS).ok());
        let events = events.ok_or_else(|| Answer::no_event("`batch` is expected to be an array of events"))?;
        Ok(Self { body, events, kind: None })
    }

    /// The write key that the body shows.
    #[must_use]
    pub fn write_key(&self) -> Option<Cow<'a, str>> {
        self.body.get_str("writeKey")
    }

    /// The events as they came, and what this request adds to each.
    ///
    /// # Errors
    /// With the answer to none, and to too many.
    pub fn into_events(self) -> Result<(Vec<&'a str>, Additions<'a>), Answer> {
        let Self { body, events, kind } = self;
        let batch = kind.is_none().then_some(&body);
        let integrations = batch.and_then(|batch| batch.get("integrations"));
        let additions = Additions {
            kind,
            sent_at: batch.and_then(|batch| batch.get_present("sentAt")).filter(is_short),
            context: batch.and_then(|batch| SharedContext::of(batch.get("context")?)),
            integrations: integrations.and_then(|raw| Object::only(raw.get(), &["Koala", "All"]).ok()),
            ip: None,
            copies_left: 0,
        };
        Ok((body::within_limit(events)?, additions))
    }
}

/// What a request adds to each of its events.
#[derive(Debug)]
pub struct Additions<'a> {
    kind: Option<&'static str>,
    sent_at: Option<RawJson<'a>>,
    context: Option<SharedContext<'a>>,
    integrations: Option<Object<'a>>,
    /// The address that the request came from, where events are to get it.
    pub ip: Option<&'a str>,
    /// How many bytes of the batch's context may still be copied into events. A small body would otherwise come to a
    /// thousand large events.
    pub copies_left: usize,
}

/// The fields that are written here; all others pass as they came.
const WRITTEN_HERE: [&str; 8] =
    ["type", "messageId", "context", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "writeKey"];

impl<'a> Additions<'a> {
    /// The event as Segment's servers would pass it on.
    ///
    /// # Errors
    /// When it is not an object, or too large as it would be queued: told before anything of it is copied.
    pub fn to(&mut self, event: &str, origin: &Origin<'_>) -> Result<String, EventError> {
        segment::fits(event)?;
        let fields = Object::with_children(event)?;
        let own = fields.get_object("context");
        let takes_over = own.is_some() || fields.get_present("context").is_none();
        let shared = self.context.as_ref().filter(|_| takes_over).map(|context| context.for_event(own));
        let copied = shared.as_ref().map_or(0, |shared| shared.bytes);
        let bytes = event.len() + copied;
        if bytes > LARGEST_EVENT_BYTES {
            return Err(EventError::TooLargeWithContext { bytes, limit: LARGEST_EVENT_BYTES });
        }
        self.copies_left = self.copies_left.checked_sub(copied).ok_or(EventError::TooManyCopies)?;

        let mut out = String::with_capacity(bytes + 320);
        let mut object = ObjectWriter::start(&mut out);
        match (self.kind, fields.get("type")) {
            (Some(kind), _) => object.string("type", kind),
            (None, Some(kind)) => object.raw("type", kind.get()),
            (None, None) => {}
        }
        match segment::usable_message_id(&fields) {
            Some(id) => object.string("messageId", &id),
            None => object.string("messageId", &origin.message_id()),
        }
        for (key, value) in fields.iter().filter(|(key, _)| !WRITTEN_HERE.contains(key)) {
            object.raw(key, value.get());
        }
        self.write_context(&mut object, &fields, shared.as_ref());
        self.write_times(&mut object, &fields, origin.received_at);
        object.end();
        Ok(out)
    }

    /// Where the whole batch is to go, by its sender.
    #[must_use]
    pub fn integrations(&self) -> Option<&Object<'a>> {
        self.integrations.as_ref()
    }

    fn write_context(
        &self,
        object: &mut ObjectWriter<'_>,
        fields: &Object<'_>,
        shared: Option<&TakenOver<'_, '_, '_>>,
    ) {
        let own = fields.get_object("context");
        if let (None, Some(other)) = (own, fields.get_present("context")) {
            // Not an object: it passes, as all does that is not known here.
            return object.raw("context", other.get());
        }
        let batch = self.context.as_ref();
        let library = match own {
            Some(own) => own.get_object("library").and_then(|library| library.get_str("name")),
            None => batch.and_then(|context| context.get_object("library")?.get_str("name")),
        };
        let has_ip = own.is_some_and(|own| own.get("ip").is_some()) || batch.is_some_and(|context| context.has("ip"));
        let ip = self.ip.filter(|_| !has_ip && !library.is_some_and(|name| SERVER_LIBRARIES.contains(&&*name)));
        if own.is_none() && shared.is_none() && ip.is_none() {
            return;
        }
        let mut context = ObjectWriter::start(object.key("context"));
        for (key, value) in own.into_iter().flat_map(Object::iter) {
            context.raw(key, value.get());
        }
        if let Some(shared) = shared {
            shared.write(&mut context);
        }
        if let Some(ip) = ip {
            context.string("ip", ip);
        }
        context.end();
    }

    fn write_times(&self, object: &mut ObjectWriter<'_>, fields: &Object<'_>, received_at: &str) {
        let sent_at = fields.get_present("sentAt").or(self.sent_at);
        match fields.get_present("timestamp") {
            None => object.string("timestamp", received_at),
            Some(original) => {
                match sent_at.and_then(|sent_at| without_skew(original, sent_at, received_at)) {
                    Some(timestamp) => object.string("timestamp", &timestamp),
                    None => object.raw("timestamp", original.get()),
                }
                if is_short(&original) {
                    object.raw("originalTimestamp", original.get());
                }
            }
        }
        if let Some(sent_at) = sent_at {
            object.raw("sentAt", sent_at.get());
        }
        object.string("receivedAt", received_at);
    }
}

fn is_short(time: &RawJson<'_>) -> bool {
    time.get().len() <= LONGEST_TIME
}

/// `receivedAt - (sentAt - originalTimestamp)`: both of the latter are read from the client's clock, so that what it is
/// wrong by falls out (<https://segment.com/docs/connections/spec/common/#timestamps>).
fn without_skew(original: RawJson<'_>, sent_at: RawJson<'_>, received_at: &str) -> Option<String> {
    let milliseconds = |time: RawJson<'_>| clock::milliseconds(&json::string(time)?);
    let delay = milliseconds(sent_at)?.checked_sub(milliseconds(original)?)?;
    let timestamp = clock::from_milliseconds(clock::milliseconds(received_at)?.checked_sub(delay)?);
    (!timestamp.is_empty()).then_some(timestamp)
}
