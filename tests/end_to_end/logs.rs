//! Logs hold no event data.

use serde_json::json;

use crate::collector::Collector;
use crate::koala::{Home, KEY, SECRET, track, vectors};

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
