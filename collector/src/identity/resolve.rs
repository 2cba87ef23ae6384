//! An event's ids, and what they change of who is who.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::ids::{EventIds, Id, IdKind};

use super::change::Change;
use super::claim::{Claim, Rank, owners_kept};
use super::known::{Decided, Known, Wants};
use super::view::View;

/// The ids of an event without those that a person blocked, and what they claim of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    strongest: Id,
    claims: Vec<(Id, Id, Rank)>,
}

impl Reading {
    /// Reads an event's ids; nothing where none of them is left, and the event is nobody's.
    ///
    /// # Errors
    /// With what has to be loaded first: [`Wants::of`] the ids, if it was not.
    pub fn of(ids: &EventIds, known: &Known) -> Result<Option<Self>, Wants> {
        let previous = ids.previous_id();
        let all = [ids.user_id(), ids.email(), ids.profile_id(), ids.anonymous_id(), previous.as_ref()];
        if all.into_iter().flatten().any(|id| known.id(id).is_none()) {
            return Err(Wants::of(ids));
        }
        let is_blocked = |id: &Id| known.id(id).is_some_and(|known| known.identity.decision == Some(Decided::Blocked));
        let mut all = ids.strongest_first(is_blocked).into_iter();
        let Some(strongest) = all.next() else { return Ok(None) };
        let mut claims = Vec::new();
        if strongest.is_role_mailbox() {
            return Ok(Some(Self { strongest, claims })); // it stands alone and joins nothing
        }
        let previous = previous.filter(|id| strongest.kind() != IdKind::Device && !is_blocked(id));
        let is_loose = |id: &Id| ids.email_is_loose() && Some(id) == ids.email();
        for weaker in all.chain(previous) {
            match (weaker.kind(), strongest.kind()) {
                (IdKind::Device, IdKind::Device) => {
                    claims.push((weaker.clone(), strongest.clone(), Rank::Beside));
                    claims.push((strongest.clone(), weaker, Rank::Beside));
                }
                (a, b) if a == b || weaker.is_role_mailbox() => {}
                (_, to) => {
                    let said = if to == IdKind::User { Rank::ToUser } else { Rank::ToEmail };
                    let rank = if is_loose(&weaker) || is_loose(&strongest) { Rank::Loose } else { said };
                    claims.push((weaker, strongest.clone(), rank));
                }
            }
        }
        Ok(Some(Self { strongest, claims }))
    }

    /// The id that the event's entries are filed under, permanently.
    #[must_use]
    pub fn filed_under(&self) -> &Id {
        &self.strongest
    }

    /// What the ids claim: the weaker one, its owner, and how good the claim is.
    #[must_use]
    pub fn claims(&self) -> &[(Id, Id, Rank)] {
        &self.claims
    }

    /// The rows that the event changes, when it claims as of `at` ([`claim_time`](super::claim_time)). It is empty for an
    /// event that says nothing new.
    ///
    /// # Errors
    /// With what has to be loaded first; it is asked again with that. It asks three times at most.
    pub fn resolve(&self, at: i64, known: &Known) -> Result<Change, Wants> {
        let is_first =
            known.id(&self.strongest).is_none_or(|known| known.identity.first_at.is_none_or(|first| at < first));
        if !is_first && !self.claims.iter().any(|claim| is_better(claim, at, known)) {
            return Ok(Change::default());
        }
        let (mut view, mut dirty) = (View::new(known), BTreeSet::new());
        if is_first {
            view.change.touch(&self.strongest).first_at = Some(at);
            // It is of consequence where a user id brought the address later than that.
            let later = |claim: &Claim| claim.rank != Rank::Loose && claim.at > at;
            if self.strongest.kind() == IdKind::Email
                && view.claims(&self.strongest, IdKind::User).is_some_and(|claims| claims.iter().any(later))
            {
                dirty.insert(self.strongest.clone());
            }
        }
        for claim in self.claims.iter().filter(|claim| is_better(claim, at, known)) {
            put(&mut view, claim, at);
        }
        let came: Vec<(Id, Id)> = view.change.claims.keys().cloned().collect();
        let went = view.change.dropped.clone();
        let mut lines: BTreeMap<(&Id, IdKind), (usize, usize)> = BTreeMap::new();
        for (id, owner) in came.iter().filter(|(_, owner)| owner.kind() != IdKind::Device) {
            lines.entry((owner, id.kind())).or_default().0 += 1;
        }
        for (id, owner) in went.iter().filter(|(_, owner)| owner.kind() != IdKind::Device) {
            lines.entry((owner, id.kind())).or_default().1 += 1;
        }
        for ((owner, kind), (came, went)) in lines {
            view.add_borders(owner, kind, came, went, &mut dirty);
        }
        for (id, _) in &came {
            dirty.insert(id.clone());
            view.add_beside(id, &mut dirty);
        }
        for (id, owner) in came.into_iter().chain(went) {
            // All owners of the id were compared with each other, and one that was dropped as well.
            for claim in view.all_claims(&id).into_iter().flatten() {
                view.change.touch(&claim.owner);
            }
            view.change.touch(&owner);
        }
        view.finish(&dirty)
    }
}

/// Whether a claim is better than what is kept for its pair.
fn is_better((id, owner, rank): &(Id, Id, Rank), at: i64, known: &Known) -> bool {
    let kept = known.id(id).and_then(|known| known.claims.iter().find(|claim| claim.owner == *owner));
    kept.is_none_or(|kept| (*rank, at) < (kept.rank, kept.at))
}

/// Notes a claim, unless as many as are kept are better; the worst of them makes room.
fn put(view: &mut View<'_>, (id, owner, rank): &(Id, Id, Rank), at: i64) {
    let Some(others) = view.claims(id, owner.kind()) else { return };
    let is_new = others.iter().all(|claim| claim.owner != *owner);
    if is_new && others.len() >= owners_kept(id.kind()) {
        match others.last() {
            Some(worst) if (*rank, at, owner) < worst.order() => {
                view.change.dropped.push((id.clone(), worst.owner.clone()));
            }
            _ => return,
        }
    }
    view.change.claims.insert((id.clone(), owner.clone()), (*rank, at));
}
