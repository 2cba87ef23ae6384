//! The rows of identities: what a visitor is known by.

use rusqlite::{Connection, OptionalExtension, params};

/// The kind of an email address; every other is a profile id.
pub(super) const EMAIL: &str = "email";
/// The kind of a profile id.
pub(super) const PROFILE_ID: &str = "profile_id";

/// Whom an identity leads to.
pub(super) fn find(connection: &Connection, kind: &str, value: &str) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT visitor_id FROM identity WHERE kind = ?1 AND value = ?2")?;
    find.query_row(params![kind, value], |row| row.get(0)).optional()
}

/// Has an identity lead to a visitor, unless it leads to one already. Tells whether it did not.
pub(super) fn link(connection: &Connection, kind: &str, value: &str, visitor_id: i64) -> rusqlite::Result<bool> {
    let mut link = connection.prepare_cached(
        "INSERT INTO identity (kind, value, visitor_id) VALUES (?1, ?2, ?3) ON CONFLICT (kind, value) DO NOTHING",
    )?;
    Ok(link.execute(params![kind, value, visitor_id])? > 0)
}

/// A visitor's identities, each with its kind.
pub(super) fn of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select =
        connection.prepare_cached("SELECT kind, value FROM identity WHERE visitor_id = ?1 ORDER BY kind, value")?;
    select.query_map([visitor_id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// A visitor's addresses.
pub(super) fn emails(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Vec<String>> {
    let mut select = connection
        .prepare_cached("SELECT value FROM identity WHERE visitor_id = ?1 AND kind = 'email' ORDER BY value")?;
    select.query_map([visitor_id], |row| row.get(0))?.collect()
}

/// What led to one visitor leads to another.
pub(super) fn move_to(connection: &Connection, into: i64, from: i64) -> rusqlite::Result<()> {
    connection.execute("UPDATE identity SET visitor_id = ?1 WHERE visitor_id = ?2", [into, from]).map(drop)
}

/// Nothing leads to a visitor.
pub(super) fn forget(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM identity WHERE visitor_id = ?1", [visitor_id]).map(drop)
}
