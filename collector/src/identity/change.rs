//! The rows to write.

use std::collections::BTreeMap;

use koala_destination::ids::Id;

use super::claim::Rank;
use super::known::Decided;

/// The rows that an event or a decision changes. They are written in one transaction with what was loaded for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Rows of ids to insert or update, in the order of their keys, so that two writers never wait for each other in a circle.
    /// **Each is written, also where nothing of it changes**: it was looked at, and a writer beside must notice.
    pub identities: BTreeMap<Id, IdentityChange>,
    /// Claims to insert or update: of the first id on the second.
    pub claims: BTreeMap<(Id, Id), (Rank, i64)>,
    /// Claims to delete: of the first id on the second. A better one took its place among those that are kept.
    pub dropped: Vec<(Id, Id)>,
}

impl Change {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.claims.is_empty() && self.dropped.is_empty()
    }

    pub(super) fn touch(&mut self, id: &Id) -> &mut IdentityChange {
        self.identities.entry(id.clone()).or_default()
    }
}

/// What changes of an id's row. What is nothing stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityChange {
    /// The new first time at which an event was filed under it; it is earlier than the one that is stored.
    pub first_at: Option<i64>,
    /// The new pointer: to whom it belongs, or to nobody.
    pub into: Option<Option<Id>>,
    /// What a person decided of it.
    pub decision: Option<Decided>,
}
