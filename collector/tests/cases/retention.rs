//! What is older than it may be.

use koala_collector::store::Store;
use koala_collector::store::decision::Decision;
use koala_collector::store::deletion::Retention;
use koala_collector::store::visitor::Visitor;
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};

use super::{by_email, days_ago, delete, event, ingest, visitors};

async fn keep(store: &dyn Store, days: u32) {
    for _ in 0..10_000 {
        if !store.sweep(Retention::of_days(days)).await.unwrap() {
            return;
        }
    }
    panic!("it never ends");
}

fn did(ids: Value, message_id: &str, days: i64) -> Value {
    let mut body = ids;
    body["received_at"] = days_ago(days).into();
    body["events"] = json!([event(message_id, &days_ago(days))]);
    body
}

/// Who is there, by all the ids of each, with the number of events.
async fn shown(store: &dyn Store) -> Vec<(String, i64)> {
    let ids = |visitor: Visitor| {
        let ids = [visitor.user_ids, visitor.emails, visitor.anonymous_ids].concat();
        (ids.join(" "), visitor.events)
    };
    let mut shown: Vec<_> = visitors(store).await.into_iter().map(ids).collect();
    shown.sort();
    shown
}

pub async fn old_entries_go_and_then_visitors_of_whom_nothing_is_left(store: &dyn Store) {
    // Gone whole; one of whom something is newer keeps all ids; one whose browser alone was seen lately is still who it is.
    ingest(store, &did(json!({"user_id": "old", "email": "old@acme.com", "anonymous_id": "d-old"}), "e-1", 40)).await;
    for n in 0..40 {
        let events: Vec<Value> = (0..30).map(|m| event(&format!("e-{n}-{m}"), &days_ago(41))).collect();
        ingest(store, &json!({"user_id": "old", "received_at": days_ago(40), "events": events})).await;
    }
    ingest(store, &did(json!({"user_id": "both", "email": "both@acme.com", "anonymous_id": "d-both"}), "e-2", 40))
        .await;
    ingest(store, &did(json!({"user_id": "both"}), "e-3", 1)).await;
    ingest(store, &did(json!({"user_id": "away", "anonymous_id": "d-away"}), "e-4", 40)).await;
    ingest(store, &did(json!({"anonymous_id": "d-away"}), "e-5", 1)).await;
    ingest(store, &did(json!({"anonymous_id": "d-alone"}), "e-6", 40)).await;
    ingest(store, &did(json!({"anonymous_id": "d-new"}), "e-7", 1)).await;
    keep(store, 30).await;
    let left = [("away d-away", 1), ("both both@acme.com d-both", 1), ("d-new", 1)];
    assert_eq!(shown(store).await, left.map(|(ids, events)| (ids.to_owned(), events)));
    assert!(store.show_company("acme.com", 10).await.unwrap().is_some());
}

pub async fn what_a_person_decided_is_kept(store: &dyn Store) {
    ingest(store, &did(json!({"anonymous_id": "kiosk"}), "e-1", 40)).await;
    ingest(store, &did(json!({"anonymous_id": "other"}), "e-2", 40)).await;
    let kiosk = Id::parse(IdKind::Device, "kiosk").unwrap();
    store.decide(&Decision::Block { id: kiosk }).await.unwrap().expect("it is decided");
    keep(store, 30).await;
    // It is still nobody's.
    ingest(store, &did(json!({"anonymous_id": "kiosk"}), "e-3", 1)).await;
    assert_eq!(shown(store).await, [("kiosk".to_owned(), 0)]);
}

pub async fn retention_says_of_nobody_else_who_they_are(store: &dyn Store) {
    // A browser of six users is nobody's; with five it would be the first one's.
    for n in 1..=6 {
        ingest(store, &did(json!({"user_id": format!("u{n}"), "anonymous_id": "crowd"}), &format!("e-{n}"), 40)).await;
    }
    ingest(store, &did(json!({"anonymous_id": "crowd"}), "e-7", 1)).await;
    ingest(store, &did(json!({"user_id": "u6"}), "e-8", 1)).await;
    // The second address of a user id is theirs only while it is not the first.
    ingest(store, &did(json!({"email": "second@acme.com"}), "e-9", 2)).await;
    ingest(store, &did(json!({"user_id": "u7", "email": "first@acme.com"}), "e-10", 40)).await;
    ingest(store, &did(json!({"user_id": "u7", "email": "second@acme.com"}), "e-11", 1)).await;
    let before: Vec<String> = shown(store).await.into_iter().map(|(ids, _)| ids).collect();
    keep(store, 30).await;
    let after = shown(store).await;
    let with_events: Vec<&str> = after.iter().filter(|(_, events)| *events > 0).map(|(ids, _)| ids.as_str()).collect();
    assert_eq!(with_events, ["crowd", "second@acme.com", "u6", "u7 first@acme.com"]);
    assert!(after.iter().all(|(ids, _)| before.contains(ids)), "{before:?} {after:?}");
}

pub async fn deletions_and_tombstones_are_kept_no_longer_than_data(store: &dyn Store) {
    let before = clock::now();
    let late = json!({"email": "ada@acme.com", "received_at": before, "events": [event("e-1", &before)]});
    let deletion = delete(store, &[by_email("ada@acme.com")]).await;
    ingest(store, &late).await;
    assert!(visitors(store).await.is_empty());
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    keep(store, 0).await;
    assert!(store.deletion(&deletion.id).await.unwrap().is_none());
    ingest(store, &late).await;
    assert_eq!(visitors(store).await.len(), 1);
}
