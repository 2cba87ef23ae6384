//! What came in, counted by source, type and outcome for as long as the file lives.

use koala_collector::store::sqlite::file::{lossy, number};
use koala_collector::web::ReceivedTally;
use koala_destination::clock::{from_milliseconds, now_milliseconds};
use koala_destination::intake::ReceivedCounts;
use rusqlite::{Connection, params};

/// The most sources that are told apart: a team has a handful of libraries, and who holds a write key can name any.
const MOST_SOURCES: i64 = 50;
/// What further ones are counted under.
const OTHER_SOURCES: &str = "other";

/// Counts the events of a request, which came in now.
pub(super) fn count(connection: &Connection, counts: &ReceivedCounts) -> rusqlite::Result<()> {
    let now = now_milliseconds();
    let mut has_room = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM received WHERE source = ?1) OR (SELECT count(DISTINCT source) FROM received) < ?2",
    )?;
    let mut add = connection.prepare_cached(
        "INSERT INTO received (source, event_type, outcome, count, last_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (source, event_type, outcome) DO UPDATE
             SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)",
    )?;
    for (received, count) in counts.iter() {
        let has_room = has_room.query_row(params![received.source, MOST_SOURCES], |row| row.get(0))?;
        let source = if has_room { &*received.source } else { OTHER_SOURCES };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        add.execute(params![source, received.event_type.name(), received.outcome.name(), count, now])?;
    }
    Ok(())
}

/// What was counted, the source and type that was seen last first.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<ReceivedTally>> {
    let mut select = connection.prepare_cached(
        "SELECT source, event_type, outcome, count, last_at FROM received ORDER BY last_at DESC, source, event_type, outcome",
    )?;
    let tallies = select.query_map([], |row| {
        Ok(ReceivedTally {
            source: lossy(row, 0),
            event_type: lossy(row, 1),
            outcome: lossy(row, 2),
            count: number(row, 3),
            last_at: from_milliseconds(number(row, 4)),
        })
    })?;
    tallies.collect()
}

#[cfg(test)]
mod tests {
    use koala_destination::intake::{EventOutcome, EventTallyKey, EventType};

    use super::*;

    #[test]
    fn sources_without_end_are_counted_under_one_name() {
        let connection = Connection::open_in_memory().expect("a file");
        connection.execute_batch(include_str!("migrations/2.sql")).expect("a table");
        let of = |n: i64| EventTallyKey {
            source: format!("library-{n}"),
            event_type: EventType::Track,
            outcome: EventOutcome::Accepted,
        };
        for n in (0..MOST_SOURCES + 5).chain([0]) {
            count(&connection, &[of(n)].into_iter().collect()).expect("counted");
        }
        let tallies = read(&connection).expect("tallies");
        let counted = |source: &str| tallies.iter().find(|tally| tally.source == source).map(|tally| tally.count);
        assert_eq!(i64::try_from(tallies.len()), Ok(MOST_SOURCES + 1));
        assert_eq!((counted("library-0"), counted("library-50"), counted(OTHER_SOURCES)), (Some(2), None, Some(5)));
    }
}
