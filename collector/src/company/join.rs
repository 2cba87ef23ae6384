//! Which identities are one company, by the votes of visitors.
//!
//! A vote says that a name or a group's id was given together with a domain, or a name with a group's id. A weaker identity belongs
//! to the one for which most visitors voted, of equals to the one that was given first. Votes are a set: order and repetition
//! do not matter, and one more vote moves nothing that leads by two, or that leads
//! by one and was given first.

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
    /// What it was given together with.
    pub target: CompanyKey,
    /// Whether a group call said so.
    pub by_group_call: bool,
    /// When it was said first, in milliseconds since 1970, as of when an identity's claim is made.
    pub at: i64,
}

/// What an identity belongs to; nothing where it stands for itself.
#[must_use]
pub fn joins(kind: CompanyKind, votes: impl IntoIterator<Item = Vote>) -> Option<CompanyKey> {
    #[derive(Default)]
    struct Tally {
        voters: BTreeSet<i64>,
        by_group_call: bool,
        first_at: Option<i64>,
    }
    let mut tallies: BTreeMap<CompanyKey, Tally> = BTreeMap::new();
    for vote in votes.into_iter().filter(|vote| vote.target.kind < kind) {
        let tally = tallies.entry(vote.target).or_default();
        tally.voters.insert(vote.voter);
        tally.by_group_call |= vote.by_group_call;
        tally.first_at = Some(tally.first_at.map_or(vote.at, |first| first.min(vote.at)));
    }
    let counts = |tally: &Tally| match kind {
        CompanyKind::Domain => false,
        CompanyKind::Group => true,
        CompanyKind::Name => tally.by_group_call || tally.voters.len() >= VISITORS_FOR_A_NAME,
    };
    let candidates = tallies.into_iter().filter(|(_, tally)| counts(tally));
    // Of equals the first by its text.
    let best = candidates.reduce(|best, next| {
        let order = next.1.voters.len().cmp(&best.1.voters.len()).then_with(|| best.1.first_at.cmp(&next.1.first_at));
        if order.is_gt() { next } else { best }
    });
    best.map(|(target, _)| target)
}

/// What a company is called: the name that most visitors gave it, of equals the one that was given first. Each is a visitor, a name
/// as it was written, and when; how a name is written is decided likewise.
#[must_use]
pub fn called(given: impl IntoIterator<Item = (i64, String, i64)>) -> Option<String> {
    let mut by_name: BTreeMap<String, (Given, BTreeMap<String, Given>)> = BTreeMap::new();
    let note = |given: &mut Given, voter: i64, at: i64| {
        given.0.insert(voter);
        given.1 = given.1.min(at);
    };
    for (voter, written, at) in given {
        let Some(key) = CompanyKey::of_name(&written) else { continue };
        let nobody = || (BTreeSet::new(), i64::MAX);
        let (all, as_written) = by_name.entry(key.value).or_insert_with(|| (nobody(), BTreeMap::new()));
        note(all, voter, at);
        note(as_written.entry(written).or_insert_with(nobody), voter, at);
    }
    let (_, (_, as_written)) = most_given(by_name, |(all, _)| all)?;
    most_given(as_written, |given| given).map(|(written, _)| written)
}

/// Who gave a name, and when first.
type Given = (BTreeSet<i64>, i64);

/// What most visitors gave, of equals first.
fn most_given<T>(of: BTreeMap<String, T>, given: impl Fn(&T) -> &Given) -> Option<(String, T)> {
    of.into_iter().reduce(|best, next| {
        let (a, b) = (given(&best.1), given(&next.1));
        if b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)).is_gt() { next } else { best }
    })
}
