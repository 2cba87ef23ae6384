//! Reading JSON without building a tree: a view of an object's fields, each still the bytes that it came in.
//!
//! An event is read once at intake and once at delivery, and most of it goes through unchanged. So values stay
//! [`RawJson`], numbers keep all their digits, and only what a decision needs is looked into.

mod numbers;
mod scan;
mod surrogates;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use serde::de::Error as _;
use serde_json::value::RawValue;
use thiserror::Error;

pub use numbers::number_out_of_range;
pub use surrogates::without_lone_surrogates;

/// A piece of JSON text that is well-formed, without white space around it.
#[derive(Debug, Clone, Copy)]
pub struct RawJson<'a>(&'a str);

impl<'a> RawJson<'a> {
    /// The text.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'a> From<&'a RawValue> for RawJson<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

/// The most objects and arrays inside each other, the outermost counted, that an event may have.
pub const DEEPEST: u32 = 64;

/// Why some text is no object that is taken.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ObjectError {
    /// It is no JSON; the parser's message, with line and column.
    #[error("{0}")]
    NotJson(String),
    /// It is JSON of another kind.
    #[error("an object is expected, this is {0}")]
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

/// Where the elements of an array stand.
#[derive(Debug)]
pub struct Elements<'a> {
    /// Each is well-formed JSON, without white space around it.
    pub values: Vec<&'a str>,
    /// The array has more than were asked for, and these were not looked at.
    pub more: bool,
}

/// The elements of the array that `json` is, up to `most` of them.
///
/// # Errors
/// When it is no array, or not well-formed.
pub fn elements(json: &str, most: usize) -> Result<Elements<'_>, serde_json::Error> {
    scan::elements(json, most).ok_or_else(|| match serde_json::from_str::<&RawValue>(json) {
        Err(error) => error,
        Ok(_) => serde_json::Error::custom("an array is expected"),
    })
}

/// JSON text without the white space around it.
#[must_use]
pub fn trim(json: &str) -> &str {
    json.trim_matches([' ', '\n', '\t', '\r'])
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
        scan::object(json, scan::Wanted::Fields)
    }

    /// Reads JSON text when it is an object nested no deeper than [`DEEPEST`], and the objects that are its values in the
    /// same pass.
    ///
    /// # Errors
    /// When it is not that.
    pub fn with_children(json: &'a str) -> Result<Self, ObjectError> {
        scan::object(json, scan::Wanted::FieldsAndChildren).ok_or_else(|| ObjectError::of(json))
    }

    /// Reads the fields of these keys and no others when JSON text is an object, however many it has: what is kept of it
    /// does not grow with it.
    ///
    /// # Errors
    /// When it is no object.
    pub fn only(json: &'a str, keys: &[&str]) -> Result<Self, ObjectError> {
        scan::object(json, scan::Wanted::Only(keys)).ok_or_else(|| ObjectError::of(json))
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

/// What kind of JSON value stands in some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// a number
    Number,
    /// a string
    String,
    /// an array
    Array,
    /// an object
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// The kind of a value, told from its first byte.
#[must_use]
pub fn kind(value: RawJson<'_>) -> Kind {
    // A raw value begins with its first character, white space before it is no part of it.
    match value.get().as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// The value as text when it is a string; borrowed unless it holds an escape.
#[must_use]
pub fn string(value: RawJson<'_>) -> Option<Cow<'_, str>> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    unescaped(value.get()).map(Cow::Owned)
}

/// What a string with its quotes says; a surrogate that stands alone is U+FFFD.
fn unescaped(quoted: &str) -> Option<String> {
    serde_json::from_str(&without_lone_surrogates(quoted)).ok()
}

/// Appends `text` as a JSON string, quoted and escaped.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    // Nearly no text has anything to escape, and telling so is a quick pass over its bytes.
    match scan::first_special(text.as_bytes()) {
        Some(_) => write_escaped(out, text),
        None => out.push_str(text),
    }
    out.push('"');
}

fn write_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}' => {
                // A control character: two hex digits say it.
                let code = u32::from(character);
                out.push_str("\\u00");
                out.extend([code >> 4, code & 0xf].into_iter().filter_map(|digit| char::from_digit(digit, 16)));
            }
            _ => out.push(character),
        }
    }
}

/// Writes one JSON object into a string, field after field.
///
/// ```
/// use koala_destination::json::ObjectWriter;
///
/// let mut out = String::new();
/// let mut object = ObjectWriter::start(&mut out);
/// object.string("type", "track");
/// object.raw("properties", "{}");
/// object.end();
/// assert_eq!(out, r#"{"type":"track","properties":{}}"#);
/// ```
#[derive(Debug)]
pub struct ObjectWriter<'o> {
    out: &'o mut String,
    first: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens the object.
    pub fn start(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    /// A field whose value is JSON already.
    pub fn raw(&mut self, key: &str, json: &str) {
        self.key(key).push_str(json);
    }

    /// A field whose value is text.
    pub fn string(&mut self, key: &str, text: &str) {
        write_string(self.key(key), text);
    }

    /// Writes the key; what the caller appends is its value.
    pub fn key(&mut self, key: &str) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        write_string(self.out, key);
        self.out.push(':');
        self.out
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push('}');
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

    #[test]
    fn what_write_string_writes_any_reader_reads_back() {
        let text = "quote \" back \\ line \n tab \t nul \u{0} bell \u{7} paragraph \u{2029} 🌍";
        let mut out = String::new();
        write_string(&mut out, text);
        assert_eq!(serde_json::from_str::<String>(&out).expect("JSON"), text);
    }
}
