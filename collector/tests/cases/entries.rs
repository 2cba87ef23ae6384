//! Entries: each once, in the order of time.

use futures_util::future::join_all;
use koala_collector::store::Store;
use koala_collector::store::visitor::VisitorId;
use serde_json::{Value, json};

use super::{ADA, batch, event, identify, ingest, only_visitor, timeline};

pub async fn a_message_id_is_kept_once_in_a_batch_in_two_and_in_many_at_once(store: &dyn Store) {
    let entry = event("e-1", "2026-11-20T09:00:00Z");
    ingest(store, &json!({"email": "ada@acme.com", "events": [entry, entry]})).await;
    ingest(store, &json!({"email": "ada@acme.com", "profile_id": ADA, "events": [entry]})).await;
    let many = (0..20).map(|_| {
        store.ingest(batch(&json!({"email": "ada@acme.com", "profile_id": ADA,
                                   "events": [entry, event("e-2", "2026-11-20T09:00:00Z")]})))
    });
    for kept in join_all(many).await {
        kept.expect("it is kept");
    }
    assert_eq!(only_visitor(store).await.events, 2);
}

pub async fn a_message_id_of_another_array_is_another_entry(store: &dyn Store) {
    let at = "2026-11-20T09:00:00Z";
    let view = json!({"message_id": "m-1", "sent_at": at, "path": "/pricing"});
    let body = json!({"email": "ada@acme.com", "events": [event("m-1", at)], "identifies": [identify("m-1", at, &json!({}))], "page_views": [view]});
    ingest(store, &body).await;
    let visitor = only_visitor(store).await;
    assert_eq!((visitor.events, visitor.identifies, visitor.page_views), (1, 1, 1));
}

pub async fn a_message_id_under_another_id_is_another_entry(store: &dyn Store) {
    let entry = event("e-1", "2026-11-20T09:00:00Z");
    ingest(store, &json!({"email": "ada@acme.com", "events": [entry]})).await;
    ingest(store, &json!({"profile_id": ADA, "events": [entry]})).await;
    ingest(store, &json!({"profile_id": ADA, "email": "ada@acme.com"})).await;
    assert_eq!(only_visitor(store).await.events, 2);
}

pub async fn the_latest_of_a_page_view_that_grows_counts(store: &dyn Store) {
    let view = |focused: &[u64], title: &str| {
        json!({"email": "ada@acme.com", "page_views": [{
        "message_id": "p-1", "visit_start": "2026-11-20T09:00:00.000Z", "focus_intervals": focused, "page": {"title": title}}]})
    };
    ingest(store, &view(&[10], "first")).await;
    for (focused, title, shown) in [
        (&[10, 20][..], "second", "second"),
        (&[10], "late", "second"),
        (&[10, 20], "other", "second"),
        (&[10, 20, 30], "last", "last"),
    ] {
        ingest(store, &view(focused, title)).await;
        let timeline = timeline(store).await;
        assert_eq!((timeline.len(), timeline[0].at.as_str()), (1, "2026-11-20T09:00:00.000Z"));
        let entry: Value = serde_json::from_str(timeline[0].entry.get()).unwrap();
        assert_eq!(entry["page"]["title"], shown);
    }
}

pub async fn a_repeat_changes_nothing(store: &dyn Store) {
    let body = json!({"user_id": "u1", "anonymous_id": ADA, "email": "ada@acme.com", "traits": {"plan": "team"},
                      "identifies": [identify("i-1", "2026-11-20T09:00:00Z", &json!({"name": "Ada"}))],
                      "events": [event("e-1", "2026-11-20T09:00:00Z")]});
    ingest(store, &body).await;
    let before = format!("{:?}", only_visitor(store).await);
    let mut again = body.clone();
    again["traits"] = json!({"plan": "free"});
    ingest(store, &again).await;
    assert_eq!(format!("{:?}", only_visitor(store).await), before);
}

pub async fn entries_without_a_message_id_are_all_kept(store: &dyn Store) {
    for _ in 0..2 {
        ingest(store, &json!({"email": "ada@acme.com", "events": [{"event": "A"}, {"event": "A"}]})).await;
    }
    assert_eq!(only_visitor(store).await.events, 4);
}

pub async fn a_timeline_has_the_newest_first_and_the_entry_as_it_came(store: &dyn Store) {
    let mut odd = event("e-2", "2026-11-20T10:00:00+01:00");
    odd["properties"] = json!({"z": 1, "a": [null, "\u{1F40B}", 1.5], "": {}});
    let body = json!({"email": "ada@acme.com", "events": [event("e-1", "2026-11-20T09:30:00Z"), odd, event("e-3", "2026-11-20T08:00:00Z")]});
    ingest(store, &body).await;
    let timeline = timeline(store).await;
    let shown: Vec<_> =
        timeline.iter().map(|entry| (entry.message_id.as_deref().unwrap(), entry.at.as_str())).collect();
    assert_eq!(
        shown,
        [("e-1", "2026-11-20T09:30:00.000Z"), ("e-2", "2026-11-20T09:00:00.000Z"), ("e-3", "2026-11-20T08:00:00.000Z")]
    );
    assert_eq!((timeline[1].kind.as_str(), timeline[1].name.as_deref()), ("event", Some("Viewed Pricing")));
    assert_eq!(serde_json::from_str::<Value>(timeline[1].entry.get()).unwrap(), odd);

    let id = only_visitor(store).await.id;
    let (_, newest) = store.show_visitor(&id, 1).await.unwrap().unwrap();
    assert_eq!((newest.len(), newest[0].message_id.as_deref()), (1, Some("e-1")));
}

pub async fn who_is_not_there_has_no_timeline(store: &dyn Store) {
    ingest(store, &json!({"email": "ada@acme.com", "events": [event("e-1", "2026-11-20T09:00:00Z")]})).await;
    for id in ["999999", "", "no id", "-1", "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a09", "'; DROP TABLE visitor; --"] {
        assert!(store.show_visitor(&VisitorId::new(id), 10).await.unwrap().is_none(), "{id}");
    }
}

pub async fn who_looks_is_told_when_something_is_written(store: &dyn Store) {
    let mut changes = store.changes();
    changes.mark_unchanged();
    ingest(store, &json!({"email": "ada@acme.com", "events": [event("e-1", "2026-11-20T09:00:00Z")]})).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), changes.changed()).await.expect("told").expect("open");
}
