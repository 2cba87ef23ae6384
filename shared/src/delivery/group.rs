//! Entries by visitor: one request, one person.

use std::collections::HashMap;

use crate::koala::{Entry, Visitor};

/// A visitor with the entries of a batch, in the order of their time.
#[derive(Debug)]
pub struct VisitorEntries {
    /// Whose they are.
    pub visitor: Visitor,
    /// Each with its message's place in the batch.
    pub entries: Vec<(usize, Entry)>,
}

/// Groups entries by visitor, visitors in the order of their first entry, entries by time.
pub fn by_visitor(entries: Vec<(usize, Entry)>) -> Vec<VisitorEntries> {
    let mut places = HashMap::new();
    let mut visitors: Vec<VisitorEntries> = Vec::new();
    for (index, entry) in entries {
        let place = *places.entry(entry.visitor.clone()).or_insert(visitors.len());
        if place == visitors.len() {
            visitors.push(VisitorEntries { visitor: entry.visitor.clone(), entries: Vec::new() });
        }
        visitors[place].entries.push((index, entry));
    }
    for visitor in &mut visitors {
        visitor.entries.sort_by_key(|(_, entry)| entry.at);
    }
    visitors
}
