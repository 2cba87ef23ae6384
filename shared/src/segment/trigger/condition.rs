//! A parsed trigger, and whether it holds.

use crate::json::{self, Object, RawJson};
use crate::segment::value::Value;

/// A condition, or several of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold.
    All(Vec<Condition>),
    /// One holds.
    Any(Vec<Condition>),
    /// A field of the event passes a test.
    Field(EventField, Test),
}

/// Where in the event: `type`, `event`, `name`, `userId`, or a path below `properties`, `traits`, `context`.
#[derive(Debug, Clone, PartialEq)]
pub struct EventField {
    /// The event's own field.
    pub root: &'static str,
    /// The keys below it.
    pub path: Vec<String>,
}

/// What is asked of a field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is this string.
    Is(String),
    /// It is not this string; true also of what is not a string, or not there.
    IsNot(String),
    /// It is a number, and this one.
    NumberIs(f64),
    /// It is a number, and another one.
    NumberIsNot(f64),
    /// It is a number, and stands so to this one.
    Number(Comparison, f64),
    /// It is a string with this part, or (negated) without.
    Text(Part, String, Negated),
    /// It is neither undefined nor null.
    Exists,
    /// It is undefined or null.
    IsMissing,
    /// It is this boolean.
    Boolean(bool),
}

/// How a number stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// Where in a string a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Anywhere.
    Anywhere,
    /// At the beginning.
    Start,
    /// At the end.
    End,
}

/// Whether `!` stands before a function.
pub type Negated = bool;

impl Condition {
    /// Whether the condition holds for an event with these fields.
    pub fn holds(&self, event: &Object<'_>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(event)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(event)),
            Self::Field(field, test) => match field.find(event) {
                Found::Raw(raw) => test.passes_raw(raw),
                Found::Value(value) => test.passes(&value),
            },
        }
    }
}

/// What stands at a field: nearly always bytes of the event.
enum Found<'a> {
    Raw(RawJson<'a>),
    Value(Value<'a>),
}

impl EventField {
    fn find<'a>(&self, event: &Object<'a>) -> Found<'a> {
        let mut object = event;
        let mut key = self.root;
        for (depth, next) in self.path.iter().enumerate() {
            if let Some(inside) = object.get_object(key) {
                object = inside;
            } else {
                // JavaScript goes on into strings and arrays, and stops at what is falsy.
                let value = object.get(key).map_or(Value::Undefined, Value::Raw);
                return Found::Value(self.path[depth..].iter().fold(value, |value, key| value.get(key)));
            }
            key = next;
        }
        object.get(key).map_or(Found::Value(Value::Undefined), Found::Raw)
    }
}

impl Test {
    fn passes_raw(&self, raw: RawJson<'_>) -> bool {
        match self {
            Self::Is(expected) => is_string(raw, expected),
            Self::IsNot(expected) => !is_string(raw, expected),
            _ => self.passes(&Value::Raw(raw)),
        }
    }

    fn passes(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Is(expected) => value.as_text().is_some_and(|text| text == *expected),
            Self::IsNot(expected) => value.as_text().is_none_or(|text| text != *expected),
            #[allow(clippy::float_cmp)] // what the sender wrote is what is compared
            Self::NumberIs(expected) => value.as_number().is_some_and(|number| number == *expected),
            #[allow(clippy::float_cmp)]
            Self::NumberIsNot(expected) => value.as_number().is_some_and(|number| number != *expected),
            Self::Number(comparison, than) => value.as_number().is_some_and(|number| match comparison {
                Comparison::Less => number < *than,
                Comparison::AtMost => number <= *than,
                Comparison::Greater => number > *than,
                Comparison::AtLeast => number >= *than,
            }),
            Self::Text(part, expected, negated) => {
                value.as_text().is_some_and(|text| part.is_in(&text, expected) != *negated)
            }
            Self::Exists => value.exists(),
            Self::IsMissing => !value.exists(),
            Self::Boolean(expected) => value.as_boolean() == Some(*expected),
        }
    }
}

impl Part {
    fn is_in(self, text: &str, part: &str) -> bool {
        match self {
            Self::Anywhere => text.contains(part),
            Self::Start => text.starts_with(part),
            Self::End => text.ends_with(part),
        }
    }
}

/// Whether JSON is this string; without an escape in it that is a comparison of bytes.
fn is_string(raw: RawJson<'_>, expected: &str) -> bool {
    let json = raw.get();
    let Some(inside) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    if inside.contains('\\') { json::string(raw).is_some_and(|text| text == expected) } else { inside == expected }
}
