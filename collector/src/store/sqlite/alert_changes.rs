//! What changed that alerts have not looked at yet: whoever keeps an entry notes it, and whoever evaluates (`alerts`) takes it away.

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use rusqlite::Connection;

use crate::store::alerts::without_deeds;

/// The rule of a row that says that points may be others, and that nothing happened.
const NO_RULE: i64 = 0;

/// Notes that an intent rule took something under an id for the first time on a day. What happened long ago changes points alone.
pub(super) fn note(connection: &Connection, identity_id: i64, rule_id: i64, day: i64, at: i64) -> rusqlite::Result<()> {
    let is_fresh = at > now_milliseconds() - MILLISECONDS_OF_A_DAY;
    if is_fresh {
        insert_change(connection, identity_id, (rule_id, day), at)
    } else {
        note_moved(connection, identity_id, at)
    }
}

/// Notes that what was there already may be another company's now, or another visitor's: by something that was said at this time.
pub(super) fn note_moved(connection: &Connection, identity_id: i64, at: i64) -> rusqlite::Result<()> {
    insert_change(connection, identity_id, (NO_RULE, 0), at)
}

fn insert_change(
    connection: &Connection,
    identity_id: i64,
    (rule_id, day): (i64, i64),
    at: i64,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO alert_changed (identity_id, rule_id, day, at, noted_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (identity_id, rule_id, day) DO UPDATE SET at = max(at, excluded.at)",
    )?;
    insert.execute([identity_id, rule_id, day, at, now_milliseconds()]).map(drop)
}

/// What changed under an id is not kept, nor what was told of who had it or names nobody else. What names them beside others, who are
/// told all the same, says no more who did what.
pub(super) fn forget(connection: &Connection, identity_id: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM alert_changed WHERE identity_id = ?1",
        "DELETE FROM alert_message WHERE identity_id = ?1",
        "DELETE FROM alert_message WHERE id IN (
             SELECT message_id FROM alert_message_visitor AS named WHERE identity_id = ?1 AND NOT EXISTS (
                 SELECT 1 FROM alert_message_visitor AS other WHERE other.message_id = named.message_id AND other.identity_id <> ?1))",
        "DELETE FROM alert_message_visitor WHERE message_id IN (SELECT message_id FROM alert_message_visitor WHERE identity_id = ?1)
             AND message_id NOT IN (SELECT id FROM alert_message)",
    ] {
        connection.prepare_cached(sql)?.execute([identity_id])?;
    }
    let mut naming = connection.prepare_cached(
        "SELECT id, told FROM alert_message WHERE id IN (SELECT message_id FROM alert_message_visitor WHERE identity_id = ?1)",
    )?;
    let naming = naming.query_map([identity_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (id, told) in naming.collect::<rusqlite::Result<Vec<(String, String)>>>()? {
        let told = without_deeds(&told).unwrap_or_default();
        connection.prepare_cached("UPDATE alert_message SET told = ?2 WHERE id = ?1")?.execute([id, told])?;
    }
    connection
        .prepare_cached("DELETE FROM alert_message_visitor WHERE identity_id = ?1")?
        .execute([identity_id])
        .map(drop)
}
