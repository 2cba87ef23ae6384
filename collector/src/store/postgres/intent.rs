//! Intent: on which days what the intent rules look for was done under each id. A visitor's day counts once, whatever ids it was
//! done under; that is counted when it is read.
//!
//! The rules that count stand in the database, with a version that whoever keeps an entry reads in the same transaction: several
//! that write beside each other hold to the same rules.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use koala_destination::clock::now_milliseconds;
use koala_destination::segment::Trigger;
use tokio_postgres::Row;

use super::error::PostgresError;
use super::pool::Pool;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use crate::intent::{self, Count, IntentRule};
use crate::received::EntryKind;
use crate::store::noted_each::NotedEach;

statements! {
    VERSION = "SELECT value FROM number WHERE name = 'rules'";
    PUT_VERSION = "INSERT INTO number (name, value) VALUES ('rules', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    RULES = "SELECT id, name, looked_for, score, half_life_days, at_least, within_days FROM intent_rule ORDER BY name, id";
    FORGET_RULES = "DELETE FROM intent_rule WHERE id = ANY($1::bigint[])";
    INSERT_RULES = "INSERT INTO intent_rule (id, name, looked_for, score, half_life_days, at_least, within_days, since,
                                             unseen_from, unseen_below, is_settled)
                    SELECT id, name, looked_for, score, half_life_days, at_least, within_days, $8, 0,
                           (SELECT coalesce(max(id) + 1, 0) FROM entry), FALSE
                    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::double precision[], $5::double precision[], $6::bigint[], $7::bigint[])
                        AS new (id, name, looked_for, score, half_life_days, at_least, within_days)";
    UPDATE_RULES = "UPDATE intent_rule SET score = new.score, half_life_days = new.half_life_days,
                        at_least = new.at_least, within_days = new.within_days
                    FROM unnest($1::bigint[], $2::double precision[], $3::double precision[], $4::bigint[], $5::bigint[])
                        AS new (id, score, half_life_days, at_least, within_days)
                    WHERE intent_rule.id = new.id";
}

/// A rule, with its number in the database.
#[derive(Debug)]
pub(super) struct StoredRule {
    pub(super) id: i64,
    pub(super) rule: IntentRule,
    noted_each: NotedEach,
}

impl StoredRule {
    /// Whether alerts look at each entry that it takes.
    pub(super) fn is_each_noted(&self) -> bool {
        self.noted_each.has(&self.rule.name)
    }
}

/// The rules of one version.
#[derive(Debug, Default)]
pub(super) struct RuleSet {
    pub(super) version: i64,
    pub(super) rules: Vec<StoredRule>,
}

impl RuleSet {
    /// Whether a rule counts the entries of a day.
    pub(super) fn is_counting(&self, rule_id: i64) -> bool {
        self.rules.iter().any(|stored| stored.id == rule_id && stored.rule.count.is_some())
    }

    /// Whether alerts look at each entry that a rule takes.
    pub(super) fn is_each_noted(&self, rule_id: i64) -> bool {
        self.rules.iter().any(|stored| stored.id == rule_id && stored.is_each_noted())
    }

    /// The rules that count the entries of a day.
    pub(super) fn counting(&self) -> impl Iterator<Item = i64> {
        self.rules.iter().filter(|stored| stored.rule.count.is_some()).map(|stored| stored.id)
    }

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
    noted_each: NotedEach,
}

impl IntentRules {
    fn last_read(&self) -> Arc<RuleSet> {
        Arc::clone(&self.read.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has each entry noted that one of these takes.
    pub(super) fn note_each_of(&self, rules: &[String]) {
        self.noted_each.follow(rules);
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
        let rules =
            Arc::new(RuleSet { version, rules: rules(&transaction.query(RULES, &[]).await?, &self.noted_each)? });
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        // A transaction that began before the rules were changed may end later.
        if read.version < version {
            *read = Arc::clone(&rules);
        }
        Ok(rules)
    }

    /// The rules as they stand in the database now.
    pub(super) async fn now(&self, pool: &Pool) -> Result<Arc<RuleSet>, PostgresError> {
        transact!(pool, Mode::Read, |transaction| async {
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
        transact!(pool, Mode::Write, |transaction| put_rules(&transaction, rules))?;
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(rules.to_vec());
        Ok(())
    }
}

/// The version of the rules; 0 where there were never any.
pub(super) async fn version(transaction: &Transaction) -> Result<i64, PostgresError> {
    Ok(transaction.query_opt(VERSION, &[]).await?.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

fn rules(rows: &[Row], noted_each: &NotedEach) -> Result<Vec<StoredRule>, PostgresError> {
    let mut rules = Vec::with_capacity(rows.len());
    for row in rows {
        let looked_for: &str = row.try_get(2)?;
        let number =
            |column| Ok::<_, PostgresError>(row.try_get::<_, Option<i64>>(column)?.and_then(|it| it.try_into().ok()));
        let count = match (number(5)?, number(6)?) {
            (Some(at_least), Some(within_days)) => Some(Count { at_least, within_days }),
            _ => None,
        };
        // One that a later release has put there may mean nothing here.
        let trigger = if count.is_some() { looked_for.strip_prefix(EACH).unwrap_or(looked_for) } else { looked_for };
        let Ok(trigger) = Trigger::parse(trigger) else { continue };
        let rule = IntentRule {
            name: row.try_get(1)?,
            trigger,
            score: row.try_get(3)?,
            half_life_days: row.try_get(4)?,
            count,
        };
        rules.push(StoredRule { id: row.try_get(0)?, rule, noted_each: noted_each.clone() });
    }
    Ok(rules)
}

/// What stands before the trigger of a rule that looks for all entries of a day, and not for the first alone.
const EACH: &str = "each ";

/// What a rule looks for, as text.
fn looked_for(rule: &IntentRule) -> String {
    let trigger = rule.trigger.as_str();
    if rule.count.is_some() { format!("{EACH}{trigger}") } else { trigger.to_owned() }
}

/// Keeps the rules in the database, and forgets those that are none any more. What they found counts for nothing then.
async fn put_rules(transaction: &Transaction, wanted: &[IntentRule]) -> Result<(), PostgresError> {
    let ((), version, rows) = together!(transaction.begin(), version(transaction), transaction.query(RULES, &[]))?;
    let there = rules(&rows, &NotedEach::default())?;
    let same = |stored: &StoredRule, rule: &IntentRule| {
        stored.rule.name == rule.name && looked_for(&stored.rule) == looked_for(rule)
    };
    let mut gone: Vec<i64> = Vec::new();
    for row in &rows {
        let id: i64 = row.try_get(0)?;
        if !there.iter().any(|stored| stored.id == id && wanted.iter().any(|rule| same(stored, rule))) {
            gone.push(id);
        }
    }
    let (mut new, mut changed) = (RuleRows::default(), RuleRows::default());
    for (id, rule) in (row_ids::next()..).zip(wanted) {
        match there.iter().find(|stored| same(stored, rule)) {
            None => new.add(id, rule),
            Some(stored) if stored.rule != *rule => changed.add(stored.id, rule),
            Some(_) => {}
        }
    }
    if gone.is_empty() && new.ids.is_empty() && changed.ids.is_empty() {
        return transaction.commit().await;
    }
    let RuleRows { ids, names, looked_for, scores, half_lives, at_least, within_days } = &new;
    let now = now_milliseconds();
    together!(
        transaction.execute(PUT_VERSION, &[&(version + 1)]),
        transaction.execute_if(!gone.is_empty(), FORGET_RULES, &[&gone]),
        transaction.execute_if(
            !ids.is_empty(),
            INSERT_RULES,
            &[ids, names, looked_for, scores, half_lives, at_least, within_days, &now]
        ),
        transaction.execute_if(
            !changed.ids.is_empty(),
            UPDATE_RULES,
            &[&changed.ids, &changed.scores, &changed.half_lives, &changed.at_least, &changed.within_days]
        ),
        transaction.commit(),
    )?;
    Ok(())
}

/// Rows of rules, in columns.
#[derive(Default)]
struct RuleRows {
    ids: Vec<i64>,
    names: Vec<String>,
    looked_for: Vec<String>,
    scores: Vec<f64>,
    half_lives: Vec<f64>,
    at_least: Vec<Option<i64>>,
    within_days: Vec<Option<i64>>,
}

impl RuleRows {
    fn add(&mut self, id: i64, rule: &IntentRule) {
        self.ids.push(id);
        self.names.push(rule.name.clone());
        self.looked_for.push(looked_for(rule));
        self.scores.push(rule.score);
        self.half_lives.push(rule.half_life_days);
        self.at_least.push(rule.count.map(|count| i64::from(count.at_least)));
        self.within_days.push(rule.count.map(|count| i64::from(count.within_days)));
    }
}
