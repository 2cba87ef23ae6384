//! The trigger and mapping languages, beside what Segment's own implementations answer (`tests/vectors/`).
#![allow(clippy::unwrap_used)]

use koala_destination::json::Object;
use koala_destination::segment::{self, Action, Event, FieldMapping, MappedAction, Mapping, Trigger};
use serde_json::{Value, json};

fn lines(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn vectors(name: &str) -> Vec<Value> {
    lines(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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

/// Through the fields that have each type, required and not.
#[test]
fn every_value_is_coerced_to_its_field_s_type_as_the_reference_coerces_it() {
    let lines = lines("coercion.jsonl");
    assert_eq!(lines.lines().count(), 448);
    let field = |action: &str, field: &str| {
        let written = json!({"trigger": "type = \"track\"", "action": action, "fields": {field: {"@path": "$.properties.value"}}});
        Mapping::parse("vector", &written.to_string()).unwrap()
    };
    let (name, title) = (field("track-event", "event"), field("page-view", "title"));
    let (traits, properties) = (field("identify-visitor", "traits"), field("page-view", "properties"));
    let mut differ = Vec::new();
    for line in lines.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        // Digit for digit: serde_json's numbers are not always the nearest.
        let value = Object::from_json(line).unwrap().get("value").unwrap().get();
        let json = format!(r#"{{"type":"track","properties":{{"value":{value}}}}}"#);
        let event = Event::parse(&json).unwrap();
        let text = |text: &str| Some(Value::from(text));
        let object = |value: Option<&segment::Value<'_>>| {
            let mut json = String::new();
            value.map(|value| value.write_json(&mut json));
            serde_json::from_str::<Value>(&json).ok()
        };
        let mapping = match (vector["type"].as_str().unwrap(), vector["required"].as_bool().unwrap()) {
            ("string", true) => &name,
            ("string", false) => &title,
            (_, true) => &traits,
            (_, false) => &properties,
        };
        let given = mapping.map(&event).map(|mapped| match mapped.action {
            MappedAction::Track { name, .. } => text(&name),
            MappedAction::Identify { traits } => object(Some(&traits)),
            MappedAction::Page(page) if vector["type"] == "string" => page.title.as_deref().and_then(text),
            MappedAction::Page(page) => object(page.properties.as_ref()),
            MappedAction::Account(_) => None,
        });
        // A required name that is blank is missing here: no collector takes an event without a name.
        let blank = vector["required"] == true && vector["output"].as_str().is_some_and(|text| text.trim().is_empty());
        let same = match (&given, vector.get("output")) {
            (Ok(Some(ours)), Some(theirs)) => equal(ours, theirs),
            (Ok(None), None) => vector["absent"] == true,
            (Err(_), theirs) => vector["error"] == true || theirs.is_some() && blank,
            _ => false,
        };
        if !same {
            differ.push(format!("{vector}\n  ours {given:?}"));
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn what_cannot_be_coerced_names_field_and_type() {
    let mapping = Mapping::preset(Action::TrackEvent);
    let why = |event: Value| {
        let json = json!({"type": "track", "event": event}).to_string();
        mapping.map(&Event::parse(&json).unwrap()).map(drop).map_err(|problem| problem.to_string())
    };
    assert_eq!(why(json!(404)), Ok(()));
    assert_eq!(why(json!({"a": 1})), Err("Event Name (`event`) must be a string, not an object".to_owned()));
    assert_eq!(why(json!(["a", "b"])), Err("Event Name (`event`) must be a string, not an array".to_owned()));
}
