//! The fields of an object.
//!
//! `serde_json`'s raw values need a pass for the text as a whole, one for the event's fields and one for each object that is
//! looked into. Here the event's fields and those of the objects in it are found in a single one.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::value::RawValue;
use thiserror::Error;

use super::raw::{Kind, RawJson, kind, string};
use super::scan::{DEEPEST, Scanner};

/// Why some text is not an object that is taken.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ObjectError {
    /// It is not JSON; the parser's message, with line and column.
    #[error("{0}")]
    NotJson(String),
    /// It is JSON of another kind.
    #[error("expected an object, got {0}")]
    NotAnObject(Kind),
    /// It has more than [`DEEPEST`] objects and arrays inside each other.
    #[error("objects and arrays are nested deeper than {DEEPEST}")]
    TooDeep,
}

impl ObjectError {
    /// What the scanner does not take has one of these faults; `serde_json` tells which.
    #[cold]
    fn of(json: &str) -> Self {
        match serde_json::from_str::<&RawValue>(json) {
            Err(error) => Self::NotJson(error.to_string()),
            Ok(value) => match kind(value.into()) {
                Kind::Object => Self::TooDeep,
                kind => Self::NotAnObject(kind),
            },
        }
    }
}

/// The fields of one JSON object, in their order, values unparsed.
///
/// Where a key stands twice the last one counts, as in `JSON.parse`. An object inside is read when it is first asked for,
/// and kept: however many triggers and fields ask, its bytes are gone through once.
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    fields: Vec<Field<'a>>,
}

#[derive(Debug, Clone)]
struct Field<'a> {
    key: Cow<'a, str>,
    value: RawJson<'a>,
    opened: OnceCell<Option<Box<Object<'a>>>>,
}

impl<'a> Object<'a> {
    /// Reads `raw` when it is an object.
    #[must_use]
    pub fn from_raw(raw: RawJson<'a>) -> Option<Self> {
        Self::from_json(raw.get())
    }

    /// Reads JSON text when it is an object.
    #[must_use]
    pub fn from_json(json: &'a str) -> Option<Self> {
        read(json, Wanted::Fields)
    }

    /// Reads JSON text when it is an object nested no deeper than [`DEEPEST`], and the objects that are its values in the
    /// same pass.
    ///
    /// # Errors
    /// When it is not that.
    pub fn with_children(json: &'a str) -> Result<Self, ObjectError> {
        read(json, Wanted::FieldsAndChildren).ok_or_else(|| ObjectError::of(json))
    }

    /// Reads the fields of these keys and no others when JSON text is an object, however many it has: what is kept of it
    /// does not grow with it.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn only(json: &'a str, keys: &[&str]) -> Result<Self, ObjectError> {
        read(json, Wanted::Only(keys)).ok_or_else(|| ObjectError::of(json))
    }

    fn field(&self, key: &str) -> Option<&Field<'a>> {
        self.fields.iter().rev().find(|field| field.key == key)
    }

    /// The value of `key`, whatever it is (also `null`).
    #[must_use]
    pub fn get(&self, key: &str) -> Option<RawJson<'a>> {
        self.field(key).map(|field| field.value)
    }

    /// The value of `key` when it is there and not `null`.
    #[must_use]
    pub fn get_present(&self, key: &str) -> Option<RawJson<'a>> {
        self.get(key).filter(|value| kind(*value) != Kind::Null)
    }

    /// The value of `key` when it is a string.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(string)
    }

    /// The value of `key` when it is an object.
    #[must_use]
    pub fn get_object(&self, key: &str) -> Option<&Object<'a>> {
        let field = self.field(key)?;
        let opened = field.opened.get_or_init(|| match kind(field.value) {
            Kind::Object => Object::from_raw(field.value).map(Box::new),
            _ => None,
        });
        opened.as_deref()
    }

    /// Whether it has no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, RawJson<'a>)> {
        self.fields.iter().map(|field| (field.key.as_ref(), field.value))
    }

    /// The fields in their order, with keys that outlive this view.
    pub fn entries(&self) -> impl Iterator<Item = (Cow<'a, str>, RawJson<'a>)> {
        self.fields.iter().map(|field| (field.key.clone(), field.value))
    }
}

/// The value of `key` in an object that is looked into once.
#[must_use]
pub fn find<'a>(object: RawJson<'a>, key: &str) -> Option<RawJson<'a>> {
    Object::from_raw(object)?.get(key)
}

/// How many objects inside an object are read along with it. An event has about six; whoever sends thousands of empty
/// ones would have memory taken for each. Beyond it each is read when it is asked for.
const MOST_CHILDREN: u32 = 32;

/// What is wanted of an object.
#[derive(Debug, Clone, Copy)]
enum Wanted<'k> {
    /// Its fields.
    Fields,
    /// Its fields, and those of the objects that are its values, unless it is nested deeper than [`DEEPEST`].
    FieldsAndChildren,
    /// Its fields of these keys.
    Only(&'k [&'k str]),
}

impl Wanted<'_> {
    fn is_for(self, key: &str) -> bool {
        match self {
            Self::Fields | Self::FieldsAndChildren => true,
            Self::Only(keys) => keys.contains(&key),
        }
    }
}

/// What is wanted of the object that `text` is. None when it is not an object, not well-formed, or nested too deep.
fn read<'a>(text: &'a str, wanted: Wanted<'_>) -> Option<Object<'a>> {
    let deep = !matches!(wanted, Wanted::FieldsAndChildren);
    let mut reader = Reader { scanner: Scanner::new(text, deep), children: 0 };
    reader.scanner.skip_space();
    let object = reader.object(wanted)?;
    reader.scanner.is_at_end().then_some(object)
}

/// Reads an object, and the objects that are its values, in one pass.
struct Reader<'a> {
    scanner: Scanner<'a>,
    /// How many objects were read along with the one around them.
    children: u32,
}

impl<'a> Reader<'a> {
    fn object(&mut self, wanted: Wanted<'_>) -> Option<Object<'a>> {
        self.scanner.expect(b'{')?;
        self.scanner.around += 1;
        self.scanner.skip_space();
        if self.scanner.peek()? == b'}' {
            self.scanner.next();
            self.scanner.around -= 1;
            return Some(Object { fields: Vec::new() });
        }
        // An event has about fourteen fields of its own: one allocation for nearly all of them.
        let mut fields = Vec::with_capacity(16);
        loop {
            let key = self.scanner.key()?;
            self.scanner.skip_space();
            let start = self.scanner.position();
            let opened = OnceCell::new();
            let with_child = matches!(wanted, Wanted::FieldsAndChildren) && self.children < MOST_CHILDREN;
            if with_child && self.scanner.peek()? == b'{' {
                self.children += 1;
                let child = self.object(Wanted::Fields)?;
                // The cell is new, so that it takes the value.
                let _ = opened.set(Some(Box::new(child)));
            } else {
                self.scanner.skip_value()?;
            }
            if wanted.is_for(&key) {
                if let Wanted::Only(_) = wanted {
                    // Where a key stands twice the last one counts.
                    fields.retain(|earlier: &Field<'_>| earlier.key != key);
                }
                fields.push(Field { key, value: RawJson(self.scanner.since(start)), opened });
            }
            self.scanner.skip_space();
            match self.scanner.next()? {
                b',' => self.scanner.skip_space(),
                b'}' => {
                    self.scanner.around -= 1;
                    return Some(Object { fields });
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_counts_as_in_javascript() {
        let object = Object::from_json(r#"{"a":1,"a":2}"#).expect("an object");
        assert_eq!(object.get("a").map(RawJson::get), Some("2"));
    }

    #[test]
    fn a_key_with_an_escape_is_found_by_its_meaning() {
        let object = Object::from_json(r#"{"\u0061":"\u0062"}"#).expect("an object");
        assert_eq!(object.get_str("a").as_deref(), Some("b"));
    }

    #[test]
    fn a_key_or_a_text_that_was_cut_inside_an_emoji_is_read_with_the_replacement_character() {
        let object = Object::from_json(r#"{"na\ud83d":"te\ud83dxt"}"#).expect("an object");
        assert_eq!(object.get_str("na\u{fffd}").as_deref(), Some("te\u{fffd}xt"));
    }

    #[test]
    fn of_an_object_with_very_many_fields_only_those_asked_for_are_kept() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let many = r#""x":{},"#.repeat(100_000);
        let json = format!(r#"{{{many}"a":1,"deep":{deep},"b":{deep},"a":2}}"#);
        let object = Object::only(&json, &["a", "b", "c"]).expect("an object");
        assert_eq!(object.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!((object.get("a").map(RawJson::get), object.get("b").map(RawJson::get)), (Some("2"), Some(&*deep)));
        assert_eq!(Object::only("[1]", &["a"]).err(), Some(ObjectError::NotAnObject(Kind::Array)));
        assert!(matches!(Object::only(r#"{"a":1,}"#, &["a"]), Err(ObjectError::NotJson(_))));
    }
}
