//! An entry as the triggers of intent rules see it: an event as Segment writes it.

use koala_destination::json::Object;
use serde_json::{Map, Value, json};

use crate::received::EntryKind;

/// Hands the event that an entry stands for to `look`; nothing where the entry is not a JSON object.
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
        // Koala's script says what it says of the page in an object of its own; by hand it is written beside it.
        if let Some(Value::Object(page)) = entry.get("page").cloned() {
            entry.extend(page);
        }
        return Some(json!({"type": segment_type, "properties": entry}).to_string());
    }
    Some(Value::Object(entry).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_view_of_koala_s_script_has_its_page_s_path_among_its_properties() {
        let path = |entry: Value| {
            with_event(EntryKind::PageView, &entry.to_string(), |event| {
                event
                    .get_object("properties")
                    .and_then(|properties| properties.get_str("path").map(std::borrow::Cow::into_owned))
            })
        };
        for entry in [
            json!({"message_id": "v-1", "page": {"path": "/pricing", "title": "Pricing"}}),
            json!({"message_id": "v-1", "path": "/pricing"}),
            json!({"type": "page", "page": {"path": "/"}, "properties": {"path": "/pricing"}}),
        ] {
            assert_eq!(path(entry.clone()), Some(Some("/pricing".to_owned())), "{entry}");
        }
    }
}
