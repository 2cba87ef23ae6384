//! Traits: which of those that were said are kept under an id, and what comes of those of all ids of a visitor. The rules of every
//! engine.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The most traits of an id, and of a visitor: people have some tens, and who sends traits without end is no help.
pub(crate) const MOST_TRAITS: usize = 300;
/// The most bytes of their names and values together.
pub(crate) const MOST_BYTES: usize = 128 * 1024;

/// Traits that the pages show or that a company is told by, as Segment's spec names them
/// (<https://segment.com/docs/connections/spec/identify/#traits>).
const OF_PAGES: [&str; 16] = [
    "$account",
    "account",
    "company",
    "companyName",
    "domain",
    "email",
    "employees",
    "firstName",
    "first_name",
    "industry",
    "lastName",
    "last_name",
    "name",
    "phone",
    "plan",
    "title",
];
/// Such a trait is a name or a small object.
const LONGEST_OF_PAGES: usize = 4 * 1024;

fn is_of_pages(name: &str, value: &str) -> bool {
    value.len() <= LONGEST_OF_PAGES && OF_PAGES.contains(&name)
}

/// The traits of one id: the JSON of each with the time that it was said at.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    traits: BTreeMap<String, (String, i64)>,
    bytes: usize,
    /// How many were said and are not kept, since there are too many.
    pub(crate) too_many: usize,
}

impl Kept {
    /// Puts in one that is there.
    pub(crate) fn put(&mut self, name: String, value: String, at: i64) {
        let length = name.len();
        self.bytes += length + value.len();
        if let Some((before, _)) = self.traits.insert(name, (value, at)) {
            self.bytes = self.bytes.saturating_sub(length + before.len());
        }
    }

    /// What was said of a trait last counts, whatever order it comes in: of two at the same time the greater text. Gives back the names
    /// of those to write: the same said anew may outdo what was said in between under another id.
    pub(crate) fn merge(&mut self, said: &Map<String, Value>, at: i64) -> Vec<String> {
        let mut changed = Vec::new();
        for (name, value) in said {
            let value = value.to_string();
            let before = self.traits.get(name);
            if before.is_some_and(|(before, said_at)| (*said_at, before) >= (at, &value)) {
                continue;
            }
            let bytes_after = match before {
                Some((before, _)) => (self.bytes + value.len()).saturating_sub(before.len()),
                None => self.bytes + name.len() + value.len(),
            };
            // Room is kept for what the pages are made of: whoever came first with junk does not shut it out.
            let (most_traits, most_bytes) =
                if is_of_pages(name, &value) { (2 * MOST_TRAITS, 2 * MOST_BYTES) } else { (MOST_TRAITS, MOST_BYTES) };
            let is_one_too_many = before.is_none() && self.traits.len() >= most_traits;
            if is_one_too_many || (bytes_after > self.bytes && bytes_after > most_bytes) {
                self.too_many += 1;
                continue;
            }
            self.put(name.clone(), value, at);
            changed.push(name.clone());
        }
        changed
    }

    /// One of them: its JSON, and when it was said.
    pub(crate) fn get(&self, name: &str) -> Option<(&str, i64)> {
        self.traits.get(name).map(|(value, at)| (value.as_str(), *at))
    }
}

/// The traits of a visitor: of what was said under each of the ids, what was said last.
///
/// Those of the strongest ids are put in first, so that what is said under many weak ones cannot push out what is said under the
/// strong.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    traits: BTreeMap<String, (i64, String)>,
    bytes: usize,
}

impl Latest {
    pub(crate) fn put(&mut self, name: &str, value: &str, at: i64) {
        let length = name.len() + value.len();
        if let Some((said_at, before)) = self.traits.get_mut(name) {
            if (at, value) > (*said_at, before.as_str()) {
                (*said_at, *before) = (at, value.to_owned());
            }
        } else if (self.traits.len() < MOST_TRAITS && self.bytes + length <= MOST_BYTES) || is_of_pages(name, value) {
            self.traits.insert(name.to_owned(), (at, value.to_owned()));
            self.bytes += length;
        }
    }

    /// All of them by name, without those that were taken away.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        let read =
            self.traits.into_iter().map(|(name, (_, value))| (name, serde_json::from_str(&value).unwrap_or_default()));
        read.filter(|(_, value): &(String, Value)| !value.is_null()).collect()
    }
}
