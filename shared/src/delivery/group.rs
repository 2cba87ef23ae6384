//! Entries by subject: one request, one tuple of ids.

use std::collections::HashMap;

use crate::koala::{Entry, Subject};

/// The entries of a batch about one subject, in the order of their time.
#[derive(Debug)]
pub struct Group {
    /// Whom they are about.
    pub subject: Subject,
    /// Each with its message's place in the batch.
    pub entries: Vec<(usize, Entry)>,
}

/// Groups entries by subject, subjects in the order of their first entry, entries by time.
pub fn by_subject(entries: Vec<(usize, Entry)>) -> Vec<Group> {
    let mut places = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (index, entry) in entries {
        let place = *places.entry(entry.subject.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { subject: entry.subject.clone(), entries: Vec::new() });
        }
        groups[place].entries.push((index, entry));
    }
    for group in &mut groups {
        group.entries.sort_by_key(|(_, entry)| entry.at);
    }
    groups
}
