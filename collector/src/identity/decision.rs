//! What a person decides on the page.

use std::collections::BTreeSet;

use koala_destination::ids::{Id, IdKind};
use thiserror::Error;

use super::change::Change;
use super::known::{Decided, Known, Wants};
use super::view::View;

/// The longest way from an id to its visitor that is followed.
const LONGEST_WAY: usize = 64;

/// A person's word on an id. It outranks all claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// An id, and with it all that is its own, belongs to another one.
    Attach {
        /// The id.
        id: Id,
        /// Whom it belongs to: an id of an equal or a stronger kind.
        to: Id,
    },
    /// An id, and with it all that is its own, stands for itself.
    Detach {
        /// The id.
        id: Id,
    },
    /// A value is not an id: whatever claims it is free of it, and later events are those of their next id.
    Block {
        /// The id.
        id: Id,
    },
}

impl Decision {
    /// The id that it is about.
    #[must_use]
    pub fn id(&self) -> &Id {
        match self {
            Self::Attach { id, .. } | Self::Detach { id } | Self::Block { id } => id,
        }
    }

    /// The rows that the decision changes. After a [`Decision::Block`] those that claim the id have to be looked at as well:
    /// write the rows, and then [`recompute`] all that have a claim on it, in pieces.
    ///
    /// # Errors
    /// With what has to be loaded first, or why it is refused.
    pub fn rows(&self, known: &Known) -> Result<Change, Undecided> {
        let mut view = View::new(known);
        let id = self.id();
        let Some(identity) = view.identity(id) else {
            return Err(Undecided::Wants(Wants { ids: BTreeSet::from([id.clone()]), ..Wants::default() }));
        };
        let is_blocked = identity.decision == Some(Decided::Blocked);
        let (decided, into) = match self {
            Self::Attach { to, .. } => {
                if to.kind() > id.kind() {
                    return Err(Undecided::Refused(Refused::ToAWeakerKind));
                }
                for on_the_way in way_without(id, to, known)? {
                    view.change.touch(&on_the_way); // what is decided beside this must notice
                }
                (Decided::Attached, Some(to.clone()))
            }
            Self::Detach { .. } => (Decided::Detached, None),
            Self::Block { .. } => {
                let was_attached = matches!(identity.decision, Some(Decided::Attached | Decided::Blocked));
                (Decided::Blocked, identity.into.filter(|_| was_attached))
            }
        };
        let change = view.change.touch(id);
        change.decision = Some(if is_blocked { Decided::Blocked } else { decided });
        change.into = Some(into);

        let mut dirty = BTreeSet::from([id.clone()]);
        view.add_beside(id, &mut dirty);
        for claim in view.all_claims(id).into_iter().flatten() {
            if claim.owner.kind() != IdKind::Device {
                view.add_borders(&claim.owner, id.kind(), 1, 1, &mut dirty);
            }
            view.change.touch(&claim.owner);
        }
        view.finish(&dirty).map_err(Undecided::Wants)
    }
}

/// The way from `to` to its visitor, unless it leads over the id that shall belong to it.
fn way_without(id: &Id, to: &Id, known: &Known) -> Result<Vec<Id>, Undecided> {
    let mut way = Vec::new();
    let mut next = Some(to);
    while let Some(at) = next {
        if at == id {
            return Err(Undecided::Refused(Refused::Circle));
        }
        if way.len() == LONGEST_WAY {
            return Err(Undecided::Refused(Refused::TooFar));
        }
        let Some(row) = known.id(at) else {
            return Err(Undecided::Wants(Wants { ids: BTreeSet::from([at.clone()]), ..Wants::default() }));
        };
        next = row.identity.into.as_ref();
        way.push(at.clone());
    }
    Ok(way)
}

/// The pointers of some ids, and of the devices beside them, as their claims have it now; and all of them touched.
///
/// For what has a claim on an id that was blocked, or whose claims were deleted.
///
/// # Errors
/// With what has to be loaded first.
pub fn recompute<'i>(ids: impl IntoIterator<Item = &'i Id>, known: &Known) -> Result<Change, Wants> {
    let (mut view, mut dirty) = (View::new(known), BTreeSet::new());
    for id in ids {
        dirty.insert(id.clone());
        view.add_beside(id, &mut dirty);
    }
    view.finish(&dirty)
}

/// Why there are no rows.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Undecided {
    /// More has to be loaded; then it is asked again.
    #[error("more has to be loaded")]
    Wants(Wants),
    /// It cannot be decided so.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Why a decision is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// An address belongs to a user id or to an address, a device to any of them, a user id to a user id.
    #[error("an id can be attached only to one of its own or a stronger kind (user id, email, device)")]
    ToAWeakerKind,
    /// They would belong to each other.
    #[error("the other id already belongs to this one")]
    Circle,
    /// Many ids attached to each other in a row.
    #[error("the other id belongs to its visitor by way of too many others")]
    TooFar,
}
