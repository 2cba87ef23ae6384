//! Intent: on which days what the intent rules look for was done under each id. A visitor's day counts once, whatever ids it was
//! done under; that is counted when it is read.
//!
//! The rules that count stand in the database, with a version that whoever keeps an entry reads in the same transaction: several
//! that write beside each other hold to the same rules.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use koala_destination::clock::now_milliseconds;
use koala_destination::segment::Trigger;
use tokio_postgres::Row;

use super::error::PostgresError;
use super::pool::Pool;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Access, Transaction, together, transact};
use crate::intent::{self, IntentRule};
use crate::protocol::batch::EntryKind;

statements! {
    VERSION = "SELECT value FROM number WHERE name = 'rules'";
    PUT_VERSION = "INSERT INTO number (name, value) VALUES ('rules', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    RULES = "SELECT id, name, looked_for, score, half_life_days FROM intent_rule ORDER BY name, id";
    FORGET_RULES = "DELETE FROM intent_rule WHERE id = ANY($1::bigint[])";
    INSERT_RULES = "INSERT INTO intent_rule (id, name, looked_for, score, half_life_days, since, unseen_from, unseen_below, is_settled)
                    SELECT id, name, looked_for, score, half_life_days, $6, 0, (SELECT coalesce(max(id) + 1, 0) FROM entry), FALSE
                    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::double precision[], $5::double precision[])
                        AS new (id, name, looked_for, score, half_life_days)";
    UPDATE_RULES = "UPDATE intent_rule SET score = new.score, half_life_days = new.half_life_days
                    FROM unnest($1::bigint[], $2::double precision[], $3::double precision[]) AS new (id, score, half_life_days)
                    WHERE intent_rule.id = new.id";
    PUT = "INSERT INTO intent (identity_id, rule_id, day)
           SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) ON CONFLICT DO NOTHING";
}

/// A rule, with its number in the database.
#[derive(Debug)]
pub(super) struct StoredRule {
    pub(super) id: i64,
    pub(super) rule: IntentRule,
}

/// The rules of one version.
#[derive(Debug, Default)]
pub(super) struct RuleSet {
    pub(super) version: i64,
    pub(super) rules: Vec<StoredRule>,
}

impl RuleSet {
    /// The rules that take an entry.
    pub(super) fn matching(&self, kind: EntryKind, json: &str) -> Vec<i64> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let matching = intent::with_event(kind, json, |event| {
            self.rules.iter().filter(|stored| stored.rule.trigger.matches(event)).map(|stored| stored.id).collect()
        });
        matching.unwrap_or_default()
    }
}

/// The rules that count, as they were last read; clones share them.
#[derive(Clone, Default)]
pub(super) struct IntentRules {
    read: Arc<RwLock<Arc<RuleSet>>>,
    /// What was last asked to be followed here. Another one beside may have other settings: whoever changed theirs last decides.
    asked: Arc<Mutex<Option<Vec<IntentRule>>>>,
}

impl IntentRules {
    fn last_read(&self) -> Arc<RuleSet> {
        Arc::clone(&self.read.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules of a version; it is the newest that the transaction sees.
    pub(super) async fn of_version(
        &self,
        transaction: &Transaction,
        version: i64,
    ) -> Result<Arc<RuleSet>, PostgresError> {
        let last_read = self.last_read();
        if last_read.version == version {
            return Ok(last_read);
        }
        let rules = Arc::new(RuleSet { version, rules: rules(&transaction.query(RULES, &[]).await?)? });
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        // A transaction that began before the rules were changed may end later.
        if read.version < version {
            *read = Arc::clone(&rules);
        }
        Ok(rules)
    }

    /// The rules as they stand in the database now.
    pub(super) async fn now(&self, pool: &Pool) -> Result<Arc<RuleSet>, PostgresError> {
        transact!(pool, Access::Read, |transaction| async {
            let ((), version) = together!(transaction.begin(), version(&transaction))?;
            let rules = self.of_version(&transaction, version).await?;
            transaction.commit().await?;
            Ok(rules)
        })
    }

    /// Makes these the rules that count.
    pub(super) async fn follow(&self, pool: &Pool, rules: &[IntentRule]) -> Result<(), PostgresError> {
        if self.asked.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(rules) {
            return Ok(());
        }
        transact!(pool, Access::Write, |transaction| put_rules(&transaction, rules))?;
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(rules.to_vec());
        Ok(())
    }
}

/// The version of the rules; 0 where there were never any.
pub(super) async fn version(transaction: &Transaction) -> Result<i64, PostgresError> {
    Ok(transaction.query_opt(VERSION, &[]).await?.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

fn rules(rows: &[Row]) -> Result<Vec<StoredRule>, PostgresError> {
    let mut rules = Vec::with_capacity(rows.len());
    for row in rows {
        // One that a later release has put there may mean nothing here.
        let Ok(trigger) = Trigger::parse(row.try_get(2)?) else { continue };
        let rule = IntentRule {
            name: row.try_get(1)?,
            trigger,
            score: row.try_get(3)?,
            half_life_days: row.try_get(4)?,
            // Entries are not counted here yet: one is enough.
            count: None,
        };
        rules.push(StoredRule { id: row.try_get(0)?, rule });
    }
    Ok(rules)
}

/// Keeps the rules in the database, and forgets those that are none any more. What they found counts for nothing then.
async fn put_rules(transaction: &Transaction, wanted: &[IntentRule]) -> Result<(), PostgresError> {
    let ((), version, rows) = together!(transaction.begin(), version(transaction), transaction.query(RULES, &[]))?;
    let there = rules(&rows)?;
    let same = |stored: &StoredRule, rule: &IntentRule| {
        stored.rule.name == rule.name && stored.rule.trigger.as_str() == rule.trigger.as_str()
    };
    let mut gone: Vec<i64> = Vec::new();
    for row in &rows {
        let id: i64 = row.try_get(0)?;
        if !there.iter().any(|stored| stored.id == id && wanted.iter().any(|rule| same(stored, rule))) {
            gone.push(id);
        }
    }
    let (mut new, mut changed) =
        ((Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new()), (Vec::new(), Vec::new(), Vec::new()));
    for (id, rule) in (row_ids::next()..).zip(wanted) {
        match there.iter().find(|stored| same(stored, rule)) {
            None => {
                new.0.push(id);
                new.1.push(rule.name.as_str());
                new.2.push(rule.trigger.as_str());
                new.3.push(rule.score);
                new.4.push(rule.half_life_days);
            }
            Some(stored) if stored.rule != *rule => {
                changed.0.push(stored.id);
                changed.1.push(rule.score);
                changed.2.push(rule.half_life_days);
            }
            Some(_) => {}
        }
    }
    if gone.is_empty() && new.0.is_empty() && changed.0.is_empty() {
        return transaction.commit().await;
    }
    together!(
        transaction.execute(PUT_VERSION, &[&(version + 1)]),
        transaction.execute_if(!gone.is_empty(), FORGET_RULES, &[&gone]),
        transaction.execute_if(
            !new.0.is_empty(),
            INSERT_RULES,
            &[&new.0, &new.1, &new.2, &new.3, &new.4, &now_milliseconds()]
        ),
        transaction.execute_if(!changed.0.is_empty(), UPDATE_RULES, &[&changed.0, &changed.1, &changed.2]),
        transaction.commit(),
    )?;
    Ok(())
}

/// Notes days under rules: of one id.
pub(super) async fn put(
    transaction: &Transaction,
    identity_id: i64,
    days: &BTreeSet<(i64, i64)>,
) -> Result<(), PostgresError> {
    put_all(transaction, days.iter().map(|(rule, day)| (identity_id, *rule, *day))).await
}

/// Notes days under rules: the id, the rule, the day.
pub(super) async fn put_all(
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
