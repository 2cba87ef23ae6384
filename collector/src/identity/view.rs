//! What is known, with the changes of one event or decision over it; and whom an id belongs to in that view.

use std::cell::RefCell;
use std::collections::BTreeSet;

use koala_destination::ids::{Id, IdKind};

use super::change::Change;
use super::claim::{CROWD, Claim, Claimant, MOST_DEVICES, MOST_EMAILS, Rank, limit};
use super::known::{Decided, Identity, Known, Wants};

pub(super) struct View<'k> {
    known: &'k Known,
    pub change: Change,
    wants: RefCell<Wants>,
}

/// Nothing where more has to be loaded; what, the view has noted.
pub(super) type Loaded<T> = Option<T>;

impl<'k> View<'k> {
    pub fn new(known: &'k Known) -> Self {
        Self { known, change: Change::default(), wants: RefCell::default() }
    }

    /// The row of an id as it will be.
    pub fn identity(&self, id: &Id) -> Loaded<Identity> {
        let Some(known) = self.known.id(id) else {
            self.wants.borrow_mut().ids.insert(id.clone());
            return None;
        };
        let mut identity = known.identity.clone();
        if let Some(change) = self.change.identities.get(id) {
            identity.first_at = change.first_at.or(identity.first_at);
            identity.decision = change.decision.or(identity.decision);
            if let Some(into) = &change.into {
                identity.into.clone_from(into);
            }
        }
        Some(identity)
    }

    /// All claims of an id as they will be, the best first.
    pub fn all_claims(&self, id: &Id) -> Loaded<Vec<Claim>> {
        let Some(known) = self.known.id(id) else {
            self.wants.borrow_mut().ids.insert(id.clone());
            return None;
        };
        let mut claims = known.claims.clone();
        claims.retain(|claim| {
            let is_of_pair = |(one, owner): &(Id, Id)| one == id && *owner == claim.owner;
            !self.change.dropped.iter().any(is_of_pair) && !self.change.claims.keys().any(is_of_pair)
        });
        let own = self.change.claims.iter().filter(|((one, _), _)| one == id);
        // An event claims only ids that are not blocked.
        claims.extend(own.map(|((_, owner), (rank, at))| Claim {
            rank: *rank,
            at: *at,
            owner: owner.clone(),
            owner_is_blocked: false,
        }));
        claims.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        Some(claims)
    }

    /// The claims of an id on owners of a kind, without those that a person blocked.
    pub fn claims(&self, id: &Id, kind: IdKind) -> Loaded<Vec<Claim>> {
        let mut claims = self.all_claims(id)?;
        claims.retain(|claim| claim.owner.kind() == kind && !self.is_blocked_owner(claim));
        Some(claims)
    }

    fn is_blocked_owner(&self, claim: &Claim) -> bool {
        let change = self.change.identities.get(&claim.owner);
        claim.owner_is_blocked || change.is_some_and(|change| change.decision == Some(Decided::Blocked))
    }

    /// The best ids of a kind that claim an owner and are free to.
    pub fn line(&self, owner: &Id, kind: IdKind) -> Loaded<Vec<Claimant>> {
        let Some(known) = self.known.line(owner, kind) else {
            self.wants.borrow_mut().lines.insert((owner.clone(), kind));
            return None;
        };
        let mut line = known.to_vec();
        let changed =
            self.change.claims.keys().chain(&self.change.dropped).filter(|(_, of)| of == owner).map(|(one, _)| one);
        let decided = self.change.identities.iter().filter(|(_, change)| change.decision.is_some()).map(|(id, _)| id);
        let changed: BTreeSet<&Id> = changed.chain(decided).filter(|one| one.kind() == kind).collect();
        if changed.is_empty() {
            return Some(line);
        }
        line.retain(|member| !changed.contains(&member.id));
        for one in changed {
            let identity = self.identity(one)?;
            let is_free = match identity.decision {
                None => true,
                Some(Decided::Attached) => identity.into.as_ref() == Some(owner),
                Some(Decided::Detached | Decided::Blocked) => false,
            };
            let claim = self.all_claims(one)?.into_iter().find(|claim| claim.owner == *owner);
            if let Some(claim) = claim.filter(|_| is_free) {
                line.push(Claimant { rank: claim.rank, at: claim.at, id: one.clone() });
            }
        }
        line.sort_unstable();
        Some(line)
    }

    /// Whom an id belongs to: another one, or nobody, where it stands for itself.
    pub fn owner(&self, id: &Id) -> Loaded<Option<Id>> {
        let identity = self.identity(id)?;
        if identity.decision.is_some() {
            return Some(identity.into);
        }
        match id.kind() {
            IdKind::User => Some(None),
            IdKind::Email => self.owner_of_email(id, &identity),
            IdKind::Device => self.owner_of_device(id),
        }
    }

    /// The earliest user id of which it is the first address, or which brought it: not loose, and never seen without a user
    /// id before.
    fn owner_of_email(&self, id: &Id, identity: &Identity) -> Loaded<Option<Id>> {
        let users = self.claims(id, IdKind::User)?;
        let lines: Vec<_> = users.iter().map(|claim| self.line(&claim.owner, IdKind::Email)).collect();
        for (claim, line) in users.into_iter().zip(lines) {
            let place = line?.iter().position(|member| member.id == *id);
            let was_alone = identity.first_at.is_some_and(|alone| alone < claim.at);
            let brought = claim.rank != Rank::Loose && place.is_some_and(|place| place < MOST_EMAILS) && !was_alone;
            if place == Some(0) || brought {
                return Some(Some(claim.owner));
            }
        }
        Some(None)
    }

    /// The best user, else the best email, unless it is a crowd's; where nobody is known, what a device beside it says.
    fn owner_of_device(&self, id: &Id) -> Loaded<Option<Id>> {
        let mut owners = self.claims(id, IdKind::User)?;
        if owners.is_empty() {
            owners = self.claims(id, IdKind::Email)?;
        }
        let Some(best) = owners.first() else { return self.leader(id) };
        if owners.len() > CROWD {
            return Some(None);
        }
        let place = self.line(&best.owner, IdKind::Device)?.iter().position(|member| member.id == *id);
        Some(place.filter(|place| *place < MOST_DEVICES).map(|_| best.owner.clone()))
    }

    /// Of two devices on one event the unknown one follows the known one; where neither is known, the larger the smaller.
    ///
    /// One that a person attached to another device leads nobody: a circle could come of it.
    fn leader(&self, id: &Id) -> Loaded<Option<Id>> {
        let beside = self.claims(id, IdKind::Device)?;
        if beside.len() > CROWD {
            return Some(None);
        }
        let all: Vec<_> =
            beside.iter().map(|claim| (self.identity(&claim.owner), self.all_claims(&claim.owner))).collect();
        let mut best: Option<(bool, Id)> = None;
        for (claim, (identity, theirs)) in beside.into_iter().zip(all) {
            let (identity, other) = (identity?, claim.owner);
            let mut theirs = theirs?;
            theirs.retain(|claim| !self.is_blocked_owner(claim));
            let is_known = theirs.iter().any(|claim| claim.owner.kind() != IdKind::Device);
            let beside_it = || theirs.iter().map(|claim| &claim.owner).filter(|owner| owner.kind() == IdKind::Device);
            let leads = beside_it().count() <= CROWD && (is_known || beside_it().all(|owner| other < *owner));
            let is_attached = identity.decision == Some(Decided::Attached)
                && identity.into.is_some_and(|into| into.kind() == IdKind::Device);
            let candidate = (!is_known, other);
            if leads && !is_attached && best.as_ref().is_none_or(|best| candidate < *best) {
                best = Some(candidate);
            }
        }
        Some(best.map(|(_, leader)| leader))
    }

    /// Adds the devices that stand beside a device and may follow it. One of which somebody is known by itself follows none:
    /// it is only touched, since that was looked at.
    pub fn add_beside(&mut self, id: &Id, to: &mut BTreeSet<Id>) {
        if id.kind() != IdKind::Device {
            return;
        }
        for beside in self.claims(id, IdKind::Device).into_iter().flatten().map(|claim| claim.owner) {
            let claims = self.all_claims(&beside).unwrap_or_default();
            let is_persons = |claim: &Claim| claim.owner.kind() != IdKind::Device && !self.is_blocked_owner(claim);
            if claims.iter().any(is_persons) {
                self.change.touch(&beside);
            } else {
                to.insert(beside);
            }
        }
    }

    /// Adds the members of a line that may have crossed one of its borders when `came` new ones came in and `went` left it:
    /// its head, where the first address stands, and its limit.
    pub fn add_borders(&self, owner: &Id, kind: IdKind, came: usize, went: usize, to: &mut BTreeSet<Id>) {
        let Some(line) = self.line(owner, kind) else { return };
        let head = usize::from(went == 0)..came.max(went.saturating_sub(1)) + 1;
        let head = if kind == IdKind::Email { head } else { 0..0 }; // there is no first device
        let limit = limit(kind);
        let borders = head.chain(limit.saturating_sub(went)..limit + came);
        to.extend(borders.filter_map(|at| line.get(at)).map(|member| member.id.clone()));
    }

    /// The change with the pointers of the ids that may have moved, and with every id that was looked at.
    pub fn finish(mut self, dirty: &BTreeSet<Id>) -> Result<Change, Wants> {
        let owners: Vec<_> = dirty.iter().map(|id| (id, self.owner(id))).collect();
        let wants = self.wants.take();
        if !wants.is_empty() {
            return Err(wants);
        }
        for (id, owner) in owners {
            let stored = self.known.id(id).and_then(|known| known.identity.into.as_ref());
            let change = self.change.touch(id);
            if let Some(owner) = owner
                && owner.as_ref() != stored
            {
                change.into = Some(owner);
            }
        }
        Ok(self.change)
    }
}
