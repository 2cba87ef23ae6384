//! What the entries of a batch that are new say together.

use std::collections::HashSet;

use super::alert_changes::Reassigned;
use super::arrived::Arrived;
use super::days::Days;
use super::intent::RuleSet;
use super::topics::Counted;
use crate::identity::claim_time;
use crate::received::EntryKind;

/// What the entries that are new say together.
pub(super) struct Noted {
    pub(super) times: Option<Times>,
    pub(super) counts: [i64; 3],
    /// When something was said by which what was there may be another visitor's or company's.
    pub(super) moved: Option<Reassigned>,
    /// The days on which rules took something.
    pub(super) days: Days,
    /// What they are about.
    pub(super) counted: Counted,
}

/// When they happened, in milliseconds since 1970.
pub(super) struct Times {
    pub(super) first: i64,
    pub(super) last: i64,
    /// The earliest time as of which one of them claims.
    pub(super) claims_at: i64,
}

impl Noted {
    pub(super) fn of(
        arrived: &Arrived<'_>,
        inserted: &HashSet<i64>,
        (rules, taking): (&RuleSet, &[Vec<i64>]),
        days: Days,
    ) -> Self {
        let mut noted = Self { times: None, counts: [0; 3], moved: None, days, counted: Counted::default() };
        for (place, (topic, entry)) in arrived.new_places(inserted) {
            let at = arrived.at(entry);
            noted.counted.add(topic, at);
            noted.see(at, claim_time(entry.at, arrived.arrival_of(entry)));
            noted.days.note(rules, taking.get(place).map(Vec::as_slice).unwrap_or_default(), at);
            let [events, identifies, page_views] = &mut noted.counts;
            match entry.kind {
                EntryKind::Event => *events += 1,
                EntryKind::Identify => *identifies += 1,
                EntryKind::PageView => *page_views += 1,
            }
        }
        if arrived.part.entries.is_empty() {
            noted.see(arrived.arrival, arrived.arrival);
        }
        noted
    }

    fn see(&mut self, at: i64, claims_at: i64) {
        let before = self.times.get_or_insert(Times { first: at, last: at, claims_at });
        before.first = before.first.min(at);
        before.last = before.last.max(at);
        before.claims_at = before.claims_at.min(claims_at);
    }
}
