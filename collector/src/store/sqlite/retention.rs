//! What is older than it may be: first entries, then visitors of whom nothing else is left, then what deletions left behind.
//!
//! The store is looked through once an hour, by the ids, some at a time, and written only where something is to go. A visitor whose
//! claims still say to whom others belong stays: retention says of nobody else anew who they are.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use koala_destination::clock::MILLISECONDS_OF_A_DAY;
use rusqlite::{Connection, params};

use super::file::{FileError, SqliteFile};
use super::identities::Ids;
use super::taken::{self, ROWS_OF_A_PIECE};
use super::topics;
use crate::identity::recompute;
use crate::store::deletion::RETENTION_EVERY;

/// Where the search is; clones share it.
#[derive(Clone, Default)]
pub struct RetentionSearch(Arc<Mutex<Place>>);

/// Each with the row that it is behind.
#[derive(Debug, Clone, Copy)]
enum Place {
    Entries(i64),
    Visitors(i64),
    Deletions,
    Until(Instant),
}

impl Default for Place {
    fn default() -> Self {
        Self::Entries(0)
    }
}

impl RetentionSearch {
    /// Looks at the next ids, and deletes a piece of what is older than `cutoff`. Gives back whether there is more to look at.
    pub(super) async fn go_on(&self, file: &SqliteFile, cutoff: i64) -> Result<bool, FileError> {
        let place = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match place {
            Place::Until(then) if Instant::now() < then => return Ok(false),
            Place::Until(_) => Place::Entries(0),
            Place::Entries(after) => {
                let (old, last) = file.read(move |connection| of_old_entries(connection, after, cutoff)).await?;
                let is_all =
                    old.is_empty() || file.write(move |connection| delete_old(connection, &old, cutoff)).await?;
                match last {
                    None => Place::Visitors(0),
                    Some(last) => Place::Entries(if is_all { last } else { after }),
                }
            }
            Place::Visitors(after) => {
                let (old, last) = file.read(move |connection| old_visitors(connection, after, cutoff)).await?;
                if !old.is_empty() {
                    file.write(move |connection| take_old(connection, &old, cutoff)).await?;
                }
                last.map_or(Place::Deletions, Place::Visitors)
            }
            Place::Deletions => {
                let any = file.read(move |connection| has_old_deletions(connection, cutoff)).await?;
                if any && !file.write(move |connection| delete_deletions(connection, cutoff)).await? {
                    Place::Deletions
                } else {
                    Place::Until(Instant::now() + RETENTION_EVERY)
                }
            }
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(!matches!(next, Place::Until(_)))
    }
}

fn piece() -> i64 {
    i64::try_from(ROWS_OF_A_PIECE).unwrap_or(i64::MAX)
}

/// The ids of those that are found, and the last one that was looked at.
type Found = (Vec<i64>, Option<i64>);

fn found(connection: &Connection, sql: &str, after: i64, cutoff: i64) -> rusqlite::Result<Found> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map(params![cutoff, after, piece()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    let last = rows.last().map(|(row, _)| *row);
    Ok((rows.into_iter().filter(|(_, is_old)| *is_old).map(|(row, _)| row).collect(), last))
}

fn of_old_entries(connection: &Connection, after: i64, cutoff: i64) -> rusqlite::Result<Found> {
    let sql = "SELECT id, EXISTS (SELECT 1 FROM entry WHERE identity_id = identity.id AND at < ?1)
               FROM identity WHERE id > ?2 ORDER BY id LIMIT ?3";
    found(connection, sql, after, cutoff)
}

/// Deletes entries of these ids, and what intent was noted of the days before. Tells whether that was all.
fn delete_old(connection: &Connection, rows: &[i64], cutoff: i64) -> rusqlite::Result<bool> {
    let mut entries = connection.prepare_cached(
        "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE identity_id = ?1 AND at < ?2 LIMIT ?3) RETURNING topic_id",
    )?;
    let mut intent = connection.prepare_cached("DELETE FROM intent WHERE identity_id = ?1 AND day < ?2")?;
    let mut left = ROWS_OF_A_PIECE;
    for row in rows {
        let most = i64::try_from(left).unwrap_or(i64::MAX);
        let topics = entries.query_map(params![row, cutoff, most], |row| row.get(0))?;
        let topics = topics.collect::<rusqlite::Result<Vec<Option<i64>>>>()?;
        topics::take_back(connection, *row, &topics, cutoff)?;
        left = left.saturating_sub(topics.len());
        left = left.saturating_sub(intent.execute([*row, cutoff.div_euclid(MILLISECONDS_OF_A_DAY)])?);
        if left == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether of a visitor `one` no entry and no decision is left, and it was not seen since: its number is that of its first id.
const IS_OLD: &str = "NOT EXISTS (
    SELECT 1 FROM identity WHERE visitor_id = one.id AND (
        decision IS NOT NULL OR last_seen >= ?1
        OR EXISTS (SELECT 1 FROM entry WHERE identity_id = identity.id)
        OR EXISTS (SELECT 1 FROM claim WHERE identity_id = identity.id AND at >= ?1)
        OR EXISTS (SELECT 1 FROM decision WHERE identity_id = identity.id)
        OR EXISTS (SELECT 1 FROM decision WHERE to_id = identity.id)))";
const IS_VISITOR: &str = "one.visitor_id = one.id AND one.kind <> 'taken'";

fn old_visitors(connection: &Connection, after: i64, cutoff: i64) -> rusqlite::Result<Found> {
    let sql = format!("SELECT id, {IS_OLD} FROM identity AS one WHERE {IS_VISITOR} AND id > ?2 ORDER BY id LIMIT ?3");
    found(connection, &sql, after, cutoff)
}

fn is_old(connection: &Connection, visitor_id: i64, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM identity AS one WHERE {IS_VISITOR} AND {IS_OLD} AND id = ?2)");
    connection.prepare_cached(&sql)?.query_row([cutoff, visitor_id], |row| row.get(0))
}

/// Takes out those that nobody else hangs on.
fn take_old(connection: &Connection, visitor_ids: &[i64], cutoff: i64) -> rusqlite::Result<()> {
    for visitor_id in visitor_ids {
        // Something may have come in since it was found.
        if !is_old(connection, *visitor_id, cutoff)? {
            continue;
        }
        connection.execute_batch("SAVEPOINT old")?;
        let goes = take_unless_needed(connection, *visitor_id)?;
        connection.execute_batch(if goes { "RELEASE old" } else { "ROLLBACK TO old; RELEASE old" })?;
    }
    Ok(())
}

/// Takes a visitor out, and tells whether all others belong to whom they belonged to before.
fn take_unless_needed(connection: &Connection, visitor_id: i64) -> rusqlite::Result<bool> {
    let mut rows = connection.prepare_cached("SELECT id FROM identity WHERE visitor_id = ?1")?;
    let rows = rows.query_map([visitor_id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    if taken::take(connection, visitor_id, None, |_| false)?.are_others_now {
        return Ok(false);
    }
    let Some(others) = taken::affected(connection, &rows)? else { return Ok(false) };
    let change = Ids::new(connection).ask(|known| recompute(&others, known))?;
    Ok(change.identities.values().all(|change| change.into.is_none()))
}

fn has_old_deletions(connection: &Connection, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tombstone WHERE at < ?1)
                   OR EXISTS (SELECT 1 FROM deletion WHERE requested_at < ?1 AND completed_at IS NOT NULL)
                   OR EXISTS (SELECT 1 FROM history WHERE at < ?1)";
    connection.prepare_cached(sql)?.query_row([cutoff], |row| row.get(0))
}

/// Deletes tombstones, deletions and the history. Tells whether that was all.
fn delete_deletions(connection: &Connection, cutoff: i64) -> rusqlite::Result<bool> {
    let mut deleted = 0;
    for sql in [
        "DELETE FROM tombstone WHERE hash IN (SELECT hash FROM tombstone WHERE at < ?1 LIMIT ?2)",
        "DELETE FROM deletion WHERE id IN (
             SELECT id FROM deletion WHERE requested_at < ?1 AND completed_at IS NOT NULL LIMIT ?2)",
        "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE at < ?1 LIMIT ?2)",
    ] {
        deleted += connection.prepare_cached(sql)?.execute([cutoff, piece()])?;
    }
    Ok(deleted < ROWS_OF_A_PIECE)
}
