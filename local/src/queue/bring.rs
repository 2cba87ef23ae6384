//! What an earlier version kept in the data file, brought over into the queues' own.
//!
//! Two files in WAL mode cannot be written in one transaction. So it is copied and noted here in one, then deleted there, then
//! the note is taken away: whatever is killed in between, the next start goes on, and nothing is lost or there twice.

use koala_collector::store::sqlite::file::{FileError, SqliteFile};
use rusqlite::{Connection, OptionalExtension};

/// Everything at once, and up to which rows it is.
const COPY: &str = "
    BEGIN IMMEDIATE;
    INSERT INTO message (queue, mapping, body) SELECT queue, mapping, body FROM data.message ORDER BY id;
    INSERT INTO dead_letter (queue, reason, mapping, collector_answer, died_at, body)
        SELECT queue, reason, mapping, koala_answer, died_at, body FROM data.dead_letter ORDER BY id;
    INSERT INTO tally (mapping, outcome, count) SELECT mapping, outcome, count FROM data.tally WHERE true
        ON CONFLICT (mapping, outcome) DO UPDATE SET count = count + excluded.count;
    INSERT INTO brought (messages, dead_letters) SELECT
        (SELECT coalesce(max(id), 0) FROM data.message), (SELECT coalesce(max(id), 0) FROM data.dead_letter);
    COMMIT;";

/// Brings messages, dead letters and tallies over, before anything is received or delivered.
///
/// # Errors
/// When one of the files cannot be read or written; nothing is lost then.
pub async fn bring_over(queues: &SqliteFile, data: &SqliteFile) -> Result<(), FileError> {
    let mut noted = queues.read(note).await?;
    if noted.is_none() && data.read(has_queues).await? {
        copy(queues, data).await?;
        noted = queues.read(note).await?;
    }
    let Some((messages, dead_letters)) = noted else { return Ok(()) };
    let forget = move |connection: &Connection| {
        connection.execute("DELETE FROM message WHERE id <= ?1", [messages])?;
        connection.execute("DELETE FROM dead_letter WHERE id <= ?1", [dead_letters])?;
        connection.execute("DELETE FROM tally", []).map(drop)
    };
    data.write(forget).await?;
    queues.write(|connection| connection.execute("DELETE FROM brought", []).map(drop)).await
}

/// Whether a data file still has the tables, and anything in them.
fn has_queues(connection: &Connection) -> rusqlite::Result<bool> {
    let tables =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('message', 'dead_letter', 'tally')";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
    let any =
        "SELECT EXISTS (SELECT 1 FROM message) OR EXISTS (SELECT 1 FROM dead_letter) OR EXISTS (SELECT 1 FROM tally)";
    if tables < 3 { Ok(false) } else { connection.query_row(any, [], |row| row.get(0)) }
}

fn note(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut note = connection.prepare("SELECT messages, dead_letters FROM brought")?;
    note.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// Copies on a connection of its own: ATTACH does not work within a transaction, and the writer always has one.
async fn copy(queues: &SqliteFile, data: &SqliteFile) -> Result<(), FileError> {
    let (to, from) = (queues.path().to_owned(), data.path().to_string_lossy().into_owned());
    let copy = move || {
        let connection = Connection::open(to)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;")?;
        connection.execute("ATTACH ?1 AS data", [from])?;
        connection.execute_batch(COPY)
    };
    Ok(tokio::task::spawn_blocking(copy).await.map_err(|_| FileError::Panicked)??)
}
