//! A person deleted.

use koala_collector::store::Store;
use koala_collector::store::deletion::{Deleted, Person};
use koala_collector::store::filter::Filter;
use koala_collector::store::visitor::VisitorId;
use koala_destination::koala::Email;
use serde_json::json;

use super::{ADA, event, identify, ingest, only_visitor};

fn by_email(email: &str) -> Person {
    Person::Email(Email::parse(email).expect("an address"))
}

pub async fn a_deleted_person_leaves_nothing(store: &dyn Store) {
    let at = "2026-11-20T09:00:00Z";
    ingest(store, &json!({"profile_id": ADA, "events": [event("e-1", at)]})).await;
    ingest(store, &json!({"profile_id": ADA, "email": "ada@acme.com", "identifies": [identify("i-1", at, &json!({"name": "Ada Lovelace"}))]})).await;
    ingest(store, &json!({"email": "grace@navy.org", "events": [event("e-2", at)]})).await;
    let mut names = store.names_of(&by_email("ADA@acme.com")).await.unwrap().expect("she is known");
    names.sort();
    assert_eq!(names, [ADA, "ada@acme.com"]);

    let id = store
        .list_visitors(Filter { text: Some("lovelace".into()), ..Filter::default() }, 0, 1)
        .await
        .unwrap()
        .0
        .remove(0)
        .id;
    assert_eq!(store.delete(&by_email("Ada@Acme.com")).await.unwrap(), Deleted { visitors: 1, entries: 2 });
    assert!(store.show_visitor(&id, 10).await.unwrap().is_none());
    assert!(store.show_company("acme.com", 10).await.unwrap().is_none());
    assert_eq!(only_visitor(store).await.emails, ["grace@navy.org"]);
    for text in ["lovelace", "ada@", &ADA[..8]] {
        let filter = Filter { text: Some(text.into()), ..Filter::default() };
        assert_eq!(store.list_visitors(filter, 0, 10).await.unwrap().1, 0, "{text}");
    }
}

pub async fn a_visitor_without_an_address_is_deleted_by_id(store: &dyn Store) {
    ingest(store, &json!({"profile_id": ADA, "events": [event("e-1", "2026-11-20T09:00:00Z")]})).await;
    let person = Person::Visitor(only_visitor(store).await.id);
    assert_eq!(store.names_of(&person).await.unwrap(), Some(vec![ADA.to_owned()]));
    assert_eq!(store.delete(&person).await.unwrap(), Deleted { visitors: 1, entries: 1 });
    assert!(super::visitors(store).await.is_empty());
}

pub async fn who_is_not_known_has_no_names_and_nothing_to_delete(store: &dyn Store) {
    for person in [by_email("nobody@acme.com"), Person::Visitor(VisitorId::new("no id"))] {
        assert_eq!(store.names_of(&person).await.unwrap(), None);
        assert_eq!(store.delete(&person).await.unwrap(), Deleted::default());
    }
}

pub async fn one_who_was_deleted_and_comes_back_is_new(store: &dyn Store) {
    let event = |id| event(id, "2026-11-20T09:00:00Z");
    ingest(store, &json!({"profile_id": ADA, "email": "ada@acme.com", "events": [event("e-1")]})).await;
    store.delete(&by_email("ada@acme.com")).await.unwrap();
    ingest(store, &json!({"email": "ada@acme.com", "events": [event("e-2")]})).await;
    let visitor = only_visitor(store).await;
    assert_eq!((visitor.events, visitor.anonymous_ids.len(), visitor.traits.len()), (1, 0, 0));
}
