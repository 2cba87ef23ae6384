//! The answers of intake, each as Segment reads it: it sends again on 503 and drops on 4xx.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Request;
use super::counts::{AnswerCounts, EventRejection};

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
    NothingTaken(Box<AnswerCounts>),
    Taken(Box<AnswerCounts>),
    Refused { code: &'static str, reason: String },
}

#[derive(Serialize)]
struct TakenBody<'a> {
    accepted: usize,
    skipped: usize,
    #[serde(skip_serializing_if = "Map::is_empty")]
    skipped_reasons: Map<String, Value>,
    rejected: &'a [EventRejection],
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [EventRejection],
}

#[derive(Serialize)]
struct ErrorText<'a> {
    code: &'a str,
    message: &'a str,
}

impl Answer {
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
    pub(super) fn taken(counts: AnswerCounts, rejected: &[EventRejection]) -> Self {
        let AnswerCounts { accepted, skipped, .. } = counts;
        if accepted + skipped.total() == 0 {
            let message =
                "no event in the body can be taken; each is named below, and kept in the queue of rejected events";
            let refusal = Self::refusal(400, "no_event", message, rejected);
            return Self { summary: Summary::NothingTaken(Box::new(counts)), ..refusal };
        }
        Self {
            status: 200,
            headers: HEADERS,
            body: to_json(&TakenBody {
                accepted,
                skipped: skipped.total(),
                skipped_reasons: skipped.iter().map(|(why, count)| (why.name().to_owned(), count.into())).collect(),
                rejected,
            }),
            summary: Summary::Taken(Box::new(counts)),
        }
    }

    /// How many events of the request came to what; all none for a request that was refused as a whole.
    #[must_use]
    pub fn counts(&self) -> AnswerCounts {
        match &self.summary {
            Summary::Taken(counts) | Summary::NothingTaken(counts) => AnswerCounts::clone(counts),
            Summary::Preflight | Summary::Metrics | Summary::Refused { .. } => AnswerCounts::default(),
        }
    }

    /// The code of a request that was refused as a whole.
    pub(super) fn code(&self) -> Option<&'static str> {
        match &self.summary {
            Summary::Refused { code, .. } => Some(code),
            Summary::Preflight | Summary::Metrics | Summary::NothingTaken(_) | Summary::Taken(_) => None,
        }
    }

    /// The refusal of a request as a whole.
    pub(super) fn error(status: u16, code: &'static str, message: &str) -> Self {
        Self::refusal(status, code, message, &[])
    }

    /// The same, with the events that were looked at.
    pub(super) fn refusal(status: u16, code: &'static str, message: &str, rejected: &[EventRejection]) -> Self {
        let body = to_json(&ErrorBody { error: ErrorText { code, message }, rejected });
        let headers = if status == 503 { UNAVAILABLE_HEADERS } else { HEADERS };
        Self { status, headers, body, summary: Summary::Refused { code, reason: String::new() } }
    }

    /// The same with other headers.
    pub(super) fn with_headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    /// The same, and why it is so, for the log.
    pub(super) fn because(mut self, why: String) -> Self {
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
            Summary::Taken(counts) => {
                let AnswerCounts { accepted, skipped, rejected, .. } = &**counts;
                let (skipped, reasons) = (skipped.total(), skipped.to_text());
                tracing::info!(request_id, trace_id, status, accepted, skipped, rejected, reasons, "request taken");
            }
            Summary::NothingTaken(counts) => {
                let rejected = counts.rejected;
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
