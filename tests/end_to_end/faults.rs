//! What happens when Koala, the settings or AWS fail: each event arrives once, or is in the dead letters with its reason.
//!
//! The same tests run over `koala up` and over the three functions.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::{Collector, Received, Reply};
use crate::koala::{Home, track};
use crate::set::{Kind, Set, hold_for_both_sets};

hold_for_both_sets!(
    // Koala fails.
    refused_connections_cost_no_event,
    a_koala_that_hangs_costs_no_event,
    too_many_requests_wait_as_long_as_koala_asks,
    errors_at_a_rate_cost_no_event_and_double_none,
    a_suspended_koala_keeps_everything_in_the_queue,
    a_host_name_that_is_gone_keeps_everything_in_the_queue,
    a_refused_key_keeps_everything_until_it_is_changed,
    a_key_rotated_while_events_flow_costs_no_event,
    an_entry_that_koala_rejects_is_found_and_its_neighbours_go_through,
    an_answer_cut_off_in_its_body_doubles_no_event,
    a_connection_closed_before_the_answer_costs_no_event,
    a_slow_koala_gets_every_event,
    a_long_outage_with_a_growing_queue_is_met_with_few_requests,
    // Messages, settings and processes fail.
    a_message_that_cannot_be_mapped_is_a_dead_letter_and_its_neighbours_go_through,
    the_same_event_twice_has_the_same_message_id,
    settings_that_cannot_be_read_any_more_serve_on,
    a_delivery_killed_mid_batch_costs_no_event,
);

/// Ten events of each visitor.
pub fn events(count: usize) -> Vec<String> {
    (0..count).map(|n| event(&format!("m-{n}"), n / 10)).collect()
}

pub fn event(id: &str, visitor: usize) -> String {
    json!({
        "type": "track", "messageId": id, "event": "Signed Up", "userId": format!("u-{visitor}"),
        "timestamp": "2026-11-20T09:00:00.000Z", "context": {"ip": "203.0.113.7"},
        "properties": {"email": format!("visitor-{visitor}@example.com")},
    })
    .to_string()
}

/// Waits until `count` events arrived and nothing is left; each once, none dead.
pub async fn each_arrives_once(set: &Set, collector: &Collector, count: usize) {
    collector.until_taken(count, Duration::from_mins(1)).await;
    let dead = set.until_settled().await;
    assert!(dead.is_empty(), "{dead:?}");
    let taken = collector.taken();
    let expected: HashSet<String> = (0..count).map(|n| format!("m-{n}")).collect();
    assert_eq!(taken.keys().cloned().collect::<HashSet<_>>(), expected);
    let doubled: Vec<_> = taken.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

/// A rule that gives `fault` to the first `count` requests, and takes the others.
fn first<R: Into<Reply> + Copy + Send + Sync + 'static>(count: usize, fault: R) -> impl Fn(&Received) -> Reply {
    let asked = AtomicUsize::new(0);
    move |_| if asked.fetch_add(1, Ordering::SeqCst) < count { fault.into() } else { Reply::Answer(200, "") }
}

pub const SUSPENDED: Reply = Reply::Answer(400, r#"{"error":"Koala ingest suspended"}"#);

async fn refused_connections_cost_no_event(kind: Kind) {
    let collector = Collector::start();
    let (address, set) = (collector.address, kind.start(&collector));
    drop(collector);
    set.post_all(&events(40)).await;
    set.until_logged("unreachable").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let collector = Collector::start_at(address);
    each_arrives_once(&set, &collector, 40).await;
}

async fn a_koala_that_hangs_costs_no_event(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    collector.answer(first(3, Reply::Hang));
    set.post_all(&events(40)).await;
    each_arrives_once(&set, &collector, 40).await;
}

async fn too_many_requests_wait_as_long_as_koala_asks(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    collector.answer(first(1, Reply::TooMany("3")));
    set.post_all(&events(1)).await;
    each_arrives_once(&set, &collector, 1).await;
    let requests = collector.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(3));
}

async fn errors_at_a_rate_cost_no_event_and_double_none(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    let asked = AtomicUsize::new(0);
    collector.answer(move |_| match asked.fetch_add(1, Ordering::SeqCst) % 8 {
        1 => (500, ""),
        3 => (302, ""),
        6 => (503, "<html>try again</html>"),
        _ => (204, ""),
    });
    set.post_all(&events(200)).await;
    each_arrives_once(&set, &collector, 200).await;
}

async fn a_suspended_koala_keeps_everything_in_the_queue(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    collector.answer(|_| SUSPENDED);
    set.post_all(&events(10)).await;
    collector.until_asked(1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Not tried again in the invocation: the next request comes when the messages' delay is over.
    assert_eq!((collector.requests().len(), set.undelivered().await), (1, 10));
    collector.answer(|_| (200, ""));
    each_arrives_once(&set, &collector, 10).await;
}

async fn a_host_name_that_is_gone_keeps_everything_in_the_queue(kind: Kind) {
    let set = kind.start_with("http://koala.invalid", &[]);
    set.post_all(&events(10)).await;
    set.until_logged("unavailable").await;
    assert_eq!(set.undelivered().await, 10);
}

async fn a_refused_key_keeps_everything_until_it_is_changed(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start_with(&collector.url(), &[("SETTINGS_TTL_SECONDS", "3600")]);
    collector.answer(|request| if request.path.contains("pk_rotated") { (200, "") } else { (401, "no such key") });
    set.post_all(&events(20)).await;
    set.until_logged("the public API key is refused").await;
    assert_eq!(set.undelivered().await, 20);
    set.set_parameter("public-api-key", "pk_rotated").await;
    each_arrives_once(&set, &collector, 20).await;
}

async fn a_key_rotated_while_events_flow_costs_no_event(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start_with(&collector.url(), &[("SETTINGS_TTL_SECONDS", "3600")]);
    for (n, event) in events(60).iter().enumerate() {
        set.post_all(std::slice::from_ref(event)).await;
        // For a while neither key is good.
        match n {
            20 => collector.answer(|request| if request.path.contains("pk_rotated") { (200, "") } else { (404, "") }),
            40 => set.set_parameter("public-api-key", "pk_rotated").await,
            _ => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
    each_arrives_once(&set, &collector, 60).await;
    let keys: HashSet<String> =
        collector.requests().into_iter().filter(|request| request.taken).map(|request| request.path).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
}

async fn an_entry_that_koala_rejects_is_found_and_its_neighbours_go_through(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    let is_bad = |entry: &&Value| entry["message_id"] == "m-bad";
    collector.answer(move |request| match request.entries().iter().find(|entry| is_bad(entry)) {
        Some(_) => (400, r#"{"error":"events is invalid"}"#),
        None => (200, ""),
    });
    let mut events: Vec<String> = (0..20).map(|n| event(&format!("m-{n}"), 0)).collect();
    events.insert(13, event("m-bad", 0));
    set.post_all(&events).await;
    collector.until_taken(20, Duration::from_secs(30)).await;
    let dead = set.until_settled().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(
        (dead[0].mapping.as_str(), dead[0].collector_answer.as_str()),
        ("track-event", "400: events is invalid")
    );
    assert!(collector.taken().values().all(|times| *times == 1));
}

async fn an_answer_cut_off_in_its_body_doubles_no_event(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    collector.answer(first(2, Reply::CutOff));
    set.post_all(&events(40)).await;
    each_arrives_once(&set, &collector, 40).await;
}

async fn a_connection_closed_before_the_answer_costs_no_event(kind: Kind) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let set = kind.start_with(&format!("http://{address}"), &[]);
    set.post_all(&events(1)).await;
    // The first connection is closed in the middle of a status line.
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    assert!(tokio::io::AsyncReadExt::read(&mut connection, &mut request).await.unwrap() > 0);
    tokio::io::AsyncWriteExt::write_all(&mut connection, b"HTTP/1.1 20").await.unwrap();
    drop((connection, listener));
    let collector = Collector::start_at(address);
    each_arrives_once(&set, &collector, 1).await;
}

async fn a_slow_koala_gets_every_event(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    collector.answer(|_| Reply::Slow(Duration::from_secs(1)));
    set.post_all(&events(200)).await;
    each_arrives_once(&set, &collector, 200).await;
}

async fn a_long_outage_with_a_growing_queue_is_met_with_few_requests(kind: Kind) {
    let collector = Collector::start();
    // The breaker's pause is the first delay of a message.
    let set = kind.start_with(&collector.url(), &[("RETRY_FIRST_DELAY_SECONDS", "2")]);
    collector.answer(|_| SUSPENDED);
    for visitors in (0..400).collect::<Vec<usize>>().chunks(100) {
        let events: Vec<String> = visitors.iter().map(|n| event(&format!("m-{n}"), *n)).collect();
        set.post_all(&events).await;
    }
    set.until_logged("failing fast").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // What eight requests at once find out, and a probe now and then: not one for each of 400 visitors.
    assert!(collector.requests().len() < 60, "{}", collector.requests().len());
    collector.answer(|_| (200, ""));
    each_arrives_once(&set, &collector, 400).await;
}

async fn a_message_that_cannot_be_mapped_is_a_dead_letter_and_its_neighbours_go_through(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    let mut events = events(10);
    events.insert(4, json!({"type": "track", "event": {"no": "name"}, "userId": "u-0"}).to_string());
    set.post_all(&events).await;
    collector.until_taken(10, Duration::from_secs(20)).await;
    let dead = set.until_settled().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].reason, "Event Name (`event`) must be a string, not an object");
}

async fn the_same_event_twice_has_the_same_message_id(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start(&collector);
    let event = event("m-0", 0);
    // In one request it arrives once; in two Koala keeps the first of a message id.
    set.post_all(&[event.clone(), event.clone()]).await;
    set.post_all(&[event]).await;
    set.until_settled().await;
    assert_eq!(collector.taken().keys().collect::<Vec<_>>(), ["m-0"]);
    assert!(collector.taken()["m-0"] <= 2);
    // Without a message id each is an event of its own, whatever stands in it.
    let nameless = json!({"type": "track", "event": "Signed Up", "userId": "u-0", "timestamp": "2026-11-20T09:00:00Z"})
        .to_string();
    set.post_all(std::slice::from_ref(&nameless)).await;
    set.post_all(&[nameless]).await;
    set.until_settled().await;
    assert_eq!(collector.taken().len(), 3, "{:?}", collector.taken());
}

async fn settings_that_cannot_be_read_any_more_serve_on(kind: Kind) {
    let collector = Collector::start();
    let set = kind.start_with(&collector.url(), &[("SETTINGS_TTL_SECONDS", "0")]);
    set.post_all(&events(10)).await;
    collector.until_taken(10, Duration::from_secs(20)).await;
    set.lose_parameters().await;
    set.post_all(&(10..20).map(|n| event(&format!("m-{n}"), 1)).collect::<Vec<_>>()).await;
    each_arrives_once(&set, &collector, 20).await;
    assert!(set.logged().contains("the last good ones serve on"), "{}", set.logged());
}

async fn a_delivery_killed_mid_batch_costs_no_event(kind: Kind) {
    let collector = Collector::start();
    let mut set = kind.start(&collector);
    collector.answer(|_| Reply::Hang);
    set.post_all(&events(40)).await;
    collector.until_asked(1).await;
    set.kill_delivery().await;
    collector.answer(|_| (200, ""));
    each_arrives_once(&set, &collector, 40).await;
}

// What only `koala up` can do.

#[tokio::test]
async fn settings_that_become_invalid_do_not_stop_the_set() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up(&[("KOALA_URL", &collector.url()), ("SETTINGS_TTL_SECONDS", "0")]);
    home.set_parameter("mappings/broken.json", "{");
    koala.post(&track("m-1", "ada@example.com")).await;
    collector.until_taken(1, Duration::from_secs(10)).await;
    assert!(home.logged().contains("the last good ones serve on"), "{}", home.logged());
}

#[tokio::test]
async fn a_set_with_invalid_settings_does_not_start_and_names_every_problem() {
    let home = Home::new();
    home.set_parameter("public-api-key", "not a key");
    home.set_parameter("mappings/broken.json", "{\"trigger\":\"type = page\",\"action\":\"track-event\"}");
    let (status, said) = home.cannot_start(&[]);
    assert_eq!(status, 2);
    assert!(
        said.contains("public-api-key: has ' ' at character 4") && said.contains("mappings/broken: trigger:"),
        "{said}"
    );
    let (_, said) = Home::new().cannot_start(&[("FORWARD_IP", "perhaps")]);
    assert!(said.contains("FORWARD_IP"), "{said}");
}

/// A wrong mapping makes dead letters; once it is fixed they are mapped again.
#[tokio::test]
async fn dead_letters_are_sent_again_by_koala_redrive_while_the_set_runs_and_when_it_does_not() {
    let collector = Collector::start();
    let home = Home::new();
    let wrong = r#"{"trigger":"type = \"track\"","action":"track-event","fields":{"event":{"@path":"$.properties"}}}"#;
    home.set_parameter("mappings/track.json", wrong);
    let koala = home.up_with(&collector.url());
    let event = |id| track(id, "ada@example.com").replace("\"email\"", "\"seats\":5,\"email\"");
    koala.post(&event("m-1")).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    home.set_parameter("mappings/track.json", r#"{"trigger":"type = \"track\"","action":"track-event"}"#);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(home.redrive(&["--url", &koala.url]).contains("1 dead letter requeued"));
    collector.until_taken(1, Duration::from_secs(10)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;

    home.set_parameter("mappings/track.json", wrong);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    koala.post(&event("m-2")).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    assert_eq!(koala.interrupt(), 0);
    assert!(home.redrive(&["--queue", "identify-visitor"]).contains("0 dead letters requeued"));
    assert!(home.redrive(&["--queue", "track-event"]).contains("1 dead letter requeued"));
    home.set_parameter("mappings/track.json", r#"{"trigger":"type = \"track\"","action":"track-event"}"#);
    let koala = home.up_with(&collector.url());
    collector.until_taken(2, Duration::from_secs(10)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert!(collector.taken().values().all(|times| *times == 1));
}
