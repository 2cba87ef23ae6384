//! What is valid in a mapping's fields and cannot work.

use serde_json::{Map, Value};

use crate::segment::FieldProblem;
use crate::segment::field_mapping::{path_keys, placeholders};

/// The fields that Segment's events have
/// (<https://segment.com/docs/connections/spec/common/>, and what its servers and libraries add).
const EVENT_FIELDS: [&str; 21] = [
    "anonymousId",
    "category",
    "channel",
    "context",
    "event",
    "groupId",
    "integrations",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "projectId",
    "properties",
    "receivedAt",
    "sentAt",
    "timestamp",
    "traits",
    "type",
    "userId",
    "version",
    "writeKey",
];

/// What in a mapping's fields cannot work, each with its place.
pub fn of_fields(fields: &Map<String, Value>) -> Vec<FieldProblem> {
    let mut advice = Vec::new();
    fields.iter().for_each(|(key, value)| look(value, &format!("fields.{key}"), &mut advice));
    advice
}

fn look(value: &Value, place: &str, advice: &mut Vec<FieldProblem>) {
    let below = |key: &str| format!("{place}.{key}");
    match value {
        Value::Array(items) => items.iter().for_each(|item| look(item, place, advice)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("@path", Value::String(path)) => look_at_path(&path_keys(path), path, &below(key), advice),
                    ("@template", Value::String(template)) => look_at_template(template, &below(key), advice),
                    // What is below is looked up in something else than the event.
                    ("@arrayPath", Value::Array(items)) => {
                        items.iter().take(1).for_each(|root| match root {
                            Value::String(path) => look_at_path(&path_keys(path), path, &below(key), advice),
                            root => look(root, &below(key), advice),
                        });
                    }
                    ("@transform", Value::Object(parts)) => {
                        parts.get("apply").into_iter().for_each(|apply| look(apply, &below(key), advice));
                    }
                    ("@literal", _) => {}
                    _ => look(value, &below(key), advice),
                }
            }
        }
        _ => {}
    }
}

fn look_at_path(keys: &[String], path: &str, place: &str, advice: &mut Vec<FieldProblem>) {
    if let Some(root) = keys.first()
        && !EVENT_FIELDS.contains(&root.as_str())
    {
        let whole = if root == "$" { ": the whole event is `$.`" } else { "" };
        let message = format!("no event of Segment's has `{path}`{whole}");
        advice.push(FieldProblem { path: place.to_owned(), message });
    }
}

fn look_at_template(template: &str, place: &str, advice: &mut Vec<FieldProblem>) {
    let (paths, rest) = placeholders(template);
    for path in paths {
        look_at_path(&path_keys(&path), &path, place, advice);
    }
    if rest.contains("{{") {
        let message = "has a `{{` that no `}}` closes, so that it is delivered as it stands".to_owned();
        advice.push(FieldProblem { path: place.to_owned(), message });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn advice(fields: &Value) -> Vec<String> {
        of_fields(fields.as_object().expect("fields")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unclosed_placeholder_and_a_path_that_no_event_has_are_said_with_their_place() {
        let said = advice(&json!({
            "event": {"@template": "Viewed {{name Page"},
            "email": {"@if": {"exists": {"@path": "$.propertes.email"}, "then": {"@path": "$.traits.email"}}},
            "properties": {"all": {"@path": "$"}, "name": {"@template": "{{titel}} of {{{properties.shop}}}"}},
        }));
        let begins = [
            "fields.event.@template: has a `{{` that no `}}` closes",
            "fields.email.@if.exists.@path: no event of Segment's has `$.propertes.email`",
            "fields.properties.all.@path: no event of Segment's has `$`: the whole event is `$.`",
            "fields.properties.name.@template: no event of Segment's has `titel`",
        ];
        assert_eq!(said.len(), begins.len(), "{said:?}");
        assert!(said.iter().zip(begins).all(|(said, begins)| said.starts_with(begins)), "{said:?}");
    }

    #[test]
    fn what_works_is_not_spoken_of() {
        let works = json!({
            "event": {"@template": "Viewed {{name}} Page {{{context.page.path}}} }} { {"},
            "properties": {
                "whole": {"@path": "$."},
                "ids": {"@arrayPath": ["$.properties.products", {"id": {"@path": "$.product_id"}}]},
                "sum": {"@transform": {"apply": {"a": {"@path": "$.properties.a"}}, "mapping": {"b": {"@path": "$.a"}}}},
                "said": {"@literal": {"@path": "$.nothing"}},
            },
        });
        assert_eq!(advice(&works), Vec::<String>::new());
    }
}
