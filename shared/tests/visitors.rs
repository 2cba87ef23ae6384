//! One visitor's messages in a batch: their order, their delay, their time; and those that may crash a function.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use koala_destination::delivery::{
    DeadLetter, Delivery, DeliveryOptions, Outcome, Outcomes, ReceivedMessage, Retried, RetryPolicy, SourceQueue,
    consume,
};
use koala_destination::koala::{Collector, EntryOptions, Route, SendError};
use koala_destination::message::{self, Origin};
use koala_destination::segment::{Action, Event, Function, Mapping};
use koala_destination::settings::{Parameter, ParameterSource, PublicApiKey, SettingsCache, SourceError};
use serde_json::{Value, json};
use tokio::time::Instant;

struct OneKey;

impl ParameterSource for OneKey {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        Ok(vec![Parameter::new("public-api-key", "pk_1")])
    }
}

/// What happened, in its order: requests with the ids of their entries, and what the queue was told.
type Log = Arc<Mutex<Vec<(&'static str, Vec<String>)>>>;

/// A collector that refuses, or never answers, a request with one of these entries.
#[derive(Default)]
struct Picky {
    refuses: HashSet<&'static str>,
    hangs: HashSet<&'static str>,
    log: Log,
}

impl Collector for Picky {
    async fn send(&self, _: &PublicApiKey, _: Route, body: Bytes) -> Result<(), SendError> {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let ids = body["events"].as_array().unwrap().iter().map(|entry| entry["message_id"].as_str().unwrap());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        if ids.iter().any(|id| self.hangs.contains(id.as_str())) {
            std::future::pending::<()>().await;
        }
        if ids.iter().any(|id| self.refuses.contains(id.as_str())) {
            return Err(SendError::Unavailable { reason: "planned".to_owned() });
        }
        self.log.lock().unwrap().push(("sent", ids));
        Ok(())
    }
}

/// A collector that fails after a while.
struct Slow {
    takes: Duration,
    log: Log,
}

impl Collector for Slow {
    async fn send(&self, _: &PublicApiKey, _: Route, _: Bytes) -> Result<(), SendError> {
        self.log.lock().unwrap().push(("tried", Vec::new()));
        tokio::time::sleep(self.takes).await;
        Err(SendError::Passing { reason: "planned".to_owned(), retry_after: None })
    }
}

fn body(id: &str, visitor: &str, second: usize) -> String {
    let at = format!("2026-01-01T00:{:02}:{:02}.000Z", second / 60, second % 60);
    let event = json!({"type": "track", "messageId": id, "event": "A", "userId": visitor, "timestamp": at}).to_string();
    message::accepted(&Event::parse(&event).unwrap(), &Mapping::preset(Action::TrackEvent), false, Origin::default())
        .body
}

fn delivery<C: Collector>(collector: C) -> Delivery<OneKey, C> {
    let settings = Arc::new(SettingsCache::new(OneKey, Duration::from_mins(5)));
    let options = DeliveryOptions {
        entry: EntryOptions::default(),
        retry: RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_mins(15) },
        concurrent_requests: 8,
    };
    Delivery::new(Function::TrackEvent, settings, collector, options)
}

fn received<'a>(messages: &'a [(String, String)], count: impl Fn(usize) -> u32) -> Vec<ReceivedMessage<'a>> {
    let message = |(at, (id, body)): (usize, &'a (String, String))| ReceivedMessage {
        id,
        receipt: id,
        body,
        receive_count: count(at),
    };
    messages.iter().enumerate().map(message).collect()
}

/// Messages of one visitor, a second apart; each message's id is that of its event.
fn of_visitor(visitor: &str, count: usize) -> Vec<(String, String)> {
    let ids = (0..count).map(|n| (n, format!("{visitor}-{n}")));
    ids.map(|(n, id)| (id.clone(), body(&id, visitor, n))).collect()
}

#[tokio::test(start_paused = true)]
async fn after_a_part_of_a_visitor_that_has_to_be_retried_its_newer_parts_wait_with_one_delay() {
    // 90 entries are three requests; the second is refused.
    let messages = of_visitor("u", 90);
    let log = Log::default();
    let collector = Picky { refuses: HashSet::from(["u-45"]), log: Arc::clone(&log), ..Picky::default() };
    let deadline = Instant::now() + Duration::from_secs(30);
    // Received at different times: each would have had a delay of its own.
    let received = received(&messages, |at| 1 + u32::try_from(at % 4).unwrap());
    let outcomes = delivery(collector).deliver(&received, deadline, &Mutex::default(), &()).await;
    assert!(outcomes[..30].iter().all(|outcome| *outcome == Outcome::Delivered));
    let delays: HashSet<Duration> = outcomes[30..]
        .iter()
        .map(|outcome| match outcome {
            Outcome::Retry { after, .. } => *after,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(delays.len(), 1, "{delays:?}");
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_takes_a_third_of_the_invocation_and_no_other_visitors_time() {
    let mut messages = of_visitor("hangs", 1);
    messages.extend((0..40).flat_map(|n| of_visitor(&format!("u{n}"), 1)));
    let collector = Picky { hangs: HashSet::from(["hangs-0"]), ..Picky::default() };
    let begun = Instant::now();
    let outcomes = delivery(collector)
        .deliver(&received(&messages, |_| 1), begun + Duration::from_secs(30), &Mutex::default(), &())
        .await;
    assert!(matches!(outcomes[0], Outcome::Retry { .. }));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Outcome::Delivered));
    assert!(begun.elapsed() <= Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// One that is cut off may have arrived: what has too little time left has its turn later.
#[tokio::test(start_paused = true)]
async fn no_request_begins_that_has_less_than_two_seconds_for_its_answer() {
    let messages = of_visitor("u", 1);
    for (left, requests) in [(6, 0), (8, 1), (30, 1)] {
        let log = Log::default();
        let deadline = Instant::now() + Duration::from_secs(left);
        let delivery = delivery(Picky { log: Arc::clone(&log), ..Picky::default() });
        let outcomes = delivery.deliver(&received(&messages, |_| 1), deadline, &Mutex::default(), &()).await;
        assert_eq!(log.lock().unwrap().len(), requests, "{left} s of the invocation are left: {outcomes:?}");
    }
    // Tried again after a failure at once, and not after one that took nine seconds.
    for (takes, tries) in [(0, 2..100), (9, 1..2)] {
        let log = Log::default();
        let collector = Slow { log: Arc::clone(&log), takes: Duration::from_secs(takes) };
        let deadline = Instant::now() + Duration::from_secs(30);
        let outcomes = delivery(collector).deliver(&received(&messages, |_| 1), deadline, &Mutex::default(), &()).await;
        assert!(matches!(outcomes[0], Outcome::Retry { .. }), "{outcomes:?}");
        assert!(tries.contains(&log.lock().unwrap().len()), "{takes} {:?}", log.lock().unwrap());
    }
}

/// Who notes when each outcome was told.
struct Times(Mutex<HashMap<usize, Duration>>, Instant);

impl Outcomes for Times {
    async fn settled(&self, settled: &[(usize, Outcome)]) {
        let mut times = self.0.lock().unwrap();
        for (index, _) in settled {
            assert!(times.insert(*index, self.1.elapsed()).is_none(), "told twice");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_requests_outcome_is_told_as_it_comes_and_not_when_the_batch_ends() {
    let mut messages = of_visitor("hangs", 1);
    messages.extend(of_visitor("u", 3));
    messages.push(("copy".to_owned(), messages[1].1.clone()));
    let collector = Picky { hangs: HashSet::from(["hangs-0"]), ..Picky::default() };
    let times = Times(Mutex::default(), Instant::now());
    let deadline = Instant::now() + Duration::from_secs(30);
    delivery(collector).deliver(&received(&messages, |_| 1), deadline, &Mutex::default(), &times).await;
    let times = times.0.into_inner().unwrap();
    assert_eq!(times.len(), 5);
    assert!((1..4).all(|at| times[&at] < Duration::from_secs(1)), "{times:?}");
    assert!(times[&0] >= Duration::from_secs(9), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_stops_begins_no_request_and_cuts_none_off() {
    let messages = of_visitor("u", 40);
    let log = Log::default();
    let delivery = delivery(Picky { log: Arc::clone(&log), ..Picky::default() });
    delivery.stop();
    let deadline = Instant::now() + Duration::from_secs(30);
    let outcomes = delivery.deliver(&received(&messages, |_| 1), deadline, &Mutex::default(), &()).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry { .. })));
    assert!(log.lock().unwrap().is_empty());
}

/// A queue that notes what it is told.
struct Noting(Log);

impl Noting {
    fn note(&self, what: &'static str, ids: impl Iterator<Item = String>) {
        self.0.lock().unwrap().push((what, ids.collect()));
    }
}

impl SourceQueue for Noting {
    async fn add_dead_letters(&self, letters: &[DeadLetter<'_>]) -> HashSet<String> {
        self.note("dead", letters.iter().map(|letter| letter.message.id.to_owned()));
        HashSet::new()
    }

    async fn retry(&self, messages: &[Retried<'_>]) {
        self.note("retried", messages.iter().map(|retried| retried.message.id.to_owned()));
    }

    async fn delete(&self, messages: &[ReceivedMessage<'_>]) {
        self.note("deleted", messages.iter().map(|message| message.id.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_received_three_times_are_taken_last_and_one_by_one_after_the_others_are_deleted() {
    let mut messages = of_visitor("suspect", 2);
    messages.push(("unreadable".to_owned(), "no message".to_owned()));
    messages.extend(of_visitor("u", 2));
    let log = Log::default();
    let delivery = delivery(Picky { log: Arc::clone(&log), ..Picky::default() });
    let received = received(&messages, |at| if at < 3 { 3 } else { 2 });
    let done = consume(&delivery, &Noting(Arc::clone(&log)), &received, Instant::now() + Duration::from_secs(30)).await;
    assert!(done.stays.is_empty());
    assert_eq!((done.counts.delivered, done.counts.dead, done.counts.retried), (4, 1, 0));
    let log: Vec<String> = log.lock().unwrap().iter().map(|(what, ids)| format!("{what} {}", ids.join(" "))).collect();
    let expected = [
        "sent u-0 u-1",
        "deleted u-0 u-1",
        "sent suspect-0",
        "deleted suspect-0",
        "sent suspect-1",
        "deleted suspect-1",
        "dead unreadable",
        "deleted unreadable",
    ];
    assert_eq!(log, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_newer_of_a_suspects_visitor_waits_while_the_suspect_has_to_be_retried() {
    let messages = of_visitor("u", 3);
    let log = Log::default();
    let delivery = delivery(Picky { refuses: HashSet::from(["u-0"]), log: Arc::clone(&log), ..Picky::default() });
    let received = received(&messages, |at| if at == 0 { 5 } else { 1 });
    let done = consume(&delivery, &Noting(Arc::clone(&log)), &received, Instant::now() + Duration::from_secs(30)).await;
    assert_eq!(done.stays, ["u-0", "u-1", "u-2"]);
    assert_eq!(*log.lock().unwrap(), [("retried", ["u-0", "u-1", "u-2"].map(str::to_owned).to_vec())]);
}
