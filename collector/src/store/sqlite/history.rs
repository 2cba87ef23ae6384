//! What people did.

use koala_destination::clock;
use rusqlite::{Connection, Row, params};

use super::tombstones;
use crate::identity::Decision;
use crate::store::deletion::DeletionId;
use crate::store::history::{Actor, HashedId, HistoryCursor, HistoryEntry, What};

/// Notes a decision.
pub(super) fn note_decision(
    connection: &Connection,
    by: Option<Actor>,
    decision: &Decision,
    now: i64,
) -> rusqlite::Result<()> {
    let Some(by) = by else { return Ok(()) };
    let key = tombstones::key(connection)?;
    let id = HashedId::of(decision.id(), &key);
    let to = if let Decision::Attach { to, .. } = decision { Some(HashedId::of(to, &key)) } else { None };
    let (to_kind, to_hash) = to.map(|to| (to.kind, to.hash)).unzip();
    let mut insert = connection.prepare_cached(
        "INSERT INTO history (at, what, token, kind, hash, to_kind, to_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let token = by.token.map(|token| token.to_string());
    insert.execute(params![now, What::of(decision).name(), token, id.kind, id.hash, to_kind, to_hash]).map(drop)
}

/// Notes a deletion.
pub(super) fn note_deletion(
    connection: &Connection,
    by: Option<Actor>,
    deletion: &DeletionId,
    now: i64,
) -> rusqlite::Result<()> {
    let Some(by) = by else { return Ok(()) };
    let mut insert = connection.prepare_cached(
        "INSERT INTO history (at, what, token, deletion_id, visitors)
         SELECT ?1, ?2, ?3, id, visitors FROM deletion WHERE id = ?4",
    )?;
    let token = by.token.map(|token| token.to_string());
    insert.execute(params![now, What::Deleted.name(), token, deletion.as_str()]).map(drop)
}

/// The latest deeds from behind a place on.
pub(super) fn list(
    connection: &Connection,
    behind: Option<HistoryCursor>,
    limit: u32,
) -> rusqlite::Result<Vec<HistoryEntry>> {
    let mut select = connection.prepare_cached(
        "SELECT id, at, what, token, kind, hash, to_kind, to_hash, deletion_id, visitors FROM history
         WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let behind = behind.map_or(i64::MAX, |behind| behind.0);
    select.query_map(params![behind, limit], deed)?.collect()
}

fn deed(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let what: String = row.get(2)?;
    let visitors: Option<i64> = row.get(9)?;
    Ok(HistoryEntry {
        cursor: HistoryCursor(row.get(0)?),
        at: clock::from_milliseconds(row.get(1)?),
        what: What::parse(&what).ok_or(rusqlite::Error::InvalidQuery)?,
        token: row.get(3)?,
        id: HashedId::kept(row.get(4)?, row.get(5)?),
        to: HashedId::kept(row.get(6)?, row.get(7)?),
        deletion_request_id: row.get(8)?,
        visitors: visitors.and_then(|visitors| u64::try_from(visitors).ok()),
    })
}
