//! Logs hold no event data.

use std::fs::File;
use std::time::Duration;

use serde_json::json;

use crate::collector::Collector;
use crate::koala::{Home, KEY, SECRET, client, track, vectors};

#[tokio::test]
async fn no_secret_email_or_ip_is_in_any_log_line() {
    let collector = Collector::start();
    // Answers that repeat what was sent, as a collector may.
    collector.answer(|_| (400, r#"{"error":"ada@example.com from 203.0.113.7 is not welcome"}"#));
    let home = Home::new();
    home.set_parameter("bearer-token", "bearer-token-of-the-test");
    let koala = home.up_with(&collector.url());
    for vector in vectors("koala-cloud.jsonl") {
        koala.post(&vector["event"].to_string()).await;
    }
    for body in ["{", "[1]", "{\"messageId\":\"ada@example.com\",\"userId\":\"203.0.113.7\"}"] {
        koala.post(body).await;
        koala.post_with(body, &[("authorization", "Bearer ada@example.com")]).await;
    }
    koala.post_with(&track("ada@example.com", "ada@example.com"), &[]).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    let logged = home.logged();
    assert!(logged.contains("request taken") && logged.contains("dead letters"), "{logged}");
    for secret in [SECRET, KEY, "bearer-token-of-the-test", "@", "203.0.113", "198.51.100", "192.0.2"] {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is logged");
    }
}

#[tokio::test]
async fn each_line_about_a_request_carries_its_id_which_is_on_the_answer_too() {
    let home = Home::new();
    let koala = home.up(&[]);
    for body in ["{", "[]"] {
        let request = client().post(format!("{}/v1/segment", koala.url)).header("x-request-id", "of-the-client");
        let answer = request.body(body).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_ne!(id, "of-the-client");
        let logged = home.logged();
        let line = logged.lines().find(|line| line.contains(&id)).unwrap_or_else(|| panic!("{id} in {logged}"));
        assert!(line.contains(&format!("request{{request_id=\"{id}\"}}")), "{line}");
        assert!(!logged.contains("of-the-client"), "{logged}");
    }
}

/// Each line of the log fails to be written; events come in and are delivered all the same.
async fn serves_without_a_log(log: impl Into<std::process::Stdio>) {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with_log(&[("KOALA_URL", &collector.url())], log);
    for n in 0..5 {
        let (status, answer) = koala.post(&track(&format!("m-{n}"), "ada@example.com")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(koala.post("{").await.0, 400);
    }
    collector.until_taken(5, Duration::from_secs(20)).await;
    assert_eq!(koala.interrupt(), 0);
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_ends_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    serves_without_a_log(writer).await;
}

#[tokio::test]
async fn a_log_whose_reader_has_stopped_reading_stops_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with_log(&[("KOALA_URL", &collector.url())], writer);
    // A line each, and more of them than a pipe holds (64 KiB).
    for _ in 0..800 {
        assert_eq!(koala.post("{").await.0, 400);
    }
    assert_eq!(koala.post(&track("m-1", "ada@example.com")).await.0, 200);
    collector.until_taken(1, Duration::from_secs(20)).await;
    assert_eq!(koala.end_by("TERM"), 0);
    // It did fill.
    let mut reader = reader;
    let mut held = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut held).unwrap();
    assert!((50_000..=65_536).contains(&held.len()), "{} bytes were held", held.len());
}

#[tokio::test]
async fn a_log_on_a_full_disk_ends_nothing() {
    serves_without_a_log(File::options().write(true).open("/dev/full").unwrap()).await;
}
