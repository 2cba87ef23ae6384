//! Writing an object, field after field.

use super::scan;

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
    fn what_write_string_writes_any_reader_reads_back() {
        let text = "quote \" back \\ line \n tab \t nul \u{0} bell \u{7} paragraph \u{2029} 🌍";
        let mut out = String::new();
        write_string(&mut out, text);
        assert_eq!(serde_json::from_str::<String>(&out).expect("JSON"), text);
    }
}
