//! What the pipeline tells of its intake: where to send, what came in, and what is wrong with the settings.

use serde::Serialize;

/// Where a set takes events in, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Install {
    /// Where Segment's webhook destination sends.
    pub webhook: WebhookAddress,
    /// The Public API Key, masked.
    pub public_api_key: String,
    /// By which credentials requests may be signed, as their parameters are named.
    pub credentials: Vec<&'static str>,
    /// Where events are delivered to, where that is not the collector of this page.
    pub delivers_to: Option<String>,
    /// The events that came in, by source, type and outcome; nothing where the pipeline does not count them so.
    pub received: Vec<ReceivedTally>,
}

/// An address that events are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookAddress {
    /// A path at the address under which the page is seen.
    Beside(&'static str),
    /// A whole URL.
    Url(String),
}

/// How many events of a source and a type came to what, and when the last one came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivedTally {
    /// The library that made them, as the events name it; empty where they name none.
    pub source: String,
    /// Their type, as the spec names it, or `other`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// `accepted`, `rejected`, or the reason for which they were skipped.
    pub outcome: String,
    /// How many.
    pub count: i64,
    /// When the last one came in, RFC 3339.
    pub last_at: String,
}

/// An event that can never be delivered, as intake kept it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedEvent {
    /// Why.
    pub reason: String,
    /// When it came in, RFC 3339.
    pub received_at: String,
    /// The event as it came, or its beginning.
    pub event: String,
    /// How many bytes of it were kept; more than there are in `event` where that is only the beginning.
    pub bytes: usize,
}

/// What became of a test event at intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestEvent {
    /// It is on its way under this message id.
    Accepted {
        /// Its message id.
        message_id: String,
    },
    /// No mapping took it, or intake refused it.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// The user id of the visitor of all test events.
pub const TEST_USER_ID: &str = "koala-test";
/// The name of a test event.
pub const TEST_EVENT_NAME: &str = "Koala Test Event";

/// A parameter that cannot be used as it is written now, while what was read before serves on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingsProblem {
    /// The parameter's whole name; empty where the parameters as a whole cannot be read.
    pub parameter: String,
    /// What is wrong, and what to change.
    pub message: String,
}
