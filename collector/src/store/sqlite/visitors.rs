//! Visitors as they are shown: a page of them, and one with the timeline.

use koala_destination::clock;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Map;
use serde_json::value::RawValue;

use super::{identities, search, traits};
use crate::store::filter::Filter;
use crate::store::visitor::{TimelineEntry, Visitor, VisitorId};

/// The row of a visitor. An id that no engine of this kind gave meets no row.
pub(super) fn row_of(id: &VisitorId) -> i64 {
    id.as_str().parse().unwrap_or(-1)
}

/// Visitors, the one seen last first, and how many there are in all.
pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    offset: u32,
    limit: u32,
) -> rusqlite::Result<(Vec<Visitor>, u64)> {
    let (ids, total) = search::find(connection, filter, offset, limit)?;
    let visitors = ids.into_iter().filter_map(|id| visitor(connection, id).transpose());
    Ok((visitors.collect::<rusqlite::Result<_>>()?, u64::try_from(total).unwrap_or_default()))
}

/// At most `limit` visitors behind the row `after`, in the order of their rows.
pub(super) fn export(
    connection: &Connection,
    filter: &Filter,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<Visitor>> {
    let ids = search::find_behind(connection, filter, after, limit)?;
    ids.into_iter().filter_map(|id| visitor(connection, id).transpose()).collect()
}

/// One visitor with the newest entries of the timeline, newest first.
pub(super) fn show(
    connection: &Connection,
    id: i64,
    limit: u32,
) -> rusqlite::Result<Option<(Visitor, Vec<TimelineEntry>)>> {
    let Some(visitor) = visitor(connection, id)? else { return Ok(None) };
    let mut entries = connection.prepare_cached(
        "SELECT kind, name, message_id, at, json FROM entry WHERE visitor_id = ?1 ORDER BY at DESC, id DESC LIMIT ?2",
    )?;
    let entries = entries.query_map(params![id, limit], |row| {
        let json: String = row.get(4)?;
        Ok(TimelineEntry {
            kind: row.get(0)?,
            name: row.get(1)?,
            message_id: row.get(2)?,
            at: clock::from_milliseconds(row.get(3)?),
            entry: RawValue::from_string(json).unwrap_or_default(),
        })
    })?;
    Ok(Some((visitor, entries.collect::<rusqlite::Result<_>>()?)))
}

/// One visitor.
pub(super) fn visitor(connection: &Connection, id: i64) -> rusqlite::Result<Option<Visitor>> {
    let mut select = connection.prepare_cached(
        "SELECT account, first_seen, last_seen,
                (SELECT count(*) FROM entry WHERE visitor_id = visitor.id AND +kind = 'event'),
                (SELECT count(*) FROM entry WHERE visitor_id = visitor.id AND +kind = 'identify'),
                (SELECT count(*) FROM entry WHERE visitor_id = visitor.id AND +kind = 'page_view')
         FROM visitor WHERE id = ?1",
    )?;
    let visitor = select.query_row([id], |row| {
        Ok(Visitor {
            id: VisitorId::new(id.to_string()),
            profile_ids: Vec::new(),
            emails: Vec::new(),
            account: row.get(0)?,
            traits: Map::new(),
            first_seen: clock::from_milliseconds(row.get(1)?),
            last_seen: clock::from_milliseconds(row.get(2)?),
            events: row.get(3)?,
            identifies: row.get(4)?,
            page_views: row.get(5)?,
        })
    });
    let Some(mut visitor) = visitor.optional()? else { return Ok(None) };
    visitor.traits = traits::of(connection, id)?;
    for (kind, value) in identities::of(connection, id)? {
        if kind == identities::EMAIL { visitor.emails.push(value) } else { visitor.profile_ids.push(value) }
    }
    Ok(Some(visitor))
}
