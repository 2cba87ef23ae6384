//! Intent: on which days what the intent rules look for was done under each id. A visitor's day counts once, whatever ids it was
//! done under; that is counted when it is read.
//!
//! An entry is looked at when it comes in. A rule that is new is looked for in what was there before, from the newest entry
//! down, a piece at a time, so that no request waits for it.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use rusqlite::{Connection, params};

use super::alert_changes;
use super::file::{FileError, SqliteFile};
use crate::intent::{self, IntentRule, MOST_COUNTED};
use crate::received::EntryKind;
use crate::store::noted_each::NotedEach;

/// Entries that are looked at in one piece, while other writing waits: some tens of milliseconds.
const ENTRIES_OF_A_PIECE: u32 = 2000;

/// A rule, with its number in the store.
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

/// The rules that count now; clones share them.
#[derive(Clone, Default)]
pub struct IntentRules {
    stored: Arc<RwLock<Arc<[StoredRule]>>>,
    noted_each: NotedEach,
}

impl IntentRules {
    pub(super) fn now(&self) -> Arc<[StoredRule]> {
        Arc::clone(&self.stored.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has each entry noted that one of these takes.
    pub(super) fn note_each_of(&self, rules: &[String]) {
        self.noted_each.follow(rules);
    }

    /// Makes these the rules that count.
    ///
    /// # Errors
    /// When SQLite refuses it; then the rules are as before.
    pub async fn follow(&self, file: &SqliteFile, rules: &[IntentRule]) -> Result<(), FileError> {
        if self.now().iter().map(|stored| &stored.rule).eq(rules) {
            return Ok(());
        }
        let (current, rules) = (self.clone(), rules.to_vec());
        let follow = move |connection: &Connection| {
            let stored = put(connection, rules, &current.noted_each)?;
            // Here, where nothing else writes: each entry is looked at with the rules of before or with these.
            *current.stored.write().unwrap_or_else(PoisonError::into_inner) = stored.into();
            Ok(())
        };
        file.write(follow).await
    }

    /// Looks at a piece of the entries that were there before a rule. Gives back whether there is more.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub async fn look_back(&self, file: &SqliteFile) -> Result<bool, FileError> {
        let any_left = file.read(|connection| {
            connection
                .query_row("SELECT EXISTS (SELECT 1 FROM intent_rule WHERE unseen_below > 0)", [], |row| row.get(0))
        });
        if !any_left.await? {
            return Ok(false);
        }
        let current = self.clone();
        file.write(move |connection| look_at_a_piece(connection, &current.now())).await
    }
}

/// Keeps the rules in the store, and forgets those that are no longer in force with what they found.
fn put(connection: &Connection, rules: Vec<IntentRule>, noted_each: &NotedEach) -> rusqlite::Result<Vec<StoredRule>> {
    let wanted: HashSet<(&str, String)> = rules.iter().map(|rule| (rule.name.as_str(), looked_for(rule))).collect();
    let mut select = connection.prepare("SELECT id, name, looked_for FROM intent_rule")?;
    let there = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (id, name, looked_for) in there.collect::<rusqlite::Result<Vec<(i64, String, String)>>>()? {
        if !wanted.contains(&(name.as_str(), looked_for)) {
            connection.execute("DELETE FROM intent WHERE rule_id = ?1", [id])?;
            connection.execute("DELETE FROM intent_rule WHERE id = ?1", [id])?;
        }
    }
    let mut upsert = connection.prepare(
        "INSERT INTO intent_rule (name, looked_for, unseen_below)
         VALUES (?1, ?2, (SELECT coalesce(max(id), -1) + 1 FROM entry))
         ON CONFLICT (name) DO UPDATE SET looked_for = excluded.looked_for RETURNING id",
    )?;
    let mut put = |rule: IntentRule| {
        let id = upsert.query_row([&rule.name, &looked_for(&rule)], |row| row.get(0))?;
        Ok(StoredRule { id, rule, noted_each: noted_each.clone() })
    };
    rules.into_iter().map(&mut put).collect()
}

/// What a rule looks for, as text: of a rule that counts all entries of a day, of another one the first.
fn looked_for(rule: &IntentRule) -> String {
    let trigger = rule.trigger.as_str();
    if rule.count.is_some() { format!("each {trigger}") } else { trigger.to_owned() }
}

/// An entry that was kept.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) identity_id: i64,
    pub(super) kind: EntryKind,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) json: &'a str,
}

/// Notes the day of an entry that came in under each rule that takes it, and that this changed something.
pub(super) fn note(connection: &Connection, rules: &[StoredRule], entry: Kept<'_>) -> rusqlite::Result<()> {
    let new = note_days(connection, rules, entry)?;
    note_changes(connection, rules, entry, new)
}

/// Visitors were put together: what one did and what the other one did may be enough now for rules that count.
pub(super) fn note_put_together(
    connection: &Connection,
    rules: &[StoredRule],
    identity_id: i64,
    at: i64,
) -> rusqlite::Result<()> {
    let day = at.div_euclid(MILLISECONDS_OF_A_DAY);
    rules
        .iter()
        .filter(|stored| stored.rule.count.is_some())
        .try_for_each(|stored| alert_changes::note(connection, identity_id, stored.id, day, at))
}

/// Notes a page view that has grown from what it was: under the rules that took it before it is noted.
pub(super) fn note_growth(
    connection: &Connection,
    rules: &[StoredRule],
    entry: Kept<'_>,
    (row, before): (i64, &str),
) -> rusqlite::Result<()> {
    let took_before: Option<HashSet<i64>> = intent::with_event(entry.kind, before, |event| {
        rules.iter().filter(|stored| stored.rule.trigger.matches(event)).map(|stored| stored.id).collect()
    });
    let took_before = took_before.unwrap_or_default();
    // One that has yet to come to the entry notes it then.
    let mut unseen =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM intent_rule WHERE id = ?1 AND unseen_below > ?2)")?;
    let mut left = Vec::new();
    for stored in rules.iter().filter(|stored| !took_before.contains(&stored.id)) {
        if stored.rule.count.is_none() || !unseen.query_row([stored.id, row], |row| row.get(0))? {
            left.push(stored);
        }
    }
    let new = note_days(connection, left, entry)?;
    note_changes(connection, rules, entry, new)
}

/// Notes for alerts the rules for which a day is new. What was done yesterday and comes late may be what makes today enough for a rule
/// that counts.
fn note_changes(
    connection: &Connection,
    rules: &[StoredRule],
    entry: Kept<'_>,
    new: Vec<(i64, i64)>,
) -> rusqlite::Result<()> {
    let today = now_milliseconds().div_euclid(MILLISECONDS_OF_A_DAY);
    let is_counting = |rule: i64| rules.iter().any(|stored| stored.id == rule && stored.rule.count.is_some());
    for (rule_id, day) in new {
        alert_changes::note(connection, entry.identity_id, rule_id, day, entry.at)?;
        if day != today && is_counting(rule_id) {
            alert_changes::note(connection, entry.identity_id, rule_id, today, entry.at)?;
        }
    }
    Ok(())
}

/// Notes the day of an entry under each rule that takes it. Gives back the rules for which it is new, or each is noted, and the day.
fn note_days<'r>(
    connection: &Connection,
    rules: impl IntoIterator<Item = &'r StoredRule>,
    entry: Kept<'_>,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let matching: Option<Vec<&StoredRule>> = intent::with_event(entry.kind, entry.json, |event| {
        rules.into_iter().filter(|stored| stored.rule.trigger.matches(event)).collect()
    });
    let day = entry.at.div_euclid(MILLISECONDS_OF_A_DAY);
    let mut new = Vec::new();
    let mut insert = connection
        .prepare_cached("INSERT INTO intent (identity_id, rule_id, day) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    let mut count = connection.prepare_cached(
        "INSERT INTO intent (identity_id, rule_id, day) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET count = count + 1 WHERE count < ?4",
    )?;
    for stored in matching.into_iter().flatten() {
        let StoredRule { id, rule, .. } = stored;
        let is_new = match rule.count {
            None => insert.execute([entry.identity_id, *id, day])? > 0,
            Some(_) => count.execute([entry.identity_id, *id, day, i64::from(MOST_COUNTED)])? > 0,
        };
        if is_new || stored.is_each_noted() {
            new.push((*id, day));
        }
    }
    Ok(new)
}

fn look_at_a_piece(connection: &Connection, rules: &[StoredRule]) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT id, unseen_below FROM intent_rule WHERE unseen_below > 0")?;
    let unseen = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let unseen = unseen.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    let Some(top) = unseen.iter().map(|(_, below)| *below).max() else { return Ok(false) };
    let behind: Vec<(&StoredRule, i64)> =
        unseen.iter().filter_map(|(id, below)| Some((rules.iter().find(|stored| stored.id == *id)?, *below))).collect();

    let mut entries = connection
        .prepare_cached("SELECT id, identity_id, kind, at, json FROM entry WHERE id < ?1 ORDER BY id DESC LIMIT ?2")?;
    let mut rows = entries.query(params![top, ENTRIES_OF_A_PIECE])?;
    let (mut looked_at, mut lowest) = (0, 0);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        (looked_at, lowest) = (looked_at + 1, id);
        let Some(kind) = EntryKind::of(row.get_ref(2)?.as_str()?) else { continue };
        let entry = Kept { identity_id: row.get(1)?, kind, at: row.get(3)?, json: row.get_ref(4)?.as_str()? };
        note_days(connection, behind.iter().filter(|(_, below)| id < *below).map(|(stored, _)| *stored), entry)?;
    }
    let is_done = looked_at < ENTRIES_OF_A_PIECE;
    let seen_to = if is_done { 0 } else { lowest };
    connection
        .prepare_cached("UPDATE intent_rule SET unseen_below = ?1 WHERE unseen_below > ?1")?
        .execute([seen_to])?;
    Ok(!is_done)
}

/// How far a new rule has come through what was there before it, from 0 to 1; 1 where nothing is left.
pub(super) fn progress(connection: &Connection) -> rusqlite::Result<f64> {
    let mut select = connection.prepare_cached(
        "SELECT 1.0 - max(unseen_below) / (SELECT max(id) + 1.0 FROM entry) FROM intent_rule WHERE unseen_below > 0",
    )?;
    Ok(select.query_row([], |row| row.get::<_, Option<f64>>(0))?.unwrap_or(1.0))
}
