//! A short soak of `koala up`: many events, a collector that fails in many ways, stops, kills and clocks that jump. Nothing is
//! lost, doubled or out of order within a visitor, and few requests are made.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::collector::{Collector, Received, Reply};
use crate::koala::{Home, Koala};

/// So many events of a visitor come at once.
pub const BURST: usize = 10;
/// How many visitors `koala up` delivers at once, of each function.
pub const LANES_AT_ONCE: usize = 32;
pub const TAKEN: Reply = Reply::Answer(200, "");
pub const SUSPENDED: Reply = Reply::Answer(400, r#"{"error":"ingest suspended"}"#);
pub const INVALID: Reply = Reply::Answer(400, r#"{"error":"events is invalid"}"#);

/// How many visitors a soak has, ten events each: `KOALA_SOAK_VISITORS=10000 cargo nextest run --profile all soak::` is a long one.
pub fn visitors(default: usize) -> usize {
    std::env::var("KOALA_SOAK_VISITORS").ok().map_or(default, |text| text.parse().unwrap())
}

/// The id of a visitor's event: the visitor, and its place.
pub fn id(visitor: usize, place: usize) -> String {
    format!("{visitor}-{place}")
}

pub fn burst(visitor: usize) -> String {
    let event = |place| {
        json!({
            "type": "track", "messageId": id(visitor, place), "event": "Signed Up", "userId": format!("u-{visitor}"),
            "timestamp": "2026-11-20T09:00:00.000Z", "properties": {"email": format!("visitor-{visitor}@example.com")},
        })
    };
    Value::Array((0..BURST).map(event).collect()).to_string()
}

/// Posts a burst of each visitor and sees it accepted.
async fn post_bursts(koala: &Koala, visitors: impl Iterator<Item = usize>) {
    let posts = visitors.map(|visitor| async move {
        let (status, answer) = koala.post(&burst(visitor)).await;
        assert_eq!((status, &answer["accepted"]), (200, &json!(BURST)), "{answer}");
    });
    stream::iter(posts).buffer_unordered(16).collect::<Vec<()>>().await;
}

async fn all_delivered(koala: &Koala, dead: usize) {
    let (begun, expected) = (Instant::now(), json!({"waiting": 0, "in_flight": 0, "dead": dead, "rejected": 0}));
    loop {
        let counts = koala.queues().await;
        if counts == expected {
            return;
        }
        // Half a minute for 2,000 visitors on a machine that does nothing else.
        let longest = Duration::from_mins(2) + Duration::from_millis(40) * u32::try_from(visitors(0)).unwrap();
        assert!(begun.elapsed() < longest, "{counts} did not become {expected}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub fn ids(request: &Received) -> Vec<String> {
    request.entries().iter().map(|entry| entry["message_id"].as_str().unwrap().to_owned()).collect()
}

/// The ids that were taken more than once.
pub fn doubled(collector: &Collector) -> HashSet<String> {
    collector.taken().into_iter().filter(|(_, times)| *times > 1).map(|(id, _)| id).collect()
}

/// Sees that each visitor's events were taken in their order, a repetition aside.
pub fn assert_in_order(collector: &Collector) {
    let mut next: HashMap<usize, usize> = HashMap::new();
    let mut seen = HashSet::new();
    for id in collector.requests().iter().filter(|request| request.taken).flat_map(ids) {
        let (visitor, place) = id.split_once('-').unwrap();
        let (visitor, place): (usize, usize) = (visitor.parse().unwrap(), place.parse().unwrap());
        if seen.insert(id.clone()) {
            let next = next.entry(visitor).or_default();
            assert!(place >= *next, "{id} came after {}", *next - 1);
            *next = place + 1;
        }
    }
}

/// All events of these visitors but those at `without`.
pub fn all(visitors: usize, without: impl Fn(usize, usize) -> bool) -> HashSet<String> {
    let places = |visitor| (0..BURST).map(move |place| (visitor, place));
    (0..visitors)
        .flat_map(places)
        .filter(|(visitor, place)| !without(*visitor, *place))
        .map(|(v, p)| id(v, p))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_events_through_faults_of_all_kinds_arrive_once_in_order_with_few_requests() {
    let all_visitors = visitors(2_000);
    let is_poison = |visitor: usize, place: usize| visitor % 200 == 77 && place == 4;
    let collector = Collector::start();
    let asked = AtomicUsize::new(0);
    let poison: HashSet<String> =
        (0..all_visitors).filter(|visitor| is_poison(*visitor, 4)).map(|v| id(v, 4)).collect();
    let poisoned = poison.len();
    assert_eq!(poisoned, all_visitors / 200);
    collector.answer(move |request| match asked.fetch_add(1, Ordering::SeqCst) {
        500..530 => SUSPENDED,
        1000..1040 => Reply::TooMany("1"),
        n if n % 20 == 7 => Reply::Answer(500, ""),
        _ if ids(request).iter().any(|id| poison.contains(id)) => INVALID,
        _ => TAKEN,
    });
    let home = Home::new();
    let koala = home.up(&[("KOALA_URL", &collector.url()), ("RETRY_FIRST_DELAY_SECONDS", "1")]);
    let begun = Instant::now();
    post_bursts(&koala, 0..all_visitors).await;
    let accepted = begun.elapsed();
    all_delivered(&koala, poisoned).await;
    let requests = collector.requests().len();
    println!(
        "{} events: accepted in {accepted:.1?}, delivered in {:.1?} by {requests} requests",
        all_visitors * BURST,
        begun.elapsed()
    );

    let taken: HashSet<String> = collector.taken().into_keys().collect();
    assert_eq!(taken, all(all_visitors, is_poison), "lost, or taken though it is rejected");
    assert_eq!(doubled(&collector), HashSet::new());
    assert_in_order(&collector);
    assert!(requests * 5 <= all_visitors * BURST, "{requests} requests are more than 0.2 an event");
    // All faults were met.
    assert!(requests > 1040);
}

/// Waits until some of what was posted was taken, and not all of it.
async fn until_in_the_middle(koala: &Koala, collector: &Collector, taken: usize) {
    collector.until_taken(taken, Duration::from_secs(20)).await;
    let counts = koala.queues().await;
    assert!(counts["waiting"].as_u64().unwrap() > 0, "all was delivered too soon: {counts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_and_a_kill_in_the_middle_lose_nothing_and_double_at_most_what_was_in_flight() {
    let all_visitors = visitors(600);
    let half = all_visitors / 2;
    let collector = Collector::start();
    collector.answer(|_| Reply::Slow(Duration::from_millis(150)));
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post_bursts(&koala, 0..half).await;
    until_in_the_middle(&koala, &collector, 500).await;
    assert_eq!(koala.end_by("TERM"), 0);
    let koala = home.up_with(&collector.url());
    all_delivered(&koala, 0).await;
    assert_eq!(doubled(&collector), HashSet::new(), "after a clean stop");

    post_bursts(&koala, half..all_visitors).await;
    until_in_the_middle(&koala, &collector, half * BURST + 500).await;
    koala.kill();
    let killed = Instant::now();
    let koala = home.up_with(&collector.url());
    all_delivered(&koala, 0).await;
    let doubled = doubled(&collector);
    println!("{} events, a stop and a kill: {} doubled after the kill", all_visitors * BURST, doubled.len());
    assert_eq!(collector.taken().into_keys().collect::<HashSet<_>>(), all(all_visitors, |_, _| false));
    // In flight: the answer was under way, or not yet recorded.
    let just_before = |at: Instant| at <= killed && killed.duration_since(at) < Duration::from_secs(2);
    let in_flight: HashSet<String> =
        collector.requests().iter().filter(|request| just_before(request.at)).flat_map(ids).collect();
    assert!(doubled.is_subset(&in_flight), "{:?}", doubled.difference(&in_flight));
    assert!(doubled.len() <= LANES_AT_ONCE * BURST, "{}", doubled.len());
    assert_in_order(&collector);
}

/// What asks to wait for ages: in seconds, and by a date.
pub const HOSTILE: [&str; 3] = ["18446744073709551615", "315360000", "Thu, 31 Dec 2099 23:59:59 GMT"];

/// A rule that tells each visitor to wait for ages the first time that it is met.
fn told_to_wait_for_ages() -> impl Fn(&Received) -> Reply {
    let met = std::sync::Mutex::new(HashSet::new());
    move |request| {
        let first = ids(request).remove(0);
        let visitor: usize = first.split_once('-').unwrap().0.parse().unwrap();
        if met.lock().unwrap().insert(visitor) { Reply::TooMany(HOSTILE[visitor % HOSTILE.len()]) } else { TAKEN }
    }
}

/// The library that sets a process's clock, as `LD_PRELOAD` wants it.
#[cfg(target_os = "linux")]
pub fn faketime() -> String {
    // Below a folder of the architecture in Debian, and without one elsewhere.
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let library: Option<std::path::PathBuf> = folders
        .chain(["/usr/lib64", "/usr/lib"].map(std::path::PathBuf::from))
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists());
    library.expect("libfaketime is installed").to_string_lossy().into_owned()
}

/// The environment of a process whose clock libfaketime sets.
#[cfg(target_os = "linux")]
fn clock(fake: &str) -> Vec<(&'static str, String)> {
    vec![("LD_PRELOAD", faketime()), ("FAKETIME", fake.to_owned())]
}

#[cfg(target_os = "linux")]
fn up_with_clock(home: &Home, collector: &Collector, clock: &[(&'static str, String)]) -> Koala {
    let url = collector.url();
    let mut variables: Vec<(&str, &str)> = clock.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("KOALA_URL", &url));
    home.up(&variables)
}

/// A clock forty times as fast makes a quarter of an hour of 22.5 s. All limits of time are as much shorter, intake's too, so
/// the events are accepted by a clock that goes right; and one whose answer is late by the fast clock may be sent twice.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_of_ages_holds_a_visitor_for_a_quarter_of_an_hour_and_no_longer() {
    let collector = Collector::start();
    collector.answer(|_| Reply::Answer(503, ""));
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post_bursts(&koala, 0..6).await;
    assert_eq!(koala.end_by("TERM"), 0);
    collector.answer(told_to_wait_for_ages());
    let asked = collector.requests().len();
    let koala = up_with_clock(&home, &collector, &clock("+0 x40"));
    collector.until_asked(asked + 6).await;
    let begun = Instant::now();
    collector.until_taken(6 * BURST, Duration::from_secs(35)).await;
    println!("a Retry-After of ages: all taken after {:.1?} on a clock of 40 times the speed", begun.elapsed());
    assert!(begun.elapsed() > Duration::from_secs(18), "it is honoured: {:?}", begun.elapsed());
    all_delivered(&koala, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_to_wait_for_ages_is_tried_again_after_a_restart() {
    let collector = Collector::start();
    collector.answer(told_to_wait_for_ages());
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post_bursts(&koala, 0..30).await;
    collector.until_asked(30).await;
    assert_eq!(koala.end_by("TERM"), 0);
    let koala = home.up_with(&collector.url());
    collector.until_taken(30 * BURST, Duration::from_secs(10)).await;
    all_delivered(&koala, 0).await;
    assert_eq!(doubled(&collector), HashSet::new());
}

/// By how many hours the clock that `koala` goes by is before ours: `Date` of its answer.
#[cfg(target_os = "linux")]
async fn hours_ahead(koala: &Koala) -> i64 {
    let client = koala_destination::http_client::builder().unwrap().build().unwrap();
    let answer = client.get(format!("{}/api/queues", koala.url)).send().await.unwrap();
    let date = answer.headers()["date"].to_str().unwrap();
    let date = time::OffsetDateTime::parse(date, &time::format_description::well_known::Rfc2822).unwrap();
    // A date is told in whole seconds.
    (date - time::OffsetDateTime::now_utc() + Duration::from_mins(1)).whole_minutes().div_euclid(60)
}

/// Forward by more than the twelve hours for which a message is tried, and back.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_at_a_restart_strands_nothing_and_makes_no_dead_letter() {
    let collector = Collector::start();
    let home = Home::new();
    let mut koala = home.up_with(&collector.url());
    for (step, (jump, hours)) in [("+1h", 1), ("-1h", -1), ("+13h", 13), ("-400d", -9600)].into_iter().enumerate() {
        collector.answer(|_| Reply::Answer(503, ""));
        let asked = collector.requests().len();
        post_bursts(&koala, step * 10..(step + 1) * 10).await;
        collector.until_asked(asked + 1).await;
        assert_eq!(koala.end_by("TERM"), 0);
        collector.answer(|_| TAKEN);
        let begun = Instant::now();
        // Time that passes goes on as it does: it is the clock on the wall that is set.
        let mut clock = clock(jump);
        clock.extend([("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()), ("DONT_FAKE_MONOTONIC", "1".to_owned())]);
        koala = up_with_clock(&home, &collector, &clock);
        collector.until_taken((step + 1) * 10 * BURST, Duration::from_secs(10)).await;
        println!("a clock set by {jump}: all taken after {:.1?}", begun.elapsed());
        all_delivered(&koala, 0).await;
        assert_eq!(hours_ahead(&koala).await, hours, "the clock is not set");
    }
    assert_eq!(doubled(&collector), HashSet::new());
    assert_in_order(&collector);
}
