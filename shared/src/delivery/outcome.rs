//! What became of a message.

use std::future::Future;
use std::time::Duration;

use crate::koala::SendError;

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

/// Who is told what becomes of messages, as soon as it is known: after each request, not when the batch ends.
pub trait Outcomes: Send + Sync {
    /// Some messages are settled, each by its place in the batch. No message is settled twice.
    fn settled(&self, settled: &[(usize, Outcome)]) -> impl Future<Output = ()> + Send;
}

/// Tells nobody: for who waits for the batch.
impl Outcomes for () {
    async fn settled(&self, _: &[(usize, Outcome)]) {}
}

/// What a batch came to.
#[derive(Debug, Clone, Default)]
pub struct BatchCounts {
    /// Messages that Koala has.
    pub delivered: usize,
    /// Messages of which nothing is to be sent.
    pub skipped: usize,
    /// Messages that went back to the queue.
    pub retried: usize,
    /// Messages that went to the dead letters.
    pub dead: usize,
    /// What Koala was asked for it.
    pub requests: KoalaRequests,
}

impl BatchCounts {
    /// Whether nothing was delivered and something has to be retried, and neither the key nor the collector's end is the
    /// reason: those have counts of their own.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        let has_another_name = self.requests.unavailable > 0 || self.requests.key_refused > 0;
        self.delivered == 0 && self.retried > 0 && !has_another_name
    }
}

/// The requests of a batch to Koala, tries that failed included.
#[derive(Debug, Clone, Default)]
pub struct KoalaRequests {
    /// How long each took.
    pub latencies: Vec<Duration>,
    /// How many Koala did not take, for whatever reason.
    pub failed: usize,
    /// Of these, how many found ingest suspended or the host gone.
    pub unavailable: usize,
    /// Of these, how many found the key refused.
    pub key_refused: usize,
}

impl KoalaRequests {
    /// Adds those of another part of the batch.
    pub(super) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.failed += other.failed;
        self.unavailable += other.unavailable;
        self.key_refused += other.key_refused;
    }

    /// Counts one request.
    pub(super) fn count(&mut self, latency: Duration, result: Result<(), &SendError>) {
        self.latencies.push(latency);
        let Err(error) = result else { return };
        self.failed += 1;
        match error {
            SendError::Unavailable { .. } => self.unavailable += 1,
            SendError::KeyRefused { .. } => self.key_refused += 1,
            _ => {}
        }
    }
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
