//! Where intake puts its messages.

use std::future::Future;

use thiserror::Error;

use crate::message::OutgoingMessage;
use crate::plural::counted;

/// Durable queues, one for each function and one for rejected events: SQS, or the queue of the local set.
pub trait Outbox: Send + Sync {
    /// Whether [`Self::send`] makes all of its messages durable or none: then it is called once with all of a request's, and a
    /// request that is answered with 503 has left nothing.
    const IS_ATOMIC: bool = false;

    /// Makes every message durable.
    ///
    /// # Errors
    /// When one could not be; others may be in their queues all the same. The whole request is then sent again by
    /// Segment, and the `message_id` lets the collector keep one of each.
    fn send(&self, messages: &[OutgoingMessage]) -> impl Future<Output = Result<(), OutboxError>> + Send;
}

/// Messages that are not durable, for a passing reason.
#[derive(Debug, Error)]
#[error("could not queue {failed} of {}: {reason}", counted(*all, "message"))]
pub struct OutboxError {
    /// How many failed.
    pub failed: usize,
    /// How many there were.
    pub all: usize,
    /// What the queue said.
    pub reason: String,
}
