use koala_collector::identity::{Identity, Known, Reading, Wants};
use koala_destination::ids::{EventIds, MappedIds};
use koala_destination::segment::Event;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Vector {
    event: Box<RawValue>,
    ids: Vec<Value>,
    claims: Vec<Value>,
}

#[test]
fn every_event_claims_what_the_rules_find_in_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/identity-reading.jsonl");
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let ids = EventIds::of(&Event::from_json(vector.event.get()).unwrap(), &MappedIds::default());
        let mut known = Known::default();
        Wants::of(&ids).ids.into_iter().for_each(|id| known.put_id(id, Identity::default(), Vec::new()));
        let reading = Reading::of(&ids, &known).unwrap();
        let id = |id: &koala_destination::ids::Id| json!([id.kind(), id.value()]);
        assert_eq!(reading.as_ref().map(|reading| id(reading.filed_under())), vector.ids.first().cloned(), "{line}");
        let claims = reading.as_ref().map(Reading::claims).unwrap_or_default().iter();
        let claims: Vec<Value> = claims.map(|(one, to, rank)| json!([id(one), id(to), rank.number()])).collect();
        assert_eq!(claims, vector.claims, "{line}");
    }
}

#[test]
fn an_event_is_not_read_before_its_ids_are_loaded() {
    let ids = EventIds::of(&Event::from_json(r#"{"type":"page","anonymousId":"a-1"}"#).unwrap(), &MappedIds::default());
    assert_eq!(Reading::of(&ids, &Known::default()), Err(Wants::of(&ids)));
}
