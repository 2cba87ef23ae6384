//! A value → what a field of a type takes, as Segment's own validation coerces it.
//!
//! The reference (npm `@segment/actions-core`, `schema-validation.js`) leaves empty values out and gives the rest to ajv with
//! `coerceTypes: 'array'` (<https://ajv.js.org/coercion.html>): a number or a boolean for a string becomes its text, and an
//! array of one such value is taken for the value. Nothing becomes an object but an object.

use std::borrow::Cow;

use crate::json::Kind;
use crate::segment::value::Value;

/// A field of the type string; none for undefined, null and the empty text.
///
/// # Errors
/// With the kind of a value that has no text.
pub fn text(value: Value<'_>) -> Result<Option<Cow<'_, str>>, Kind> {
    match value.kind() {
        None | Some(Kind::Null) => Ok(None),
        Some(Kind::Array) => {
            let Value::Array(items) = value.opened() else { return Err(Kind::Array) };
            match items.as_slice() {
                // Empty values are left out before arrays are opened, so that an empty text in one stays.
                [one] if matches!(one.kind(), Some(Kind::Null)) => Ok(Some(Cow::Borrowed(""))),
                [one] => scalar(one).map(Some).ok_or(Kind::Array),
                _ => Err(Kind::Array),
            }
        }
        Some(kind) => scalar(&value).map(|text| Some(text).filter(|text| !text.is_empty())).ok_or(kind),
    }
}

/// A field of the type object; none for undefined, null and the empty text.
///
/// # Errors
/// With the kind of any other value.
pub fn object(value: Value<'_>) -> Result<Option<Value<'_>>, Kind> {
    match value.kind() {
        None | Some(Kind::Null) => Ok(None),
        Some(Kind::Object) => Ok(Some(value)),
        Some(Kind::String) if value.as_text().is_some_and(|text| text.is_empty()) => Ok(None),
        Some(kind) => Err(kind),
    }
}

/// What `"" + value` is in JavaScript for a string, a number and a boolean.
fn scalar<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    matches!(value.kind(), Some(Kind::String | Kind::Number | Kind::Boolean)).then(|| value.to_text())
}
