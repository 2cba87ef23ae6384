//! Batches from a queue to delivery, as Lambda's event source mapping hands them to a function.

use std::sync::Arc;
use std::time::Duration;

use koala_collector::store::sqlite::file::FileError;
use koala_destination::delivery::{Delivery, Received, consume};
use koala_destination::koala::KoalaClient;
use koala_destination::settings::ParameterDirectory;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::queue::{Queues, StoredMessage};

/// The most messages of a batch. Larger batches bring more of a visitor's events together, and cost fewer requests.
const BATCH_SIZE: usize = 500;
/// How long a batch that is not full gathers, so that a burst of one visitor goes out in one request.
const BATCH_WINDOW: Duration = Duration::from_millis(100);
/// What an invocation may take, as the functions' timeout in `infra/template.yaml`.
const INVOCATION: Duration = Duration::from_secs(30);
/// Six times the invocation, as AWS advises, so that no message is given out twice while it is worked on.
const VISIBILITY_TIMEOUT: Duration = Duration::from_mins(3);
/// How often an idle consumer looks of itself.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

/// Serves the queue of one function until `stopping` is true; a batch that was begun is ended.
pub async fn run(
    queues: Queues,
    delivery: Arc<Delivery<ParameterDirectory, KoalaClient>>,
    mut stopping: watch::Receiver<bool>,
) {
    let function = delivery.function();
    while !*stopping.borrow() {
        let worked = async {
            let idle = queues.next_in(function).await?.unwrap_or(LONGEST_IDLE).min(LONGEST_IDLE);
            if !idle.is_zero() {
                queues.arrival(function, idle).await;
            }
            sleep(BATCH_WINDOW).await;
            queues.receive(function, BATCH_SIZE, VISIBILITY_TIMEOUT).await
        };
        // Nothing is received when the wait is given up: receiving is the last step, and one transaction.
        let received = tokio::select! {
            received = worked => received,
            _ = stopping.changed() => break,
        };
        let done = match received {
            Ok(messages) if messages.is_empty() => Ok(()),
            Ok(messages) => deliver(&queues, &delivery, &messages).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::error!(function = function.name(), %error, "the queue cannot be read or told; trying again");
            sleep(LONGEST_IDLE).await;
        }
    }
}

async fn deliver(
    queues: &Queues,
    delivery: &Delivery<ParameterDirectory, KoalaClient>,
    messages: &[StoredMessage],
) -> Result<(), FileError> {
    let received: Vec<Received<'_>> = messages
        .iter()
        .map(|message| Received {
            id: &message.id,
            receipt: &message.id,
            body: &message.body,
            receive_count: message.receive_count,
        })
        .collect();
    let done = consume(delivery, queues, &received, Instant::now() + INVOCATION).await;
    let stay: std::collections::HashSet<&str> = done.stays.into_iter().collect();
    let skipped: std::collections::HashSet<&str> = done.skipped.into_iter().collect();
    let done = messages.iter().map(|message| &message.id).filter(|id| !stay.contains(id.as_str()));
    let (skipped, delivered) = done.cloned().partition(|id| skipped.contains(id.as_str()));
    queues.delete(delivered, skipped).await
}
