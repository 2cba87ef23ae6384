//! What the events of a request came to.

use serde::Serialize;

use super::{ReceivedCounts, SkipCounts};
use crate::segment::{Function, message_id_of};

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

/// Why an event of a request can never be delivered, as the answer says it.
#[derive(Debug, Clone, Serialize)]
pub struct EventRejection {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Its `messageId` where it has one.
    pub message_id: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

impl EventRejection {
    pub(super) fn new(index: usize, event: &str, reason: String) -> Self {
        Self { index, message_id: message_id_of(event), reason }
    }
}
