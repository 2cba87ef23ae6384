//! Sending one visitor's entries: in as few requests as Koala allows, again while there is time, split to find a bad one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use super::group::VisitorEntries;
use super::{DeadReason, Delivery, KoalaRequests, retry};
use crate::koala::{Collector, Entry, MOST_ENTRIES, SendError, request};
use crate::settings::{ParameterSource, Settings};

/// What is left of the invocation when the last try must have ended: time to tell the queue.
const TIME_TO_TELL_THE_QUEUE: Duration = Duration::from_secs(2);

/// The most traces that a line of the log names.
const MOST_TRACES: usize = 10;

/// What all requests of a batch have in common.
#[derive(Debug, Clone, Copy)]
pub struct Context<'b> {
    /// The settings that the batch began with.
    pub settings: &'b Arc<Settings>,
    /// Each message's trace, at its place in the batch.
    pub traces: &'b [String],
    /// When the invocation ends.
    pub deadline: Instant,
    /// Where requests are counted.
    pub requests: &'b Mutex<KoalaRequests>,
}

/// What became of one entry.
#[derive(Debug, Clone)]
pub enum Sent {
    /// Koala has it.
    Delivered,
    /// Koala refused it, alone.
    Dead(DeadReason),
    /// Koala could not be told now.
    PutOff {
        /// Why.
        reason: String,
        /// How long Koala asks to wait.
        retry_after: Option<Duration>,
    },
}

impl<S: ParameterSource, C: Collector> Delivery<S, C> {
    /// Sends a visitor's entries, oldest first, and tells what became of the message of each.
    pub(super) async fn send_visitor(&self, visitor: &VisitorEntries, batch: Context<'_>) -> Vec<(usize, Sent)> {
        let mut told = Vec::with_capacity(visitor.entries.len());
        let mut parts: Vec<&[(usize, Entry)]> = visitor.entries.chunks(MOST_ENTRIES).rev().collect();
        while let Some(part) = parts.pop() {
            let sent = match self.send_part(visitor, part, batch).await {
                Ok(()) => Sent::Delivered,
                Err(SendError::Rejected { .. }) if part.len() > 1 => {
                    let (older, newer) = part.split_at(part.len() / 2);
                    parts.extend([newer, older]);
                    continue;
                }
                Err(SendError::Rejected { answer, .. }) => Sent::Dead(DeadReason {
                    reason: "Koala rejected the entry".to_owned(),
                    mapping: String::new(),
                    koala_answer: Some(answer),
                }),
                Err(SendError::Passing { reason, retry_after }) => Sent::PutOff { reason, retry_after },
                Err(
                    SendError::Unreachable { reason }
                    | SendError::Unavailable { reason }
                    | SendError::KeyRefused { reason },
                ) => Sent::PutOff { reason, retry_after: None },
            };
            told.extend(part.iter().map(|(index, _)| (*index, sent.clone())));
        }
        told
    }

    /// Sends one request, again and again while that may help and there is time.
    async fn send_part(
        &self,
        visitor: &VisitorEntries,
        part: &[(usize, Entry)],
        batch: Context<'_>,
    ) -> Result<(), SendError> {
        if !self.breaker.lets_pass(Instant::now()) {
            return Err(SendError::Unreachable { reason: "Koala did not answer lately; not tried".to_owned() });
        }
        let entries: Vec<&Entry> = part.iter().map(|(_, entry)| entry).collect();
        let (route, body) = request(&visitor.visitor, &entries);
        let body = Bytes::from(body);
        let last_moment = batch.deadline.checked_sub(TIME_TO_TELL_THE_QUEUE).unwrap_or(batch.deadline);
        let traces = traces(part, batch.traces);
        let mut settings = Arc::clone(batch.settings);
        let mut key_read_anew = false;
        let mut attempt = 0;
        loop {
            if Instant::now() >= last_moment {
                return Err(SendError::Passing {
                    reason: "no time was left in the invocation".to_owned(),
                    retry_after: None,
                });
            }
            attempt += 1;
            let request = self.collector.send(settings.public_api_key(), route, body.clone());
            let begun = Instant::now();
            let sent = timeout_at(last_moment, request).await.unwrap_or_else(|_| {
                Err(SendError::Unreachable { reason: "no answer before the invocation's end".to_owned() })
            });
            let latency = begun.elapsed();
            batch.requests.lock().unwrap_or_else(PoisonError::into_inner).count(latency, sent.as_ref().copied());
            let milliseconds = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
            let Err(error) = sent else {
                tracing::info!(
                    function = self.function.name(), entries = part.len(), attempt, milliseconds, trace_ids = %traces,
                    "Koala took a request"
                );
                self.breaker.answered();
                return Ok(());
            };
            tracing::warn!(
                function = self.function.name(), entries = part.len(), attempt, milliseconds, trace_ids = %traces, %error,
                "Koala did not take a request"
            );
            self.tell_breaker(&error);
            match &error {
                SendError::KeyRefused { .. } if !key_read_anew => {
                    key_read_anew = true;
                    match self.settings.read_anew(&settings).await {
                        Ok(newer) => settings = newer,
                        Err(unreadable) => {
                            tracing::warn!(error = %unreadable, "the refused key cannot be read anew");
                            return Err(error);
                        }
                    }
                }
                SendError::Passing { .. } | SendError::Unreachable { .. } => {
                    let pause = retry::pause(attempt, error.retry_after(), fastrand::f64());
                    if Instant::now() + pause >= last_moment {
                        return Err(error);
                    }
                    sleep(pause).await;
                }
                _ => return Err(error),
            }
        }
    }

    fn tell_breaker(&self, error: &SendError) {
        match error {
            SendError::Unreachable { .. } | SendError::Unavailable { .. } => {
                if self.breaker.unanswered(Instant::now()) {
                    tracing::warn!(
                        function = self.function.name(),
                        "Koala does not answer; batches fail fast until it does"
                    );
                }
            }
            SendError::Passing { .. } | SendError::KeyRefused { .. } | SendError::Rejected { .. } => {
                self.breaker.answered();
            }
        }
    }
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
