//! A value while a trigger or a mapping works on it, with JavaScript's notions of undefined, truth, and text.
//!
//! Segment's own implementation is written in JavaScript, and what teams built there relies on these notions. What comes
//! from the event stays a [`Value::Raw`] until something has to look inside.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde_json::value::RawValue;

use crate::json::{self, Kind, Object, RawJson};

/// Arrays inside each other beyond this have no text: JSON of an event may be nested deeper than a stack bears.
const DEEPEST_TEXT: usize = 128;

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
    Event(&'a dyn Fields),
}

/// An event's fields, whatever lives longer than they are looked at.
pub trait Fields: fmt::Debug {
    /// The value at a path of keys, as far as objects lead there: what is found, and the keys that are left.
    fn find<'s, 'k>(&'s self, keys: &'k [String]) -> (Option<RawJson<'s>>, &'k [String]);

    /// The fields in their order.
    fn all(&self) -> Vec<(Cow<'_, str>, RawJson<'_>)>;
}

impl Fields for Object<'_> {
    fn find<'s, 'k>(&'s self, keys: &'k [String]) -> (Option<RawJson<'s>>, &'k [String]) {
        let Some((first, rest)) = keys.split_first() else { return (None, keys) };
        match self.get_object(first) {
            Some(inside) if !rest.is_empty() => inside.find(rest),
            _ => (self.get(first), rest),
        }
    }

    fn all(&self) -> Vec<(Cow<'_, str>, RawJson<'_>)> {
        self.iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect()
    }
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
            Self::Event(fields) => {
                let fields = ordered(fields.all());
                write_fields(out, fields.iter().map(|(key, value)| (key.as_ref(), value)));
            }
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

/// A key that is an array's index: digits without a leading zero.
fn index(key: &str) -> Option<usize> {
    let digits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (key == "0" || !key.starts_with('0'))).then(|| key.parse().ok()).flatten()
}

fn ordered<'a>(fields: Vec<(Cow<'a, str>, RawJson<'a>)>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    in_order(fields.into_iter().map(|(key, raw)| (key, Value::Raw(raw))).collect())
}

/// Fields as a JavaScript object has them: each key once with its last value, keys that are indexes first and by number.
#[must_use]
pub fn in_order<'a>(fields: Vec<(Cow<'a, str>, Value<'a>)>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    let mut ordered = if fields.len() <= FEW_FIELDS { last_of_few(fields) } else { last_of_many(fields) };
    if ordered.iter().any(|(key, _)| index(key).is_some()) {
        ordered.sort_by_cached_key(|(key, _)| index(key).unwrap_or(usize::MAX));
    }
    ordered
}

/// Up to so many fields, comparing each with each is quicker than a table; beyond it the work would grow with the square.
const FEW_FIELDS: usize = 16;

fn last_of_few<'a>(fields: Vec<(Cow<'a, str>, Value<'a>)>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    let mut ordered: Vec<(Cow<'a, str>, Value<'a>)> = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        match ordered.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => ordered.push((key, value)),
        }
    }
    ordered
}

fn last_of_many<'a>(fields: Vec<(Cow<'a, str>, Value<'a>)>) -> Vec<(Cow<'a, str>, Value<'a>)> {
    // For each key, in the order of their first places, its last place.
    let mut lasts: Vec<usize> = Vec::with_capacity(fields.len());
    let mut ranks: HashMap<&str, usize> = HashMap::with_capacity(fields.len());
    for (place, (key, _)) in fields.iter().enumerate() {
        match ranks.entry(key.as_ref()) {
            Entry::Occupied(rank) => lasts[*rank.get()] = place,
            Entry::Vacant(rank) => {
                rank.insert(lasts.len());
                lasts.push(place);
            }
        }
    }
    drop(ranks);
    if lasts.len() == fields.len() {
        return fields;
    }
    let mut fields: Vec<_> = fields.into_iter().map(Some).collect();
    lasts.into_iter().filter_map(|place| fields[place].take()).collect()
}

/// What `String(number)` is in JavaScript.
#[must_use]
pub fn number_text(value: f64) -> String {
    ryu_js::Buffer::new().format(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `JSON.parse` and `Object.entries` have it, below and above the number of fields from which a table is used.
    #[test]
    fn each_key_stands_once_in_its_first_place_with_its_last_value_however_many_there_are() {
        for unique in [3_u32, 300] {
            let field = |key: String, value: u32| (Cow::Owned(key), Value::Number(value.into()));
            let twice = (0..2).flat_map(|round| (0..unique).map(move |n| field(format!("k{n}"), n + round * 1000)));
            let fields: Vec<_> = twice.chain([field("7".to_owned(), 7), field("0".to_owned(), 0)]).collect();
            let ordered = in_order(fields);
            let keys: Vec<_> = ordered.iter().map(|(key, _)| key.to_string()).collect();
            let expected = ["0".to_owned(), "7".to_owned()].into_iter().chain((0..unique).map(|n| format!("k{n}")));
            assert_eq!(keys, expected.collect::<Vec<_>>());
            assert!(ordered.iter().skip(2).all(|(_, value)| value.as_number().is_some_and(|n| n >= 1000.0)));
        }
    }

    #[test]
    fn a_character_outside_the_basic_plane_taken_by_its_place_is_the_replacement_character() {
        let text = Value::Text(Cow::Borrowed("a😀"));
        assert_eq!(text.get("1").as_text().as_deref(), Some("\u{fffd}"));
    }
}
