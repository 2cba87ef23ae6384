//! Sets whose visitors are in PostgreSQL.

use std::collections::BTreeSet;

use serde_json::json;

use crate::koala::{Home, Koala};
use crate::postgres_server::Database;

/// An event of a visitor with an account of their own.
fn track(message_id: &str, user: &str) -> String {
    json!({
        "type": "track", "messageId": message_id, "event": "Signed Up", "userId": user,
        "timestamp": "2026-11-20T09:00:00.000Z", "properties": {"email": format!("{user}@acme.com")},
    })
    .to_string()
}

/// The messages of all visitors of a set, and how many visitors there are.
async fn shown(koala: &Koala) -> (usize, Vec<String>) {
    let (_, listed) = koala.get("/api/visitors?limit=1000").await;
    let visitors = listed["visitors"].as_array().expect("visitors");
    let mut messages = Vec::new();
    for visitor in visitors {
        let (_, shown) = koala.get(&format!("/api/visitors/{}", visitor["id"].as_str().expect("an id"))).await;
        let timeline = shown["timeline"].as_array().expect("a timeline").iter();
        messages.extend(timeline.map(|entry| entry["message_id"].as_str().expect("a message id").to_owned()));
    }
    messages.sort();
    (visitors.len(), messages)
}

async fn delivered(koala: &Koala) {
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sets_on_one_database_work_side_by_side() {
    let database = Database::new().await;
    let (one, other) = (Home::new(), Home::new());
    let environment = [("DATABASE_URL", database.url.as_str())];
    let (one, other) = (one.up(&environment), other.up(&environment));
    let mut sent = BTreeSet::new();
    for n in 0..60 {
        let (id, koala) = (format!("m-{n:02}"), if n % 2 == 0 { &one } else { &other });
        // Both get events of the same five people, and one of ten by both.
        let event = track(&id, &format!("visitor-{}", n % 5));
        assert_eq!(koala.post(&event).await.0, 200);
        if n % 10 == 0 {
            assert_eq!(other.post(&event).await.0, 200);
        }
        sent.insert(id);
    }
    delivered(&one).await;
    delivered(&other).await;
    let expected = (5, sent.into_iter().collect::<Vec<_>>());
    assert_eq!(shown(&one).await, expected);
    assert_eq!(shown(&other).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_once_after_a_kill_of_the_set() {
    let database = Database::new().await;
    let home = Home::new();
    let environment = [("DATABASE_URL", database.url.as_str())];
    let koala = home.up(&environment);
    let ids: Vec<String> = (0..200).map(|n| format!("m-{n:03}")).collect();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(koala.post(&track(id, &format!("visitor-{}", n % 20))).await.0, 200);
    }
    koala.kill();
    let koala = home.up(&environment);
    delivered(&koala).await;
    assert_eq!(shown(&koala).await, (20, ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let home = Home::new();
    let (code, said) = home.cannot_start(&[("DATABASE_URL", "postgres://ada:s3cret@127.0.0.1:1/koala")]);
    assert_ne!(code, 0);
    assert!(
        said.contains("cannot use the database postgres://127.0.0.1:1/koala") && !said.contains("s3cret"),
        "{said}"
    );
}
