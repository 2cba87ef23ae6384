//! The rows of the queues: what is done with them, each in the transaction of its caller.
//!
//! A row is read as bytes. One that cannot be read is a dead letter with its reason, and stops nobody.

use std::borrow::Cow;

use koala_collector::store::sqlite::file::{lossy, number};
use koala_collector::web::shown::event_of_message;
use koala_collector::web::{QueueCounts, RejectedEvent, StoredDeadLetter};
use koala_destination::clock::now_milliseconds;
use koala_destination::delivery::{DeadReason, Lane};
use koala_destination::json::without_ip_addresses;
use koala_destination::segment::Function;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::schedule::LaneKey;
use super::tally::{self, Tallied};

/// A message as it is loaded: enough to say whose turn it is.
#[derive(Debug)]
pub struct Loaded {
    /// Its row.
    pub id: i64,
    /// Its lane.
    pub lane: LaneKey,
    /// How long it was tried, in milliseconds.
    pub tried_for: i64,
    /// How often it was in hand when its process ended.
    pub crashes: u32,
}

/// What becomes of a message, as it is recorded.
#[derive(Debug, Clone)]
pub enum Recorded {
    /// The collector has it.
    Delivered(i64),
    /// Nothing was to be sent.
    Skipped(i64),
    /// To the dead letters.
    Dead(i64, DeadReason),
    /// It waits to be retried, and has been tried for so many milliseconds.
    Retried(i64, i64),
}

/// The messages of a function after a row, oldest first.
pub fn load(connection: &Connection, function: Function, after: i64, most: usize) -> rusqlite::Result<Vec<Loaded>> {
    let mut select = connection.prepare_cached(
        "SELECT id, tried_for, open_hands, body FROM message WHERE queue = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let loaded = select.query_map(params![function.name(), after, most], |row| {
        let id = row.get(0)?;
        let lane = body(row, 3).ok().and_then(Lane::of);
        let crashes = u32::try_from(number(row, 2)).unwrap_or(0);
        Ok(Loaded { id, lane: lane.map_or(LaneKey::Single(id), LaneKey::Visitor), tried_for: number(row, 1), crashes })
    })?;
    loaded.collect()
}

/// Marks messages as being in hand, and gives back the bodies of those that are still there and can be read.
pub fn hand_out(
    connection: &Connection,
    messages: &[(i64, i64)],
    keep_ip: bool,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut mark = connection.prepare_cached(
        "UPDATE message SET open_hands = open_hands + 1, tried_for = ?2 WHERE id = ?1 RETURNING body",
    )?;
    let mut bodies = Vec::with_capacity(messages.len());
    for (id, tried_for) in messages {
        let read = |row: &Row<'_>| Ok(body(row, 0).map(str::to_owned));
        match mark.query_row([id, tried_for], read).optional()? {
            Some(Ok(body)) => bodies.push((*id, body)),
            Some(Err(reason)) => {
                let why = DeadReason { reason, mapping: String::new(), collector_answer: None };
                record(connection, &[Recorded::Dead(*id, why)], keep_ip)?;
            }
            // A person was deleted in between.
            None => {}
        }
    }
    Ok(bodies)
}

fn body<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, String> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => std::str::from_utf8(bytes)
            .map_err(|error| format!("the message is damaged: it is not valid UTF-8 ({error})")),
        Ok(other) => Err(format!("the message is damaged: it is {}", other.data_type())),
        Err(error) => Err(format!("the message is damaged: {error}")),
    }
}

/// Records what became of messages. A dead letter and its message change in one transaction, so that a kill in between makes
/// no second letter.
pub fn record(connection: &Connection, outcomes: &[Recorded], keep_ip: bool) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM message WHERE id = ?1 RETURNING mapping")?;
    let mut retry = connection
        .prepare_cached("UPDATE message SET open_hands = 0, tried_for = ?2 WHERE id = ?1 RETURNING mapping")?;
    let mut letter = connection.prepare_cached(
        "INSERT INTO dead_letter (queue, reason, mapping, collector_answer, died_at, body)
         SELECT queue, ?2, ?3, ?4, ?5, body FROM message WHERE id = ?1",
    )?;
    let mapping = |row: &Row<'_>| Ok(lossy(row, 0));
    let (mut delivered, mut skipped, mut retried) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Recorded::Delivered(id) => delivered.extend(delete.query_row([id], mapping).optional()?),
            Recorded::Skipped(id) => skipped.extend(delete.query_row([id], mapping).optional()?),
            Recorded::Dead(id, why) => {
                let written = params![id, why.reason, why.mapping, why.collector_answer, now_milliseconds()];
                if letter.execute(written)? > 0 && !keep_ip {
                    forget_addresses(connection, connection.last_insert_rowid())?;
                }
                delete.query_row([id], mapping).optional()?;
            }
            Recorded::Retried(id, tried_for) => {
                retried.extend(retry.query_row([id, tried_for], mapping).optional()?);
            }
        }
    }
    for (outcome, mappings) in
        [(Tallied::Delivered, delivered), (Tallied::Skipped, skipped), (Tallied::Retried, retried)]
    {
        tally::count(connection, outcome, mappings.iter().map(String::as_str))?;
    }
    Ok(())
}

/// Takes the IP addresses out of a dead letter: they are kept no longer than it takes to deliver.
fn forget_addresses(connection: &Connection, letter: i64) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached("SELECT body FROM dead_letter WHERE id = ?1")?;
    let left = select.query_row([letter], |row| {
        let left = body(row, 0).map(|body| match without_ip_addresses(body) {
            Cow::Owned(left) => Some(left),
            Cow::Borrowed(_) => None,
        });
        Ok(left.ok().flatten())
    })?;
    let mut update = connection.prepare_cached("UPDATE dead_letter SET body = ?2 WHERE id = ?1")?;
    left.map_or(Ok(()), |left| update.execute(params![letter, left]).map(drop))
}

/// Puts dead letters back into their queues, as if they had just come in; gives back how many.
pub fn redrive(connection: &Connection, queue: Option<&str>) -> rusqlite::Result<u64> {
    let redriven = connection.execute(
        "INSERT INTO message (queue, mapping, body)
         SELECT queue, mapping, body FROM dead_letter WHERE ?1 IS NULL OR queue = ?1 ORDER BY id",
        [queue],
    )?;
    connection.execute("DELETE FROM dead_letter WHERE ?1 IS NULL OR queue = ?1", [queue])?;
    Ok(redriven as u64)
}

/// The dead letters, the newest first.
pub fn dead_letters(connection: &Connection, most: u32) -> rusqlite::Result<Vec<StoredDeadLetter>> {
    let mut select = connection.prepare_cached(
        "SELECT queue, mapping, reason, collector_answer, body FROM dead_letter ORDER BY id DESC LIMIT ?1",
    )?;
    let letters = select.query_map([most], |row| {
        let said = !matches!(row.get_ref(3)?, ValueRef::Null);
        let body = lossy(row, 4);
        let (event, bytes) = event_of_message(&body);
        Ok(StoredDeadLetter {
            queue: lossy(row, 0),
            mapping: lossy(row, 1),
            reason: lossy(row, 2),
            collector_answer: said.then(|| lossy(row, 3)),
            event,
            bytes,
        })
    })?;
    letters.collect()
}

/// The rejected events, the newest first.
pub fn rejected_events(connection: &Connection, most: u32) -> rusqlite::Result<Vec<RejectedEvent>> {
    let mut select =
        connection.prepare_cached("SELECT body FROM message WHERE queue = 'rejected' ORDER BY id DESC LIMIT ?1")?;
    let events = select.query_map([most], |row| Ok(RejectedEvent::of_message(&lossy(row, 0))))?;
    events.collect()
}

/// How many messages stand where; those in hand count as waiting here.
pub fn counts(connection: &Connection) -> rusqlite::Result<QueueCounts> {
    let count = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let all = count("SELECT count(*) FROM message")?;
    let rejected = count("SELECT count(*) FROM message WHERE queue = 'rejected'")?;
    let dead = count("SELECT count(*) FROM dead_letter")?;
    Ok(QueueCounts { waiting: all - rejected, in_flight: 0, dead, rejected })
}
