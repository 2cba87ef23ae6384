//! Times: nothing counts from the future.

use koala_collector::intent::IntentRule;
use koala_collector::store::Store;
use koala_collector::store::filter::CompanyFilter;
use koala_destination::clock;
use serde_json::json;

use super::{event, identify, ingest, only_visitor, timeline};

const LATE: &str = "9999-12-31T23:59:59Z";

pub async fn an_event_of_the_year_9999_pins_no_trait_no_last_seen_and_no_points(store: &dyn Store) {
    let rule = IntentRule::parse("pricing", r#"{"trigger":"event = \"Viewed Pricing\"","score":8,"half_life_days":7}"#);
    store.follow_intent_rules(&[rule.unwrap().unwrap()]).await.unwrap();
    let body = json!({"email": "ada@acme.com", "events": [event("e-1", LATE)],
                      "identifies": [identify("i-1", LATE, &json!({"plan": "forged"}))]});
    ingest(store, &body).await;
    let visitor = only_visitor(store).await;
    assert!(visitor.last_seen <= clock::now() && visitor.first_seen <= clock::now(), "{visitor:?}");
    assert!(timeline(store).await.iter().all(|entry| entry.at <= clock::now()));
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let now = clock::now();
    ingest(store, &json!({"email": "ada@acme.com", "identifies": [identify("i-2", &now, &json!({"plan": "team"}))]}))
        .await;
    assert_eq!(only_visitor(store).await.traits["plan"], "team");
    let reasons = store.show_company("acme.com", 10).await.unwrap().unwrap().reasons;
    assert_eq!((&reasons[0].last_day[..10], reasons[0].points), (&clock::now()[..10], 8.0));
}

pub async fn what_was_received_long_ago_did_not_happen_after_that(store: &dyn Store) {
    let body = json!({"email": "ada@acme.com", "received_at": "2026-11-20T09:00:00Z",
                      "events": [event("e-1", "2026-11-20T12:00:00Z"), {"event": "B", "message_id": "e-2"}]});
    ingest(store, &body).await;
    assert_eq!(only_visitor(store).await.last_seen, "2026-11-20T09:00:00.000Z");
}

pub async fn points_that_are_next_to_nothing_are_0(store: &dyn Store) {
    let rule = IntentRule::parse("careers", r#"{"trigger":"type = \"track\"","score":-0.001,"half_life_days":1}"#);
    store.follow_intent_rules(&[rule.unwrap().unwrap()]).await.unwrap();
    ingest(store, &json!({"email": "ada@acme.com", "events": [event("e-1", &clock::now())]})).await;
    let points = store.list_companies(CompanyFilter::default(), 0, 1).await.unwrap().0[0].intent;
    assert_eq!(format!("{points}"), "0");
}
