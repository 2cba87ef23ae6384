//! A consumer's side of its queue: dead letters, delays, and deletion before the batch ends.

use std::collections::{HashMap, HashSet};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
};
use futures_util::{StreamExt, stream};

use super::calls::{MOST_IN_A_BATCH, REQUESTS_AT_ONCE, batches, connect, entry, failed_ids, failure};
use crate::aws::environment::OwnQueue;
use crate::aws::parameter_store::reason;
use crate::aws::sdk::Lazy;
use crate::delivery::{DeadLetter, ReceivedMessage, Retried, SourceQueue};

/// A message attribute counts towards the message's size, and Koala's answer may be long.
const LONGEST_ATTRIBUTE: usize = 1024;

/// A consumer's side of its queue.
#[derive(Debug)]
pub struct SqsSource {
    client: Lazy<Client>,
    queue: OwnQueue,
}

impl SqsSource {
    /// A consumer's side of this queue.
    #[must_use]
    pub fn new(client: Lazy<Client>, queue: OwnQueue) -> Self {
        Self { client, queue }
    }
}

impl SqsSource {
    /// Opens a connection to SQS.
    pub async fn connect(&self) {
        connect(self.client.get()).await;
    }

    /// Sends one batch of dead letters; what SQS refuses for a fault of its own is sent once more. Gives back those that are
    /// still not there.
    async fn send_letters<'l, 'm>(&self, letters: &'l [DeadLetter<'m>]) -> Vec<&'l DeadLetter<'m>> {
        let mut left: Vec<(usize, &DeadLetter<'_>)> = letters.iter().enumerate().collect();
        let mut refused = Vec::new();
        for _ in 0..2 {
            let entries = left.iter().filter_map(|(id, letter)| {
                entry(*id, letter.message.body).set_message_attributes(Some(attributes(letter))).build().ok()
            });
            let request = self.client.get().send_message_batch().queue_url(&self.queue.dead_letters_url);
            match request.set_entries(Some(entries.collect())).send().await {
                Ok(answer) => {
                    if let Some(first) = answer.failed.first() {
                        tracing::error!(reason = failure(first), "SQS refuses dead letters");
                    }
                    let (ours, theirs): (Vec<_>, Vec<_>) =
                        answer.failed.into_iter().partition(|failed| failed.sender_fault);
                    let (ours, theirs) = (failed_ids(&ours), failed_ids(&theirs));
                    refused.extend(left.iter().filter(|(id, _)| ours.contains(id.to_string().as_str())));
                    left.retain(|(id, _)| theirs.contains(id.to_string().as_str()));
                }
                Err(error) => {
                    tracing::error!(reason = reason(&error), "dead letters not sent");
                    break;
                }
            }
            if left.is_empty() {
                break;
            }
        }
        refused.into_iter().chain(left).map(|(_, letter)| letter).collect()
    }
}

impl SourceQueue for SqsSource {
    async fn add_dead_letters(&self, letters: &[DeadLetter<'_>]) -> HashSet<String> {
        let bodies = letters.iter().map(|letter| letter.message.body);
        let mut rest = letters;
        let mut sends = Vec::new();
        for batch in batches(bodies) {
            let (batch, others) = rest.split_at(batch.len());
            rest = others;
            sends.push(self.send_letters(batch));
        }
        let left: Vec<Vec<&DeadLetter<'_>>> = stream::iter(sends).buffer_unordered(REQUESTS_AT_ONCE).collect().await;
        let left: HashSet<String> = left.into_iter().flatten().map(|letter| letter.message.id.to_owned()).collect();
        if !left.is_empty() {
            tracing::error!(messages = left.len(), "dead letters not taken; they go back to the queue");
        }
        left
    }

    async fn retry(&self, messages: &[Retried<'_>]) {
        let batches = messages.chunks(MOST_IN_A_BATCH).map(|batch| async move {
            let entries = batch.iter().enumerate().filter_map(|(id, retried)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id.to_string())
                    .receipt_handle(retried.message.receipt)
                    .visibility_timeout(i32::try_from(retried.after.as_secs()).unwrap_or(i32::MAX))
                    .build()
                    .ok()
            });
            let request = self.client.get().change_message_visibility_batch().queue_url(&self.queue.url);
            let why = match request.set_entries(Some(entries.collect())).send().await {
                Ok(answer) => answer.failed.first().map(failure),
                Err(error) => Some(reason(&error)),
            };
            if let Some(reason) = why {
                tracing::warn!(reason, "the delay of messages cannot be set; the queue's own timeout holds");
            }
        });
        let batches: Vec<_> = batches.collect();
        stream::iter(batches).buffer_unordered(REQUESTS_AT_ONCE).collect::<()>().await;
    }

    async fn delete(&self, messages: &[ReceivedMessage<'_>]) {
        let batches = messages.chunks(MOST_IN_A_BATCH).map(|batch| async move {
            let entries = batch.iter().enumerate().filter_map(|(id, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
                entry.receipt_handle(message.receipt).build().ok()
            });
            let request = self.client.get().delete_message_batch().queue_url(&self.queue.url);
            let why = match request.set_entries(Some(entries.collect())).send().await {
                Ok(answer) => answer.failed.first().map(failure),
                Err(error) => Some(reason(&error)),
            };
            if let Some(reason) = why {
                tracing::warn!(reason, "early delete failed; messages will be deleted with the batch");
            }
        });
        let batches: Vec<_> = batches.collect();
        stream::iter(batches).buffer_unordered(REQUESTS_AT_ONCE).collect::<()>().await;
    }
}

/// What the person sees who looks at a dead letter. SQS takes no empty attribute.
fn attributes(letter: &DeadLetter<'_>) -> HashMap<String, MessageAttributeValue> {
    let said = [
        ("reason", letter.reason.reason.as_str()),
        ("mapping", letter.reason.mapping.as_str()),
        ("collector_answer", letter.reason.collector_answer.as_deref().unwrap_or_default()),
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
    use std::time::Duration;

    use super::*;
    use crate::aws::fake_sqs::{FakeSqs, Reply};
    use crate::aws::sdk::AwsEnvironment;
    use crate::delivery::DeadReason;
    use crate::environment;
    use crate::segment::Function;

    #[tokio::test]
    async fn a_dead_letter_that_sqs_refuses_for_a_fault_of_its_own_is_sent_once_more() {
        // The first time `m-1` is refused for SQS's fault, `m-2` for ours; the second time all are taken.
        let sqs = FakeSqs::start(|request, _| match request {
            0 => Reply::Failed(vec![("1", false), ("2", true)]),
            _ => Reply::AllAfter(Duration::ZERO),
        });
        let source = environment::read(sqs.variables(), |variables| {
            let aws = AwsEnvironment::read(variables);
            SqsSource::new(aws.sqs_within(Duration::from_secs(4)), OwnQueue::read(variables))
        });
        let source = source.expect("an environment");
        let reason = DeadReason { reason: "r".to_owned(), mapping: String::new(), collector_answer: None };
        let ids = ["m-0", "m-1", "m-2"];
        let letters: Vec<DeadLetter<'_>> = ids
            .iter()
            .map(|id| DeadLetter {
                message: ReceivedMessage { id, receipt: "", body: id, receive_count: 1 },
                reason: &reason,
                function: Function::TrackEvent,
            })
            .collect();
        let left = source.add_dead_letters(&letters).await;
        assert_eq!(left, HashSet::from(["m-2".to_owned()]));
        assert_eq!(sqs.requests(), 2);
    }
}
