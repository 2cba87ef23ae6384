//! Values as text: `String(value)` in JavaScript, and JSON as `JSON.stringify` writes it.

use std::borrow::Cow;

use super::Value;
use super::order::in_order;
use crate::json;

/// Arrays inside each other beyond this have no text: JSON of an event may be nested deeper than a stack bears.
const DEEPEST_TEXT: usize = 128;

impl<'a> Value<'a> {
    /// What `String(value)` is in JavaScript.
    #[must_use]
    pub fn to_text(&self) -> Cow<'a, str> {
        self.to_text_at(0)
    }

    fn to_text_at(&self, depth: usize) -> Cow<'a, str> {
        if depth > DEEPEST_TEXT {
            return Cow::Borrowed("");
        }
        match self.clone().opened() {
            Self::Undefined => Cow::Borrowed("undefined"),
            Self::Null => Cow::Borrowed("null"),
            Self::Boolean(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Self::Number(value) => Cow::Owned(number_text(value)),
            Self::Text(text) => text,
            Self::Array(items) => {
                let text = |item: &Self| if item.exists() { item.to_text_at(depth + 1) } else { Cow::Borrowed("") };
                let items = items.iter().map(text);
                Cow::Owned(items.collect::<Vec<_>>().join(","))
            }
            Self::Object(_) | Self::Raw(_) | Self::Event(_) => Cow::Borrowed("[object Object]"),
        }
    }

    /// Appends it as JSON, as `JSON.stringify` writes it: undefined fields are left out, undefined items are null. Gives
    /// back false for undefined, which is not written. What is still the event's own bytes is copied.
    pub fn write_json(&self, out: &mut String) -> bool {
        match self {
            Self::Undefined => return false,
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(value) if value.is_finite() => out.push_str(&number_text(*value)),
            // JSON has no NaN and no infinity.
            Self::Null | Self::Number(_) => out.push_str("null"),
            Self::Text(text) => json::write_string(out, text),
            Self::Raw(raw) => out.push_str(raw.get()),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    if !item.write_json(out) {
                        out.push_str("null");
                    }
                }
                out.push(']');
            }
            Self::Object(fields) => write_fields(out, fields.iter().map(|(key, value)| (key.as_ref(), value))),
            Self::Event(_) => return self.clone().opened().write_json(out),
        }
        true
    }

    /// A value that owns all its text.
    #[must_use]
    pub fn from_json(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Boolean(value),
            serde_json::Value::Number(value) => Value::Number(value.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Value::Text(Cow::Owned(text)),
            serde_json::Value::Array(items) => Value::Array(items.into_iter().map(Value::from_json).collect()),
            serde_json::Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (Cow::Owned(key), Value::from_json(value)));
                Value::Object(in_order(fields.collect()))
            }
        }
    }
}

fn write_fields<'v, 'a: 'v>(out: &mut String, fields: impl Iterator<Item = (&'v str, &'v Value<'a>)>) {
    out.push('{');
    let mut first = true;
    for (key, value) in fields {
        let before = out.len();
        if !first {
            out.push(',');
        }
        json::write_string(out, key);
        out.push(':');
        if value.write_json(out) {
            first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push('}');
}

/// What `String(number)` is in JavaScript.
#[must_use]
pub fn number_text(value: f64) -> String {
    ryu_js::Buffer::new().format(value).to_owned()
}
