//! A value while a trigger or a mapping works on it, with JavaScript's notions of undefined, truth, and text.
//!
//! Segment's own implementation is written in JavaScript, and what teams built there relies on these notions. What comes
//! from the event stays a [`Value::Raw`] until something has to look inside.

mod fields;
mod order;
mod text;

pub use fields::EventFields;
pub use order::in_order;
pub use text::number_text;

use std::borrow::Cow;

use serde_json::value::RawValue;

use self::order::index;
use crate::json::{self, Kind, Object, RawJson};

/// A JSON value or undefined.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Not there; an undefined field is left out, which null is not.
    Undefined,
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number, as JavaScript has them.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object, its fields in JavaScript's order.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
    /// JSON of the event, unparsed.
    Raw(RawJson<'a>),
    /// The event itself, its fields found already.
    Event(&'a dyn EventFields),
}

impl<'a> Value<'a> {
    /// The value with its outermost layer parsed: never [`Value::Raw`] nor [`Value::Event`].
    #[must_use]
    pub fn opened(self) -> Self {
        match self {
            Self::Raw(raw) => open(raw),
            Self::Event(fields) => Self::Object(ordered(fields.all())),
            value => value,
        }
    }

    /// What `value && value[key]` is in JavaScript.
    #[must_use]
    pub fn get(&self, key: &str) -> Value<'a> {
        match self {
            Self::Event(fields) => fields.find(&[key.to_owned()]).0.map_or(Self::Undefined, Self::Raw),
            Self::Object(fields) => {
                fields.iter().find(|(name, _)| name == key).map_or(Self::Undefined, |(_, value)| value.clone())
            }
            Self::Array(items) => match key {
                #[allow(clippy::cast_precision_loss)] // an array of 2^53 items does not fit in memory
                "length" => Self::Number(items.len() as f64),
                _ => index(key).and_then(|at| items.get(at)).cloned().unwrap_or(Self::Undefined),
            },
            Self::Text(text) if !text.is_empty() => character(text, key),
            Self::Raw(raw) => match json::kind(*raw) {
                Kind::Object => json::find(*raw, key).map_or(Self::Undefined, Self::Raw),
                Kind::Null => Self::Null,
                _ => self.clone().opened().get(key),
            },
            // JavaScript's && gives back what is falsy.
            falsy if !falsy.is_truthy() => falsy.clone(),
            _ => Self::Undefined,
        }
    }

    /// Whether JavaScript takes it for true.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Boolean(value) => *value,
            Self::Number(value) => *value != 0.0 && !value.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::Array(_) | Self::Object(_) | Self::Event(_) => true,
            Self::Raw(raw) => match raw.get() {
                "null" | "false" | "\"\"" => false,
                _ if json::kind(*raw) == Kind::Number => number(*raw) != 0.0,
                _ => true,
            },
        }
    }

    /// Whether it is neither undefined nor null.
    #[must_use]
    pub fn exists(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Raw(raw) => json::kind(*raw) != Kind::Null,
            _ => true,
        }
    }

    /// Its kind as JSON; none for undefined.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Undefined => return None,
            Self::Null => Kind::Null,
            Self::Boolean(_) => Kind::Boolean,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::String,
            Self::Array(_) => Kind::Array,
            Self::Object(_) | Self::Event(_) => Kind::Object,
            Self::Raw(raw) => json::kind(*raw),
        })
    }

    /// Whether it is an object, and no array.
    #[must_use]
    pub fn is_object(&self) -> bool {
        match self {
            Self::Object(_) | Self::Event(_) => true,
            Self::Raw(raw) => json::kind(*raw) == Kind::Object,
            _ => false,
        }
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(&self) -> bool {
        match self {
            Self::Array(_) => true,
            Self::Raw(raw) => json::kind(*raw) == Kind::Array,
            _ => false,
        }
    }

    /// Its text when it is a string.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Raw(raw) if json::kind(*raw) == Kind::String => Some(text(*raw)),
            _ => None,
        }
    }

    /// Its number when it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Raw(raw) if json::kind(*raw) == Kind::Number => Some(number(*raw)),
            _ => None,
        }
    }

    /// Its truth value when it is a boolean.
    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Raw(raw) => match raw.get() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

fn open(raw: RawJson<'_>) -> Value<'_> {
    match json::kind(raw) {
        Kind::Null => Value::Null,
        Kind::Boolean => Value::Boolean(raw.get() == "true"),
        Kind::Number => Value::Number(number(raw)),
        Kind::String => Value::Text(text(raw)),
        Kind::Array => {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
            Value::Array(items.into_iter().map(|item| Value::Raw(item.into())).collect())
        }
        Kind::Object => Value::Object(ordered(Object::from_raw(raw).unwrap_or_default().entries().collect())),
    }
}

/// JSON's numbers are a part of what `f64` reads; one too large is infinite, as in JavaScript.
fn number(raw: RawJson<'_>) -> f64 {
    raw.get().parse().unwrap_or(f64::NAN)
}

/// A string's text. Half a surrogate pair, which JavaScript lets stand alone, is U+FFFD.
fn text(raw: RawJson<'_>) -> Cow<'_, str> {
    json::string(raw).unwrap_or_default()
}

/// `"text"[key]`: UTF-16 units there, so what lies outside the basic plane gives half a surrogate pair, which is U+FFFD.
fn character<'a>(text: &str, key: &str) -> Value<'a> {
    if key == "length" {
        #[allow(clippy::cast_precision_loss)] // no string has 2^53 units
        return Value::Number(text.encode_utf16().count() as f64);
    }
    let unit = index(key).and_then(|at| text.encode_utf16().nth(at));
    let unit = unit.map(|unit| char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
    unit.map_or(Value::Undefined, |unit| Value::Text(Cow::Owned(unit.to_string())))
}

fn ordered<'a>(fields: Vec<(Cow<'a, str>, RawJson<'a>)>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    in_order(fields.into_iter().map(|(key, raw)| (key, Value::Raw(raw))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_outside_the_basic_plane_taken_by_its_place_is_the_replacement_character() {
        let text = Value::Text(Cow::Borrowed("a😀"));
        assert_eq!(text.get("1").as_text().as_deref(), Some("\u{fffd}"));
    }
}
