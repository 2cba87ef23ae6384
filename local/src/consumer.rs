//! Lanes from a queue to delivery: each visitor's messages by a task of their own, so that one that hangs holds up no other.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use koala_destination::delivery::{Delivery, ReceivedMessage};
use koala_destination::koala::Collector;
use koala_destination::settings::ParameterSource;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::queue::{Lease, Queues};

/// How many visitors of a function are delivered at once.
const LANES_AT_ONCE: usize = 32;
/// A visitor that takes longer does not count among those: some whose requests hang hold back no other.
const LONGEST_OF_THOSE: Duration = Duration::from_secs(1);
/// How many there are at most, slow ones too. More than that hang only where the collector does, and then the breaker opens.
const MOST_LANES: usize = 512;
/// What an invocation may take, as the functions' timeout in `infra/template.yaml`.
const INVOCATION: Duration = Duration::from_secs(30);
/// How often an idle consumer looks of itself.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

/// Keeps a task running until `stopping` is true: one that ends for any reason is started again, and said.
pub async fn keep_running<F, T>(name: &str, stopping: watch::Receiver<bool>, start: F)
where
    F: Fn() -> T,
    T: Future<Output = ()> + Send + 'static,
{
    loop {
        // Ended with this future, where that is given up.
        let mut task = JoinSet::new();
        task.spawn(start());
        let ended = task.join_next().await;
        if *stopping.borrow() {
            return;
        }
        let why = match ended {
            Some(Err(error)) => error.to_string(),
            _ => "it ended without an error".to_owned(),
        };
        tracing::error!(task = name, why, "a task has ended and is started again");
        sleep(LONGEST_IDLE).await;
    }
}

/// Serves the queue of one function until `stopping` is true; what is under way then is ended.
pub async fn run<S, C>(queues: Queues, delivery: Arc<Delivery<S, C>>, mut stopping: watch::Receiver<bool>)
where
    S: ParameterSource + 'static,
    C: Collector + 'static,
{
    let function = delivery.function();
    let mut lanes = JoinSet::new();
    // Those that began lately, with the time at which they did.
    let mut quick: Vec<(Instant, AbortHandle)> = Vec::with_capacity(LANES_AT_ONCE);
    while !*stopping.borrow() {
        while let Some(ended) = lanes.try_join_next() {
            say_how_it_ended(ended);
        }
        let now = Instant::now();
        quick.retain(|(begun, lane)| now.duration_since(*begun) < LONGEST_OF_THOSE && !lane.is_finished());
        let room = LANES_AT_ONCE.saturating_sub(quick.len()).min(MOST_LANES.saturating_sub(lanes.len()));
        match queues.hand_out(function, room).await {
            Ok(leases) => {
                for lease in leases {
                    quick.push((now, lanes.spawn(deliver(Arc::clone(&delivery), lease))));
                }
            }
            Err(error) => {
                tracing::error!(function = function.name(), %error, "queue read failed; retrying");
                sleep(LONGEST_IDLE).await;
            }
        }
        tokio::select! {
            () = queues.turn(function, LONGEST_IDLE) => {}
            Some(ended) = lanes.join_next() => say_how_it_ended(ended),
            _ = stopping.changed() => {}
        }
    }
    delivery.stop();
    while let Some(ended) = lanes.join_next().await {
        say_how_it_ended(ended);
    }
    if let Err(error) = queues.record_again(function).await {
        tracing::error!(function = function.name(), %error, "outcomes cannot be recorded; what they are about is delivered again");
    }
}

async fn deliver<S: ParameterSource, C: Collector>(delivery: Arc<Delivery<S, C>>, lease: Lease) {
    let messages: Vec<ReceivedMessage<'_>> = lease
        .messages
        .iter()
        .map(|message| ReceivedMessage {
            id: &message.id,
            receipt: &message.id,
            body: &message.body,
            receive_count: message.receive_count,
        })
        .collect();
    // What became of each is told to the lease as it comes.
    delivery.deliver(&messages, Instant::now() + INVOCATION, &Mutex::default(), &lease).await;
}

fn say_how_it_ended(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a delivery panicked; its messages are retried");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_for_any_reason_is_started_again() {
        let (stop, stopping) = watch::channel(false);
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        let kept = keep_running("test", stopping, move || {
            let count = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match count {
                    0 => panic!("as the test wants it"),
                    1 => {}
                    _ => std::future::pending().await,
                }
            }
        });
        assert!(tokio::time::timeout(Duration::from_secs(4), kept).await.is_err(), "the third runs on");
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        drop(stop);
    }
}
