//! One pass over JSON text: is it well-formed, and where does each field of an object begin and end.
//!
//! `serde_json`'s raw values need a pass for the text as a whole, one for the event's fields and one for each object that is
//! looked into. Here the event's fields and those of the objects in it are found in a single one. It takes what
//! `serde_json` takes and nothing else; `shared/tests/fuzz.rs` holds it to that.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::{DEEPEST, Elements, Field, Object, RawJson};

/// The object that `text` is, with the objects that are its values if `with_children`. None when it is no object, not
/// well-formed, or nested too deep for one pass.
pub(super) fn object(text: &str, with_children: bool) -> Option<Object<'_>> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, around: 0 };
    scanner.skip_space();
    let object = scanner.object(with_children)?;
    scanner.skip_space();
    (scanner.at == text.len()).then_some(object)
}

/// The first `most` elements of the array that `text` is. None when it is no array, not well-formed, or has an element that
/// is nested too deep for one pass.
pub(super) fn elements(text: &str, most: usize) -> Option<Elements<'_>> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, around: 0 };
    let mut values = Vec::new();
    scanner.skip_space();
    scanner.expect(b'[')?;
    scanner.skip_space();
    if scanner.peek()? == b']' {
        scanner.at += 1;
    } else {
        loop {
            if values.len() == most {
                return Some(Elements { values, more: true });
            }
            let start = scanner.at;
            scanner.skip_value()?;
            values.push(&text[start..scanner.at]);
            scanner.skip_space();
            match scanner.next()? {
                b',' => scanner.skip_space(),
                b']' => break,
                _ => return None,
            }
        }
    }
    scanner.skip_space();
    (scanner.at == text.len()).then_some(Elements { values, more: false })
}

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

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many containers are open around the value that is gone over.
    around: u32,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn object(&mut self, with_children: bool) -> Option<Object<'a>> {
        self.expect(b'{')?;
        self.around += 1;
        // An event has about fourteen fields of its own: one allocation for nearly all of them.
        let mut fields = Vec::with_capacity(16);
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            self.around -= 1;
            return Some(Object { fields });
        }
        loop {
            let key = self.key()?;
            self.skip_space();
            let start = self.at;
            let opened = OnceCell::new();
            if with_children && self.peek()? == b'{' {
                let child = self.object(false)?;
                // The cell is new, so that it takes the value.
                let _ = opened.set(Some(Box::new(child)));
            } else {
                self.skip_value()?;
            }
            fields.push(Field { key, value: RawJson(&self.text[start..self.at]), opened });
            self.skip_space();
            match self.next()? {
                b',' => self.skip_space(),
                b'}' => {
                    self.around -= 1;
                    return Some(Object { fields });
                }
                _ => return None,
            }
        }
    }

    /// A key with the colon behind it.
    fn key(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        let escaped = self.skip_string()?;
        let quoted = &self.text[start..self.at];
        self.skip_space();
        self.expect(b':')?;
        if escaped {
            return serde_json::from_str::<String>(quoted).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }

    /// Goes over one value, whatever is in it, without recursion.
    fn skip_value(&mut self) -> Option<()> {
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
