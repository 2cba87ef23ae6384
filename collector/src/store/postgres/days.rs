//! The days on which intent rules took something, and how many entries.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::clock::MILLISECONDS_OF_A_DAY;

use super::error::PostgresError;
use super::intent::RuleSet;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::intent::MOST_COUNTED;

statements! {
    PUT = "INSERT INTO intent (identity_id, rule_id, day)
           SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) ON CONFLICT DO NOTHING";
    COUNT = "INSERT INTO intent (identity_id, rule_id, day, count)
             SELECT identity_id, rule_id, day, least(count, $5) FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                 AS new (identity_id, rule_id, day, count)
             ON CONFLICT (identity_id, rule_id, day) DO UPDATE SET count = least(intent.count + excluded.count, $5)";
    SET = "INSERT INTO intent (identity_id, rule_id, day, count)
           SELECT identity_id, rule_id, day, least(count, $5) FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
               AS new (identity_id, rule_id, day, count)
           ON CONFLICT (identity_id, rule_id, day) DO UPDATE SET count = excluded.count";
    THERE = "SELECT rule_id, day, count FROM intent
             WHERE identity_id = $1 AND (rule_id, day) IN (SELECT * FROM unnest($2::bigint[], $3::bigint[]))";
}

/// What one batch brings of a day.
#[derive(Debug, Clone, Copy)]
struct Brought {
    entries: i64,
    /// When it happened last.
    at: i64,
}

/// Days of one id under rules.
#[derive(Default)]
#[allow(clippy::struct_field_names)] // the days themselves, beside what goes with them
pub(super) struct Days {
    days: BTreeMap<(i64, i64), Brought>,
    counting: BTreeSet<i64>,
    /// Rules of which each entry is noted.
    noted_each: BTreeSet<i64>,
    /// What stood there before, with the number of entries.
    there: BTreeMap<(i64, i64), i64>,
}

impl Days {
    /// What stands there of days under rules.
    pub(super) async fn there(
        transaction: &Transaction,
        identity_id: i64,
        asked: &BTreeSet<(i64, i64)>,
    ) -> Result<BTreeMap<(i64, i64), i64>, PostgresError> {
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (rules, days): (Vec<i64>, Vec<i64>) = asked.iter().copied().unzip();
        let rows = transaction.query(THERE, &[&identity_id, &rules, &days]).await?;
        rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
    }

    pub(super) fn beside(there: BTreeMap<(i64, i64), i64>) -> Self {
        Self { there, ..Self::default() }
    }

    /// Notes an entry under the rules that took it.
    pub(super) fn note(&mut self, rules: &RuleSet, taking: &[i64], at: i64) {
        let day = day_of(at);
        for rule in taking {
            if rules.is_counting(*rule) {
                self.counting.insert(*rule);
            }
            if rules.is_each_noted(*rule) {
                self.noted_each.insert(*rule);
            }
            let brought = self.days.entry((*rule, day)).or_insert(Brought { entries: 0, at });
            brought.entries += 1;
            brought.at = brought.at.max(at);
        }
    }

    /// Rules and days that count more than before, or of which each entry is noted, and when that happened last.
    pub(super) fn new_ones(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        let is_new = |key: &(i64, i64)| match self.there.get(key) {
            None => true,
            Some(_) if self.noted_each.contains(&key.0) => true,
            Some(count) => self.counting.contains(&key.0) && *count < i64::from(MOST_COUNTED),
        };
        self.days.iter().filter(move |(key, _)| is_new(key)).map(|((rule, day), brought)| (*rule, *day, brought.at))
    }

    /// The rules among them that count the entries of a day, and when that happened last.
    pub(super) fn new_ones_that_count(&self) -> impl Iterator<Item = (i64, i64)> {
        self.new_ones().filter(|(rule, ..)| self.counting.contains(rule)).map(|(rule, _, at)| (rule, at))
    }

    pub(super) async fn write(&self, transaction: &Transaction, identity_id: i64) -> Result<(), PostgresError> {
        let (counted, once): (Vec<_>, Vec<_>) =
            self.days.iter().partition(|((rule, _), _)| self.counting.contains(rule));
        let once = once.into_iter().filter(|(key, _)| !self.there.contains_key(key));
        let counted = counted.into_iter().map(|((rule, day), brought)| ((identity_id, *rule, *day), brought.entries));
        together!(
            put(transaction, once.map(|((rule, day), _)| (identity_id, *rule, *day))),
            write_counts(transaction, COUNT, counted),
        )?;
        Ok(())
    }
}

/// The UTC day of a time.
pub(super) fn day_of(at: i64) -> i64 {
    at.div_euclid(MILLISECONDS_OF_A_DAY)
}

/// Notes days under rules: the id, the rule, the day.
pub(super) async fn put(
    transaction: &Transaction,
    days: impl Iterator<Item = (i64, i64, i64)>,
) -> Result<(), PostgresError> {
    let (mut ids, mut rules, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (id, rule, day) in days {
        ids.push(id);
        rules.push(rule);
        numbers.push(day);
    }
    transaction.execute_if(!ids.is_empty(), PUT, &[&ids, &rules, &numbers]).await
}

/// Says how many entries rules that count took of days.
pub(super) async fn set_counts(
    transaction: &Transaction,
    counts: &BTreeMap<(i64, i64, i64), i64>,
) -> Result<(), PostgresError> {
    write_counts(transaction, SET, counts.iter().map(|(key, count)| (*key, *count))).await
}

async fn write_counts(
    transaction: &Transaction,
    sql: super::sql::Sql,
    counts: impl Iterator<Item = ((i64, i64, i64), i64)>,
) -> Result<(), PostgresError> {
    let (mut ids, mut rules, mut days, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((id, rule, day), count) in counts {
        ids.push(id);
        rules.push(rule);
        days.push(day);
        numbers.push(count);
    }
    let most = i64::from(MOST_COUNTED);
    transaction.execute_if(!ids.is_empty(), sql, &[&ids, &rules, &days, &numbers, &most]).await
}
