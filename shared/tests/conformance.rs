//! The trigger and mapping languages, beside what Segment's own implementations answer (`tests/vectors/`).
#![allow(clippy::unwrap_used)]

use koala_destination::json::Object;
use koala_destination::segment::Trigger;
use serde_json::Value;

fn vectors(name: &str) -> Vec<Value> {
    let file = format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_trigger_answers_what_the_reference_answers() {
    let vectors = vectors("trigger.jsonl");
    assert_eq!(vectors.len(), 1230);
    for vector in vectors {
        let text = vector["trigger"].as_str().unwrap();
        let event = vector["event"].to_string();
        let answer = Trigger::parse(text).map(|trigger| trigger.matches(&Object::from_json(&event).unwrap()));
        match &vector["matches"] {
            Value::Bool(expected) => assert_eq!(answer, Ok(*expected), "{}: {text} of {event}", vector["id"]),
            _ => assert!(answer.is_err(), "{}: {text} is not well-formed", vector["id"]),
        }
    }
}
