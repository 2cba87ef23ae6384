//! Segment's HTTP tracking API: what an SDK sends, made into the events that Segment's servers would make of it.
//!
//! A batch's `context`, `integrations` and `sentAt` hold for each of its events. Added is what
//! <https://segment.com/docs/connections/spec/common/> says that Segment adds: `receivedAt`, `timestamp` corrected by the
//! skew of the client's clock with the client's own as `originalTimestamp`, `messageId`, `context.ip`.

use std::borrow::Cow;

use super::body::{self, MOST_EVENTS};
use super::{Answer, Request, Route};
use crate::clock;
use crate::json::{self, Elements, Kind, Object, ObjectError, ObjectWriter, RawJson};
use crate::segment;

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
    pub fn parse(text: &'a str, route: Route) -> Result<Self, Answer> {
        let text = json::trim(text);
        let body = match Object::with_children(text) {
            Ok(body) => body,
            // The events of a batch are looked at one by one.
            Err(ObjectError::TooDeep) => Object::from_json(text).unwrap_or_default(),
            Err(ObjectError::NotJson(why)) => return Err(Answer::not_json(&why)),
            Err(ObjectError::NotAnObject(Kind::Array)) if route != Route::Batch => {
                return Err(Answer::no_event("one event is expected here; several go to /v1/batch"));
            }
            Err(ObjectError::NotAnObject(kind)) => {
                return Err(Answer::no_event(&format!("the body is {kind}, and an object is expected")));
            }
        };
        if let Route::Event(kind) = route {
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

    /// The events as they came.
    ///
    /// # Errors
    /// With the answer to none, and to too many.
    pub fn events(&self) -> Result<&[&'a str], Answer> {
        body::within_limit(&self.events)
    }

    /// What this request adds to its events.
    #[must_use]
    pub fn additions(&self, request: &Request<'a>, received_at: &'a str, forward_ip: bool) -> Additions<'_, 'a> {
        let batch = self.kind.is_none().then_some(&self.body);
        Additions {
            kind: self.kind,
            received_at,
            sent_at: batch.and_then(|batch| batch.get_present("sentAt")),
            context: batch.and_then(|batch| batch.get_object("context")),
            integrations: batch.and_then(|batch| batch.get_object("integrations")),
            ip: request.source_ip.filter(|_| forward_ip),
        }
    }
}

/// What a request adds to each of its events.
#[derive(Debug, Clone, Copy)]
pub struct Additions<'b, 'a> {
    kind: Option<&'static str>,
    received_at: &'a str,
    sent_at: Option<RawJson<'a>>,
    context: Option<&'b Object<'a>>,
    integrations: Option<&'b Object<'a>>,
    ip: Option<&'a str>,
}

/// The fields that are written anew; all others pass as they came.
const WRITTEN_ANEW: [&str; 8] =
    ["type", "messageId", "context", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "writeKey"];

impl Additions<'_, '_> {
    /// The event as Segment's servers would pass it on; none when it is no object that could be taken.
    #[must_use]
    pub fn to(&self, event: &str) -> Option<String> {
        let fields = Object::with_children(event).ok()?;
        let mut out = String::with_capacity(event.len() + 320);
        let mut object = ObjectWriter::start(&mut out);
        match (self.kind, fields.get("type")) {
            (Some(kind), _) => object.string("type", kind),
            (None, Some(kind)) => object.raw("type", kind.get()),
            (None, None) => {}
        }
        object.string("messageId", &self.message_id(&fields));
        for (key, value) in fields.iter().filter(|(key, _)| !WRITTEN_ANEW.contains(key)) {
            object.raw(key, value.get());
        }
        self.write_context(&mut object, &fields);
        self.write_times(&mut object, &fields);
        object.end();
        Some(out)
    }

    /// Whether the event says that it is not for this destination, as `integrations` does for those of Segment
    /// (<https://segment.com/docs/guides/filtering-data/#filtering-with-the-integrations-object>).
    #[must_use]
    pub fn is_for_others(&self, event: &Object<'_>) -> bool {
        let says = |integrations: &Object<'_>| match integrations.get("Koala").map(RawJson::get) {
            Some("false") => Some(true),
            Some(_) => Some(false),
            None => integrations.get("All").map(|all| all.get() == "false"),
        };
        event.get_object("integrations").and_then(says).or_else(|| self.integrations.and_then(says)).unwrap_or(false)
    }

    /// An event without an id gets one made from what is the same each time that it is sent.
    fn message_id<'e>(&self, fields: &Object<'e>) -> Cow<'e, str> {
        segment::usable_message_id(fields).unwrap_or_else(|| {
            let same = |key: &str| !matches!(key, "messageId" | "sentAt" | "receivedAt" | "writeKey");
            let content = fields.iter().filter(|(key, _)| same(key));
            let pieces = content.flat_map(|(key, value)| [key, ":", value.get(), ","]);
            Cow::Owned(segment::derived_message_id(self.kind.into_iter().chain(pieces)))
        })
    }

    fn write_context(&self, object: &mut ObjectWriter<'_>, fields: &Object<'_>) {
        let own = fields.get_object("context");
        if let (None, Some(other)) = (own, fields.get_present("context")) {
            // No object: it passes, as all does that is not known here.
            return object.raw("context", other.get());
        }
        let has = |key: &str| own.is_some_and(|own| own.get(key).is_some());
        let library = match own {
            Some(own) => own.get_object("library").and_then(|library| library.get_str("name")),
            None => self.context.and_then(|context| context.get_object("library")?.get_str("name")),
        };
        let ip = self.ip.filter(|_| !has("ip") && self.context.is_none_or(|context| context.get("ip").is_none()));
        let ip = ip.filter(|_| !library.is_some_and(|name| SERVER_LIBRARIES.contains(&&*name)));
        if own.is_none() && self.context.is_none() && ip.is_none() {
            return;
        }
        let mut context = ObjectWriter::start(object.key("context"));
        for (key, value) in own.into_iter().flat_map(Object::iter) {
            context.raw(key, value.get());
        }
        for (key, value) in self.context.into_iter().flat_map(Object::iter).filter(|(key, _)| !has(key)) {
            context.raw(key, value.get());
        }
        if let Some(ip) = ip {
            context.string("ip", ip);
        }
        context.end();
    }

    fn write_times(&self, object: &mut ObjectWriter<'_>, fields: &Object<'_>) {
        let sent_at = fields.get_present("sentAt").or(self.sent_at);
        match fields.get_present("timestamp") {
            None => object.string("timestamp", self.received_at),
            Some(original) => {
                match sent_at.and_then(|sent_at| self.without_skew(original, sent_at)) {
                    Some(timestamp) => object.string("timestamp", &timestamp),
                    None => object.raw("timestamp", original.get()),
                }
                object.raw("originalTimestamp", original.get());
            }
        }
        if let Some(sent_at) = sent_at {
            object.raw("sentAt", sent_at.get());
        }
        object.string("receivedAt", self.received_at);
    }

    /// `receivedAt - (sentAt - originalTimestamp)`: both of the latter are read from the client's clock, so that what it is
    /// wrong by falls out (<https://segment.com/docs/connections/spec/common/#timestamps>).
    fn without_skew(&self, original: RawJson<'_>, sent_at: RawJson<'_>) -> Option<String> {
        let milliseconds = |time: RawJson<'_>| clock::milliseconds(&json::string(time)?);
        let delay = milliseconds(sent_at)?.checked_sub(milliseconds(original)?)?;
        let timestamp = clock::from_milliseconds(clock::milliseconds(self.received_at)?.checked_sub(delay)?);
        (!timestamp.is_empty()).then_some(timestamp)
    }
}
