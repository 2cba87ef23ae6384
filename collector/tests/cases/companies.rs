//! Companies and their people.

use koala_collector::protocol::accounts;
use koala_collector::store::Store;
use koala_collector::store::company::{CompanyId, DAYS};
use koala_collector::store::filter::CompanyFilter;
use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use serde_json::{Value, json};

use super::{event, identify, ingest};

async fn account(store: &dyn Store, body: &Value) {
    let accounts = accounts::read_accounts(body.to_string().as_bytes()).expect("accounts");
    store.ingest_accounts(accounts).await.expect("it is kept");
}

/// The keys of all companies with how many visitors each has, by key.
async fn keys(store: &dyn Store) -> Vec<(String, i64)> {
    let (companies, total) = store.list_companies(CompanyFilter::default(), 0, 100).await.expect("companies");
    assert_eq!(companies.len() as u64, total);
    let mut keys: Vec<_> = companies.into_iter().map(|company| (company.key, company.visitors)).collect();
    keys.sort();
    keys
}

pub async fn a_company_has_the_visitors_of_its_addresses_and_traits(store: &dyn Store) {
    for (n, (email, traits)) in [
        ("ada@acme.com", json!({})),
        ("grace@acme.com", json!({"company": {"name": "Acme", "domain": "acme.com"}})),
        ("alan@gmail.com", json!({})),
        ("edsger@gmail.com", json!({"company": "Dijkstra BV"})),
    ]
    .into_iter()
    .enumerate()
    {
        let at = format!("2026-11-20T1{n}:00:00Z");
        let entries = json!({"email": email, "identifies": [identify(&format!("i-{n}"), &at, &traits)], "events": [event(&format!("e-{n}"), &at)]});
        ingest(store, &entries).await;
    }
    assert_eq!(keys(store).await, [("acme.com".into(), 2), ("dijkstra bv".into(), 1)]);
    let acme = store.show_company("acme.com", 10).await.unwrap().expect("a company");
    assert_eq!(
        (acme.company.name.as_deref(), acme.company.domain.as_deref(), acme.company.events),
        (Some("Acme"), Some("acme.com"), 2)
    );
    assert_eq!(acme.company.last_seen.as_deref(), Some("2026-11-20T11:00:00.000Z"));
    let people: Vec<_> = acme.people.iter().map(|member| member.visitor.emails[0].as_str()).collect();
    assert_eq!(people, ["grace@acme.com", "ada@acme.com"]);
    assert_eq!((acme.activity.len(), &acme.activity[0].visitor_id), (4, &acme.people[0].visitor.id));
    assert_eq!(store.show_company("acme.com", 1).await.unwrap().unwrap().people.len(), 1);
    assert!(store.show_company("gmail.com", 10).await.unwrap().is_none());
}

pub async fn what_is_said_of_a_company_adds_up(store: &dyn Store) {
    account(store, &json!({"accounts": [{"domain": "https://www.acme.com", "traits": {"name": "Acme", "seats": 5}}]}))
        .await;
    account(store, &json!({"domain": "acme.com", "traits": {"seats": 6, "plan": "team"}})).await;
    let acme = store.show_company("acme.com", 10).await.unwrap().expect("a company");
    assert_eq!(Value::Object(acme.company.traits), json!({"name": "Acme", "seats": 6, "plan": "team"}));
    assert_eq!((acme.company.name.as_deref(), acme.company.visitors), (Some("Acme"), 0));
}

pub async fn a_company_that_nobody_is_of_is_gone_unless_something_was_said_of_it(store: &dyn Store) {
    account(store, &json!({"domain": "kept.com", "traits": {"seats": 6}})).await;
    for (n, company) in ["gone.com", "kept.com", "new.com"].into_iter().enumerate() {
        let at = format!("2026-11-20T1{n}:00:00Z");
        let said = identify(&format!("i-{n}"), &at, &json!({"domain": company}));
        ingest(store, &json!({"email": "ada@gmail.com", "identifies": [said]})).await;
    }
    assert_eq!(keys(store).await, [("kept.com".into(), 0), ("new.com".into(), 1)]);
}

pub async fn activity_counts_each_of_the_last_fourteen_days(store: &dyn Store) {
    let now = clock::now_milliseconds();
    let days_ago = |days: i64| clock::from_milliseconds(now - days * MILLISECONDS_OF_A_DAY);
    let events: Vec<_> =
        [0, 0, 1, 13, 14].iter().enumerate().map(|(n, days)| event(&format!("e-{n}"), &days_ago(*days))).collect();
    ingest(store, &json!({"email": "ada@acme.com", "events": events})).await;
    let acme = store.show_company("acme.com", 10).await.unwrap().expect("a company");
    let days = store.activity(vec![acme.company.id, CompanyId::new("nobody.com")]).await.unwrap();
    let mut expected = [0; DAYS];
    (expected[13], expected[12], expected[0]) = (2, 1, 1);
    assert_eq!((days, acme.days), (vec![expected, [0; DAYS]], expected));
}
