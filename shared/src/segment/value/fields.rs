//! An event's fields, as a value looks at them.

use std::borrow::Cow;
use std::fmt;

use crate::json::{Object, RawJson};

/// An event's fields, whatever lives longer than they are looked at.
pub trait EventFields: fmt::Debug {
    /// The value at a path of keys, as far as objects lead there: what is found, and the keys that are left.
    fn find<'s, 'k>(&'s self, keys: &'k [String]) -> (Option<RawJson<'s>>, &'k [String]);

    /// The fields in their order.
    fn all(&self) -> Vec<(Cow<'_, str>, RawJson<'_>)>;
}

impl EventFields for Object<'_> {
    fn find<'s, 'k>(&'s self, keys: &'k [String]) -> (Option<RawJson<'s>>, &'k [String]) {
        let Some((first, rest)) = keys.split_first() else { return (None, keys) };
        match self.get_object(first) {
            Some(inside) if !rest.is_empty() => inside.find(rest),
            _ => (self.get(first), rest),
        }
    }

    fn all(&self) -> Vec<(Cow<'_, str>, RawJson<'_>)> {
        self.iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect()
    }
}
