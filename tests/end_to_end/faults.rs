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
