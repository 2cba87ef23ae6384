//! The queues in SQS: what dispatch writes, and what a consumer tells the queue of its batch.

use std::collections::{HashMap, HashSet};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, SendMessageBatchRequestEntry,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use futures_util::{StreamExt, stream};

use super::environment::{OutgoingQueues, OwnQueue};
use super::parameter_store::reason;
use super::sdk::Lazy;
use crate::delivery::{DeadLetter, ReceivedMessage, Retried, SourceQueue};
use crate::intake::{Outbox, OutboxError};
use crate::message::{OutgoingMessage, Queue};
use crate::segment::Function;

/// SQS takes at most ten messages in a batch
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
const MOST_IN_A_BATCH: usize = 10;
/// …and at most 1 MiB over all of them; the rest is room for the request's own words.
const MOST_BYTES_IN_A_BATCH: usize = 1024 * 1024 - 64 * 1024;
/// Requests to SQS at once, each on a connection: the 100 batches of the largest body take 10 times as long as one, which is
/// far below a second, and cost ten handshakes instead of a hundred.
const REQUESTS_AT_ONCE: usize = 10;
/// A message attribute counts towards the message's size, and Koala's answer may be long.
const LONGEST_ATTRIBUTE: usize = 1024;

/// The queues that dispatch writes to.
#[derive(Debug)]
pub struct SqsOutbox {
    client: Lazy<Client>,
    queue_urls: HashMap<Queue, String>,
}

impl SqsOutbox {
    /// An outbox that writes to these queues.
    #[must_use]
    pub fn new(client: Lazy<Client>, queues: OutgoingQueues) -> Self {
        let queue_urls = HashMap::from([
            (Queue::Function(Function::IdentifyVisitor), queues.identify),
            (Queue::Function(Function::TrackEvent), queues.track),
            (Queue::Rejected, queues.rejected),
        ]);
        Self { client, queue_urls }
    }

    /// Opens a connection to SQS.
    pub async fn connect(&self) {
        connect(self.client.get()).await;
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
        let batches: Vec<_> = batches.collect();
        let sent = stream::iter(batches).buffer_unordered(REQUESTS_AT_ONCE);
        let (failed, reasons): (Vec<usize>, Vec<String>) = sent.unzip().await;
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

/// Opens a connection that the next call finds in the client's pool: with a `GET /`, which is no action of SQS's and needs no
/// permission. Whatever the answer is, the connection stays.
async fn connect(client: &Client) {
    let once = aws_sdk_sqs::Config::builder().retry_config(RetryConfig::disabled());
    let call = client.list_queues().customize().config_override(once).mutate_request(|request| {
        // What cannot be set leaves a call that is refused, which opens the connection as well.
        let _ = request.set_method("GET");
        for header in ["x-amz-target", "content-type", "content-length"] {
            request.headers_mut().remove(header);
        }
        *request.body_mut() = SdkBody::empty();
    });
    let answered = call.send().await;
    tracing::debug!(?answered, "connected to SQS");
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
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::aws::fake_sqs::{FakeSqs, Reply};
    use crate::aws::sdk::AwsEnvironment;
    use crate::delivery::DeadReason;
    use crate::environment;

    const ANSWER_WITHIN: Duration = Duration::from_secs(1);

    fn outbox(sqs: &FakeSqs) -> SqsOutbox {
        environment::read(sqs.variables(), |variables| {
            SqsOutbox::new(AwsEnvironment::read(variables).sqs_within(ANSWER_WITHIN), OutgoingQueues::read(variables))
        })
        .expect("an environment")
    }

    fn messages(count: usize) -> Vec<OutgoingMessage> {
        let message =
            |n| OutgoingMessage { queue: Queue::Function(Function::TrackEvent), body: format!("{{\"n\":{n}}}") };
        (0..count).map(message).collect()
    }

    #[tokio::test]
    async fn a_thousand_events_open_ten_connections_at_once_and_no_more() {
        let sqs = FakeSqs::start(|_, _| Reply::AllAfter(Duration::from_millis(5)));
        outbox(&sqs).send(&messages(1000)).await.expect("sent");
        assert_eq!(sqs.requests(), 100);
        assert!(sqs.most_connections() <= 10, "{}", sqs.most_connections());
    }

    #[tokio::test]
    async fn a_try_that_hangs_leaves_time_for_another_within_dispatchs_second() {
        let sqs = FakeSqs::start(|request, _| if request == 0 { Reply::Hang } else { Reply::AllAfter(Duration::ZERO) });
        let begun = Instant::now();
        outbox(&sqs).send(&messages(1)).await.expect("sent by the second try");
        assert!(begun.elapsed() < ANSWER_WITHIN, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_queue_that_does_not_answer_is_given_up_within_dispatchs_second() {
        let sqs = FakeSqs::start(|_, _| Reply::Hang);
        let begun = Instant::now();
        outbox(&sqs).send(&messages(1)).await.expect_err("nobody answers");
        assert!(begun.elapsed() < ANSWER_WITHIN, "{:?}", begun.elapsed());
    }

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
        let reason = DeadReason { reason: "r".to_owned(), mapping: String::new(), koala_answer: None };
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

    #[tokio::test]
    async fn a_connection_that_is_opened_at_init_serves_the_first_send_and_is_no_action_of_sqs() {
        let actions = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&actions);
        let sqs = FakeSqs::start(move |_, body| {
            seen.lock().expect("a lock").push(body.clone());
            Reply::AllAfter(Duration::ZERO)
        });
        let outbox = outbox(&sqs);
        outbox.connect().await;
        outbox.send(&messages(1)).await.expect("sent");
        assert_eq!((sqs.requests(), sqs.connections()), (2, 1));
        let actions = actions.lock().expect("a lock");
        assert!(actions[0].is_null() && actions[1]["Entries"].is_array(), "{actions:?}");
    }

    #[test]
    fn a_batch_has_ten_messages_and_a_mebibyte_at_most() {
        let small = vec!["x"; 25];
        assert_eq!(batches(small.into_iter()).iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        let large = "x".repeat(400 * 1024);
        assert_eq!(batches([large.as_str(); 5].into_iter()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }
}
