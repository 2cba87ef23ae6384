//! The answers of intake, each as Segment reads it: it sends again on 503 and drops on 4xx.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Intake, OutboxError, Request};
use crate::segment::message_id_of;
use crate::settings::SettingsUnavailable;

/// The route of Segment's webhook destinations.
const WEBHOOK_PATH: &str = "/v1/segment";

/// An HTTP answer with a JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// What the log says of it: counts, or an error's code and reason; never event data.
    summary: Summary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Summary {
    Taken { accepted: usize, skipped: usize, rejected: usize },
    Refused { code: &'static str, reason: String },
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
    pub(super) fn new(index: usize, raw: &RawValue, reason: String) -> Self {
        Self { index, message_id: message_id_of(raw), reason }
    }
}

#[derive(Serialize)]
struct TakenBody<'a> {
    accepted: usize,
    skipped: usize,
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
    /// The refusal of a request that is not for intake.
    pub(super) fn for_route(request: &Request<'_>) -> Option<Self> {
        if request.path.trim_end_matches('/') != WEBHOOK_PATH {
            let message = format!("nothing is here; events go to POST {WEBHOOK_PATH}");
            return Some(Self::error(404, "not_found", &message));
        }
        (request.method != "POST").then(|| Self::error(405, "method_not_allowed", "events are sent with POST"))
    }

    /// Every message is durable. When not one event could be read the request as a whole is bad.
    pub(super) fn taken(intake: &Intake) -> Self {
        let Intake { accepted, skipped, ref rejected, .. } = *intake;
        if accepted + skipped == 0 {
            let message =
                "no event in the body can be taken; each is named below, and kept in the queue of rejected events";
            return Self::refusal(400, "no_event", message, rejected);
        }
        Self {
            status: 200,
            body: to_json(&TakenBody { accepted, skipped, rejected }),
            summary: Summary::Taken { accepted, skipped, rejected: rejected.len() },
        }
    }

    pub(super) fn not_json(error: &serde_json::Error) -> Self {
        Self::error(400, "not_json", &format!("the body is not JSON: {error}"))
    }

    pub(super) fn no_event() -> Self {
        Self::error(400, "no_event", "the array is empty: send one event, or an array of events")
    }

    pub(super) fn no_proof_configured() -> Self {
        let message =
            "no proof is configured, so every request is refused: set the parameter webhook-secret or bearer-token";
        Self::error(401, "unauthorized", message)
    }

    pub(super) fn unproven(shown: bool) -> Self {
        let message = if shown {
            "the proof is not right: X-Signature must be the hex HMAC-SHA1 of the body (or of an array's first event) \
             under webhook-secret, Authorization: Bearer must be bearer-token"
        } else {
            "there is no proof: send X-Signature (set the shared secret in Segment's webhook destination) \
             or Authorization: Bearer"
        };
        Self::error(401, "unauthorized", message)
    }

    /// The refusal of a body that is larger than the limit; for a gateway that sees so before it has read it whole too.
    #[must_use]
    pub fn body_too_large(bytes: usize, limit: usize) -> Self {
        let message = format!("the body has {bytes} bytes, and {limit} is the most: send fewer events at once");
        Self::error(413, "body_too_large", &message)
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

    fn error(status: u16, code: &'static str, message: &str) -> Self {
        Self::refusal(status, code, message, &[])
    }

    fn refusal(status: u16, code: &'static str, message: &str, rejected: &[RejectedEvent]) -> Self {
        let body = to_json(&ErrorBody { error: ErrorText { code, message }, rejected });
        Self { status, body, summary: Summary::Refused { code, reason: String::new() } }
    }

    fn because(mut self, why: String) -> Self {
        if let Summary::Refused { reason, .. } = &mut self.summary {
            *reason = why;
        }
        self
    }

    pub(super) fn log(&self, request: &Request<'_>) {
        let status = self.status;
        let request_id = request.id;
        match &self.summary {
            Summary::Taken { accepted, skipped, rejected } => {
                tracing::info!(request_id, status, accepted, skipped, rejected, "request taken");
            }
            Summary::Refused { code, reason } if status >= 500 => {
                tracing::error!(request_id, status, code, reason, "request put off");
            }
            Summary::Refused { code, .. } => tracing::warn!(request_id, status, code, "request refused"),
        }
    }
}

/// The bodies above are strings and numbers, which always serialise.
fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}
