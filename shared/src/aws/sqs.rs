//! The queues in SQS: what dispatch writes, and what a consumer tells the queue of its batch.

use std::collections::{HashMap, HashSet};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue,
    SendMessageBatchRequestEntry,
};
use futures_util::future::join_all;

use super::parameter_store::reason;
use super::sdk::Lazy;
use crate::delivery::{DeadLetter, Postponed, SourceQueue};
use crate::environment::{EnvironmentError, Variables, required};
use crate::intake::{Outbox, OutboxError};
use crate::message::{OutgoingMessage, Queue};
use crate::segment::Function;

/// SQS takes at most ten messages in a batch
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
const MOST_IN_A_BATCH: usize = 10;
/// …and at most 1 MiB over all of them; the rest is room for the request's own words.
const MOST_BYTES_IN_A_BATCH: usize = 1024 * 1024 - 64 * 1024;
/// A message attribute counts towards the message's size, and Koala's answer may be long.
const LONGEST_ATTRIBUTE: usize = 1024;

/// The queues that dispatch writes to.
#[derive(Debug)]
pub struct SqsOutbox {
    client: Lazy<Client>,
    queue_urls: HashMap<Queue, String>,
}

impl SqsOutbox {
    /// Reads `IDENTIFY_QUEUE_URL`, `TRACK_QUEUE_URL` and `REJECTED_QUEUE_URL`.
    ///
    /// # Errors
    /// When one is not set.
    pub fn new(client: Lazy<Client>, variables: &impl Variables) -> Result<Self, EnvironmentError> {
        let queue_urls = HashMap::from([
            (Queue::Function(Function::IdentifyVisitor), required(variables, "IDENTIFY_QUEUE_URL")?),
            (Queue::Function(Function::TrackEvent), required(variables, "TRACK_QUEUE_URL")?),
            (Queue::Rejected, required(variables, "REJECTED_QUEUE_URL")?),
        ]);
        Ok(Self { client, queue_urls })
    }

    /// Sends one batch; what SQS refuses for a fault of its own is tried once more. Gives back how many failed, and why.
    async fn send_batch(&self, url: &str, bodies: &[&str]) -> (usize, String) {
        let mut left: Vec<(usize, &str)> = bodies.iter().copied().enumerate().collect();
        let mut why = String::new();
        for _ in 0..2 {
            let entries = left.iter().map(|(id, body)| entry(*id, body));
            let entries = entries.filter_map(|entry| entry.build().ok()).collect();
            match self.client.get().send_message_batch().queue_url(url).set_entries(Some(entries)).send().await {
                Ok(answer) => {
                    why = answer.failed.first().map(failure).unwrap_or_default();
                    let failed = failed_ids(&answer.failed);
                    left.retain(|(id, _)| failed.contains(id.to_string().as_str()));
                }
                Err(error) => return (left.len(), reason(&error)),
            }
            if left.is_empty() {
                break;
            }
        }
        (left.len(), why)
    }
}

impl Outbox for SqsOutbox {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let batches = self.queue_urls.iter().flat_map(|(queue, url)| {
            let bodies = messages.iter().filter(|message| message.queue == *queue).map(|message| message.body.as_str());
            batches(bodies).into_iter().map(move |batch| async move { self.send_batch(url, &batch).await })
        });
        let (failed, reasons): (Vec<usize>, Vec<String>) = join_all(batches).await.into_iter().unzip();
        let failed = failed.iter().sum();
        if failed == 0 {
            return Ok(());
        }
        let reason = reasons.into_iter().find(|reason| !reason.is_empty()).unwrap_or_default();
        Err(OutboxError { failed, all: messages.len(), reason })
    }
}

/// Bodies in batches that SQS takes, by number and by size.
fn batches<'b>(bodies: impl Iterator<Item = &'b str>) -> Vec<Vec<&'b str>> {
    let mut batches: Vec<Vec<&str>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        match batches.last_mut() {
            Some(batch) if batch.len() < MOST_IN_A_BATCH && bytes + body.len() <= MOST_BYTES_IN_A_BATCH => {
                bytes += body.len();
                batch.push(body);
            }
            _ => {
                bytes = body.len();
                batches.push(vec![body]);
            }
        }
    }
    batches
}

/// A consumer's side of its queue.
#[derive(Debug)]
pub struct SqsSource {
    client: Lazy<Client>,
    queue_url: String,
    dead_letter_queue_url: String,
}

impl SqsSource {
    /// Reads `QUEUE_URL` and `DEAD_LETTER_QUEUE_URL`.
    ///
    /// # Errors
    /// When one is not set.
    pub fn new(client: Lazy<Client>, variables: &impl Variables) -> Result<Self, EnvironmentError> {
        Ok(Self {
            client,
            queue_url: required(variables, "QUEUE_URL")?,
            dead_letter_queue_url: required(variables, "DEAD_LETTER_QUEUE_URL")?,
        })
    }
}

impl SourceQueue for SqsSource {
    async fn bury(&self, letters: &[DeadLetter<'_>]) -> HashSet<String> {
        let mut unburied = HashSet::new();
        for batch in letters.chunks(MOST_IN_A_BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(id, letter)| {
                entry(id, letter.message.body).set_message_attributes(Some(attributes(letter))).build().ok()
            });
            let request = self.client.get().send_message_batch().queue_url(&self.dead_letter_queue_url);
            match request.set_entries(Some(entries.collect())).send().await {
                Ok(answer) => {
                    let failed = failed_ids(&answer.failed);
                    let left = batch.iter().enumerate().filter(|(id, _)| failed.contains(id.to_string().as_str()));
                    unburied.extend(left.map(|(_, letter)| letter.message.id.to_owned()));
                    if let Some(first) = answer.failed.first() {
                        tracing::error!(reason = failure(first), "dead letters not taken; they go back to the queue");
                    }
                }
                Err(error) => {
                    tracing::error!(reason = reason(&error), "dead letters not sent; they go back to the queue");
                    unburied.extend(batch.iter().map(|letter| letter.message.id.to_owned()));
                }
            }
        }
        unburied
    }

    async fn postpone(&self, messages: &[Postponed<'_>]) {
        let batches = messages.chunks(MOST_IN_A_BATCH).map(|batch| async move {
            let entries = batch.iter().enumerate().filter_map(|(id, postponed)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id.to_string())
                    .receipt_handle(postponed.message.receipt)
                    .visibility_timeout(i32::try_from(postponed.after.as_secs()).unwrap_or(i32::MAX))
                    .build()
                    .ok()
            });
            let request = self.client.get().change_message_visibility_batch().queue_url(&self.queue_url);
            match request.set_entries(Some(entries.collect())).send().await {
                Ok(answer) => {
                    if let Some(first) = answer.failed.first() {
                        tracing::warn!(
                            reason = failure(first),
                            "messages not postponed; the queue's own timeout holds"
                        );
                    }
                }
                Err(error) => {
                    tracing::warn!(reason = reason(&error), "messages not postponed; the queue's own timeout holds");
                }
            }
        });
        join_all(batches).await;
    }
}

fn entry(id: usize, body: &str) -> aws_sdk_sqs::types::builders::SendMessageBatchRequestEntryBuilder {
    SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(body)
}

fn failed_ids(failed: &[BatchResultErrorEntry]) -> HashSet<&str> {
    failed.iter().map(|failed| failed.id.as_str()).collect()
}

fn failure(failed: &BatchResultErrorEntry) -> String {
    format!("{}: {}", failed.code, failed.message.as_deref().unwrap_or_default())
}

/// What the person sees who looks at a dead letter. SQS takes no empty attribute.
fn attributes(letter: &DeadLetter<'_>) -> HashMap<String, MessageAttributeValue> {
    let said = [
        ("reason", letter.reason.reason.as_str()),
        ("mapping", letter.reason.mapping.as_str()),
        ("koala_answer", letter.reason.koala_answer.as_deref().unwrap_or_default()),
        ("function", letter.function.name()),
    ];
    let said = said.into_iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| {
        let value: String =
            value.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
        let value = &value[..value.floor_char_boundary(LONGEST_ATTRIBUTE)];
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build().ok()?;
        Some((name.to_owned(), value))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_ten_messages_and_a_mebibyte_at_most() {
        let small = vec!["x"; 25];
        assert_eq!(batches(small.into_iter()).iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        let large = "x".repeat(400 * 1024);
        assert_eq!(batches([large.as_str(); 5].into_iter()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
