//! What filters do with a text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    first + &characters.as_str().to_lowercase()
}

pub fn replaced(text: &str, pattern: &str, replacement: &str) -> String {
    if pattern.is_empty() {
        // `split("")` parts between all characters.
        return text.chars().map(String::from).collect::<Vec<_>>().join(replacement);
    }
    text.replace(pattern, replacement)
}

pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

pub fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tag = &rest[at..];
        let closing = [("<script", "</script>"), ("<style", "</style>"), ("<!--", "-->")];
        let end = closing
            .iter()
            .find(|(open, _)| tag.starts_with(open))
            .and_then(|(_, close)| Some(tag.find(close)? + close.len()));
        match end.or_else(|| tag.find('>').map(|end| end + 1)) {
            Some(end) => rest = &tag[end..],
            None => break,
        }
    }
    out.push_str(rest);
    out
}

/// What `encodeURIComponent` leaves as it is, and the space, which is `+`.
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b' ');

/// `encodeURIComponent` with `+` for a space.
pub fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, UNESCAPED).to_string().replace(' ', "+")
}

pub fn url_decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
