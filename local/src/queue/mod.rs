//! The queues, as SQS would keep them: messages that are out of sight for a while, dead letters with a reason.

mod tally;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use koala_collector::store::sqlite::file::{FileError, SqliteFile};
use koala_collector::web::{QueueCounts, RequestTally, StoredDeadLetter, Tallies};
use koala_destination::clock::now_milliseconds;
use koala_destination::delivery::{DeadLetter, Postponed, SourceQueue};
use koala_destination::intake::{AnswerCounts, Outbox, OutboxError};
use koala_destination::message::{OutgoingMessage, Queue};
use koala_destination::segment::Function;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use tokio::sync::Notify;

use self::tally::Outcome;

/// A message that was received as often as this and never delivered is dead: with the growing delays that is 14 hours.
const MOST_RECEIPTS: u32 = 60;

/// A message as it was received.
#[derive(Debug)]
pub struct StoredMessage {
    /// Its row, as text.
    pub id: String,
    /// What intake wrote.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// The queues in a file, and for each function a bell that rings when a message comes in.
#[derive(Clone)]
pub struct Queues {
    file: SqliteFile,
    bells: Arc<[(Function, Notify); 2]>,
}

impl Queues {
    /// The queues of a file. What was in the hands of a killed process is in its queue again.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub async fn open(file: SqliteFile) -> Result<Self, FileError> {
        let free = |connection: &Connection| {
            connection.execute("UPDATE message SET in_flight = 0, visible_at = 0 WHERE in_flight = 1", [])
        };
        file.write(free).await?;
        Ok(Self { file, bells: Arc::new(Function::ALL.map(|function| (function, Notify::new()))) })
    }

    /// Waits for a new message of a function, at most for `longest`.
    pub async fn arrival(&self, function: Function, longest: Duration) {
        if let Some((_, bell)) = self.bells.iter().find(|(bells, _)| *bells == function) {
            // Whether it rang or time ran out: the caller looks.
            let _ = tokio::time::timeout(longest, bell.notified()).await;
        }
    }

    /// Takes up to `most` messages in the order of their turn, out of sight for `visibility_timeout`.
    pub async fn receive(
        &self,
        function: Function,
        most: usize,
        visibility_timeout: Duration,
    ) -> Result<Vec<StoredMessage>, FileError> {
        let visible_again = now_milliseconds() + milliseconds(visibility_timeout);
        self.file.write(move |connection| receive(connection, function, most, visible_again)).await
    }

    /// Removes messages that are done with: those that Koala has, and those of which nothing was to be sent. One that is dead
    /// by now is not there.
    pub async fn delete(&self, delivered: Vec<String>, skipped: Vec<String>) -> Result<(), FileError> {
        let delete = move |connection: &Connection| {
            let mut delete = connection.prepare_cached("DELETE FROM message WHERE id = ?1 RETURNING mapping")?;
            for (outcome, ids) in [(Outcome::Delivered, &delivered), (Outcome::Skipped, &skipped)] {
                let mut mappings = Vec::with_capacity(ids.len());
                for id in ids {
                    mappings.extend(delete.query_row([row(id)], mapping_of_row).optional()?);
                }
                tally::count(connection, outcome, mappings.iter().map(String::as_str))?;
            }
            Ok(())
        };
        self.file.write(delete).await
    }

    /// Counts the events of a request that was answered; one of which none was read costs no writing.
    pub fn count_request(&self, counts: AnswerCounts) {
        if counts.accepted + counts.skipped.total() + counts.rejected == 0 {
            return;
        }
        self.file.write_later(move |connection| tally::count_request(connection, &counts));
    }

    /// What events of requests and messages of mappings came to.
    pub async fn tallies(&self) -> Result<(RequestTally, Tallies), FileError> {
        self.file.read(tally::read).await
    }

    /// How long until the next waiting message of a function may be received; nothing when none waits.
    pub async fn next_in(&self, function: Function) -> Result<Option<Duration>, FileError> {
        let next = move |connection: &Connection| {
            let mut next = connection.prepare_cached("SELECT min(visible_at) FROM message WHERE queue = ?1")?;
            next.query_row([function.name()], |row| row.get::<_, Option<i64>>(0))
        };
        let next = self.file.read(next).await?;
        Ok(next.map(|at| Duration::from_millis(u64::try_from(at - now_milliseconds()).unwrap_or(0))))
    }

    /// The dead letters, the newest first.
    pub async fn dead_letters(&self, most: u32) -> Result<Vec<StoredDeadLetter>, FileError> {
        let letters = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT queue, mapping, reason, koala_answer FROM dead_letter ORDER BY id DESC LIMIT ?1",
            )?;
            let letters = select.query_map([most], |row| {
                Ok(StoredDeadLetter {
                    queue: row.get(0)?,
                    mapping: row.get(1)?,
                    reason: row.get(2)?,
                    koala_answer: row.get(3)?,
                })
            })?;
            letters.collect()
        };
        self.file.read(letters).await
    }

    /// Puts dead letters back into their queues, those of one function or all, as if they had just come in. Gives back how
    /// many.
    pub async fn redrive(&self, function: Option<Function>) -> Result<u64, FileError> {
        let now = now_milliseconds();
        let queue = function.map(Function::name);
        let redrive = move |connection: &Connection| {
            let redriven = connection.execute(
                "INSERT INTO message (queue, body, visible_at, mapping)
                 SELECT queue, body, ?2, mapping FROM dead_letter WHERE ?1 IS NULL OR queue = ?1 ORDER BY id",
                params![queue, now],
            )?;
            connection.execute("DELETE FROM dead_letter WHERE ?1 IS NULL OR queue = ?1", [queue])?;
            Ok(redriven as u64)
        };
        let redriven = self.file.write(redrive).await?;
        self.bells.iter().for_each(|(_, bell)| bell.notify_one());
        Ok(redriven)
    }

    /// Deletes the messages and dead letters in which one of these names stands, whatever its case. Gives back how many.
    pub async fn forget(&self, names: Vec<String>) -> Result<usize, FileError> {
        let forget = move |connection: &Connection| {
            let mut messages = connection.prepare_cached("DELETE FROM message WHERE instr(lower(body), ?1) > 0")?;
            let mut letters = connection.prepare_cached(
                "DELETE FROM dead_letter WHERE instr(lower(body), ?1) > 0 OR instr(lower(coalesce(koala_answer, '')), ?1) > 0",
            )?;
            let mut forgotten = 0;
            for name in names {
                let name = name.to_lowercase();
                forgotten += messages.execute([&name])? + letters.execute([&name])?;
            }
            Ok(forgotten)
        };
        self.file.write(forget).await
    }

    /// How many messages stand where.
    pub async fn counts(&self) -> Result<QueueCounts, FileError> {
        self.file.read(counts).await
    }
}

fn receive(
    connection: &Connection,
    function: Function,
    most: usize,
    visible_again: i64,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let now = now_milliseconds();
    let mut worn_out = connection.prepare_cached(
        "INSERT INTO dead_letter (queue, body, reason, mapping, died_at)
         SELECT queue, body, 'received ' || receive_count || ' times and never delivered', coalesce(mapping, ''), ?3 FROM message
         WHERE queue = ?1 AND visible_at <= ?3 AND receive_count >= ?2",
    )?;
    if worn_out.execute(params![function.name(), MOST_RECEIPTS, now])? > 0 {
        let mut delete = connection
            .prepare_cached("DELETE FROM message WHERE queue = ?1 AND visible_at <= ?3 AND receive_count >= ?2")?;
        delete.execute(params![function.name(), MOST_RECEIPTS, now])?;
    }
    let mut select = connection.prepare_cached(
        "SELECT id, body, receive_count + 1 FROM message WHERE queue = ?1 AND visible_at <= ?2 ORDER BY visible_at, id LIMIT ?3",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let received = select.query_map(params![function.name(), now, most], |row| {
        let id: i64 = row.get(0)?;
        Ok(StoredMessage { id: id.to_string(), body: row.get(1)?, receive_count: row.get(2)? })
    })?;
    let messages = received.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut update = connection.prepare_cached(
        "UPDATE message SET visible_at = ?2, receive_count = receive_count + 1, in_flight = 1 WHERE id = ?1",
    )?;
    for message in &messages {
        update.execute(params![row(&message.id), visible_again])?;
    }
    Ok(messages)
}

fn counts(connection: &Connection) -> rusqlite::Result<QueueCounts> {
    let (waiting, in_flight) = connection.query_row(
        "SELECT coalesce(sum(in_flight = 0), 0), coalesce(sum(in_flight = 1), 0) FROM message WHERE queue <> 'rejected'",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let rejected =
        connection.query_row("SELECT count(*) FROM message WHERE queue = 'rejected'", [], |row| row.get(0))?;
    let dead = connection.query_row("SELECT count(*) FROM dead_letter", [], |row| row.get(0))?;
    Ok(QueueCounts { waiting, in_flight, dead, rejected })
}

impl Outbox for Queues {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), OutboxError> {
        let rows: Vec<(&'static str, String)> =
            messages.iter().map(|message| (queue_name(message.queue), message.body.clone())).collect();
        let now = now_milliseconds();
        let insert = move |connection: &Connection| {
            let mut insert = connection
                .prepare_cached("INSERT INTO message (queue, body, visible_at, mapping) VALUES (?1, ?2, ?3, ?4)")?;
            let mut mappings = Vec::with_capacity(rows.len());
            for (queue, body) in &rows {
                let mapping = mapping_named_in(body);
                insert.execute(params![queue, body, now, mapping])?;
                mappings.extend(mapping);
            }
            tally::count(connection, Outcome::Queued, mappings.iter().map(|mapping| &**mapping))
        };
        let all = messages.len();
        self.file.write(insert).await.map_err(|error| OutboxError { failed: all, all, reason: error.to_string() })?;
        for (function, bell) in self.bells.iter() {
            if messages.iter().any(|message| message.queue == Queue::Function(*function)) {
                bell.notify_one();
            }
        }
        Ok(())
    }
}

impl SourceQueue for Queues {
    async fn bury(&self, letters: &[DeadLetter<'_>]) -> HashSet<String> {
        let now = now_milliseconds();
        let rows: Vec<_> = letters
            .iter()
            .map(|letter| {
                (
                    letter.message.id.to_owned(),
                    letter.function.name(),
                    letter.message.body.to_owned(),
                    letter.reason.clone(),
                )
            })
            .collect();
        let bury = move |connection: &Connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO dead_letter (queue, body, reason, mapping, koala_answer, died_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            // In one transaction with the burial, so that a kill in between makes no second letter.
            let mut delete = connection.prepare_cached("DELETE FROM message WHERE id = ?1")?;
            rows.iter().try_for_each(|(id, queue, body, why)| {
                insert.execute(params![queue, body, why.reason, why.mapping, why.koala_answer, now])?;
                delete.execute([row(id)]).map(drop)
            })
        };
        match self.file.write(bury).await {
            Ok(()) => HashSet::new(),
            Err(error) => {
                tracing::error!(%error, "dead letters not kept; they go back to the queue");
                letters.iter().map(|letter| letter.message.id.to_owned()).collect()
            }
        }
    }

    async fn postpone(&self, messages: &[Postponed<'_>]) {
        let now = now_milliseconds();
        let rows: Vec<(String, i64)> = messages
            .iter()
            .map(|postponed| (postponed.message.id.to_owned(), now + milliseconds(postponed.after)))
            .collect();
        let postpone = move |connection: &Connection| {
            let mut update = connection
                .prepare_cached("UPDATE message SET visible_at = ?2, in_flight = 0 WHERE id = ?1 RETURNING mapping")?;
            let mut mappings = Vec::with_capacity(rows.len());
            for (id, visible_at) in &rows {
                mappings.extend(update.query_row(params![row(id), visible_at], mapping_of_row).optional()?);
            }
            tally::count(connection, Outcome::Retried, mappings.iter().map(String::as_str))
        };
        if let Err(error) = self.file.write(postpone).await {
            tracing::warn!(%error, "messages not postponed; the visibility timeout holds");
        }
    }
}

fn queue_name(queue: Queue) -> &'static str {
    match queue {
        Queue::Function(function) => function.name(),
        Queue::Rejected => "rejected",
    }
}

/// The mapping that a message of intake is for; one of a rejected event names none.
fn mapping_named_in(body: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        mapping: Cow<'a, str>,
    }
    serde_json::from_str(body).ok().map(|Named { mapping }| mapping)
}

fn mapping_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default())
}

/// Message ids are made here from row numbers, so one that is none meets no row.
fn row(id: &str) -> i64 {
    id.parse().unwrap_or(-1)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
