//! What events and messages came to, counted for as long as the file lives.

use std::collections::BTreeMap;

use koala_collector::store::sqlite::file::{lossy, number};
use koala_collector::web::{RequestTally, Tallies};
use koala_destination::intake::AnswerCounts;
use rusqlite::{Connection, params};

/// What a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tallied {
    /// It was put into its queue at intake.
    Queued,
    /// The collector has it.
    Delivered,
    /// Nothing was to be sent.
    Skipped,
    /// It went back to its queue; a message counts each time.
    Retried,
}

impl Tallied {
    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Retried => "retried",
        }
    }
}

/// No mapping's name: what is counted under it are the events of requests.
const OF_REQUESTS: &str = "";

/// Counts messages by their mappings.
pub(super) fn count<'a>(
    connection: &Connection,
    outcome: Tallied,
    mappings: impl Iterator<Item = &'a str>,
) -> rusqlite::Result<()> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for mapping in mappings {
        *counts.entry(mapping).or_default() += 1;
    }
    counts.into_iter().try_for_each(|(mapping, count)| add(connection, mapping, outcome.name(), count))
}

/// Counts the events of a request.
pub(super) fn count_request(connection: &Connection, counts: &AnswerCounts) -> rusqlite::Result<()> {
    let named = [("accepted", counts.accepted), ("skipped", counts.skipped.total()), ("rejected", counts.rejected)];
    let some = named.into_iter().filter(|(_, count)| *count > 0);
    some.into_iter().try_for_each(|(outcome, count)| {
        add(connection, OF_REQUESTS, outcome, i64::try_from(count).unwrap_or(i64::MAX))
    })
}

fn add(connection: &Connection, mapping: &str, outcome: &str, count: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO tally (mapping, outcome, count) VALUES (?1, ?2, ?3)
             ON CONFLICT (mapping, outcome) DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![mapping, outcome, count])?;
    Ok(())
}

/// What was counted.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<(RequestTally, Tallies)> {
    let mut received = RequestTally::default();
    let mut tallies = Tallies::new();
    let mut counted = connection.prepare_cached(
        "SELECT mapping, outcome, count FROM tally
         UNION ALL SELECT coalesce(mapping, ''), 'waiting', count(*) FROM message WHERE queue <> 'rejected' GROUP BY 1
         UNION ALL SELECT mapping, 'dead', count(*) FROM dead_letter GROUP BY 1",
    )?;
    let mut rows = counted.query([])?;
    while let Some(row) = rows.next()? {
        let (mapping, outcome, count) = (lossy(row, 0), lossy(row, 1), number(row, 2));
        if mapping == OF_REQUESTS && !matches!(outcome.as_str(), "waiting" | "dead") {
            match outcome.as_str() {
                "accepted" => received.accepted = count,
                "skipped" => received.skipped = count,
                _ => received.rejected = count,
            }
            continue;
        }
        let tally = tallies.entry(mapping).or_default();
        match outcome.as_str() {
            "queued" => tally.queued = count,
            "waiting" => tally.waiting = count,
            "delivered" => tally.delivered = count,
            "skipped" => tally.skipped = count,
            "retried" => tally.retried = count,
            _ => tally.dead = count,
        }
    }
    Ok((received, tallies))
}
