//! The queues of `koala up` under crashes, stops and damage: nothing is lost, nothing stands still, and the order holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::collector::{Collector, Reply};
use crate::koala::{Home, Koala};

const SUSPENDED: Reply = Reply::Answer(400, r#"{"error":"Koala ingest suspended"}"#);

/// The event `n` of a visitor.
fn event(visitor: usize, n: usize) -> String {
    json!({
        "type": "track", "messageId": format!("{visitor}-{n}"), "event": "A", "userId": format!("u-{visitor}"),
        "timestamp": format!("2026-11-20T{:02}:{:02}:{:02}.000Z", n / 3600, n / 60 % 60, n % 60),
    })
    .to_string()
}

/// Posts events `from` to `to` of each visitor, a visitor's in their order.
async fn post(koala: &Koala, visitors: usize, from: usize, to: usize) {
    let posts = (0..visitors).map(|visitor| async move {
        let events: Vec<String> = (from..to).map(|n| event(visitor, n)).collect();
        assert_eq!(koala.post(&format!("[{}]", events.join(","))).await.0, 200);
    });
    stream::iter(posts).buffer_unordered(8).collect::<Vec<()>>().await;
}

async fn settled(koala: &Koala) {
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
}

/// How many entries were taken after a newer one of their visitor.
fn out_of_order(collector: &Collector) -> usize {
    let mut newest = std::collections::HashMap::new();
    let mut count = 0;
    for request in collector.requests().into_iter().filter(|request| request.taken) {
        for entry in request.entries() {
            let (visitor, n) = entry["message_id"]
                .as_str()
                .unwrap()
                .split_once('-')
                .map(|(visitor, n)| (visitor.to_owned(), n.parse::<usize>().unwrap()))
                .unwrap();
            let newest = newest.entry(visitor).or_insert(n);
            count += usize::from(n < *newest);
            *newest = n.max(*newest);
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_each_visitors_events_come_together_and_in_their_order() {
    let collector = Collector::start();
    let asked = AtomicUsize::new(0);
    // Most requests of the beginning fail, in every way.
    collector.answer(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        n if n >= 300 => Reply::Answer(200, ""),
        n if n % 3 == 0 => SUSPENDED,
        n if n % 3 == 1 => Reply::Answer(500, ""),
        _ => Reply::TooMany("1"),
    });
    let home = Home::new();
    let koala = home.up(&[("KOALA_URL", &collector.url()), ("RETRY_FIRST_DELAY_SECONDS", "1")]);
    for round in 0..5 {
        post(&koala, 40, round * 10, round * 10 + 10).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    collector.until_taken(2000, Duration::from_mins(1)).await;
    settled(&koala).await;
    assert_eq!(out_of_order(&collector), 0);
    assert!(collector.taken().values().all(|times| *times == 1));
    let alone = collector.requests().iter().filter(|request| request.taken && request.entries().len() == 1).count();
    assert_eq!(alone, 0, "a burst comes back whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_hangs_holds_back_no_other_visitor() {
    let collector = Collector::start();
    collector.answer(|request| {
        let hangs = request.entries().iter().any(|entry| entry["message_id"] == "0-0");
        if hangs { Reply::Hang } else { Reply::Answer(200, "") }
    });
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let begun = Instant::now();
    post(&koala, 100, 0, 10).await;
    collector.until_taken(990, Duration::from_secs(8)).await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    // What was delivered beside it is recorded by now: it is not there any more.
    koala.until_queues(json!({"waiting": 0, "in_flight": 10})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_visitors_whose_requests_hang_hold_back_no_others() {
    let collector = Collector::start();
    collector.answer(|request| {
        let hangs = |entry: &&Value| {
            let visitor =
                entry["message_id"].as_str().and_then(|id| id.split('-').next()).and_then(|it| it.parse().ok());
            visitor.is_some_and(|visitor: usize| visitor < 60)
        };
        if request.entries().iter().any(hangs) { Reply::Hang } else { Reply::Answer(200, "") }
    });
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post(&koala, 160, 0, 5).await;
    collector.until_taken(500, Duration::from_secs(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_doubles_nothing_of_what_was_under_way() {
    let collector = Collector::start();
    collector.answer(|_| Reply::Slow(Duration::from_millis(700)));
    let home = Home::new();
    let mut koala = home.up_with(&collector.url());
    for round in 0..4 {
        post(&koala, 60, round * 5, round * 5 + 5).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(koala.end_by("TERM"), 0);
        koala = home.up_with(&collector.url());
    }
    collector.until_taken(1200, Duration::from_secs(40)).await;
    settled(&koala).await;
    assert!(collector.taken().values().all(|times| *times == 1), "{:?}", collector.taken());
    assert_eq!(out_of_order(&collector), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_kills_make_no_dead_letter_and_what_was_in_hand_arrives() {
    let collector = Collector::start();
    collector.answer(|_| Reply::Hang);
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post(&koala, 10, 0, 4).await;
    koala.kill();
    for _ in 0..20 {
        let koala = home.up_with(&collector.url());
        tokio::time::sleep(Duration::from_millis(150)).await;
        koala.kill();
    }
    // As if there had been forty more.
    let file = Connection::open(home.queue_file()).unwrap();
    file.execute("UPDATE message SET open_hands = open_hands + 40 WHERE open_hands > 0 AND id <= 4", []).unwrap();
    file.execute("UPDATE message SET open_hands = 3 WHERE id > 4", []).unwrap();
    drop(file);
    collector.answer(|_| (200, ""));
    let koala = home.up_with(&collector.url());
    // Suspects wait their turn, alone; those of forty crashes for a quarter of an hour, so that all others get on.
    collector.until_taken(36, Duration::from_secs(30)).await;
    assert_eq!(koala.queues().await["dead"], 0);
    assert_eq!(out_of_order(&collector), 0);
}

#[tokio::test]
async fn half_a_day_of_trying_makes_a_dead_letter_and_not_the_count_or_the_clock() {
    let collector = Collector::start();
    collector.answer(|_| SUSPENDED);
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post(&koala, 2, 0, 1).await;
    collector.until_asked(1).await;
    koala.kill();
    let file = Connection::open(home.queue_file()).unwrap();
    let almost = 12 * 3_600_000_i64;
    file.execute("UPDATE message SET tried_for = ?1 WHERE id = 1", [almost]).unwrap();
    file.execute("UPDATE message SET tried_for = ?1 WHERE id = 2", [almost - 600_000]).unwrap();
    drop(file);
    let koala = home.up_with(&collector.url());
    koala.until_queues(json!({"waiting": 1, "in_flight": 0, "dead": 1})).await;
    let (_, letters) = koala.get("/api/dead-letters").await;
    let reason = letters["dead_letters"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.starts_with("not delivered in 12 hours of trying: "), "{letters}");
}

#[tokio::test]
async fn a_damaged_row_is_a_dead_letter_with_its_reason_and_stops_nobody() {
    let collector = Collector::start();
    collector.answer(|_| SUSPENDED);
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    post(&koala, 3, 0, 1).await;
    koala.kill();
    let file = Connection::open(home.queue_file()).unwrap();
    file.execute("UPDATE message SET body = CAST(x'7b22ff' AS TEXT) WHERE id = 1", []).unwrap();
    file.execute("UPDATE message SET body = 7, mapping = CAST(x'ff' AS TEXT) WHERE id = 2", []).unwrap();
    drop(file);
    collector.answer(|_| (200, ""));
    let koala = home.up_with(&collector.url());
    collector.until_taken(1, Duration::from_secs(10)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 2})).await;
    let (_, letters) = koala.get("/api/dead-letters").await;
    assert!(letters.to_string().contains("the message is damaged: it is not valid UTF-8"), "{letters}");
    assert_eq!(koala.get("/api/mappings").await.0, 200);
}

#[tokio::test]
async fn what_an_earlier_version_kept_in_the_data_file_is_brought_over_once() {
    let collector = Collector::start();
    let home = Home::new();
    // A set that has run, whose data file then has what an earlier version would have left in it.
    let koala = home.up_with(&collector.url());
    assert_eq!(koala.interrupt(), 0);
    let message = |n: usize| {
        let event: Value = serde_json::from_str(&event(0, n)).unwrap();
        json!({"mapping": "track-event", "received_at": "2026-11-20T09:00:00.000Z", "event": event}).to_string()
    };
    let file = Connection::open(home.data()).unwrap();
    for n in 0..20 {
        let insert = "INSERT INTO message (queue, body, visible_at, mapping, receive_count) VALUES ('track-event', ?1, 4102444800000, 'track-event', 59)";
        file.execute(insert, [message(n)]).unwrap();
    }
    let letter = "INSERT INTO dead_letter (queue, body, reason, mapping, died_at) VALUES ('track-event', ?1, 'as before', 'track-event', 0)";
    file.execute(letter, [message(20)]).unwrap();
    file.execute("INSERT INTO tally VALUES ('track-event', 'delivered', 7)", []).unwrap();
    drop(file);
    // Twice, the first time killed at once, and before anything was taken.
    collector.answer(|_| SUSPENDED);
    home.up_with(&collector.url()).kill();
    collector.answer(|_| (200, ""));
    let koala = home.up_with(&collector.url());
    collector.until_taken(20, Duration::from_secs(20)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    assert_eq!(out_of_order(&collector), 0);
    assert!(koala.get("/api/dead-letters").await.1.to_string().contains("as before"));
    assert_eq!(koala.interrupt(), 0);
    let file = Connection::open(home.data()).unwrap();
    let left: i64 = file
        .query_row(
            "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM dead_letter) + (SELECT count(*) FROM tally)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
    let file = Connection::open(home.queue_file()).unwrap();
    let delivered: i64 =
        file.query_row("SELECT count FROM tally WHERE outcome = 'delivered'", [], |row| row.get(0)).unwrap();
    assert!((27..=47).contains(&delivered), "{delivered}");
}

/// A disk that is full, as far as one process can be given one: what was answered with 200 is there, the rest is answered with 503.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_grow_no_further_end_nothing_and_what_was_accepted_is_delivered() {
    let collector = Collector::start();
    let (address, url) = (collector.address, collector.url());
    drop(collector);
    let home = Home::new();
    let koala = home.up_with_file_size(1200, &url);
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for n in 0..400 {
        let id = format!("m-{n}");
        let event = json!({"type": "track", "messageId": id, "event": "A", "userId": format!("u-{n}"), "properties": {"x": "y".repeat(4000)}});
        match koala.post(&event.to_string()).await.0 {
            200 => accepted.push(id),
            status => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
        if refused > 5 {
            break;
        }
    }
    assert!(refused > 0 && !accepted.is_empty(), "{refused} {}", accepted.len());
    koala.kill();
    let collector = Collector::start_at(address);
    let _koala = home.up_with(&url);
    collector.until_taken(accepted.len(), std::time::Duration::from_secs(30)).await;
    let taken = collector.taken();
    assert!(accepted.iter().all(|id| taken.contains_key(id)));
}
