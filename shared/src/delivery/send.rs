//! Sending one visitor's entries: in as few requests as the collector allows, again while there is time, split to find a bad one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::group::Group;
use super::ledger::Ledger;
use super::{CollectorRequests, DeadReason, Delivery, Outcome, Outcomes, ReceivedMessage, retry};
use crate::koala::{Collector, Entry, LONGEST_ANSWER_BODY, MOST_ENTRIES, SendError, request};
use crate::message::Message;
use crate::patience::until;
use crate::settings::{ParameterSource, Settings};

/// What is left of the invocation when the last try must have ended: time to tell the queue, and once more what it refuses at
/// first.
pub const TIME_TO_TELL_THE_QUEUE: Duration = Duration::from_secs(4);

/// What one request may take with all its tries: a third of the invocation, so that one that hangs leaves time for the
/// others of its batch. What is not taken by then is retried from the queue.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(10);

/// No try begins with less time than this until its answer must have begun: one that is cut off may have arrived, and comes
/// again. What has no time left has its turn later.
const SHORTEST_TRY: Duration = Duration::from_secs(2);

/// The most traces that a line of the log names.
const MOST_TRACES: usize = 10;

/// What all requests of a batch have in common.
pub struct Context<'b, O> {
    /// The settings that the batch began with.
    pub settings: &'b Arc<Settings>,
    /// The batch.
    pub messages: &'b [ReceivedMessage<'b>],
    /// Each message's trace, at its place in the batch.
    pub traces: &'b [String],
    /// When the invocation ends.
    pub deadline: Instant,
    /// Where requests are counted.
    pub requests: &'b Mutex<CollectorRequests>,
    /// Where outcomes are told.
    pub ledger: &'b Ledger<'b, O>,
}

impl<O> Clone for Context<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<O> Copy for Context<'_, O> {}

impl<S: ParameterSource, C: Collector> Delivery<S, C> {
    /// Sends a visitor's entries, oldest first, and tells what became of the messages of each request. After a request that
    /// has to be retried no newer one goes: all that is left is retried together, in its order.
    pub(super) async fn send_group<O: Outcomes>(&self, group: &Group, batch: Context<'_, O>) {
        let mut parts: Vec<&[(usize, Entry)]> = group.entries.chunks(MOST_ENTRIES).rev().collect();
        while let Some(part) = parts.pop() {
            let (reason, retry_after) = match self.send_part(group, part, batch).await {
                Ok(()) => {
                    batch.ledger.settle(part.iter().map(|(index, _)| (*index, Outcome::Delivered)).collect()).await;
                    continue;
                }
                Err(SendError::Rejected { .. }) if part.len() > 1 => {
                    let (older, newer) = part.split_at(part.len() / 2);
                    parts.extend([newer, older]);
                    continue;
                }
                Err(SendError::Rejected { answer, .. }) => {
                    batch
                        .ledger
                        .settle(
                            part.iter().map(|(index, _)| (*index, rejected(batch.messages[*index], &answer))).collect(),
                        )
                        .await;
                    continue;
                }
                Err(SendError::Passing { reason, retry_after }) => (reason, retry_after),
                Err(
                    SendError::Unreachable { reason }
                    | SendError::Unavailable { reason }
                    | SendError::KeyRefused { reason },
                ) => (reason, None),
            };
            let left = part.iter().chain(parts.iter().rev().copied().flatten()).map(|(index, _)| *index);
            batch.ledger.settle(self.retry(batch.messages, left, &reason, retry_after)).await;
            return;
        }
    }

    /// Sends one request, again and again while that may help and there is time.
    async fn send_part<O: Outcomes>(
        &self,
        group: &Group,
        part: &[(usize, Entry)],
        batch: Context<'_, O>,
    ) -> Result<(), SendError> {
        if !self.breaker.lets_pass(Instant::now()) {
            return Err(SendError::Unreachable { reason: "collector not responding; not attempted".to_owned() });
        }
        let entries: Vec<&Entry> = part.iter().map(|(_, entry)| entry).collect();
        let (route, body) = request(&group.subject, &entries);
        let body = Bytes::from(body);
        let end = batch.deadline.checked_sub(TIME_TO_TELL_THE_QUEUE).unwrap_or(batch.deadline);
        let last_moment = end.min(Instant::now() + LONGEST_REQUEST);
        // An answer that has begun has time for its body: its status says what became of the request.
        let last_head = last_moment.checked_sub(LONGEST_ANSWER_BODY).unwrap_or(last_moment);
        let mut stopping = self.stopping.subscribe();
        let traces = traces(part, batch.traces);
        let mut settings = Arc::clone(batch.settings);
        let mut key_read_again = false;
        let mut attempt = 0;
        loop {
            let why_not = if *stopping.borrow() {
                Some("shutting down")
            } else {
                (Instant::now() + SHORTEST_TRY > last_head).then_some("no time was left in the invocation")
            };
            if let Some(reason) = why_not {
                return Err(SendError::Passing { reason: reason.to_owned(), retry_after: None });
            }
            attempt += 1;
            let request = self.collector.send(settings.public_api_key(), route, body.clone());
            let begun = Instant::now();
            let sent = until(last_moment, request)
                .await
                .unwrap_or_else(|| Err(SendError::Unreachable { reason: "no answer in time".to_owned() }));
            let latency = begun.elapsed();
            batch.requests.lock().unwrap_or_else(PoisonError::into_inner).count(latency, sent.as_ref().copied());
            let milliseconds = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
            let Err(error) = sent else {
                tracing::info!(
                    function = self.function.name(), entries = part.len(), attempt, milliseconds, trace_ids = %traces,
                    "request delivered"
                );
                self.breaker.answered();
                return Ok(());
            };
            tracing::warn!(
                function = self.function.name(), entries = part.len(), attempt, milliseconds, trace_ids = %traces, %error,
                "delivery request failed"
            );
            self.tell_breaker(&error);
            match &error {
                SendError::KeyRefused { .. } if !key_read_again => {
                    key_read_again = true;
                    match self.settings.newer_than(&settings).await {
                        Ok(newer) => settings = newer,
                        Err(unreadable) => {
                            tracing::warn!(error = %unreadable, "the refused key cannot be read again");
                            return Err(error);
                        }
                    }
                }
                SendError::Passing { .. } | SendError::Unreachable { .. } => {
                    let pause = retry::pause(attempt, error.retry_after(), fastrand::f64());
                    if Instant::now() + pause + SHORTEST_TRY > last_head {
                        return Err(error);
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        _ = stopping.wait_for(|stopping| *stopping) => return Err(error),
                    }
                }
                _ => return Err(error),
            }
        }
    }

    fn tell_breaker(&self, error: &SendError) {
        match error {
            SendError::Unreachable { .. } | SendError::Unavailable { .. } => {
                if self.breaker.unanswered(Instant::now()) {
                    tracing::warn!(function = self.function.name(), "collector not responding; failing fast");
                }
            }
            SendError::Passing { .. } | SendError::KeyRefused { .. } | SendError::Rejected { .. } => {
                self.breaker.answered();
            }
        }
    }
}

fn rejected(message: ReceivedMessage<'_>, answer: &str) -> Outcome {
    let mapping = Message::parse(message.body).map(|read| read.mapping.into_owned());
    Outcome::Dead(DeadReason {
        reason: "collector rejected the entry".to_owned(),
        mapping: mapping.unwrap_or_default(),
        collector_answer: Some(answer.to_owned()),
    })
}

/// The traces of a request's entries, each once, for the log.
fn traces(part: &[(usize, Entry)], traces: &[String]) -> String {
    let mut named: Vec<&str> = Vec::new();
    for trace in part.iter().filter_map(|(index, _)| traces.get(*index)) {
        if !trace.is_empty() && !named.contains(&trace.as_str()) && named.len() < MOST_TRACES {
            named.push(trace);
        }
    }
    named.join(" ")
}
