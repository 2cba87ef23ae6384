//! The elements of an array.

use serde::de::Error as _;
use serde_json::value::RawValue;

use super::scan::Scanner;

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
/// When it is not an array, or not well-formed.
pub fn elements(json: &str, most: usize) -> Result<Elements<'_>, serde_json::Error> {
    scanned(json, most).ok_or_else(|| match serde_json::from_str::<&RawValue>(json) {
        Err(error) => error,
        Ok(_) => serde_json::Error::custom("an array is expected"),
    })
}

/// The first `most` elements of the array that `text` is. None when it is not an array or not well-formed.
fn scanned(text: &str, most: usize) -> Option<Elements<'_>> {
    let mut scanner = Scanner::new(text, true);
    let mut values = Vec::new();
    scanner.skip_space();
    scanner.expect(b'[')?;
    scanner.skip_space();
    if scanner.peek()? == b']' {
        scanner.next();
    } else {
        loop {
            if values.len() == most {
                return Some(Elements { values, more: true });
            }
            let start = scanner.position();
            scanner.skip_value()?;
            values.push(scanner.since(start));
            scanner.skip_space();
            match scanner.next()? {
                b',' => scanner.skip_space(),
                b']' => break,
                _ => return None,
            }
        }
    }
    scanner.is_at_end().then_some(Elements { values, more: false })
}
