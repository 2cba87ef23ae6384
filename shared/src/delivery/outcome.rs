//! What became of a message.

use std::time::Duration;

/// What became of a message, and so what the queue is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Koala has it.
    Delivered,
    /// Nothing is to be sent, by the settings.
    Skipped,
    /// Back to the queue: it failed for a passing reason.
    Retry {
        /// What failed.
        reason: String,
        /// How long it stays out of sight.
        after: Duration,
    },
    /// To the dead letters: it can never succeed as it is.
    Dead(DeadReason),
}

/// Why a message can never succeed as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadReason {
    /// What is wrong, for the person who looks at the dead letters.
    pub reason: String,
    /// The mapping, where the message could be read so far.
    pub mapping: String,
    /// What Koala answered, when it was asked.
    pub koala_answer: Option<String>,
}
