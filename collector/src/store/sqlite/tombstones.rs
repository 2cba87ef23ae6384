//! The rows of the tombstones.

use std::collections::HashMap;

use koala_destination::ids::Id;
use rusqlite::{Connection, OptionalExtension, params};

use crate::tombstone::{KEY_BYTES, Tombstone, TombstoneKey};

/// Gives a file its key.
pub(super) fn install(connection: &Connection) -> rusqlite::Result<()> {
    let key = TombstoneKey::random().map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection.execute("INSERT INTO installation (id, tombstone_key) VALUES (1, ?1)", [key]).map(drop)
}

/// The key of the file.
pub(super) fn key(connection: &Connection) -> rusqlite::Result<TombstoneKey> {
    let mut select = connection.prepare_cached("SELECT tombstone_key FROM installation")?;
    Ok(TombstoneKey::new(&select.query_row([], |row| row.get::<_, [u8; KEY_BYTES]>(0))?))
}

/// Puts a tombstone; of two of an id the later one counts.
pub(super) fn put(connection: &Connection, key: &TombstoneKey, id: &Id, tombstone: Tombstone) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO tombstone (hash, at, is_whole) VALUES (?1, ?2, ?3)
         ON CONFLICT (hash) DO UPDATE SET at = max(at, excluded.at), is_whole = max(is_whole, excluded.is_whole)",
    )?;
    put.execute(params![key.hash(id), tombstone.at, tombstone.is_whole]).map(drop)
}

/// The tombstones of some ids.
pub(super) fn of(connection: &Connection, ids: impl Iterator<Item = Id>) -> rusqlite::Result<HashMap<Id, Tombstone>> {
    let mut any = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM tombstone)")?;
    if !any.query_row([], |row| row.get(0))? {
        return Ok(HashMap::new());
    }
    let key = key(connection)?;
    let mut find = connection.prepare_cached("SELECT at, is_whole FROM tombstone WHERE hash = ?1")?;
    let mut found = HashMap::new();
    for id in ids {
        let tombstone = find.query_row([key.hash(&id)], |row| Ok(Tombstone { at: row.get(0)?, is_whole: row.get(1)? }));
        if let Some(tombstone) = tombstone.optional()? {
            found.insert(id, tombstone);
        }
    }
    Ok(found)
}

/// Whether anything is known of an id that was there by a time: an entry filed under it, or an id that claimed it or was claimed.
pub(super) fn is_known_before(connection: &Connection, id: &Id, at: i64) -> rusqlite::Result<bool> {
    let mut known = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM identity WHERE kind = ?1 AND value = ?2
             AND (first_at <= ?3 OR EXISTS (SELECT 1 FROM claim WHERE identity_id = identity.id AND at <= ?3)))",
    )?;
    known.query_row(params![id.kind().name(), id.value(), at], |row| row.get(0))
}
