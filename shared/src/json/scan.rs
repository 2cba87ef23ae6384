//! Going over JSON text: is it well-formed, and where does each value begin and end.
//!
//! It takes what `serde_json` takes and nothing else; `shared/tests/fuzz.rs` holds it to that. (A key in which a surrogate
//! stands alone it takes as well, where `serde_json` would not.)

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::raw::unescaped;

/// The most objects and arrays inside each other, the outermost counted, that an event may have.
pub const DEEPEST: u32 = 64;

/// The first byte that cannot stand in a string as it is: a quote, a backslash, a control character.
///
/// Eight bytes at once: in a word, a byte that is zero (after the quote or the backslash is taken off by exclusive or) or
/// below 0x20 borrows from its highest bit when it is lowered. A borrow may mark bytes above the first as well, never below.
pub(super) fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHEST_BITS;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let special =
            below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if special != 0 {
            return Some(at + special.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    bytes[at..].iter().position(is_special).map(|found| at + found)
}

/// Goes over JSON text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many containers are open around the value that is gone over.
    pub(super) around: u32,
    /// Whether values nested deeper than [`DEEPEST`] are taken too.
    deep: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, deep: bool) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, around: 0, deep }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn expect(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// A key with the colon behind it.
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        let escaped = self.skip_string()?;
        let quoted = &self.text[start..self.at];
        self.skip_space();
        self.expect(b':')?;
        if escaped {
            return unescaped(quoted).map(Cow::Owned);
        }
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }

    /// Goes over one value, whatever is in it, without recursion.
    pub(super) fn skip_value(&mut self) -> Option<()> {
        let start = self.at;
        if self.skip_shallow_value().is_some() {
            return Some(());
        }
        self.at = start;
        if self.deep { self.skip_deep_value() } else { None }
    }

    /// What the quick way does not take is not well-formed, or nested deep; `serde_json` tells which. Either is gone over a
    /// second time and no more, so that the work stays linear.
    #[cold]
    fn skip_deep_value(&mut self) -> Option<()> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<&RawValue>();
        values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(())
    }

    /// Whether all of the text has been gone over, up to white space.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// Where it stands.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// What it has gone over since a position.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    fn skip_shallow_value(&mut self) -> Option<()> {
        // A bit for each open container, the innermost last: 1 for an object.
        let mut containers: u128 = 0;
        let mut depth = 0;
        loop {
            self.skip_space();
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    self.skip_space();
                    let is_object = open == b'{';
                    if self.peek()? == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        depth += 1;
                        if self.around + depth > DEEPEST {
                            return None;
                        }
                        containers = (containers << 1) | u128::from(is_object);
                        if is_object {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                b'"' => drop(self.skip_string()?),
                b't' => self.skip_word("true")?,
                b'f' => self.skip_word("false")?,
                b'n' => self.skip_word("null")?,
                _ => self.skip_number()?,
            }
            // A value has ended, and perhaps the containers that it was the last in.
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.skip_space();
                match (self.next()?, containers & 1 == 1) {
                    (b',', true) => {
                        self.skip_space();
                        self.skip_key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        containers >>= 1;
                        depth -= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn skip_key(&mut self) -> Option<()> {
        self.skip_string()?;
        self.skip_space();
        self.expect(b':')
    }

    fn skip_word(&mut self, word: &str) -> Option<()> {
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Goes over a string, quotes included, and tells whether it has an escape.
    fn skip_string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            let rest = &self.bytes[self.at..];
            let stop = first_special(rest)?;
            self.at += stop + 1;
            match rest[stop] {
                b'"' => return Some(escaped),
                b'\\' => {
                    escaped = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    fn skip_number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.skip_some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.skip_some_digits()?;
        }
        Some(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn skip_some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_digits();
        (self.at > start).then_some(())
    }
}
