//! One pass over JSON text: is it well-formed, and where does each field of an object begin and end.
//!
//! `serde_json`'s raw values need a pass for the text as a whole, one for the event's fields and one for each object that is
//! looked into. Here the event's fields and those of the objects in it are found in a single one. It takes what
//! `serde_json` takes and nothing else; `shared/tests/fuzz.rs` holds it to that. (A key in which a surrogate stands alone it
//! takes as well, where `serde_json` would not.)

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::value::RawValue;

use super::{DEEPEST, Elements, Field, Object, RawJson, unescaped};

/// How many objects inside an object are read along with it. An event has about six; whoever sends thousands of empty
/// ones would have memory taken for each. Beyond it each is read when it is asked for.
const MOST_CHILDREN: u32 = 32;

/// What is wanted of an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'k> {
    /// Its fields.
    Fields,
    /// Its fields, and those of the objects that are its values, unless it is nested deeper than [`DEEPEST`].
    FieldsAndChildren,
    /// Its fields of these keys.
    Only(&'k [&'k str]),
}

impl Wanted<'_> {
    fn is_for(self, key: &str) -> bool {
        match self {
            Self::Fields | Self::FieldsAndChildren => true,
            Self::Only(keys) => keys.contains(&key),
        }
    }
}

/// What is wanted of the object that `text` is. None when it is no object, not well-formed, or nested too deep.
pub(super) fn object<'a>(text: &'a str, wanted: Wanted<'_>) -> Option<Object<'a>> {
    let deep = !matches!(wanted, Wanted::FieldsAndChildren);
    let mut scanner = Scanner::new(text, deep);
    scanner.skip_space();
    let object = scanner.object(wanted)?;
    scanner.skip_space();
    (scanner.at == text.len()).then_some(object)
}

/// The first `most` elements of the array that `text` is. None when it is no array or not well-formed.
pub(super) fn elements(text: &str, most: usize) -> Option<Elements<'_>> {
    let mut scanner = Scanner::new(text, true);
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
    /// Whether values nested deeper than [`DEEPEST`] are taken too.
    deep: bool,
    /// How many objects were read along with the one around them.
    children: u32,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, deep: bool) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, around: 0, deep, children: 0 }
    }

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

    fn object(&mut self, wanted: Wanted<'_>) -> Option<Object<'a>> {
        self.expect(b'{')?;
        self.around += 1;
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            self.around -= 1;
            return Some(Object { fields: Vec::new() });
        }
        // An event has about fourteen fields of its own: one allocation for nearly all of them.
        let mut fields = Vec::with_capacity(16);
        loop {
            let key = self.key()?;
            self.skip_space();
            let start = self.at;
            let opened = OnceCell::new();
            let with_child = matches!(wanted, Wanted::FieldsAndChildren) && self.children < MOST_CHILDREN;
            if with_child && self.peek()? == b'{' {
                self.children += 1;
                let child = self.object(Wanted::Fields)?;
                // The cell is new, so that it takes the value.
                let _ = opened.set(Some(Box::new(child)));
            } else {
                self.skip_value()?;
            }
            if wanted.is_for(&key) {
                if let Wanted::Only(_) = wanted {
                    // Where a key stands twice the last one counts.
                    fields.retain(|earlier: &Field<'_>| earlier.key != key);
                }
                fields.push(Field { key, value: RawJson(&self.text[start..self.at]), opened });
            }
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
            return unescaped(quoted).map(Cow::Owned);
        }
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }

    /// Goes over one value, whatever is in it, without recursion.
    fn skip_value(&mut self) -> Option<()> {
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
