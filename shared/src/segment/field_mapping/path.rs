//! Paths as the reference reads them: `$.products[0].name`, `$.properties['plan']`.

use super::budget::{Budget, RenderError};
use crate::segment::value::Value;

/// The keys of a path, with its first `$.` left out.
pub fn keys_below_root(path: &str) -> Vec<String> {
    keys(&path.replacen("$.", "", 1))
}

/// The keys of a path. None at all mean the value itself.
///
/// Keys are parted by `.`, by `[` before a quote or a digit, and by `]` after one; quotes are no part of a key. So a key
/// with a point in it cannot be named, in quotes neither: that is how it is in Segment.
pub fn keys(path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut key = String::new();
    let mut characters = path.chars().peekable();
    let mut before = None;
    while let Some(character) = characters.next() {
        let quote_or_digit = |c: char| c.is_ascii_digit() || matches!(c, '"' | '\'');
        let parts = match character {
            '.' => true,
            '[' => characters.peek().copied().is_some_and(quote_or_digit),
            ']' => before.is_some_and(quote_or_digit),
            _ => false,
        };
        if parts {
            // Brackets in a row part once.
            while character == ']' && characters.next_if_eq(&']').is_some() {}
            keys.push(std::mem::take(&mut key));
        } else {
            key.push(character);
        }
        before = Some(character);
    }
    keys.push(key);
    keys.retain(|key| !key.is_empty());
    for key in &mut keys {
        key.retain(|c| !matches!(c, '"' | '\''));
    }
    keys
}

/// What stands at a path.
pub fn follow<'a>(event: &Value<'a>, keys: &[String], budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    let Some((first, rest)) = keys.split_first() else {
        budget.spend_copy(event, 0)?;
        return Ok(event.clone());
    };
    let (mut found, rest) = match event {
        Value::Event(fields) => {
            let (found, rest) = fields.find(keys);
            (found.map_or(Value::Undefined, Value::Raw), rest)
        }
        _ => (event.get(first), rest),
    };
    for key in rest {
        found = found.get(key);
    }
    budget.spend_copy(&found, 0)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parted_as_in_the_reference() {
        for (path, expected) in [
            ("$.a.b", vec!["a", "b"]),
            ("$.products[0].name", vec!["products", "0", "name"]),
            ("$.a['b'][\"c\"]", vec!["a", "b", "c"]),
            ("$.a['dotted.key']", vec!["a", "dotted", "key"]),
            ("$.a[b]", vec!["a[b]"]),
            ("$.", vec![]),
            ("$", vec!["$"]),
            ("..a..", vec!["a"]),
        ] {
            assert_eq!(keys_below_root(path), expected, "{path}");
        }
    }
}
