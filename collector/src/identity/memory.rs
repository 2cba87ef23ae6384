//! What a store does for identity, in memory: a model to test with, and to read beside an engine.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::ids::{EventIds, Id, IdKind};

use super::change::Change;
use super::claim::{Claim, Claimant, Rank, line_length};
use super::decision::{Decision, Refused, Undecided, recompute};
use super::known::{Decided, Identity, Known, Wants};
use super::resolve::Reading;

/// The tables `identity` and `claim`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    identities: BTreeMap<Id, Identity>,
    claims: BTreeMap<(Id, Id), (Rank, i64)>,
    /// The index by owner.
    members: BTreeSet<(Id, Id)>,
}

impl Memory {
    /// Loads what is wanted.
    pub fn load(&self, wants: &Wants, known: &mut Known) {
        for id in &wants.ids {
            let identity = self.identities.get(id).cloned().unwrap_or_default();
            let claims = self.claims_of(id).map(|(owner, (rank, at))| Claim {
                rank,
                at,
                owner: owner.clone(),
                owner_is_blocked: self.decision(owner) == Some(Decided::Blocked),
            });
            known.put_id(id.clone(), identity, claims.collect());
        }
        for (owner, kind) in &wants.lines {
            let members = self.members_of(owner).filter(|id| id.kind() == *kind && self.is_free(id, owner));
            let mut members: Vec<Claimant> = members
                .filter_map(|id| {
                    let (rank, at) = *self.claims.get(&(id.clone(), owner.clone()))?;
                    Some(Claimant { rank, at, id: id.clone() })
                })
                .collect();
            members.sort_unstable();
            members.truncate(line_length(*kind));
            known.put_line(owner.clone(), *kind, members);
        }
    }

    /// Writes rows.
    pub fn apply(&mut self, change: &Change) {
        for (id, change) in &change.identities {
            let identity = self.identities.entry(id.clone()).or_default();
            identity.first_at = change.first_at.or(identity.first_at);
            identity.decision = change.decision.or(identity.decision);
            if let Some(into) = &change.into {
                identity.into.clone_from(into);
            }
        }
        for pair in &change.dropped {
            self.claims.remove(pair);
            self.members.remove(&(pair.1.clone(), pair.0.clone()));
        }
        for (pair, claim) in &change.claims {
            self.claims.insert(pair.clone(), *claim);
            self.members.insert((pair.1.clone(), pair.0.clone()));
        }
    }

    /// Takes an event's ids as of a time, and returns the id that it is filed under.
    pub fn ingest(&mut self, ids: &EventIds, at: i64) -> Option<Id> {
        let mut known = Known::default();
        let reading = self.loading(&mut known, |known| Reading::of(ids, known))?;
        let change = self.loading(&mut known, |known| reading.resolve(at, known));
        self.apply(&change);
        Some(reading.filed_under().clone())
    }

    /// The id that an event's entries are filed under.
    #[must_use]
    pub fn filed_under(&self, ids: &EventIds) -> Option<Id> {
        let reading = self.loading(&mut Known::default(), |known| Reading::of(ids, known));
        reading.map(|reading| reading.filed_under().clone())
    }

    /// Takes a person's decision.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn decide(&mut self, decision: &Decision) -> Result<(), Refused> {
        let mut known = Known::default();
        let change = loop {
            match decision.rows(&known) {
                Ok(change) => break change,
                Err(Undecided::Refused(refused)) => return Err(refused),
                Err(Undecided::Wants(wants)) => self.load(&wants, &mut known),
            }
        };
        self.apply(&change);
        if let Decision::Block { id } = decision {
            let members: Vec<Id> = self.members_of(id).cloned().collect();
            let change = self.loading(&mut Known::default(), |known| recompute(&members, known));
            self.apply(&change);
        }
        Ok(())
    }

    /// The visitor that an id belongs to: itself, where it belongs to nobody.
    #[must_use]
    pub fn visitor_of(&self, id: &Id) -> Id {
        let mut at = id;
        while let Some(next) = self.identities.get(at).and_then(|identity| identity.into.as_ref()) {
            at = next;
        }
        at.clone()
    }

    /// All ids.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        self.identities.keys()
    }

    fn loading<T>(&self, known: &mut Known, ask: impl Fn(&Known) -> Result<T, Wants>) -> T {
        loop {
            match ask(known) {
                Ok(answer) => return answer,
                Err(wants) => self.load(&wants, known),
            }
        }
    }

    fn decision(&self, id: &Id) -> Option<Decided> {
        self.identities.get(id).and_then(|identity| identity.decision)
    }

    fn is_free(&self, id: &Id, owner: &Id) -> bool {
        match self.decision(id) {
            None => true,
            Some(Decided::Attached) => {
                self.identities.get(id).and_then(|identity| identity.into.as_ref()) == Some(owner)
            }
            Some(Decided::Detached | Decided::Blocked) => false,
        }
    }

    fn claims_of(&self, id: &Id) -> impl Iterator<Item = (&Id, (Rank, i64))> {
        let from = (id.clone(), first_id());
        self.claims.range(from..).take_while(move |((of, _), _)| of == id).map(|((_, owner), claim)| (owner, *claim))
    }

    fn members_of(&self, owner: &Id) -> impl Iterator<Item = &Id> {
        let from = (owner.clone(), first_id());
        self.members.range(from..).take_while(move |(of, _)| of == owner).map(|(_, id)| id)
    }
}

/// The id that stands before all others.
fn first_id() -> Id {
    Id::stored(IdKind::User, "")
}
