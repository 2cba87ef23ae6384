//! One batch of a queue: delivered, and the queue told.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{BatchCounts, DeadReason, Delivery, Outcome, Received};
use crate::koala::Collector;
use crate::segment::Function;
use crate::settings::ParameterSource;

/// A message for the dead-letter queue.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The message as it was received.
    pub message: Received<'a>,
    /// Why it is dead.
    pub reason: &'a DeadReason,
    /// The function that says so.
    pub function: Function,
}

/// A message that goes back to its queue.
#[derive(Debug, Clone, Copy)]
pub struct Postponed<'a> {
    /// The message as it was received.
    pub message: Received<'a>,
    /// How long it stays out of sight.
    pub after: Duration,
    /// What failed.
    pub reason: &'a str,
}

/// The queue that a batch came from: SQS, or the store of the local set.
pub trait SourceQueue: Send + Sync {
    /// Puts messages into the dead-letter queue; gives back the ids of those that could not be put there.
    fn bury(&self, letters: &[DeadLetter<'_>]) -> impl Future<Output = HashSet<String>> + Send;

    /// Keeps messages out of sight for a while. One that cannot be reappears after the queue's own visibility timeout,
    /// so that a failure here is no loss.
    fn postpone(&self, messages: &[Postponed<'_>]) -> impl Future<Output = ()> + Send;
}

/// A batch that is done.
#[derive(Debug)]
pub struct Consumed<'m> {
    /// The ids of the messages that stay in the queue; all others are done with and may be deleted.
    pub stays: Vec<&'m str>,
    /// The ids of the messages of which nothing was to be sent.
    pub skipped: Vec<&'m str>,
    /// What came of it.
    pub counts: BatchCounts,
}

/// Delivers a batch, buries what is dead, postpones what failed.
pub async fn consume<'m, S: ParameterSource, C: Collector, Q: SourceQueue>(
    delivery: &Delivery<S, C>,
    queue: &Q,
    messages: &[Received<'m>],
    deadline: Instant,
) -> Consumed<'m> {
    let requests = Mutex::default();
    let outcomes = delivery.deliver(messages, deadline, &requests).await;
    let function = delivery.function();
    let (mut letters, mut postponed) = (Vec::new(), Vec::new());
    let mut delivered = 0;
    let mut skipped_ids = Vec::new();
    for (message, outcome) in messages.iter().zip(&outcomes) {
        match outcome {
            Outcome::Delivered => delivered += 1,
            Outcome::Skipped => skipped_ids.push(message.id),
            Outcome::Dead(reason) => letters.push(DeadLetter { message: *message, reason, function }),
            Outcome::Retry { reason, after } => postponed.push(Postponed { message: *message, after: *after, reason }),
        }
    }
    let unburied = if letters.is_empty() { HashSet::new() } else { queue.bury(&letters).await };
    if !postponed.is_empty() {
        queue.postpone(&postponed).await;
    }
    for letter in &letters {
        // Reasons of mapping name fields and types only; what Koala said may repeat the event, and stays in the letter.
        tracing::error!(
            function = function.name(),
            queue_message_id = letter.message.id,
            mapping = letter.reason.mapping,
            reason = letter.reason.reason,
            "message to the dead letters"
        );
    }
    let skipped = skipped_ids.len();
    let (dead, retried) = (letters.len() - unburied.len(), postponed.len() + unburied.len());
    tracing::info!(
        function = function.name(),
        messages = messages.len(),
        delivered,
        skipped,
        retried,
        dead,
        "batch done"
    );
    let stays = messages
        .iter()
        .zip(&outcomes)
        .filter(|(message, outcome)| matches!(outcome, Outcome::Retry { .. }) || unburied.contains(message.id));
    let requests = requests.into_inner().unwrap_or_else(PoisonError::into_inner);
    let counts = BatchCounts { delivered, skipped, retried, dead, requests };
    Consumed { stays: stays.map(|(message, _)| message.id).collect(), skipped: skipped_ids, counts }
}
