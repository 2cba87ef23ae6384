//! A person whose data is to go, and what went.

use koala_destination::koala::Email;

use super::visitor::VisitorId;

/// Whose data is to go.
#[derive(Debug, Clone)]
pub enum Person {
    /// Whoever is known by this address.
    Email(Email),
    /// This visitor, who may have no address.
    Visitor(VisitorId),
}

/// What a deletion took out of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many visitors.
    pub visitors: usize,
    /// How many entries of theirs.
    pub entries: usize,
}
