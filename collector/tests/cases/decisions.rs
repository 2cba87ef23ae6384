//! What people decide of ids.

use koala_collector::intent::IntentRule;
use koala_collector::store::Store;
use koala_collector::store::decision::{Decision, Refused, Undone};
use koala_collector::store::deletion::Person;
use koala_collector::store::filter::{CompanyFilter, Filter};
use koala_collector::store::visitor::{Visitor, VisitorId};
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};

use super::{ADA, delete, event, identify, ingest, only_visitor, visitors};

const AT: &str = "2026-11-20T09:00:00Z";

fn id(kind: IdKind, value: &str) -> Id {
    Id::parse(kind, value).expect("an id")
}

async fn of(store: &dyn Store, text: &str) -> Visitor {
    let (mut found, _) =
        store.list_visitors(Filter { text: Some(text.into()), ..Filter::default() }, 0, 10).await.unwrap();
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found.remove(0)
}

/// All that is shown of everybody, without their numbers.
async fn shown(store: &dyn Store) -> Vec<String> {
    let mut all = Vec::new();
    for visitor in visitors(store).await {
        let (_, timeline) = store.show_visitor(&visitor.id, 1000).await.unwrap().unwrap();
        let mut shown = serde_json::to_value(&visitor).unwrap();
        shown["id"] = Value::Null;
        let messages: Vec<_> = timeline.iter().map(|entry| entry.message_id.clone()).collect();
        all.push(format!("{shown} {messages:?}"));
    }
    let (companies, _) = store.list_companies(CompanyFilter::default(), 0, 100).await.unwrap();
    all.extend(companies.iter().map(|company| serde_json::to_string(company).unwrap()));
    all.sort();
    all
}

pub async fn a_split_gives_each_what_was_its_own(store: &dyn Store) {
    let rule = IntentRule::parse("pricing", r#"{"trigger":"event = \"Viewed Pricing\"","score":8}"#).unwrap().unwrap();
    store.follow_intent_rules(&[rule]).await.unwrap();
    let now = clock::now();
    ingest(store, &json!({"anonymous_id": ADA, "events": [event("e-1", &now)]})).await;
    ingest(store, &json!({"anonymous_id": ADA, "identifies": [identify("i-1", AT, &json!({"plan": "free"}))]})).await;
    ingest(
        store,
        &json!({"email": "ada@acme.com", "events": [event("e-2", &now)],
                          "identifies": [identify("i-2", "2026-11-20T08:00:00Z", &json!({"plan": "team"}))]}),
    )
    .await;
    let apart = shown(store).await;
    assert_eq!(apart.len(), 3);

    ingest(store, &json!({"anonymous_id": ADA, "email": "ada@acme.com"})).await;
    assert_eq!(only_visitor(store).await.traits["plan"], "free");
    let device = Decision::Detach { id: id(IdKind::Device, ADA) };
    store.decide(&device).await.unwrap().expect("it is decided");
    let split = shown(store).await;
    assert_eq!(split, apart);

    // And it stays so, whatever is said later.
    ingest(store, &json!({"anonymous_id": ADA, "email": "ada@acme.com"})).await;
    assert_eq!(visitors(store).await.len(), 2);
    // Until a person says otherwise.
    let attach = Decision::Attach { id: id(IdKind::Device, ADA), to: id(IdKind::Email, "ada@acme.com") };
    let visitor = store.decide(&attach).await.unwrap().expect("it is decided");
    assert_eq!(only_visitor(store).await.id, visitor);
}

pub async fn a_blocked_id_gives_back_what_it_took(store: &dyn Store) {
    ingest(
        store,
        &json!({"user_id": "evil", "email": "ada@acme.com", "identifies": [identify("x-1", AT, &json!({}))]}),
    )
    .await;
    ingest(
        store,
        &json!({"user_id": "u1", "email": "ada@acme.com",
                          "identifies": [identify("m-1", "2026-11-20T10:00:00Z", &json!({}))]}),
    )
    .await;
    assert_eq!(of(store, "evil").await.emails, ["ada@acme.com"]);
    store.decide(&Decision::Block { id: id(IdKind::User, "evil") }).await.unwrap().expect("it is decided");
    assert_eq!(of(store, "u1").await.emails, ["ada@acme.com"]);
    assert!(of(store, "evil").await.emails.is_empty());
    // Its events are those of their next id, and one that has none is nobody's.
    ingest(store, &json!({"user_id": "evil", "anonymous_id": ADA, "events": [event("e-1", AT)]})).await;
    ingest(store, &json!({"user_id": "evil", "events": [event("e-2", AT)]})).await;
    assert_eq!(visitors(store).await.len(), 3);
    assert_eq!((of(store, ADA).await.events, of(store, "evil").await.events), (1, 0));
}

pub async fn what_cannot_be_decided_is_refused_and_changes_nothing(store: &dyn Store) {
    for user in ["u1", "u2"] {
        ingest(store, &json!({"user_id": user, "anonymous_id": format!("d-{user}"), "events": [event("e", AT)]})).await;
    }
    let user = |value| id(IdKind::User, value);
    store.decide(&Decision::Attach { id: user("u1"), to: user("u2") }).await.unwrap().expect("it is decided");
    let before = shown(store).await;
    for (decision, undone) in [
        (Decision::Attach { id: user("u2"), to: user("u1") }, Undone::Refused(Refused::Circle)),
        (Decision::Attach { id: user("u2"), to: id(IdKind::Device, "d-u1") }, Undone::Refused(Refused::ToAWeakerKind)),
        (Decision::Detach { id: user("u3") }, Undone::Unknown),
        (Decision::Attach { id: user("u2"), to: user("u3") }, Undone::Unknown),
    ] {
        assert_eq!(store.decide(&decision).await.unwrap(), Err(undone), "{decision:?}");
    }
    assert_eq!(shown(store).await, before);
}

pub async fn the_id_of_a_visitor_stays_and_that_of_a_merged_one_leads_to_it(store: &dyn Store) {
    ingest(store, &json!({"anonymous_id": ADA, "events": [event("e-1", AT)]})).await;
    let first = only_visitor(store).await.id;
    ingest(store, &json!({"anonymous_id": ADA, "user_id": "u1", "events": [event("e-2", AT)]})).await;
    ingest(
        store,
        &json!({"anonymous_id": "d2", "user_id": "u1", "email": "ada@acme.com", "events": [event("e-3", AT)]}),
    )
    .await;
    assert_eq!(only_visitor(store).await.id, first);

    ingest(store, &json!({"email": "lovelace@acme.com", "events": [event("e-4", AT)]})).await;
    let second = of(store, "lovelace").await.id;
    assert_ne!(first, second);
    let attach = Decision::Attach { id: id(IdKind::Email, "lovelace@acme.com"), to: id(IdKind::User, "u1") };
    store.decide(&attach).await.unwrap().expect("it is decided");
    let one = only_visitor(store).await;
    for old in [&first, &second] {
        let (visitor, timeline) = store.show_visitor(old, 10).await.unwrap().expect("it leads there");
        assert_eq!((visitor.id, timeline.len()), (one.id.clone(), 4));
    }
    // And a person who asks for the old number means all of it.
    assert_eq!(delete(store, &[Person::Visitor(VisitorId::new(second.as_str()))]).await.entries, 4);
    assert!(visitors(store).await.is_empty());
}

pub async fn a_blocked_id_stays_blocked_when_its_visitor_is_deleted(store: &dyn Store) {
    ingest(store, &json!({"user_id": "evil", "events": [event("x-1", AT)]})).await;
    let evil = only_visitor(store).await.id;
    store.decide(&Decision::Block { id: id(IdKind::User, "evil") }).await.unwrap().expect("it is decided");
    assert_eq!(delete(store, &[Person::Visitor(evil)]).await.entries, 1);
    ingest(store, &json!({"user_id": "evil", "events": [event("x-2", AT)]})).await;
    assert!(visitors(store).await.is_empty());
}

pub async fn who_is_deleted_takes_no_one_along_who_shared_a_device(store: &dyn Store) {
    ingest(
        store,
        &json!({"user_id": "u1", "anonymous_id": ADA, "email": "ada@acme.com", "events": [event("e-1", AT)]}),
    )
    .await;
    ingest(store, &json!({"user_id": "u2", "anonymous_id": ADA, "events": [event("e-2", "2026-11-20T10:00:00Z")]}))
        .await;
    ingest(store, &json!({"anonymous_id": ADA, "events": [event("e-3", AT)]})).await;
    let first = of(store, "u1").await;
    assert_eq!(first.anonymous_ids, [ADA]);
    assert_eq!(delete(store, &[Person::Visitor(first.id)]).await.entries, 2);
    let left = only_visitor(store).await;
    assert_eq!((left.user_ids, left.events), (vec!["u2".to_owned()], 1));
    // A device that was claimed by both is the other one's when it comes back.
    ingest(store, &json!({"user_id": "u2", "anonymous_id": ADA, "events": [event("e-4", AT)]})).await;
    assert_eq!(only_visitor(store).await.anonymous_ids, [ADA]);
}
