//! The trigger and mapping languages, beside what Segment's own implementations answer (`tests/vectors/`).
#![allow(clippy::unwrap_used)]

use koala_destination::json::Object;
use koala_destination::segment::{self, FieldMapping, Trigger};
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

/// Equal as JSON values, where a number is what JavaScript makes of it.
fn equal(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| equal(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, ours)| theirs.get(key).is_some_and(|theirs| equal(ours, theirs)))
        }
        _ => ours == theirs,
    }
}

#[test]
fn every_mapping_gives_what_the_reference_gives() {
    let vectors = vectors("mapping.jsonl");
    assert_eq!(vectors.len(), 746);
    let mut differ = Vec::new();
    for vector in &vectors {
        let event = vector["event"].to_string();
        let event = Object::from_json(&event).unwrap();
        let mapping = FieldMapping::compile(&vector["mapping"]).map_err(|problems| format!("{problems:?}"));
        let given = mapping.as_ref().map_err(Clone::clone).and_then(|mapping| {
            let value = mapping.render(&segment::Value::Event(&event)).map_err(|error| error.to_string())?;
            let mut json = String::new();
            Ok(value.write_json(&mut json).then(|| serde_json::from_str::<Value>(&json).unwrap()))
        });
        let same = match (&given, vector.get("output")) {
            (Ok(Some(ours)), Some(theirs)) => equal(ours, theirs),
            (Ok(None), None) => vector["absent"] == true,
            (Err(_), None) => vector["error"] == true,
            _ => false,
        };
        if !same {
            differ.push(format!(
                "{}: {}\n  ours {given:?}\n  theirs {:?}",
                vector["id"],
                vector["mapping"],
                vector.get("output")
            ));
        }
    }
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        vectors.len(),
        differ[..differ.len().min(12)].join("\n")
    );
}
