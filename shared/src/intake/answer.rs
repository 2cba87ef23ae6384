//! The answers of intake, each as Segment reads it: it sends again on 503 and drops on 4xx.

use serde::Serialize;
use serde_json::{Map, Value};

use super::sorting::Sorted;
use super::{OutboxError, ReceivedCounts, Request, Route, SkipCounts};
use crate::segment::{Function, message_id_of};
use crate::settings::SettingsUnavailable;

/// What every answer has. Any page may send here, as to Segment: a write key stands in pages for everyone to read, and
/// no cookie means anything to intake.
const HEADERS: &[(&str, &str)] = &[("content-type", "application/json"), ("access-control-allow-origin", "*")];
/// The answer to a browser that asks before it sends (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
const PREFLIGHT_HEADERS: &[(&str, &str)] = &[
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST"),
    // The star does not cover Authorization, and covers nothing where a client sends credentials.
    ("access-control-allow-headers", "authorization, content-encoding, content-type, x-retry-count, *"),
    ("access-control-max-age", "86400"),
];
const METHOD_HEADERS: &[(&str, &str)] =
    &[("content-type", "application/json"), ("access-control-allow-origin", "*"), ("allow", "POST, OPTIONS")];

/// A 401 says by which scheme credentials are shown (RFC 9110, 15.5.2): the webhook's bearer token, beside which its
/// signature is a header of Segment's own, and the write key as a user's name.
const BEARER_HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("access-control-allow-origin", "*"),
    ("www-authenticate", "Bearer realm=\"events\""),
];
const BASIC_HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("access-control-allow-origin", "*"),
    ("www-authenticate", "Basic realm=\"events\", charset=\"UTF-8\""),
];
/// What may pass soon says so (RFC 9110, 10.2.3).
const UNAVAILABLE_HEADERS: &[(&str, &str)] =
    &[("content-type", "application/json"), ("access-control-allow-origin", "*"), ("retry-after", "1")];

/// An HTTP answer with a JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// JSON; nothing for 204.
    pub body: String,
    /// What the log says of it: counts, or an error's code and reason; never event data.
    summary: Summary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Summary {
    Preflight,
    Metrics,
    NothingTaken(AnswerCounts),
    Taken(AnswerCounts),
    Refused { code: &'static str, reason: String },
}

/// How many events of a request came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Taken by at least one mapping.
    pub accepted: usize,
    /// Skipped, by the reason.
    pub skipped: SkipCounts,
    /// Never to be delivered.
    pub rejected: usize,
    /// The function of each message that was queued.
    pub queued: Vec<Function>,
    /// All of them by source, type and outcome.
    pub received: ReceivedCounts,
}

/// An event that can never be delivered.
#[derive(Debug, Clone, Serialize)]
pub struct RejectedEvent {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Its `messageId` where it has one.
    pub message_id: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

impl RejectedEvent {
    pub(super) fn new(index: usize, event: &str, reason: String) -> Self {
        Self { index, message_id: message_id_of(event), reason }
    }
}

#[derive(Serialize)]
struct TakenBody<'a> {
    accepted: usize,
    skipped: usize,
    #[serde(skip_serializing_if = "Map::is_empty")]
    skipped_reasons: Map<String, Value>,
    rejected: &'a [RejectedEvent],
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [RejectedEvent],
}

#[derive(Serialize)]
struct ErrorText<'a> {
    code: &'a str,
    message: &'a str,
}

impl Answer {
    pub(super) fn not_found(path: &str) -> Self {
        let message = if path.starts_with("/v1/") {
            "no such route: Segment's webhook sends to /v1/segment, an SDK to /v1/batch, /v1/track, /v1/identify, \
             /v1/page, /v1/screen, /v1/group or /v1/alias"
        } else {
            "no such route: events go to POST /v1/segment, those of an SDK to POST /v1/batch"
        };
        Self::error(404, "not_found", message)
    }

    pub(super) fn method_not_allowed(method: &str) -> Self {
        // A method's name is of the client's making, and any length.
        let method = if method.len() <= 16 { method } else { "this method" };
        let message = format!("method {method} not allowed; use POST");
        Self { headers: METHOD_HEADERS, ..Self::error(405, "method_not_allowed", &message) }
    }

    /// A browser may send.
    pub(super) fn preflight() -> Self {
        Self { status: 204, headers: PREFLIGHT_HEADERS, body: String::new(), summary: Summary::Preflight }
    }

    /// What analytics.js measures of itself is taken and thrown away.
    pub(super) fn metrics() -> Self {
        let body = r#"{"accepted":0,"skipped":0,"rejected":[]}"#.to_owned();
        Self { status: 200, headers: HEADERS, body, summary: Summary::Metrics }
    }

    /// Every message is durable. When not one event could be read the request as a whole is bad.
    pub(super) fn taken(sorted: Sorted) -> Self {
        let Sorted { counts, rejected } = sorted;
        let AnswerCounts { accepted, skipped, .. } = counts;
        if accepted + skipped.total() == 0 {
            let message =
                "no event in the body can be taken; each is named below, and kept in the queue of rejected events";
            let refusal = Self::refusal(400, "no_event", message, &rejected);
            return Self { summary: Summary::NothingTaken(counts), ..refusal };
        }
        Self {
            status: 200,
            headers: HEADERS,
            body: to_json(&TakenBody {
                accepted,
                skipped: skipped.total(),
                skipped_reasons: skipped.iter().map(|(why, count)| (why.name().to_owned(), count.into())).collect(),
                rejected: &rejected,
            }),
            summary: Summary::Taken(counts),
        }
    }

    pub(super) fn not_json(why: &str) -> Self {
        Self::error(400, "not_json", &format!("the body is not JSON: {why}"))
    }

    pub(super) fn not_utf8(at: usize) -> Self {
        let message = format!("the body is not UTF-8, as JSON is: look at byte {at}, counted from 0");
        Self::error(400, "not_utf8", &message)
    }

    pub(super) fn no_event(message: &str) -> Self {
        Self::error(400, "no_event", message)
    }

    pub(super) fn too_many_events(limit: usize) -> Self {
        let message = format!("the body has more than {limit} events: send fewer at once");
        Self::error(413, "too_many_events", &message)
    }

    pub(super) fn unsupported_media_type() -> Self {
        let message = "events are JSON in UTF-8: send Content-Type: application/json (or text/plain from a browser)";
        Self::error(415, "unsupported_media_type", message)
    }

    pub(super) fn unknown_encoding() -> Self {
        Self::error(415, "unsupported_encoding", "the only Content-Encoding taken here is gzip")
    }

    pub(super) fn not_gzip() -> Self {
        Self::error(400, "not_gzip", "the body is marked as gzip and is not a complete gzip stream")
    }

    pub(super) fn unpacked_too_large(limit: usize) -> Self {
        let message = format!("the body has more than {limit} bytes when it is unpacked: send fewer events at once");
        Self::error(413, "body_too_large", &message)
    }

    pub(super) fn no_credentials_configured(route: Route) -> Self {
        let parameters = if route == Route::Webhook { "webhook-secret or bearer-token" } else { "write-keys" };
        let message = format!(
            "no credentials are configured for this route, so every request is refused: set the parameter {parameters}"
        );
        Self::unauthorized(route, &message)
    }

    fn unauthorized(route: Route, message: &str) -> Self {
        let headers = if route == Route::Webhook { BEARER_HEADERS } else { BASIC_HEADERS };
        Self { headers, ..Self::error(401, "unauthorized", message) }
    }

    pub(super) fn invalid_webhook_credentials(shown: bool) -> Self {
        let message = if shown {
            "invalid signature or token: X-Signature must be the hex HMAC-SHA1 of the body (or of an array's first event) \
             under webhook-secret, Authorization: Bearer must be bearer-token"
        } else {
            "credentials are missing: send X-Signature (set the shared secret in Segment's webhook destination) \
             or Authorization: Bearer"
        };
        Self::unauthorized(Route::Webhook, message)
    }

    pub(super) fn invalid_write_key(shown: bool) -> Self {
        let message = if shown {
            "invalid write key: it must be a line of the parameter write-keys"
        } else {
            "the write key is missing: send it as the user of Authorization: Basic, or as writeKey in the body"
        };
        Self::unauthorized(Route::Batch, message)
    }

    /// The refusal of a body that is larger than the limit; for a gateway that sees so before it has read it whole too.
    #[must_use]
    pub fn body_too_large(bytes: usize, limit: usize) -> Self {
        let message = format!("the body has {bytes} bytes, and {limit} is the most: send fewer events at once");
        Self::error(413, "body_too_large", &message)
    }

    /// The refusal of a body that did not come whole, or not in time; a client may send it again.
    #[must_use]
    pub fn body_not_whole() -> Self {
        Self::error(408, "body_not_whole", "the body did not arrive whole, or not in time: send it again")
    }

    /// The answer while more bytes of bodies are under way than there is room for; a client may send again.
    #[must_use]
    pub fn busy() -> Self {
        Self::error(503, "busy", "too many bodies are under way now; send again")
    }

    /// The refusal of a body that is said to be base64 and is not.
    #[must_use]
    pub fn not_base64() -> Self {
        Self::error(400, "not_base64", "the body is marked as base64 and is not")
    }

    pub(super) fn settings_unavailable(error: &SettingsUnavailable) -> Self {
        let message = "the settings cannot be read now; send again. The log names the parameter";
        Self::refusal(503, "settings_unavailable", message, &[]).because(error.to_string())
    }

    pub(super) fn queue_unavailable(error: &OutboxError) -> Self {
        let message = "the events could not be queued now; send again";
        Self::refusal(503, "queue_unavailable", message, &[]).because(error.to_string())
    }

    pub(super) fn too_slow() -> Self {
        let message = "the events could not be queued in time; send again";
        Self::refusal(503, "too_slow", message, &[])
    }

    /// How many events of the request came to what; all none for a request that was refused as a whole.
    #[must_use]
    pub fn counts(&self) -> AnswerCounts {
        match &self.summary {
            Summary::Taken(counts) | Summary::NothingTaken(counts) => counts.clone(),
            Summary::Preflight | Summary::Metrics | Summary::Refused { .. } => AnswerCounts::default(),
        }
    }

    fn error(status: u16, code: &'static str, message: &str) -> Self {
        Self::refusal(status, code, message, &[])
    }

    fn refusal(status: u16, code: &'static str, message: &str, rejected: &[RejectedEvent]) -> Self {
        let body = to_json(&ErrorBody { error: ErrorText { code, message }, rejected });
        let headers = if status == 503 { UNAVAILABLE_HEADERS } else { HEADERS };
        Self { status, headers, body, summary: Summary::Refused { code, reason: String::new() } }
    }

    fn because(mut self, why: String) -> Self {
        if let Summary::Refused { reason, .. } = &mut self.summary {
            *reason = why;
        }
        self
    }

    /// Logs the answer to a request; [`super::handle`] has done so for its own. Who answers before that, since a body cannot
    /// be had, says so here.
    pub fn log(&self, request: &Request<'_>) {
        let status = self.status;
        let (request_id, trace_id) = (request.id, request.trace_id);
        match &self.summary {
            Summary::Taken(AnswerCounts { accepted, skipped, rejected, .. }) => {
                let (skipped, reasons) = (skipped.total(), skipped.to_text());
                tracing::info!(request_id, trace_id, status, accepted, skipped, rejected, reasons, "request taken");
            }
            Summary::NothingTaken(AnswerCounts { rejected, .. }) => {
                tracing::warn!(request_id, trace_id, status, rejected, code = "no_event", "request refused");
            }
            Summary::Preflight | Summary::Metrics => {}
            Summary::Refused { code, reason } if status >= 500 => {
                tracing::error!(request_id, trace_id, status, code, reason, "request refused for now");
            }
            Summary::Refused { code, .. } => {
                tracing::warn!(request_id, trace_id, status, code, "request refused");
            }
        }
    }
}

/// The bodies above are strings and numbers, which always serialise.
fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}
