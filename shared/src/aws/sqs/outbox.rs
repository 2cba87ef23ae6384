//! The queues that dispatch writes to.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use futures_util::{StreamExt, stream};

use super::calls::{REQUESTS_AT_ONCE, batches, connect, entry, failed_ids, failure};
use crate::aws::environment::OutgoingQueues;
use crate::aws::parameter_store::reason;
use crate::aws::sdk::Lazy;
use crate::intake::{Outbox, OutboxError};
use crate::message::{OutgoingMessage, Queue};
use crate::segment::Function;

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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::aws::fake_sqs::{FakeSqs, Reply};
    use crate::aws::sdk::AwsEnvironment;
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
}
