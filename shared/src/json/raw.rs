//! A value that is still its bytes.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use super::surrogates::without_lone_surrogates;

/// A piece of JSON text that is well-formed, without white space around it.
#[derive(Debug, Clone, Copy)]
pub struct RawJson<'a>(pub(super) &'a str);

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

/// JSON text without the white space around it.
#[must_use]
pub fn trim(json: &str) -> &str {
    json.trim_matches([' ', '\n', '\t', '\r'])
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
pub(super) fn unescaped(quoted: &str) -> Option<String> {
    serde_json::from_str(&without_lone_surrogates(quoted)).ok()
}
