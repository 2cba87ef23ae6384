//! All that is kept of one person.

use koala_collector::store::Store;
use koala_collector::store::visitor::VisitorId;
use serde_json::{Value, json};

use super::{event, ingest, only_visitor};

pub async fn an_export_has_every_entry_once(store: &dyn Store) {
    let at = ["2026-11-20T09:00:00Z", "2026-11-20T09:00:01Z", "2026-11-20T09:00:00Z"];
    let mut all = Vec::new();
    for (n, ids) in [
        json!({"anonymous_id": "d1"}),
        json!({"email": "ada@acme.com"}),
        json!({"user_id": "u1", "email": "ada@acme.com", "anonymous_id": "d1"}),
    ]
    .into_iter()
    .enumerate()
    {
        let events: Vec<Value> = (0..7).map(|m| event(&format!("e-{n}-{m}"), at[m % 3])).collect();
        all.extend(events.iter().map(|event| event["message_id"].as_str().unwrap().to_owned()));
        let mut body = ids;
        body["events"] = events.into();
        ingest(store, &body).await;
    }
    ingest(store, &json!({"email": "bob@acme.com", "events": [event("other", at[0])]})).await;
    let filter = koala_collector::store::filter::Filter { text: Some("u1".into()), ..Default::default() };
    let id = store.list_visitors(filter, 0, 1).await.unwrap().0.remove(0).id;
    for limit in [1, 4, 7, 21, 1000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = store.export_entries(&id, after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            found.extend(page.into_iter().filter_map(|entry| entry.message_id));
            let Some(next) = next else { break };
            after = Some(next);
        }
        found.sort();
        assert_eq!(found, all, "{limit}");
    }
}

pub async fn who_is_not_there_has_nothing_to_export(store: &dyn Store) {
    ingest(store, &json!({"email": "bob@acme.com", "events": [event("other", "2026-11-20T09:00:00Z")]})).await;
    let id = only_visitor(store).await.id;
    super::delete(store, &[koala_collector::store::deletion::Person::Visitor(id.clone())]).await;
    for id in [id, VisitorId::new("no id"), VisitorId::new("99")] {
        let (page, next) = store.export_entries(&id, None, 10).await.unwrap();
        assert_eq!((page.len(), next), (0, None));
    }
}
