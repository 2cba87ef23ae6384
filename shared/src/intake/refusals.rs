//! The requests that are refused, and what each sender is told.

use super::{Answer, IntakeRoute, OutboxError};
use crate::settings::SettingsUnavailable;

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
/// The code of a packed body that was made text on its way here.
pub(super) const GZIP_READ_AS_TEXT: &str = "gzip_read_as_text";

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
        Self::error(405, "method_not_allowed", &message).with_headers(METHOD_HEADERS)
    }

    pub(super) fn not_json(why: &str) -> Self {
        Self::error(400, "not_json", &format!("the body is not JSON: {why}"))
    }

    pub(super) fn not_utf8(at: usize) -> Self {
        let message = format!("the body is not JSON: invalid UTF-8 at byte {at}");
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

    /// A gateway took a packed body for text, and each byte that is not text became U+FFFD: it cannot be unpacked any more.
    pub(super) fn gzip_read_as_text() -> Self {
        let message = "the body is gzip that was read as text on its way here, which has destroyed it: send it without \
             compression (gzip off in the SDK, no Content-Encoding header in Segment's webhook)";
        Self::error(415, GZIP_READ_AS_TEXT, message)
    }

    pub(super) fn not_gzip() -> Self {
        Self::error(400, "not_gzip", "the body is marked as gzip and is not a complete gzip stream")
    }

    pub(super) fn unpacked_too_large(limit: usize) -> Self {
        let message = format!("the body has more than {limit} bytes when it is unpacked: send fewer events at once");
        Self::error(413, "body_too_large", &message)
    }

    pub(super) fn no_credentials_configured(route: IntakeRoute) -> Self {
        let parameters = if route == IntakeRoute::Webhook { "webhook-secret or bearer-token" } else { "write-keys" };
        let message = format!(
            "no credentials are configured for this route, so every request is refused: set the parameter {parameters}"
        );
        Self::unauthorized(route, &message)
    }

    fn unauthorized(route: IntakeRoute, message: &str) -> Self {
        let headers = if route == IntakeRoute::Webhook { BEARER_HEADERS } else { BASIC_HEADERS };
        Self::error(401, "unauthorized", message).with_headers(headers)
    }

    pub(super) fn invalid_webhook_credentials(shown: bool) -> Self {
        let message = if shown {
            "invalid signature or token: X-Signature must be the hex HMAC-SHA1 of the body (or of an array's first event) \
             under webhook-secret, Authorization: Bearer must be bearer-token"
        } else {
            "credentials are missing: send X-Signature (set the shared secret in Segment's webhook destination) \
             or Authorization: Bearer"
        };
        Self::unauthorized(IntakeRoute::Webhook, message)
    }

    pub(super) fn invalid_write_key(shown: bool) -> Self {
        let message = if shown {
            "invalid write key: it must be a line of the parameter write-keys"
        } else {
            "the write key is missing: send it as the user of Authorization: Basic, or as writeKey in the body"
        };
        Self::unauthorized(IntakeRoute::Batch, message)
    }

    /// The refusal of a body that is larger than the limit; for a gateway that sees so before it has read it whole too.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("the body has more than {limit} bytes: send fewer events at once");
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

    /// The refusal of a body that is said to be base64, and is not valid.
    #[must_use]
    pub fn not_base64() -> Self {
        Self::error(400, "not_base64", "the body is not valid base64")
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
}
