//! `@flatten`: `{"a":{"b":1}}` to `{"a.b":1}`.

use std::borrow::Cow;

use super::budget::{Budget, DEEPEST_VALUE, RenderError};
use crate::segment::value::{Value, in_order};

/// Flattens objects, and arrays unless they are to stay. What is neither is the value of an empty key.
pub fn flatten<'a>(
    value: Value<'a>,
    separator: &str,
    keep_arrays: bool,
    budget: &mut Budget,
) -> Result<Value<'a>, RenderError> {
    let mut flat = Vec::new();
    collect(value, String::new(), separator, keep_arrays, &mut flat, budget, 0)?;
    Ok(Value::Object(in_order(flat)))
}

fn collect<'a>(
    value: Value<'a>,
    prefix: String,
    separator: &str,
    keep_arrays: bool,
    flat: &mut Vec<(Cow<'a, str>, Value<'a>)>,
    budget: &mut Budget,
    depth: usize,
) -> Result<(), RenderError> {
    budget.spend(1)?;
    budget.spend_bytes(prefix.len())?;
    if depth > DEEPEST_VALUE {
        return Err(RenderError::too_deep());
    }
    if !value.is_object() && (keep_arrays || !value.is_array()) {
        flat.push((Cow::Owned(prefix), value));
        return Ok(());
    }
    let below = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}{separator}{key}") };
    match value.opened() {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(value, below(&key), separator, keep_arrays, flat, budget, depth + 1)?;
            }
        }
        Value::Array(items) => {
            for (at, item) in items.into_iter().enumerate() {
                collect(item, below(&at.to_string()), separator, keep_arrays, flat, budget, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}
