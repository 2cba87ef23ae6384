//! Visitors as they are shown: a page of them, and one with the timeline.

use std::cmp::Reverse;

use koala_destination::clock;
use koala_destination::ids::IdKind;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Map;
use serde_json::value::RawValue;

use super::ids;
use super::{identities, search, traits};
use crate::about::About;
use crate::intent::Intent;
use crate::store::filter::Filter;
use crate::store::visitor::{EntryCursor, TimelineEntry, Visitor, VisitorId, VisitorIdentity};
use crate::store::visitor_points::VisitorPoints;

/// Visitors, the one seen last first, and how many there are in all; where the filter asks for points, by these.
pub(super) fn list(
    connection: &Connection,
    filter: (&Filter, Option<&VisitorPoints>),
    page: (u32, u32),
    most_counted: u32,
) -> rusqlite::Result<(Vec<Visitor>, u64)> {
    let (ids, total) = search::find(connection, filter, page, most_counted)?;
    let visitors = ids.into_iter().filter_map(|id| visitor(connection, id).transpose());
    Ok((visitors.collect::<rusqlite::Result<_>>()?, u64::try_from(total).unwrap_or_default()))
}

/// At most `limit` visitors behind the row `after`, in the order of their rows.
pub(super) fn export(
    connection: &Connection,
    filter: (&Filter, Option<&VisitorPoints>),
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<Visitor>> {
    let ids = search::find_behind(connection, filter, after, limit)?;
    ids.into_iter().filter_map(|id| visitor(connection, id).transpose()).collect()
}

/// One visitor with the newest entries of the timeline, newest first. The number of a visitor that was merged with another leads
/// to that one.
pub(super) fn show(
    connection: &Connection,
    id: i64,
    limit: u32,
) -> rusqlite::Result<Option<(Visitor, Vec<TimelineEntry>)>> {
    let Some(id) = identities::visitor_of_row(connection, id)? else { return Ok(None) };
    let Some(visitor) = visitor(connection, id)? else { return Ok(None) };
    let mut select = connection.prepare_cached("SELECT kind, name, message_id, at, json FROM entry WHERE id = ?1")?;
    let entry = |(_, id): (i64, i64)| select.query_row([id], timeline_entry);
    let entries = newest(connection, id, limit)?.into_iter().map(entry).collect::<rusqlite::Result<_>>()?;
    Ok(Some((visitor, entries)))
}

/// Whether there is such a visitor.
pub(super) fn is_there(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM visitor WHERE id = ?1)")?;
    find.query_row([id], |row| row.get(0))
}

/// Where an export of entries is: behind this entry of this id, in the order of time.
type Place = (i64, i64, i64);

/// A page of a visitor's entries: by the ids that they are filed under, and by time.
pub(super) fn entries(
    connection: &Connection,
    id: i64,
    after: Option<&EntryCursor>,
    limit: u32,
) -> rusqlite::Result<(Vec<TimelineEntry>, Option<EntryCursor>)> {
    let (after_id, mut after) =
        after.and_then(|EntryCursor(text)| place(text)).map_or((0, None), |(id, at, entry)| (id, Some((at, entry))));
    let Some(visitor_id) = identities::visitor_of_row(connection, id)? else { return Ok((Vec::new(), None)) };
    if !is_there(connection, visitor_id)? {
        return Ok((Vec::new(), None));
    }
    let mut ids =
        connection.prepare_cached("SELECT id FROM identity WHERE visitor_id = ?1 AND id >= ?2 ORDER BY id")?;
    let ids = ids.query_map([visitor_id, after_id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut select = connection.prepare_cached(
        "SELECT kind, name, message_id, at, json, id FROM entry WHERE identity_id = ?1 AND (at, id) > (?2, ?3)
         ORDER BY at, id LIMIT ?4",
    )?;
    let mut page = Vec::new();
    for id in ids {
        let (at, entry) = after.take().filter(|_| id == after_id).unwrap_or((i64::MIN, i64::MIN));
        let left = i64::from(limit) - i64::try_from(page.len()).unwrap_or(i64::MAX);
        let mut last = None;
        let of_id = select.query_map(params![id, at, entry, left], |row| {
            last = Some((id, row.get::<_, i64>(3)?, row.get::<_, i64>(5)?));
            timeline_entry(row)
        })?;
        page.extend(of_id.collect::<rusqlite::Result<Vec<_>>>()?);
        if let Some((id, at, entry)) = last.filter(|_| page.len() >= limit as usize) {
            return Ok((page, Some(EntryCursor(format!("{id} {at} {entry}")))));
        }
    }
    Ok((page, None))
}

fn place(text: &str) -> Option<Place> {
    let mut numbers = text.split(' ').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// The entry in the columns kind, name, message id, time and JSON.
fn timeline_entry(row: &Row<'_>) -> rusqlite::Result<TimelineEntry> {
    let json: String = row.get(4)?;
    let About { path, title, referrer, utm, .. } = About::of(&json);
    Ok(TimelineEntry {
        path,
        title,
        referrer,
        utm,
        kind: row.get(0)?,
        name: row.get(1)?,
        message_id: row.get(2)?,
        at: clock::from_milliseconds(row.get(3)?),
        entry: RawValue::from_string(json).unwrap_or_default(),
    })
}

/// The newest entries of a visitor, each with its time and its row: the newest of each id, put together.
fn newest(connection: &Connection, visitor_id: i64, limit: u32) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut ids = connection.prepare_cached("SELECT id FROM identity WHERE visitor_id = ?1")?;
    let ids = ids.query_map([visitor_id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut select = connection
        .prepare_cached("SELECT at, id FROM entry WHERE identity_id = ?1 ORDER BY at DESC, id DESC LIMIT ?2")?;
    let mut newest = Vec::new();
    for id in ids {
        let of_id = select.query_map(params![id, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        newest.extend(of_id.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?);
        newest.sort_unstable_by_key(|entry| Reverse(*entry));
        newest.truncate(limit as usize);
    }
    Ok(newest)
}

/// One visitor.
pub(super) fn visitor(connection: &Connection, id: i64) -> rusqlite::Result<Option<Visitor>> {
    let mut select = connection.prepare_cached("SELECT company.key, first_seen, last_seen, company.id, company.name, visitor.excluded = 1 OR company.excluded = 1, visitor.is_guess
         FROM visitor LEFT JOIN company ON company.id = visitor.company_id WHERE visitor.id = ?1",
    )?;
    let visitor = select.query_row([id], |row| {
        Ok(Visitor {
            id: VisitorId::new(id.to_string()),
            user_ids: Vec::new(),
            emails: Vec::new(),
            anonymous_ids: Vec::new(),
            account: row.get(0)?,
            company_id: row.get::<_, Option<i64>>(3)?.map(ids::company_id),
            company: row.get(4)?,
            company_source: row.get::<_, Option<i64>>(3)?.map(|_| row.get(6).map(ids::source_of)).transpose()?,
            excluded: row.get::<_, Option<bool>>(5)?.unwrap_or_default(),
            intent: Intent::default(),
            traits: Map::new(),
            first_seen: clock::from_milliseconds(row.get(1)?),
            last_seen: clock::from_milliseconds(row.get(2)?),
            events: 0,
            identifies: 0,
            page_views: 0,
            identities: Vec::new(),
        })
    });
    let Some(mut visitor) = visitor.optional()? else { return Ok(None) };
    // The index by id, kind and message id has all that is counted.
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM identity CROSS JOIN entry ON entry.identity_id = identity.id AND entry.kind = ?2
         WHERE identity.visitor_id = ?1",
    )?;
    let mut count = |kind: &str| count.query_row(params![id, kind], |row| row.get(0));
    (visitor.events, visitor.identifies, visitor.page_views) =
        (count("event")?, count("identify")?, count("page_view")?);
    visitor.traits = traits::of(connection, id)?;
    visitor.identities = identities_of(connection, id)?;
    for VisitorIdentity { id, .. } in &visitor.identities {
        match id.kind() {
            IdKind::User => visitor.user_ids.push(id.value().to_owned()),
            IdKind::Email => {}
            IdKind::Device => visitor.anonymous_ids.push(id.value().to_owned()),
        }
    }
    visitor.emails = identities::emails(connection, id)?;
    Ok(Some(visitor))
}

/// A visitor's ids, the strongest first.
fn identities_of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Vec<VisitorIdentity>> {
    let mut select = connection.prepare_cached(
        "SELECT kind, value, into_id IS NOT NULL, decision FROM identity WHERE visitor_id = ?1
         ORDER BY kind = 'user' DESC, kind = 'email' DESC, into_id IS NOT NULL, value",
    )?;
    let identities = select.query_map([visitor_id], |row| {
        let decision = row.get_ref(3)?.as_str_or_null()?;
        Ok(VisitorIdentity {
            id: identities::id_of(row, 0, 1)?,
            belongs_to_another: row.get(2)?,
            is_blocked: decision == Some("blocked"),
        })
    })?;
    identities.collect()
}
