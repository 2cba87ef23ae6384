//! An entry as the triggers of intent rules see it: an event as Segment writes it.

use koala_destination::json::Object;
use serde_json::{Map, Value, json};

use crate::protocol::batch::EntryKind;

/// Hands the event that an entry stands for to `look`; nothing where the entry is no JSON object.
pub fn with_event<T>(kind: EntryKind, json: &str, look: impl FnOnce(&Object<'_>) -> T) -> Option<T> {
    let event = Object::from_json(json)?;
    if kind != EntryKind::PageView && event.get("type").is_some() {
        return Some(look(&event));
    }
    let json = as_event_of_segment(kind, json)?;
    Some(look(&Object::from_json(&json)?))
}

/// An entry that is not as Segment writes it: its type is that of its array, and what a page view says of its page are its
/// properties.
fn as_event_of_segment(kind: EntryKind, json: &str) -> Option<String> {
    let segment_type = match kind {
        EntryKind::Identify => "identify",
        EntryKind::Event => "track",
        EntryKind::PageView => "page",
    };
    let mut entry: Map<String, Value> = serde_json::from_str(json).ok()?;
    entry.insert("type".to_owned(), segment_type.into());
    if kind == EntryKind::PageView && !entry.contains_key("properties") {
        return Some(json!({"type": segment_type, "properties": entry}).to_string());
    }
    Some(Value::Object(entry).to_string())
}
