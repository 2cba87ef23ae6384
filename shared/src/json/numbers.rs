//! Numbers that JSON can write and nobody can read: `1e999` is JSON by its grammar, and more than a double holds.

use super::scan::first_special;

/// A double has at most 309 digits before its point, so that a shorter number without an exponent is always one.
const SURELY_FINITE: usize = 308;
/// The longest path that a reason shows.
const LONGEST_PATH: usize = 200;

/// Where the value that is gone over stands: in an object under a key, or in an array at a place.
enum Inside<'a> {
    Object(&'a str),
    Array(usize),
}

/// The path of the first number of a well-formed JSON text that is too large for a double (`properties.sizes[2]`). Strict
/// readers refuse the whole text for it; JavaScript reads it as infinite and writes it as null.
#[must_use]
pub fn number_out_of_range(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let mut around: Vec<Inside<'_>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => around.push(Inside::Object("")),
            b'[' => around.push(Inside::Array(0)),
            b'}' | b']' => drop(around.pop()),
            b',' => {
                if let Some(Inside::Array(place)) = around.last_mut() {
                    *place += 1;
                }
            }
            b'"' => {
                let end = end_of_string(bytes, at)?;
                // A string before a colon is a key.
                let behind = bytes[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                if behind == Some(&b':')
                    && let Some(Inside::Object(key)) = around.last_mut()
                {
                    *key = &json[at + 1..end - 1];
                }
                at = end;
                continue;
            }
            b'-' | b'0'..=b'9' => {
                let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = bytes[at..].iter().position(|byte| !is_number(byte)).unwrap_or(bytes.len() - at);
                if is_out_of_range(&json[at..at + length]) {
                    return Some(path(&around));
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_out_of_range(number: &str) -> bool {
    (number.len() > SURELY_FINITE || number.contains(['e', 'E'])) && number.parse().is_ok_and(f64::is_infinite)
}

/// The place behind the closing quote of the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += first_special(bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            // An escape has at least one byte behind its backslash.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn path(around: &[Inside<'_>]) -> String {
    let mut path = String::new();
    for inside in around {
        if path.len() > LONGEST_PATH {
            break;
        }
        match inside {
            Inside::Array(place) => path.extend(["[", &place.to_string(), "]"]),
            Inside::Object(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
    }
    path.truncate(path.floor_char_boundary(LONGEST_PATH));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_no_double_holds_is_named_by_its_path() {
        let digits = format!(r#"{{"n":{}}}"#, "9".repeat(400));
        for (json, expected) in [
            (r#"{"a":1e308,"b":-1.5e-999,"c":123456789012345678901234567890}"#, None),
            (r#"{"a":"1e999","1e999":"x, \"y\": 1e999","b":[0,1]}"#, None),
            (r#"{"properties":{"a":{"b":1},"n" : 1e999}}"#, Some("properties.n")),
            (r#"{"properties":{"list":[1,{"x":"e"},[2,-1E+400]]}}"#, Some("properties.list[2][1]")),
            (&digits, Some("n")),
            ("1e400", Some("")),
        ] {
            assert_eq!(number_out_of_range(json).as_deref(), expected, "{json}");
        }
    }
}
