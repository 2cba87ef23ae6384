//! One batch of a queue: delivered, and the queue told.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{BatchCounts, DeadReason, Delivery, Lane, Outcome, ReceivedMessage, suspects};
use crate::koala::Collector;
use crate::segment::Function;
use crate::settings::ParameterSource;

/// A message for the dead-letter queue.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The message as it was received.
    pub message: ReceivedMessage<'a>,
    /// Why it is dead.
    pub reason: &'a DeadReason,
    /// The function that says so.
    pub function: Function,
}

/// A message that goes back to its queue.
#[derive(Debug, Clone, Copy)]
pub struct Retried<'a> {
    /// The message as it was received.
    pub message: ReceivedMessage<'a>,
    /// How long it stays out of sight.
    pub after: Duration,
    /// What failed.
    pub reason: &'a str,
}

/// The queue that a batch came from.
pub trait SourceQueue: Send + Sync {
    /// Puts messages into the dead-letter queue; gives back the ids of those that could not be put there.
    fn add_dead_letters(&self, letters: &[DeadLetter<'_>]) -> impl Future<Output = HashSet<String>> + Send;

    /// Keeps messages out of sight for a while. One that cannot be reappears after the queue's own visibility timeout,
    /// so that a failure here is no loss.
    fn retry(&self, messages: &[Retried<'_>]) -> impl Future<Output = ()> + Send;

    /// Deletes messages before their batch ends. One that cannot be is deleted with its batch, so that a failure here is no
    /// loss.
    fn delete(&self, messages: &[ReceivedMessage<'_>]) -> impl Future<Output = ()> + Send;
}

/// A batch that is done.
#[derive(Debug)]
pub struct Consumed<'m> {
    /// The ids of the messages that stay in the queue; all others are done with and may be deleted.
    pub stays: Vec<&'m str>,
    /// What came of it.
    pub counts: BatchCounts,
}

/// Delivers a batch, puts aside what is dead, gives back what failed. Messages that may have crashed a function before are
/// taken last and one by one, when the others have been deleted.
pub async fn consume<'m, S: ParameterSource, C: Collector, Q: SourceQueue>(
    delivery: &Delivery<S, C>,
    queue: &Q,
    messages: &[ReceivedMessage<'m>],
    deadline: Instant,
) -> Consumed<'m> {
    let function = delivery.function();
    let order = suspects::order(messages);
    let together: Vec<ReceivedMessage<'m>> = order.together.iter().map(|at| messages[*at]).collect();
    let counts = BatchCounts::default();
    let mut batch = UnderWay { delivery, queue, deadline, retried: Vec::new(), stays: Vec::new(), counts };
    if !together.is_empty() {
        batch.take(&together, !order.alone.is_empty()).await;
    }
    let mut retried: HashMap<Lane, Outcome> = HashMap::new();
    for (at, lane) in order.alone {
        let message = messages[at];
        if let Some(outcome) = lane.and_then(|lane| retried.get(&lane)) {
            // An older one of this visitor has to be retried: this one waits for it.
            batch.settle(&[message], vec![outcome.clone()], false).await;
            continue;
        }
        let outcome = batch.take(&[message], true).await;
        if let (Some(lane), Some(outcome @ Outcome::Retry { .. })) = (lane, outcome) {
            retried.insert(lane, outcome);
        }
    }
    let UnderWay { retried, stays, counts, .. } = batch;
    if !retried.is_empty() {
        let retried =
            retried.iter().map(|(message, reason, after)| Retried { message: *message, after: *after, reason });
        queue.retry(&retried.collect::<Vec<_>>()).await;
    }
    tracing::info!(
        function = function.name(),
        messages = messages.len(),
        delivered = counts.delivered,
        skipped = counts.skipped,
        retried = counts.retried,
        dead = counts.dead,
        "batch done"
    );
    Consumed { stays, counts }
}

/// A batch that is being worked on.
struct UnderWay<'d, 'm, S, C, Q> {
    delivery: &'d Delivery<S, C>,
    queue: &'d Q,
    deadline: Instant,
    /// Told to the queue in the end, ten in a call, and not each alone.
    retried: Vec<(ReceivedMessage<'m>, String, Duration)>,
    stays: Vec<&'m str>,
    counts: BatchCounts,
}

impl<'m, S: ParameterSource, C: Collector, Q: SourceQueue> UnderWay<'_, 'm, S, C, Q> {
    /// Delivers messages and tells the queue; those that are done with are deleted at once where `delete` says so. Gives
    /// back the last one's outcome.
    async fn take(&mut self, messages: &[ReceivedMessage<'m>], delete: bool) -> Option<Outcome> {
        let requests = Mutex::default();
        let outcomes = self.delivery.deliver(messages, self.deadline, &requests, &()).await;
        self.counts.requests.add(requests.into_inner().unwrap_or_else(PoisonError::into_inner));
        let last = outcomes.last().cloned();
        self.settle(messages, outcomes, delete).await;
        last
    }

    /// Tells the queue what became of messages.
    async fn settle(&mut self, messages: &[ReceivedMessage<'m>], outcomes: Vec<Outcome>, delete: bool) {
        let function = self.delivery.function();
        let (mut letters, mut done) = (Vec::new(), Vec::new());
        let retried_before = self.retried.len();
        for (message, outcome) in messages.iter().zip(&outcomes) {
            match outcome {
                Outcome::Delivered => self.counts.delivered += 1,
                Outcome::Skipped => self.counts.skipped += 1,
                Outcome::Dead(reason) => letters.push(DeadLetter { message: *message, reason, function }),
                Outcome::Retry { reason, after } => self.retried.push((*message, reason.clone(), *after)),
            }
            if matches!(outcome, Outcome::Delivered | Outcome::Skipped) {
                done.push(*message);
            }
        }
        let kept = if letters.is_empty() { HashSet::new() } else { self.queue.add_dead_letters(&letters).await };
        for letter in &letters {
            tracing::error!(
                function = function.name(),
                queue_message_id = letter.message.id,
                mapping = letter.reason.mapping,
                reason = letter.reason.for_log(),
                "message moved to dead letters"
            );
        }
        done.extend(letters.iter().map(|letter| letter.message).filter(|message| !kept.contains(message.id)));
        if delete && !done.is_empty() {
            self.queue.delete(&done).await;
        }
        self.counts.dead += letters.len() - kept.len();
        self.counts.retried += self.retried.len() - retried_before + kept.len();
        let stays = messages
            .iter()
            .zip(&outcomes)
            .filter(|(message, outcome)| matches!(outcome, Outcome::Retry { .. }) || kept.contains(message.id));
        self.stays.extend(stays.map(|(message, _)| message.id));
    }
}
