//! Which identities are one company, by the votes of visitors.
//!
//! A vote says that a name or a group's id was given together with a domain, or a name with a group's id. A weaker identity belongs
//! to the one for which most visitors voted, of equals to the one that was given first. Visitors of whom only devices are known
//! count as one together: anybody can be as many of those as they like. Votes are a set: order and repetition do not matter,
//! and one more vote moves nothing that leads by two, or that leads by one and was given first.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{CompanyKey, CompanyKind};

/// Of an identity the first as many statements count, by their time: what is established stays, and deciding costs no more.
pub const MOST_VOTES: u32 = 1000;
/// A name joins what as many visitors gave together with it, unless a group call did.
const VISITORS_FOR_A_NAME: usize = 2;

/// What one visitor's statement says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// The visitor, by any number that is theirs alone.
    pub voter: i64,
    /// Whether a user id or an address of the visitor is known.
    pub is_known: bool,
    /// What it was given together with.
    pub target: CompanyKey,
    /// Whether a group call said so.
    pub by_group_call: bool,
    /// When it was received first, in milliseconds since 1970: what an event says of its own time, anybody can write.
    pub at: i64,
}

/// Visitors who say the same.
#[derive(Default)]
struct Tally {
    known: BTreeSet<i64>,
    unknown: BTreeSet<i64>,
    by_group_call: bool,
    first_at: Option<i64>,
}

impl Tally {
    fn note(&mut self, voter: i64, is_known: bool, at: i64) {
        if is_known {
            self.known.insert(voter)
        } else {
            self.unknown.insert(voter)
        };
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
    }

    fn visitors(&self) -> usize {
        self.known.len() + self.unknown.len()
    }

    /// What it counts: each visitor who is known, and all others as one.
    fn weight(&self) -> usize {
        self.known.len() + usize::from(!self.unknown.is_empty())
    }

    /// Whether it goes before another one.
    fn is_before(&self, other: &Self) -> bool {
        self.weight().cmp(&other.weight()).then_with(|| other.first_at.cmp(&self.first_at)).is_gt()
    }
}

/// What an identity belongs to; nothing where it stands for itself. One that is written as a domain belongs to that one.
#[must_use]
pub fn joins(key: &CompanyKey, votes: impl IntoIterator<Item = Vote>) -> Option<CompanyKey> {
    if let Some(domain) = key.as_domain() {
        return Some(domain);
    }
    let mut tallies: BTreeMap<CompanyKey, Tally> = BTreeMap::new();
    for vote in votes.into_iter().filter(|vote| vote.target.kind < key.kind) {
        let tally = tallies.entry(vote.target).or_default();
        tally.note(vote.voter, vote.is_known, vote.at);
        tally.by_group_call |= vote.by_group_call;
    }
    let is_enough = |tally: &Tally| match key.kind {
        CompanyKind::Domain => false,
        CompanyKind::Group => true,
        CompanyKind::Name => tally.by_group_call || tally.visitors() >= VISITORS_FOR_A_NAME,
    };
    // The best of all, enough or not: a name that somebody has said of their own company is not taken by one call.
    best(tallies, |tally| tally).filter(|(_, tally)| is_enough(tally)).map(|(target, _)| target)
}

/// A name that somebody gave a company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The visitor, by any number that is theirs alone.
    pub voter: i64,
    /// Whether a user id or an address of the visitor is known.
    pub is_known: bool,
    /// The name as it was written.
    pub written: String,
    /// When it was received first, in milliseconds since 1970.
    pub at: i64,
}

/// What a company is called: the name that most visitors gave it, counted as votes are, of equals the one that was given first. How it
/// is written is decided likewise.
#[must_use]
pub fn called(given: impl IntoIterator<Item = Naming>) -> Option<String> {
    let mut by_name: BTreeMap<String, (Tally, BTreeMap<String, Tally>)> = BTreeMap::new();
    for Naming { voter, is_known, written, at } in given {
        let Some(key) = CompanyKey::of_name(&written) else { continue };
        let (all, as_written) = by_name.entry(key.value).or_default();
        all.note(voter, is_known, at);
        as_written.entry(written).or_default().note(voter, is_known, at);
    }
    let (_, (_, as_written)) = best(by_name, |(all, _)| all)?;
    best(as_written, |tally| tally).map(|(written, _)| written)
}

/// What most visitors gave, of equals the one that was given first, then the first by its text.
fn best<K: Ord, T>(of: BTreeMap<K, T>, tally: impl Fn(&T) -> &Tally) -> Option<(K, T)> {
    of.into_iter().reduce(|best, next| if tally(&next.1).is_before(tally(&best.1)) { next } else { best })
}
