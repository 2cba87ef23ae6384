use koala_collector::identity::memory::Memory;
use koala_collector::identity::{
    Decision, Known, MOST_DEVICES, OWNERS_OF_A_DEVICE, OWNERS_OF_AN_EMAIL, Reading, Refused, Wants,
};
use koala_destination::ids::{EventIds, Id, IdKind};
use serde_json::{Value, json};

use crate::world::ids_of;

fn ids(event: &Value) -> EventIds {
    let mut event = event.clone();
    event["type"] = "track".into();
    ids_of(&event)
}

fn user(n: usize) -> Id {
    Id::stored(IdKind::User, format!("u{n}"))
}

fn device(n: usize) -> Id {
    Id::stored(IdKind::Device, format!("d{n:04}"))
}

fn login(memory: &mut Memory, user: usize, device: usize, at: i64) {
    memory.ingest(&ids(&json!({"userId": format!("u{user}"), "anonymousId": format!("d{device:04}")})), at);
}

fn claims_of(memory: &Memory, id: &Id) -> usize {
    let mut known = Known::default();
    memory.load(&Wants { ids: [id.clone()].into(), ..Wants::default() }, &mut known);
    format!("{known:?}").matches("Claim {").count()
}

#[test]
fn an_owner_has_the_first_five_hundred_devices_in_any_order() {
    let mut memory = Memory::default();
    for n in (0..MOST_DEVICES + 3).rev() {
        login(&mut memory, 1, n, i64::try_from(n).unwrap());
    }
    for n in 0..MOST_DEVICES + 3 {
        let expected = if n < MOST_DEVICES { user(1) } else { device(n) };
        assert!(memory.visitor_of(&device(n)) == expected, "device {n}");
    }
    // One that is taken away makes room for the next.
    memory.decide(&Decision::Detach { id: device(7) }).unwrap();
    assert_eq!(memory.visitor_of(&device(7)), device(7));
    assert_eq!(memory.visitor_of(&device(MOST_DEVICES)), user(1));
    assert_eq!(memory.visitor_of(&device(MOST_DEVICES + 1)), device(MOST_DEVICES + 1));
}

#[test]
fn a_device_of_a_crowd_keeps_six_owners_and_writes_nothing_for_a_seventh() {
    let mut memory = Memory::default();
    for n in 0..OWNERS_OF_A_DEVICE {
        login(&mut memory, n, 1, 100 + i64::try_from(n).unwrap());
    }
    let ids = ids(&json!({"userId": "u99", "anonymousId": "d0001"}));
    let mut known = Known::default();
    memory.load(&Wants::of(&ids), &mut known);
    let change = Reading::of(&ids, &known).unwrap().unwrap().resolve(1000, &known).unwrap();
    assert!(change.claims.is_empty() && change.dropped.is_empty());
    assert_eq!(change.identities.keys().collect::<Vec<_>>(), [&user(99)], "only the row of the new user id");
    // An earlier one takes the place of the latest: which are kept does not depend on the order.
    login(&mut memory, 50, 1, 1);
    assert_eq!(claims_of(&memory, &device(1)), OWNERS_OF_A_DEVICE);
    assert_eq!(memory.visitor_of(&device(1)), device(1));
    for n in 0..OWNERS_OF_A_DEVICE - 2 {
        memory.decide(&Decision::Block { id: user(n) }).unwrap();
    }
    assert_eq!(memory.visitor_of(&device(1)), user(50));
}

#[test]
fn an_address_that_every_event_names_keeps_twenty_owners() {
    let mut memory = Memory::default();
    for n in 0..100 {
        let own = json!({"userId": format!("u{n}"), "context": {"traits": {"email": format!("own{n}@acme.com")}}});
        memory.ingest(&ids(&own), 1);
        memory.ingest(&ids(&json!({"userId": format!("u{n}"), "properties": {"email": "rep@acme.com"}})), 1000 - n);
    }
    let rep = Id::stored(IdKind::Email, "rep@acme.com");
    assert_eq!(claims_of(&memory, &rep), OWNERS_OF_AN_EMAIL);
    assert_eq!(memory.visitor_of(&rep), rep);
    // And it is still theirs who bring it.
    memory.ingest(&ids(&json!({"userId": "rep", "context": {"traits": {"email": "rep@acme.com"}}})), 5000);
    assert_eq!(memory.visitor_of(&rep), Id::stored(IdKind::User, "rep"));
}

#[test]
fn an_event_with_nothing_new_writes_nothing_and_asks_once() {
    let mut memory = Memory::default();
    let ids = ids(&json!({"userId": "u1", "anonymousId": "d1", "properties": {
        "email": "ada@acme.com", "profile_id": "3e6a2c18-3b02-40c4-b8d2-1842c193d3ba"}}));
    memory.ingest(&ids, 5);
    let mut known = Known::default();
    memory.load(&Wants::of(&ids), &mut known);
    let reading = Reading::of(&ids, &known).unwrap().unwrap();
    assert!(reading.resolve(5, &known).unwrap().is_empty());
    assert!(reading.resolve(6, &known).unwrap().is_empty());
}

#[test]
fn an_id_is_attached_to_an_equal_or_a_stronger_kind_only() {
    let email = Id::stored(IdKind::Email, "ada@acme.com");
    let attach = |id: &Id, to: &Id| Memory::default().decide(&Decision::Attach { id: id.clone(), to: to.clone() });
    assert_eq!(attach(&user(1), &email), Err(Refused::ToAWeakerKind));
    assert_eq!(attach(&email, &device(1)), Err(Refused::ToAWeakerKind));
    assert_eq!(attach(&user(1), &user(1)), Err(Refused::Circle));
    for (id, to) in [(&user(1), &user(2)), (&email, &user(1)), (&device(1), &device(2)), (&device(1), &email)] {
        assert_eq!(attach(id, to), Ok(()));
    }
}

#[test]
fn a_device_attached_to_another_by_hand_never_makes_a_circle() {
    let pair = |memory: &mut Memory, a: &str, b: &str| {
        memory.ingest(&ids(&json!({"anonymousId": b, "properties": {"profile_id": a}})), 1);
    };
    let [a, b, c] = ["11111111", "22222222", "33333333"].map(|start| format!("{start}-0000-4000-8000-000000000000"));
    let id = |value: &str| Id::stored(IdKind::Device, value);
    let mut memory = Memory::default();
    memory.decide(&Decision::Attach { id: id(&a), to: id(&c) }).unwrap();
    pair(&mut memory, &a, &b);
    pair(&mut memory, &b, &c);
    pair(&mut memory, &a, &c);
    // By its claims alone c would follow a, the smallest of the three.
    assert_eq!([&a, &b, &c].map(|one| memory.visitor_of(&id(one))), [id(&c), id(&b), id(&c)]);
    assert_eq!(memory.decide(&Decision::Attach { id: id(&c), to: id(&a) }), Err(Refused::Circle));
}

#[test]
fn a_block_is_kept_and_what_was_attached_stays_attached() {
    let mut memory = Memory::default();
    login(&mut memory, 1, 1, 5);
    memory.decide(&Decision::Attach { id: user(1), to: user(2) }).unwrap();
    memory.decide(&Decision::Block { id: user(1) }).unwrap();
    assert_eq!(memory.visitor_of(&user(1)), user(2));
    assert_eq!(memory.visitor_of(&device(1)), device(1));
    memory.decide(&Decision::Detach { id: user(1) }).unwrap();
    assert_eq!(memory.visitor_of(&user(1)), user(1));
    login(&mut memory, 1, 1, 9);
    assert_eq!(memory.visitor_of(&device(1)), device(1), "it is blocked still");
}
