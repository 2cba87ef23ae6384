//! Who is kept out of the ranking.

use koala_collector::exclude::Exclude;
use koala_collector::intent::IntentRule;
use koala_collector::store::Store;
use koala_collector::store::company::Excluded;
use koala_collector::store::filter::CompanyFilter;
use koala_destination::clock;
use serde_json::{Value, json};

use super::{event, identify, ingest, visitors};

async fn exclude(store: &dyn Store, parameter: Value) {
    store.follow_exclude(&Exclude::parse(&parameter.to_string()).expect("a parameter")).await.unwrap();
    while store.look_back().await.unwrap() {}
}

/// The companies with their points, and those that are kept out, by key.
async fn ranked(store: &dyn Store) -> (Vec<(String, f64)>, Vec<String>) {
    let of = async |excluded| {
        let filter = CompanyFilter { excluded, ..CompanyFilter::default() };
        let mut companies = store.list_companies(filter, 0, 100).await.unwrap().0;
        companies.sort_by(|a, b| a.key.cmp(&b.key));
        companies
    };
    let shown = of(false).await.into_iter().map(|company| (company.key, company.intent)).collect();
    (shown, of(true).await.into_iter().map(|company| company.key).collect())
}

async fn fill(store: &dyn Store) {
    let rule = IntentRule::parse("pricing", r#"{"trigger":"event = \"Viewed Pricing\"","score":8}"#).unwrap().unwrap();
    store.follow_intent_rules(&[rule]).await.unwrap();
    for email in ["ada@acme.com", "tester@acme.com", "me@us.example", "you@mail.us.example", "spy@rival.com"] {
        ingest(store, &json!({"email": email, "events": [event(&format!("e-{email}"), &clock::now())]})).await;
    }
}

fn points(shown: &[(&str, f64)], out: &[&str]) -> (Vec<(String, f64)>, Vec<String>) {
    (
        shown.iter().map(|(key, points)| ((*key).to_owned(), *points)).collect(),
        out.iter().map(|key| (*key).to_owned()).collect(),
    )
}

pub async fn staff_and_testers_stay_out_of_the_ranking_and_it_is_said_how_many(store: &dyn Store) {
    fill(store).await;
    assert_eq!(ranked(store).await.0.len(), 3);
    exclude(store, json!({"domains": ["us.example"], "emails": ["tester@acme.com"]})).await;
    assert_eq!(ranked(store).await, points(&[("acme.com", 8.0), ("rival.com", 8.0)], &["us.example"]));
    assert_eq!(store.excluded().await.unwrap(), Excluded { companies: 1, visitors: 3 });
    let mut out: Vec<_> =
        visitors(store).await.into_iter().filter(|it| it.excluded).map(|it| it.emails[0].clone()).collect();
    out.sort();
    assert_eq!(out, ["me@us.example", "tester@acme.com", "you@mail.us.example"]);
    let reasons = store.show_company("acme.com", 10).await.unwrap().unwrap().reasons;
    assert_eq!((reasons[0].points, reasons[0].visitors), (8.0, 1));
    assert!(store.show_company("us.example", 10).await.unwrap().unwrap().company.excluded);

    // One of whom all are kept out is kept out.
    exclude(store, json!({"emails": ["spy@rival.com"]})).await;
    assert_eq!(ranked(store).await, points(&[("acme.com", 16.0), ("us.example", 16.0)], &["rival.com"]));
    exclude(store, json!({})).await;
    assert_eq!((ranked(store).await.0.len(), store.excluded().await.unwrap()), (3, Excluded::default()));
}

pub async fn who_comes_later_or_says_more_is_kept_out_too(store: &dyn Store) {
    exclude(store, json!({"domains": ["us.example"], "trigger": "traits.plan = \"paid\""})).await;
    fill(store).await;
    assert_eq!(ranked(store).await.1, ["us.example"]);
    let before = clock::from_milliseconds(clock::now_milliseconds() - 1000);
    let paid = identify("i-1", &before, &json!({"plan": "paid"}));
    ingest(store, &json!({"email": "ada@acme.com", "identifies": [paid]})).await;
    assert_eq!(store.excluded().await.unwrap(), Excluded { companies: 1, visitors: 3 });
    // What a group call says of the company.
    let call = json!({"type": "group", "message_id": "g-1", "sent_at": clock::now(), "domain": "rival.com", "group_id": "g1", "traits": {"plan": "paid"}});
    ingest(store, &json!({"user_id": "u-9", "groups": [call]})).await;
    assert_eq!(ranked(store).await, points(&[("acme.com", 8.0)], &["rival.com", "us.example"]));
    let free = identify("i-2", &clock::now(), &json!({"plan": "free"}));
    ingest(store, &json!({"email": "ada@acme.com", "identifies": [free]})).await;
    assert_eq!(ranked(store).await.0, points(&[("acme.com", 16.0)], &[]).0);
}
