//! Delivery under random faults: what was accepted is delivered once, or dead with its reason; nothing else.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use koala_destination::delivery::{Delivery, DeliveryOptions, Outcome, ReceivedMessage, RetryPolicy};
use koala_destination::koala::{Collector, EntryOptions, Route, SendError};
use koala_destination::message::{self, Origin};
use koala_destination::segment::{Action, Event, Function, Mapping};
use koala_destination::settings::{Parameter, ParameterSource, PublicApiKey, SettingsCache, SourceError};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Passing,
    RetryLater,
    Unreachable,
    Unavailable,
    KeyRefused,
    Hangs,
}

/// A collector with a plan of faults; when the plan is over it takes everything but entries of `bad` messages.
struct Flaky {
    plan: Mutex<VecDeque<Fault>>,
    bad: BTreeSet<String>,
    taken: Mutex<BTreeMap<String, usize>>,
    largest: Mutex<usize>,
}

impl Collector for &Flaky {
    async fn send(&self, _: &PublicApiKey, _: Route, body: Bytes) -> Result<(), SendError> {
        let fault = self.plan.lock().unwrap().pop_front().unwrap_or(Fault::None);
        let reason = "planned".to_owned();
        match fault {
            Fault::None => {}
            Fault::Passing => return Err(SendError::Passing { reason, retry_after: None }),
            Fault::RetryLater => {
                return Err(SendError::Passing { reason, retry_after: Some(Duration::from_mins(2)) });
            }
            Fault::Unreachable => return Err(SendError::Unreachable { reason }),
            Fault::Unavailable => return Err(SendError::Unavailable { reason }),
            Fault::KeyRefused => return Err(SendError::KeyRefused { reason }),
            Fault::Hangs => std::future::pending().await,
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        let entries = body["events"].as_array().unwrap();
        let ids: Vec<&str> = entries.iter().map(|entry| entry["message_id"].as_str().unwrap()).collect();
        if ids.iter().any(|id| self.bad.contains(*id)) {
            return Err(SendError::Rejected { reason, answer: "400: planned".to_owned() });
        }
        let mut largest = self.largest.lock().unwrap();
        *largest = ids.len().max(*largest);
        for id in ids {
            *self.taken.lock().unwrap().entry(id.to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

struct OneKey;

impl ParameterSource for OneKey {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        Ok(vec![Parameter::new("public-api-key", "pk_1")])
    }
}

/// A message that intake would write; every seventh can never be mapped, and every eleventh is not a message at all.
fn body(id: usize, visitor: usize) -> String {
    if id % 11 == 10 {
        return "no message".to_owned();
    }
    let name = if id % 7 == 6 { json!({}) } else { json!("Signed Up") };
    let event =
        json!({"type": "track", "messageId": format!("m-{id}"), "event": name, "userId": format!("u-{visitor}")});
    message::accepted(
        &Event::parse(&event.to_string()).unwrap(),
        &Mapping::preset(Action::TrackEvent),
        false,
        Origin::default(),
    )
    .body
}

/// Takes messages round by round until all are done with; gives the dead ones' reasons by place.
async fn drain(collector: &Flaky, bodies: &[String], batch: usize) -> BTreeMap<usize, String> {
    let settings = Arc::new(SettingsCache::new(OneKey, Duration::from_mins(5)));
    let options = DeliveryOptions {
        entry: EntryOptions::default(),
        retry: RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_mins(15) },
        concurrent_requests: 8,
    };
    let delivery = Delivery::new(Function::TrackEvent, settings, collector, options);
    let ids: Vec<String> = (0..bodies.len()).map(|id| id.to_string()).collect();
    // The queue: when a message is visible, its place, how often it was received.
    let now = Instant::now();
    let mut waiting: BTreeSet<(Instant, usize, u32)> = (0..bodies.len()).map(|at| (now, at, 1)).collect();
    let mut dead = BTreeMap::new();
    while let Some((next, ..)) = waiting.first() {
        tokio::time::sleep_until(*next).await;
        let now = Instant::now();
        let taken: Vec<_> = waiting.iter().take(batch).filter(|(visible, ..)| *visible <= now).copied().collect();
        waiting.retain(|message| !taken.contains(message));
        let received: Vec<ReceivedMessage<'_>> = taken
            .iter()
            .map(|(_, at, receive_count)| ReceivedMessage {
                id: &ids[*at],
                receipt: &ids[*at],
                body: &bodies[*at],
                receive_count: *receive_count,
            })
            .collect();
        let begun = Instant::now();
        let outcomes = delivery.deliver(&received, begun + Duration::from_secs(30), &Mutex::default(), &()).await;
        assert!(begun.elapsed() <= Duration::from_secs(30), "the invocation's end is respected");
        for ((_, at, receive_count), outcome) in taken.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Delivered => {}
                Outcome::Retry { after, .. } => {
                    assert!(after >= Duration::from_secs(30));
                    assert!(receive_count < 60, "the plan is over long before");
                    waiting.insert((Instant::now() + after, at, receive_count + 1));
                }
                Outcome::Dead(reason) => assert!(dead.insert(at, reason.reason).is_none()),
                Outcome::Skipped => panic!("nothing is to be skipped"),
            }
        }
    }
    dead
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn whatever_fails_each_message_is_delivered_once_or_dead_with_its_reason(
        visitors in prop::collection::vec(0..6_usize, 1..120),
        plan in prop::collection::vec(prop::sample::select(vec![
            Fault::None, Fault::Passing, Fault::RetryLater, Fault::Unreachable, Fault::Unavailable, Fault::KeyRefused, Fault::Hangs,
        ]), 0..40),
        bad in prop::collection::btree_set(0..120_usize, 0..6),
        batch in 1..100_usize,
    ) {
        let bodies: Vec<String> = visitors.iter().enumerate().map(|(id, visitor)| body(id, *visitor)).collect();
        let collector = Flaky {
            plan: Mutex::new(plan.into()),
            bad: bad.iter().map(|id| format!("m-{id}")).collect(),
            taken: Mutex::default(),
            largest: Mutex::default(),
        };
        // Time stands still but for what is waited for, so that a day of outages takes no time.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let dead = runtime.block_on(drain(&collector, &bodies, batch));
        let taken = collector.taken.into_inner().unwrap();
        prop_assert!(*collector.largest.lock().unwrap() <= 30);
        for id in 0..bodies.len() {
            let never = id % 11 == 10 || id % 7 == 6 || bad.contains(&id);
            prop_assert_eq!(dead.contains_key(&id), never, "{}: {:?}", id, dead.get(&id));
            prop_assert_eq!(taken.get(&format!("m-{id}")).copied(), (!never).then_some(1), "{}", id);
        }
    }
}

/// The brake while Koala is down: Lambda polls on, so that batch after batch comes in.
#[test]
fn a_long_outage_costs_a_probe_now_and_then_and_not_a_request_a_message() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let bodies: Vec<String> = (0..2000).filter(|id| id % 11 != 10 && id % 7 != 6).map(|id| body(id, id)).collect();
    let outage = 120;
    let collector = Flaky {
        plan: Mutex::new(vec![Fault::Unreachable; outage].into()),
        bad: BTreeSet::new(),
        taken: Mutex::default(),
        largest: Mutex::default(),
    };
    let begun = runtime.block_on(async { Instant::now() });
    let dead = runtime.block_on(drain(&collector, &bodies, 100));
    assert!(dead.is_empty(), "{dead:?}");
    assert_eq!(collector.taken.lock().unwrap().len(), bodies.len());
    // 120 requests without an answer last minutes; without the breaker 2,000 visitors would use them up in a second or two.
    let lasted = runtime.block_on(async { begun.elapsed() });
    assert!(lasted > Duration::from_mins(2), "{lasted:?}");
}
