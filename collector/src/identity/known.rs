//! What is stored of some ids, as far as a decision needs it.

use std::collections::{BTreeSet, HashMap};

use koala_destination::ids::{EventIds, Id, IdKind};

use super::claim::{Claim, Claimant};

/// The row of an id. One that has none yet is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The earliest time at which an event was filed under it, in milliseconds since 1970; nothing where it only stood beside
    /// a stronger id.
    pub first_at: Option<i64>,
    /// Whom it belongs to; nothing where it stands for itself.
    pub into: Option<Id>,
    /// What a person decided of it.
    pub decision: Option<Decided>,
}

/// What a person decided of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It belongs to whom it points to.
    Attached,
    /// It stands for itself.
    Detached,
    /// It is not an id. It keeps what it points to, if a person had attached it.
    Blocked,
}

impl Decided {
    /// The name in a store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Detached => "detached",
            Self::Blocked => "blocked",
        }
    }

    /// The decision that has a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Attached, Self::Detached, Self::Blocked].into_iter().find(|decided| decided.name() == name)
    }
}

/// What has to be loaded before a decision can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Ids, each with its row and its claims: all that are kept.
    pub ids: BTreeSet<Id>,
    /// Owners, each with the best members of a kind: those that no decision of a person has taken elsewhere, in the order of
    /// (rank, time, id), as many as [`line_length`](super::line_length) says.
    pub lines: BTreeSet<(Id, IdKind)>,
}

impl Wants {
    /// What every decision about an event begins with: the rows of all its ids.
    #[must_use]
    pub fn of(ids: &EventIds) -> Self {
        let own = [ids.user_id(), ids.email(), ids.profile_id(), ids.anonymous_id()];
        Self { ids: own.into_iter().flatten().cloned().chain(ids.previous_id()).collect(), lines: BTreeSet::new() }
    }

    /// Adds what another decision needs, so that both are loaded together.
    pub fn merge(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.lines.extend(other.lines);
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.lines.is_empty()
    }
}

/// What was loaded, within one transaction. What is not in it was not looked up; an id without a row is put in as the default.
#[derive(Debug, Clone, Default)]
pub struct Known {
    ids: HashMap<Id, KnownId>,
    lines: HashMap<(Id, IdKind), Vec<Claimant>>,
}

#[derive(Debug, Clone)]
pub(super) struct KnownId {
    pub identity: Identity,
    pub claims: Vec<Claim>,
}

impl Known {
    /// Puts in an id: its row and its claims, in any order.
    pub fn put_id(&mut self, id: Id, identity: Identity, claims: Vec<Claim>) {
        self.ids.insert(id, KnownId { identity, claims });
    }

    /// Puts in the members of a kind of an owner, in any order.
    pub fn put_line(&mut self, owner: Id, kind: IdKind, mut members: Vec<Claimant>) {
        members.sort_unstable();
        self.lines.insert((owner, kind), members);
    }

    pub(super) fn id(&self, id: &Id) -> Option<&KnownId> {
        self.ids.get(id)
    }

    pub(super) fn line(&self, owner: &Id, kind: IdKind) -> Option<&[Claimant]> {
        // The key of a map is owned; an id is two words and a count.
        self.lines.get(&(owner.clone(), kind)).map(Vec::as_slice)
    }
}
