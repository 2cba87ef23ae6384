//! A lane in hand: its messages, and what becomes of each, recorded as it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use koala_destination::delivery::{DeadReason, Outcome, Outcomes};
use tokio::time::Instant;

use super::action_queue::ActionQueue;
use super::outbox::mapping_named_in;
use super::rows::Recorded;
use super::schedule::{Hand, LaneKey, Waiting};

/// What was tried for so long without success is dead. Time counts, not how often: crashes would inflate that.
const LONGEST_TRYING: Duration = Duration::from_hours(12);
/// What a consumer drops without a word comes back after this.
const AFTER_A_FAULT: Duration = Duration::from_secs(2);

/// A message that is handed out.
#[derive(Debug)]
pub struct LeasedMessage {
    /// Its row, as text.
    pub id: String,
    /// What intake wrote.
    pub body: String,
    /// How often it was given out, this time included.
    pub receive_count: u32,
    waiting: Waiting,
}

/// A lane that is handed out. When it is dropped, what has no outcome is retried; so a consumer may end in any way.
pub struct Lease {
    queue: Arc<ActionQueue>,
    keep_ip: bool,
    lane: LaneKey,
    /// What is to be delivered, oldest first.
    pub messages: Vec<LeasedMessage>,
    left: Mutex<Left>,
}

/// What of a hand has no final outcome, and how long it has to wait.
struct Left {
    waiting: Vec<Waiting>,
    after: Option<Duration>,
}

impl Lease {
    pub(super) fn new(queue: Arc<ActionQueue>, hand: Hand, keep_ip: bool) -> Self {
        let left = Mutex::new(Left { waiting: hand.messages, after: None });
        Self { queue, keep_ip, lane: hand.lane, messages: Vec::new(), left }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its rows, each with how long it has been tried, in milliseconds.
    pub(super) fn rows(&self, now: Instant) -> Vec<(i64, i64)> {
        self.left().waiting.iter().map(|message| (message.id, milliseconds(message.tried_for(now)))).collect()
    }

    /// Takes its messages' bodies; a message without one is not there any more.
    pub(super) fn fill(&mut self, bodies: &mut HashMap<i64, String>) {
        let waiting = std::mem::take(&mut self.left().waiting);
        for waiting in waiting {
            let Some(body) = bodies.remove(&waiting.id) else {
                self.queue.schedule().settled();
                continue;
            };
            let receive_count = waiting.retries.saturating_add(1);
            self.left().waiting.push(waiting.clone());
            self.messages.push(LeasedMessage { id: waiting.id.to_string(), body, receive_count, waiting });
        }
    }
}

impl Outcomes for Lease {
    async fn settled(&self, settled: &[(usize, Outcome)]) {
        let now = Instant::now();
        let mut outcomes = Vec::with_capacity(settled.len());
        let mut done = Vec::new();
        for (at, outcome) in settled {
            let waiting = &self.messages[*at].waiting;
            let tried_for = waiting.tried_for(now);
            let recorded = match outcome {
                Outcome::Delivered => Recorded::Delivered(waiting.id),
                Outcome::Skipped => Recorded::Skipped(waiting.id),
                Outcome::Dead(reason) => Recorded::Dead(waiting.id, reason.clone()),
                Outcome::Retry { reason, .. } if tried_for >= LONGEST_TRYING => {
                    Recorded::Dead(waiting.id, given_up(reason, &self.messages[*at].body))
                }
                Outcome::Retry { after, .. } => {
                    let mut left = self.left();
                    left.after = left.after.max(Some(*after));
                    for message in left.waiting.iter_mut().filter(|message| message.id == waiting.id) {
                        message.retries = message.retries.saturating_add(1);
                        message.crashes = 0;
                    }
                    Recorded::Retried(waiting.id, milliseconds(tried_for))
                }
            };
            if let Recorded::Dead(_, why) = &recorded {
                let (id, mapping, reason) = (waiting.id, &why.mapping, why.for_log());
                let function = self.queue.function.name();
                tracing::error!(function, queue_message_id = id, mapping, reason, "message moved to dead letters");
            }
            if !matches!(recorded, Recorded::Retried(..)) {
                done.push(waiting.id);
            }
            outcomes.push(recorded);
        }
        // First what is not to come again, whatever becomes of this task while it is recorded.
        {
            let mut left = self.left();
            left.waiting.retain(|message| !done.contains(&message.id));
        }
        self.queue.record(outcomes, self.keep_ip).await;
        let mut schedule = self.queue.schedule();
        for _ in &done {
            schedule.settled();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Left { waiting, after } = &mut *self.left();
        let after = after.unwrap_or(AFTER_A_FAULT);
        self.queue.schedule().give_back(self.lane, std::mem::take(waiting), after, Instant::now());
        self.queue.bell.notify_one();
    }
}

fn given_up(reason: &str, body: &str) -> DeadReason {
    let reason = format!("not delivered in {} hours of trying: {reason}", LONGEST_TRYING.as_secs() / 3600);
    let mapping = mapping_named_in(body).unwrap_or_default().into_owned();
    DeadReason { reason, mapping, collector_answer: None }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
