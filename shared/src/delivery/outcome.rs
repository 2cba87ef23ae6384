//! What became of a message.

use std::future::Future;
use std::time::Duration;

use crate::koala::SendError;

/// What became of a message, and so what the queue is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has it.
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
    /// Messages that the collector has.
    pub delivered: usize,
    /// Messages of which nothing is to be sent.
    pub skipped: usize,
    /// Messages that went back to the queue.
    pub retried: usize,
    /// Messages that went to the dead letters.
    pub dead: usize,
    /// What the collector was asked for it.
    pub requests: CollectorRequests,
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

/// The requests of a batch to the collector, tries that failed included.
#[derive(Debug, Clone, Default)]
pub struct CollectorRequests {
    /// How long each took.
    pub latencies: Vec<Duration>,
    /// How many the collector did not take, for whatever reason.
    pub failed: usize,
    /// Of these, how many found ingest suspended or the host gone.
    pub unavailable: usize,
    /// Of these, how many found the key refused.
    pub key_refused: usize,
}

impl CollectorRequests {
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
    /// What the collector answered, when it was asked.
    pub collector_answer: Option<String>,
}

impl DeadReason {
    /// The reason as a log may have it: without a key that the sender of the event made up, which may be an address. The dead
    /// letter has all of it. What the collector answered is not in it either, since it may repeat the event.
    #[must_use]
    pub fn for_log(&self) -> String {
        let Some((before, (path, after))) =
            self.reason.split_once('`').and_then(|(before, rest)| Some((before, rest.rsplit_once('`')?)))
        else {
            return self.reason.clone();
        };
        let known = known_beginning(path);
        let left_out = if known.len() < path.len() { "…" } else { "" };
        format!("{before}`{known}{left_out}`{after}")
    }
}

/// The fields of an event and of an entry (<https://segment.com/docs/connections/spec/common/>).
const FIELDS_OF_SEGMENT: [&str; 21] = [
    "_metadata",
    "anonymousId",
    "channel",
    "context",
    "email",
    "event",
    "groupId",
    "integrations",
    "message_id",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "profile_id",
    "properties",
    "receivedAt",
    "sent_at",
    "timestamp",
    "traits",
    "type",
    "userId",
];

/// As much of a path in an event as Segment named, and not who sent it.
fn known_beginning(path: &str) -> &str {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    if FIELDS_OF_SEGMENT.contains(&first) { first } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_in_the_log_has_no_key_that_the_sender_made_up() {
        let logged = |reason: &str| {
            DeadReason { reason: reason.to_owned(), mapping: String::new(), collector_answer: None }.for_log()
        };
        for (reason, shown) in [
            ("Event Name (`event`) must be a string", "Event Name (`event`) must be a string"),
            ("the event names no visitor", "the event names no visitor"),
            ("`properties.ada@example.com` is a number too large", "`properties…` is a number too large"),
            ("`traits[3].x` is a number too large", "`traits…` is a number too large"),
            ("`ada@example.com` is a number too large", "`…` is a number too large"),
            ("`traits.`ada@example.com` is a number", "`traits…` is a number"),
        ] {
            assert_eq!(logged(reason), shown);
        }
    }
}
