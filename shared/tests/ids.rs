//! The ids of events, beside what the rules as a program make of them (`tests/vectors/reference_identity.py`), and the way
//! that they travel.
#![allow(clippy::unwrap_used)]

use koala_destination::ids::{EventIds, IdKind, MappedIds, WrittenIds};
use koala_destination::json::ObjectWriter;
use koala_destination::segment::Event;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn ids_of(event: &str, mapped: &MappedIds<'_>) -> EventIds {
    EventIds::of(&Event::from_json(event).unwrap(), mapped)
}

fn found(event: &Value) -> EventIds {
    ids_of(&event.to_string(), &MappedIds::default())
}

fn object(write: impl Fn(&mut ObjectWriter<'_>)) -> String {
    let mut out = String::new();
    let mut object = ObjectWriter::start(&mut out);
    write(&mut object);
    object.end();
    out
}

fn own(ids: &EventIds) -> String {
    object(|object| ids.write(object))
}

fn another(ids: &EventIds) -> Value {
    serde_json::from_str(&object(|object| ids.write_for_koala(object))).unwrap()
}

fn strongest_first(ids: &EventIds) -> Value {
    ids.strongest_first(|_| false).iter().map(|id| json!([id.kind(), id.value()])).collect()
}

#[derive(Deserialize)]
struct Vector {
    /// As it was sent: numbers keep all their digits.
    event: Box<RawValue>,
    ids: Vec<Value>,
}

impl Vector {
    fn found(&self) -> EventIds {
        ids_of(self.event.get(), &MappedIds::default())
    }
}

fn vectors() -> Vec<Vector> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/identity-reading.jsonl");
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_event_has_the_ids_that_the_rules_find_in_it() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 600);
    for vector in vectors {
        // The reference lists one id twice where an event has it as profile_id and as anonymousId.
        let mut expected = vector.ids.clone();
        expected.dedup();
        assert_eq!(strongest_first(&vector.found()), Value::from(expected), "{}", vector.event);
    }
}

#[test]
fn what_was_written_reads_back_equal_for_every_vector() {
    for vector in vectors() {
        let ids = vector.found();
        let written: WrittenIds = serde_json::from_str(&own(&ids)).unwrap();
        assert_eq!(EventIds::from(&written), ids, "{}", vector.event);
    }
}

#[test]
fn the_ids_stand_at_the_top_of_a_request_as_they_are() {
    let ids = found(&json!({
        "type": "track", "userId": " u1 ", "anonymousId": "anon-1",
        "properties": {"email": "Ada@Acme.com", "ko_profile_id": "3E6A2C18-3B02-40C4-B8D2-1842C193D3BA"},
    }));
    assert_eq!(
        own(&ids),
        r#"{"profile_id":"3e6a2c18-3b02-40c4-b8d2-1842c193d3ba","user_id":"u1","anonymous_id":"anon-1","email":"ada@acme.com","email_from":"properties"}"#
    );
    let ids = found(&json!({"type": "alias", "userId": "u1", "previousId": "anon-1"}));
    assert_eq!(own(&ids), r#"{"user_id":"u1","previous_id":"anon-1"}"#);
    let ids = found(&json!({"type": "group", "userId": 5, "groupId": 7, "traits": {"email": "hi@acme.com"}}));
    assert_eq!(own(&ids), r#"{"user_id":"5","group_id":"7"}"#);
}

#[test]
fn nothing_is_derived_for_our_own_collector_and_a_profile_id_for_another() {
    let event = json!({"type": "track", "anonymousId": "anon-7", "properties": {"email": "ada@acme.com"}});
    assert_eq!(own(&found(&event)), r#"{"anonymous_id":"anon-7","email":"ada@acme.com","email_from":"properties"}"#);
    let told = another(&found(&event));
    assert_eq!(told["email"], "ada@acme.com");
    assert_eq!(told["profile_id"].as_str().unwrap().len(), 36);
    assert_eq!(told.as_object().unwrap().len(), 2);
}

#[test]
fn another_collector_gets_the_profile_id_then_the_anonymous_id_then_the_user_id() {
    let profile = |event: Value| another(&found(&event)).get("profile_id").cloned();
    let (a, b) = ("3e6a2c18-3b02-40c4-b8d2-1842c193d3ba", "507f191e-810c-4197-9de8-60ea00000001");
    let both = json!({"type": "page", "anonymousId": b, "userId": "u1", "properties": {"profile_id": a}});
    assert_eq!(profile(both), Some(a.into()));
    assert_eq!(profile(json!({"type": "page", "anonymousId": b, "userId": "u1"})), Some(b.into()));
    let anonymous = profile(json!({"type": "page", "anonymousId": "x", "userId": "u1"}));
    assert!(anonymous.is_some());
    assert_eq!(anonymous, profile(json!({"type": "page", "anonymousId": "x"})));
    let user = profile(json!({"type": "page", "userId": "x"}));
    assert!(user.is_some() && user != anonymous);
    assert_eq!(profile(json!({"type": "page", "userId": "ada@acme.com"})), None);
}

#[test]
fn a_roles_mailbox_is_told_to_another_collector_only_where_it_stands_alone() {
    let alone = json!({"type": "track", "properties": {"email": "info@acme.com"}});
    assert_eq!(another(&found(&alone)), json!({"email": "info@acme.com"}));
    let beside = json!({"type": "track", "anonymousId": "a-1", "properties": {"email": "info@acme.com"}});
    assert!(another(&found(&beside)).get("email").is_none());
}

#[test]
fn what_a_mapping_says_goes_before_what_is_found() {
    let event = json!({"type": "track", "userId": "u1", "properties": {
        "email": "found@acme.com", "profile_id": "3e6a2c18-3b02-40c4-b8d2-1842c193d3ba"}});
    let uuid = "507f191e-810c-4197-9de8-60ea00000001";
    let ids = ids_of(&event.to_string(), &MappedIds { email: Some("Mapped@acme.com"), profile_id: Some(uuid) });
    assert_eq!(own(&ids), format!(r#"{{"profile_id":"{uuid}","user_id":"u1","email":"mapped@acme.com"}}"#));
    let ids = ids_of(&event.to_string(), &MappedIds { email: Some("no address"), profile_id: Some("no UUID") });
    assert_eq!(ids, found(&event));
}

#[test]
fn a_group_or_a_previous_id_alone_names_no_visitor() {
    assert!(!found(&json!({"type": "group", "groupId": "g1", "traits": {"email": "hi@acme.com"}})).name_a_visitor());
    assert!(!found(&json!({"type": "alias", "previousId": "anon-1"})).name_a_visitor());
    assert!(found(&json!({"type": "track", "context": {"traits": {"email": "info@acme.com"}}})).name_a_visitor());
}

#[test]
fn the_anonymous_event_and_the_one_with_an_address_have_tuples_of_their_own() {
    let anonymous = found(&json!({"type": "page", "anonymousId": "a-1"}));
    let named = found(&json!({"type": "identify", "anonymousId": "a-1", "traits": {"email": "ada@acme.com"}}));
    let loose = found(&json!({"type": "track", "anonymousId": "a-1", "properties": {"email": "ada@acme.com"}}));
    assert!(anonymous != named && named != loose);
    assert_eq!(anonymous, found(&json!({"type": "screen", "anonymousId": " a-1", "properties": {"email": "n/a"}})));
}

#[test]
fn a_blocked_id_is_none_and_the_next_is_the_strongest() {
    let ids = found(
        &json!({"type": "identify", "userId": "evil", "anonymousId": "a-1", "traits": {"email": "info@acme.com"}}),
    );
    let without = |kinds: &[IdKind]| {
        let ids = ids.strongest_first(|id| kinds.contains(&id.kind()));
        ids.iter().map(|id| id.value().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(without(&[]), ["evil", "a-1"]);
    assert_eq!(without(&[IdKind::User]), ["a-1"]);
    assert_eq!(without(&[IdKind::User, IdKind::Device]), ["info@acme.com"]);
    assert!(without(&IdKind::ALL).is_empty());
}

#[test]
fn a_field_of_another_type_says_nothing_and_costs_the_request_nothing() {
    let body = r#"{"profile_id":{"a":[1]},"user_id":7,"anonymous_id":["x"],"email":false,"email_from":null,"previous_id":1.5,
        "group_id":-5,"events":[{"event":"A"}]}"#;
    let written: WrittenIds = serde_json::from_str(body).unwrap();
    assert_eq!(own(&EventIds::from(&written)), r#"{"user_id":"7","group_id":"-5"}"#);
    let nothing: WrittenIds = serde_json::from_str("{}").unwrap();
    assert_eq!(EventIds::from(&nothing), EventIds::default());
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => "[ \"]{0,2}[a-cA-C0-]{0,4}[ \"]{0,2}",
        3 => "[ \"]{0,2}[a-cA-C+]{1,3}@[a-c.]{0,3}[ \"]{0,2}",
        1 => "\\PC{0,8}",
        1 => ".{0,8}",
        1 => "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    ]
    .prop_map(Value::from)
}

proptest! {
    #[test]
    fn reading_back_what_was_written_gives_an_equal_tuple(
        kind in prop::sample::select(vec!["identify", "track", "page", "group", "alias"]),
        ids in prop::collection::vec(prop::option::of(id()), 9),
    ) {
        let event = json!({
            "type": kind, "userId": ids[0], "anonymousId": ids[1], "previousId": ids[2], "groupId": ids[3],
            "traits": {"email": ids[4], "profile_id": ids[5]}, "properties": {"email": ids[6], "ko_profile_id": ids[7]},
            "context": {"traits": {"email": ids[8]}},
        });
        let ids = found(&event);
        let written: WrittenIds = serde_json::from_str(&own(&ids)).unwrap();
        prop_assert_eq!(EventIds::from(&written), ids);
    }
}
