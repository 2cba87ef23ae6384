//! What belongs together as one company: the rules of `docs/companies.md`, on any votes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use koala_collector::company::{CompanyKey, CompanyKind, Naming, Vote, called, joins};
use proptest::prelude::*;

fn domain(name: &str) -> CompanyKey {
    CompanyKey::stored(CompanyKind::Domain, name)
}

fn group(name: &str) -> CompanyKey {
    CompanyKey::stored(CompanyKind::Group, name)
}

fn vote(voter: i64, target: CompanyKey, at: i64) -> Vote {
    Vote { voter, is_known: true, target, by_group_call: false, at }
}

/// By somebody of whom only a device is known.
fn unknown(vote: Vote) -> Vote {
    Vote { is_known: false, ..vote }
}

fn name() -> CompanyKey {
    CompanyKey::stored(CompanyKind::Name, "globex")
}

fn call(voter: i64, target: CompanyKey, at: i64) -> Vote {
    Vote { by_group_call: true, ..vote(voter, target, at) }
}

#[test]
fn a_name_joins_what_two_visitors_or_one_group_call_gave_together_with_it() {
    let of_name = |votes: &[Vote]| joins(&name(), votes.to_vec());
    let globex = domain("globex.com");
    assert_eq!(of_name(&[vote(1, globex.clone(), 5)]), None);
    // The same visitor again is one.
    assert_eq!(of_name(&[vote(1, globex.clone(), 5), vote(1, globex.clone(), 9)]), None);
    assert_eq!(of_name(&[vote(1, globex.clone(), 5), vote(2, globex.clone(), 9)]), Some(globex.clone()));
    assert_eq!(of_name(&[call(1, globex.clone(), 5)]), Some(globex.clone()));
    assert_eq!(of_name(&[call(1, group("g1"), 5)]), Some(group("g1")));
    // Two of one word go before one group call, and of equals the first.
    let evil = domain("evil.com");
    assert_eq!(
        of_name(&[call(9, evil.clone(), 1), vote(1, globex.clone(), 5), vote(2, globex.clone(), 9)]),
        Some(globex.clone())
    );
    assert_eq!(of_name(&[call(9, evil.clone(), 6), call(1, globex.clone(), 5)]), Some(globex.clone()));
    // A name that somebody has given with a domain is not taken from it by one call.
    assert_eq!(of_name(&[call(9, evil.clone(), 6), vote(1, globex.clone(), 5)]), None);
    // Visitors of whom only devices are known count as one together.
    let devices = (10..15).map(|voter| unknown(call(voter, evil.clone(), 1)));
    let people = [vote(1, globex.clone(), 5), vote(2, globex.clone(), 9)];
    assert_eq!(of_name(&devices.chain(people).collect::<Vec<_>>()), Some(globex));
}

#[test]
fn a_group_joins_the_domain_that_most_gave_with_it_and_a_domain_joins_nothing() {
    let votes = [vote(1, domain("a.com"), 1), vote(2, domain("b.com"), 2), vote(3, domain("b.com"), 3)];
    assert_eq!(joins(&group("g1"), votes[..1].to_vec()), Some(domain("a.com")));
    assert_eq!(joins(&group("g1"), votes.to_vec()), Some(domain("b.com")));
    assert_eq!(joins(&group("g1"), [call(1, group("g2"), 1)]), None);
    assert_eq!(joins(&domain("c.com"), votes.to_vec()), None);
    // An id that is a domain is that one's.
    assert_eq!(joins(&group("Acme.com"), votes), Some(domain("acme.com")));
}

#[test]
fn a_company_is_called_what_most_call_it_as_most_write_it() {
    let of = |given: &[(i64, &str, i64)]| {
        called(given.iter().map(|(voter, name, at)| naming(*voter, *voter < 9, name, *at)))
    };
    assert_eq!(of(&[(1, "Acme Inc", 1), (2, "ACME", 2), (3, "Acme", 3), (4, "Acme", 4)]).as_deref(), Some("Acme"));
    assert_eq!(of(&[(1, "Acme", 2), (2, "Evil", 1)]).as_deref(), Some("Evil"));
    assert_eq!(of(&[(1, "Acme", 2), (2, "Evil", 3), (2, "Evil", 4)]).as_deref(), Some("Acme"));
    assert_eq!(of(&[]), None);
    // Of 9 and above only devices are known.
    let devices = [(9, "Evil", 1), (10, "Evil", 1), (11, "Evil", 1), (12, "Evil", 1)];
    assert_eq!(of(&[&[(1, "Acme", 2), (2, "Acme", 3)], &devices[..]].concat()).as_deref(), Some("Acme"));
}

fn naming(voter: i64, is_known: bool, written: &str, at: i64) -> Naming {
    Naming { voter, is_known, written: written.to_owned(), at }
}

fn target() -> impl Strategy<Value = CompanyKey> {
    prop_oneof![(0..4_u8).prop_map(|n| domain(&format!("d{n}.com"))), (0..3_u8).prop_map(|n| group(&format!("g{n}")))]
}

fn votes() -> impl Strategy<Value = Vec<Vote>> {
    let one = (0..6_i64, target(), any::<bool>(), 0..10_i64);
    let one = one.prop_map(|(voter, target, by_group_call, at)| Vote {
        voter,
        is_known: voter < 4,
        target,
        by_group_call,
        at,
    });
    prop::collection::vec(one, 0..30)
}

fn key() -> impl Strategy<Value = CompanyKey> {
    prop_oneof![Just(group("g1")), Just(name())]
}

/// What those who voted for it count, and when the first did.
fn tally(all: &[Vote], target: &CompanyKey) -> (usize, i64) {
    let given: Vec<&Vote> = all.iter().filter(|vote| vote.target == *target).collect();
    let voters: BTreeSet<Option<i64>> = given.iter().map(|vote| vote.is_known.then_some(vote.voter)).collect();
    (voters.len(), given.iter().map(|vote| vote.at).min().unwrap_or(i64::MAX))
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_matters(key in key(), votes in votes(), seed in any::<u64>()) {
        let mut told_again = votes.clone();
        told_again.extend(votes.clone());
        fastrand::Rng::with_seed(seed).shuffle(&mut told_again);
        prop_assert_eq!(joins(&key, votes.clone()), joins(&key, told_again.clone()));
        let naming = |vote: &Vote| naming(vote.voter, vote.is_known, &vote.target.value, vote.at);
        let names = |votes: &[Vote]| called(votes.iter().map(naming));
        prop_assert_eq!(names(&votes), names(&told_again));
    }

    /// It stands on two visitors' word or a group call's, and no other has as many visitors before the forged one comes.
    #[test]
    fn one_forged_event_moves_nothing_that_is_established(key in key(), votes in votes(), forged in target(), is_known in any::<bool>()) {
        let Some(established) = joins(&key, votes.clone()) else { return Ok(()) };
        let (count, first_at) = tally(&votes, &established);
        let leads = votes.iter().filter(|vote| vote.target != established && vote.target.kind < key.kind).all(|vote| {
            let (others, others_first_at) = tally(&votes, &vote.target);
            others + 1 < count || (others + 1 == count && first_at < others_first_at)
        });
        prop_assume!(leads && (count > 1 || first_at < 100));
        let mut after = votes.clone();
        after.push(Vote { is_known, ..call(99, forged, 100) });
        prop_assert_eq!(joins(&key, after), Some(established));
    }
}
