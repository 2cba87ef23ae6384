use std::collections::BTreeSet;

use koala_destination::ids::IdKind;
use serde_json::Value;

use crate::world::{World, shuffled, vectors};

/// A visitor as the API has it: user ids, emails, devices, messages.
type Shown = [BTreeSet<String>; 4];

fn expected(journey: &Value) -> BTreeSet<Shown> {
    let texts =
        |value: &Value| value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let visitor =
        |visitor: &Value| ["user_ids", "emails", "anonymous_ids", "message_ids"].map(|key| texts(&visitor[key]));
    journey["visitors"].as_array().unwrap().iter().map(visitor).collect()
}

/// The visitors that have anything.
fn found(world: &World) -> BTreeSet<Shown> {
    let visitors = world.visitors().into_iter().filter(|(_, messages)| !messages.is_empty());
    visitors
        .map(|(ids, messages)| {
            let of = |kind| ids.iter().filter(|id| id.kind() == kind).map(|id| id.value().to_owned()).collect();
            [of(IdKind::User), of(IdKind::Email), of(IdKind::Device), messages]
        })
        .collect()
}

fn journeys() -> Vec<Value> {
    let journeys = vectors("journeys.jsonl");
    assert_eq!(journeys.len(), 58);
    journeys
}

#[test]
fn every_journey_ends_as_it_is_told() {
    for journey in journeys() {
        let world = World::of(journey["events"].as_array().unwrap());
        assert_eq!(found(&world), expected(&journey), "{}: {}", journey["id"], journey["why"]);
    }
}

#[test]
fn every_journey_that_may_comes_out_the_same_in_other_orders_and_told_twice() {
    for journey in journeys().iter().filter(|journey| journey["any_order"] == true) {
        let events = journey["events"].as_array().unwrap();
        for seed in 0..40 {
            let mut events = shuffled(events, seed);
            if seed % 2 == 1 {
                events.extend(shuffled(&events, seed + 1000));
            }
            assert_eq!(found(&World::of(&events)), expected(journey), "{}, order {seed}", journey["id"]);
        }
    }
}
