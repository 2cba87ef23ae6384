//! What one id says of another, and the limits of it.

use koala_destination::ids::{Id, IdKind};

/// How late an event may arrive and still claim as of its own time, in milliseconds: 7 days. What arrives later claims as if
/// it had happened that long before its arrival, so that a forged time cannot outrank what has long been known.
pub const LATEST: i64 = 7 * 24 * 60 * 60 * 1000;
/// The most addresses of one user id, the best claims first.
pub const MOST_EMAILS: usize = 10;
/// The most devices of one owner, the best claims first.
pub const MOST_DEVICES: usize = 500;
/// A device of more users than that (or, without users, of more addresses) is nobody's, and one beside more devices than
/// that neither follows nor leads.
pub const CROWD: usize = 5;
/// The owners of each kind that are kept for a device: one more than makes a crowd. A hub does not grow without end.
pub const OWNERS_OF_A_DEVICE: usize = CROWD + 1;
/// The owners that are kept for an email. An address that every event names (an account manager's, in the properties) does
/// not grow without end.
pub const OWNERS_OF_AN_EMAIL: usize = 20;
/// More members of a line than its limit have to be known, since one event brings up to this many new ones into it.
const NEW_AT_ONCE: usize = 3;

/// How good a claim is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rank {
    /// A user id stands beside it.
    ToUser,
    /// An address is said beside it: in traits, by a mapping, as the `userId`.
    ToEmail,
    /// The address is loose: only the properties name it.
    Loose,
    /// Another device stands beside it.
    Beside,
}

impl Rank {
    /// The number in a store.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::ToUser => 0,
            Self::ToEmail => 1,
            Self::Loose => 2,
            Self::Beside => 3,
        }
    }

    /// The rank that has a number; any other number is the weakest.
    #[must_use]
    pub fn of(number: i64) -> Self {
        match number {
            0 => Self::ToUser,
            1 => Self::ToEmail,
            2 => Self::Loose,
            _ => Self::Beside,
        }
    }
}

/// A claim of some id: whom it takes for its owner. For each pair the smallest (rank, time) is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How good it is.
    pub rank: Rank,
    /// When, in milliseconds since 1970, as [`claim_time`] gives it.
    pub at: i64,
    /// The owner.
    pub owner: Id,
    /// Whether a person blocked the owner: then the claim counts for nothing.
    pub owner_is_blocked: bool,
}

impl Claim {
    pub(super) fn order(&self) -> (Rank, i64, &Id) {
        (self.rank, self.at, &self.owner)
    }
}

/// One of the ids that claim an owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    /// How good the claim is.
    pub rank: Rank,
    /// When.
    pub at: i64,
    /// Whose claim it is.
    pub id: Id,
}

/// The time as of which an event claims: its own, not after its arrival, and at most [`LATEST`] before it.
#[must_use]
pub fn claim_time(at: Option<i64>, received_at: i64) -> i64 {
    at.unwrap_or(received_at).min(received_at).max(received_at.saturating_sub(LATEST))
}

/// How many of the ids of a kind an owner has at most.
pub(super) fn limit(kind: IdKind) -> usize {
    if kind == IdKind::Email { MOST_EMAILS } else { MOST_DEVICES }
}

/// How many members of a line have to be loaded: the best that many.
#[must_use]
pub fn line_length(kind: IdKind) -> usize {
    limit(kind) + NEW_AT_ONCE
}

/// How many claims of an id on owners of one kind are kept.
pub(super) fn owners_kept(kind: IdKind) -> usize {
    if kind == IdKind::Email { OWNERS_OF_AN_EMAIL } else { OWNERS_OF_A_DEVICE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_of_the_events_time_within_seven_days_before_its_arrival() {
        let now = 100 * LATEST;
        assert_eq!(claim_time(Some(now - 5), now), now - 5);
        assert_eq!(claim_time(None, now), now);
        assert_eq!(claim_time(Some(i64::MAX), now), now);
        assert_eq!(claim_time(Some(i64::MIN), now), now - LATEST);
    }

    #[test]
    fn a_rank_has_its_number_back() {
        for rank in [Rank::ToUser, Rank::ToEmail, Rank::Loose, Rank::Beside] {
            assert_eq!(Rank::of(rank.number()), rank);
        }
    }
}
