//! Half a surrogate pair that stands alone, as JavaScript leaves it when `slice` cuts a text inside an emoji.
//!
//! `"\ud83d"` is JSON by its grammar, and no Unicode text: many readers refuse the whole document for it (RFC 8259, 8.2).
//! It is taken as U+FFFD, as `TextEncoder` and `String.prototype.toWellFormed` take it.

use std::borrow::Cow;

/// The length of `\ud83d`, and of `\ufffd`.
const ESCAPE_BYTES: usize = 6;

/// JSON text with `\ufffd` for each surrogate that has no other half. Everything else stays where it stood: both escapes
/// have the same length.
#[must_use]
pub fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    // Most texts have no surrogate at all, and two searches for a text are quick.
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let bytes = json.as_bytes();
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = json[at..].find('\\') {
        at += found;
        match unit(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(unit(bytes, at + ESCAPE_BYTES), Some(0xdc00..=0xdfff)) => {
                at += 2 * ESCAPE_BYTES;
            }
            Some(0xd800..=0xdfff) => {
                if out.capacity() == 0 {
                    out.reserve_exact(json.len());
                }
                out.push_str(&json[copied..at]);
                out.push_str("\\ufffd");
                at += ESCAPE_BYTES;
                copied = at;
            }
            Some(_) => at += ESCAPE_BYTES,
            // A backslash escapes the next byte, another backslash too. In what is not JSON a longer character may follow.
            None if bytes.get(at + 1).is_some_and(u8::is_ascii) => at += 2,
            None => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[copied..]);
    Cow::Owned(out)
}

/// The UTF-16 unit that `\uXXXX` at a place says.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values from `JSON.stringify(JSON.parse(text).toWellFormed())` of V8, less its own choice of escapes.
    #[test]
    fn only_a_surrogate_without_its_other_half_becomes_the_replacement_character() {
        for (text, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#"{"\udfff":"é\ud800"}"#, r#"{"\ufffd":"é\ufffd"}"#),
            ("\"\\é\\ud800", "\"\\é\\ufffd"),
            (r#""\ud8"#, r#""\ud8"#),
        ] {
            assert_eq!(without_lone_surrogates(text), expected, "{text}");
        }
    }
}
