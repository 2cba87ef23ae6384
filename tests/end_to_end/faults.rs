//! What happens when Koala or the settings fail: each event arrives once, or is in the dead letters with its reason.

use std::time::Duration;

use serde_json::json;

use crate::collector::Collector;
use crate::koala::{Home, track};

#[tokio::test]
async fn a_suspended_koala_keeps_everything_in_the_queue() {
    let collector = Collector::start();
    collector.answer(|_| (400, r#"{"error":"Koala ingest suspended"}"#));
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    koala.post(&track("m-1", "ada@example.com")).await;
    collector.until_asked(1).await;
    koala.until_queues(json!({"waiting": 1, "dead": 0})).await;
    // Not tried again and again: the next request comes when the message's delay is over.
    assert_eq!(collector.requests().len(), 1);
    collector.answer(|_| (200, r#"{"ok":true}"#));
    collector.until_taken(1, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn an_entry_that_koala_rejects_is_found_and_its_neighbours_go_through() {
    let collector = Collector::start();
    collector.answer(|request| {
        let bad = request.entries().iter().any(|entry| entry["message_id"] == "m-bad");
        if bad { (400, r#"{"error":"events is invalid"}"#) } else { (200, "") }
    });
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let ids = (0..20).map(|n| if n == 13 { "m-bad".to_owned() } else { format!("m-{n}") });
    let events: Vec<String> = ids.map(|id| track(&id, "ada@example.com")).collect();
    assert_eq!(koala.post(&format!("[{}]", events.join(","))).await.1["accepted"], 20);
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    let taken = collector.taken();
    assert_eq!((taken.len(), taken.values().max()), (19, Some(&1)));
    let letters = koala.get("/api/dead-letters").await.1;
    assert_eq!(letters["dead_letters"][0]["mapping"], "track-event");
    assert_eq!(letters["dead_letters"][0]["koala_answer"], "400: events is invalid");
}

#[tokio::test]
async fn a_key_that_was_rotated_is_read_anew_when_koala_refuses_the_old_one() {
    let collector = Collector::start();
    collector.answer(
        |request| if request.path.contains("pk_new") { (200, "") } else { (401, r#"{"error":"no such key"}"#) },
    );
    let home = Home::new();
    let koala = home.up(&[("KOALA_URL", &collector.url()), ("SETTINGS_TTL_SECONDS", "3600")]);
    home.set_parameter("public-api-key", "pk_new");
    koala.post(&track("m-1", "ada@example.com")).await;
    collector.until_taken(1, Duration::from_secs(10)).await;
    assert_eq!(collector.requests().len(), 2);
}

#[tokio::test]
async fn errors_that_pass_are_tried_again_in_the_same_invocation() {
    let collector = Collector::start();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    collector.answer(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => (500, ""),
        1 => (429, ""),
        2 => (302, ""),
        _ => (204, ""),
    });
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    koala.post(&track("m-1", "ada@example.com")).await;
    collector.until_taken(1, Duration::from_secs(20)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_mapped_is_a_dead_letter_and_its_neighbours_go_through() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let unnamed = json!({"type": "track", "event": 5, "userId": "u-1"}).to_string();
    let body = format!("[{},{unnamed}]", track("m-1", "ada@example.com"));
    assert_eq!(koala.post(&body).await.1["accepted"], 2);
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    assert_eq!(collector.taken().len(), 1);
    let letters = koala.get("/api/dead-letters").await.1;
    assert_eq!(letters["dead_letters"][0]["reason"], "Event Name (`event`) must be a string, and is a number");
}

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

/// A wrong mapping makes dead letters; once it is mended they are mapped again.
#[tokio::test]
async fn dead_letters_are_sent_again_by_koala_redrive_while_the_set_runs_and_when_it_does_not() {
    let collector = Collector::start();
    let home = Home::new();
    let wrong =
        r#"{"trigger":"type = \"track\"","action":"track-event","fields":{"event":{"@path":"$.properties.seats"}}}"#;
    home.set_parameter("mappings/track.json", wrong);
    let koala = home.up_with(&collector.url());
    let event = |id| track(id, "ada@example.com").replace("\"email\"", "\"seats\":5,\"email\"");
    koala.post(&event("m-1")).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    home.set_parameter("mappings/track.json", r#"{"trigger":"type = \"track\"","action":"track-event"}"#);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(home.redrive(&["--url", &koala.url]).contains("1 dead letters are back"));
    collector.until_taken(1, Duration::from_secs(10)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;

    home.set_parameter("mappings/track.json", wrong);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    koala.post(&event("m-2")).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    assert_eq!(koala.interrupt(), 0);
    assert!(home.redrive(&["--queue", "identify-visitor"]).contains("0 dead letters are back"));
    assert!(home.redrive(&["--queue", "track-event"]).contains("1 dead letters are back"));
    home.set_parameter("mappings/track.json", r#"{"trigger":"type = \"track\"","action":"track-event"}"#);
    let koala = home.up_with(&collector.url());
    collector.until_taken(2, Duration::from_secs(10)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert!(collector.taken().values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_collector_that_closes_mid_answer_costs_no_event() {
    let (listener, address) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    };
    let home = Home::new();
    let koala = home.up_with(&format!("http://{address}"));
    koala.post(&track("m-1", "ada@example.com")).await;
    // The first connection is closed in the middle of a status line.
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    assert!(tokio::io::AsyncReadExt::read(&mut connection, &mut request).await.unwrap() > 0);
    tokio::io::AsyncWriteExt::write_all(&mut connection, b"HTTP/1.1 20").await.unwrap();
    drop((connection, listener));
    let collector = Collector::start_at(address);
    collector.until_taken(1, Duration::from_secs(30)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    assert_eq!(collector.taken()["m-1"], 1);
}
