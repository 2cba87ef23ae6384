//! The rows of traits: what was said of each last.

use rusqlite::{Connection, params};
use serde_json::{Map, Value};

/// What was said of a trait last counts, whatever order it comes in. Tells whether one is new or another than before.
pub(super) fn merge(
    connection: &Connection,
    visitor_id: i64,
    traits: &Map<String, Value>,
    at: i64,
) -> rusqlite::Result<bool> {
    let mut merge = connection.prepare_cached(
        "INSERT INTO trait (visitor_id, name, value, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (visitor_id, name) DO UPDATE SET value = excluded.value, at = excluded.at WHERE excluded.at >= at",
    )?;
    let mut is_changed = false;
    for (name, value) in traits {
        is_changed |= merge.execute(params![visitor_id, name, value.to_string(), at])? > 0;
    }
    Ok(is_changed)
}

/// A visitor's latest traits, by name.
pub(super) fn of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Map<String, Value>> {
    let mut select = connection.prepare_cached("SELECT name, value FROM trait WHERE visitor_id = ?1 ORDER BY name")?;
    let read = select.query_map([visitor_id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let read = read.map(|read| read.map(|(name, value)| (name, serde_json::from_str(&value).unwrap_or_default())));
    let traits: Vec<(String, Value)> = read.collect::<rusqlite::Result<_>>()?;
    Ok(traits.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// What was said of one visitor was said of another.
pub(super) fn move_to(connection: &Connection, into: i64, from: i64) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO trait (visitor_id, name, value, at) SELECT ?1, name, value, at FROM trait WHERE visitor_id = ?2
         ON CONFLICT (visitor_id, name) DO UPDATE SET value = excluded.value, at = excluded.at WHERE excluded.at >= at",
        [into, from],
    )?;
    forget(connection, from)
}

/// Nothing was said of a visitor.
pub(super) fn forget(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM trait WHERE visitor_id = ?1", [visitor_id]).map(drop)
}
