//! What the collector has: visitors, merged by identity, with their entries.

use koala_destination::clock;
use koala_destination::koala::Email;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::deletion::{self, Receipt};
use super::intent::{self, IntentRules, Kept, StoredRule};
use super::search::{self, Filter};
use super::{Store, StoreError, companies};
use crate::collector::{Batch, EntryKind};
use crate::now_milliseconds;

/// A visitor as the API lists it.
#[derive(Debug, Serialize)]
pub struct Visitor {
    /// The store's number.
    pub id: i64,
    /// Every profile id that led here.
    pub profile_ids: Vec<String>,
    /// Every email address that led here.
    pub emails: Vec<String>,
    /// The company, by its domain or name.
    pub account: Option<String>,
    /// The latest traits.
    pub traits: Map<String, Value>,
    /// The time of the oldest entry.
    pub first_seen: String,
    /// The time of the newest entry.
    pub last_seen: String,
    /// How many events there are.
    pub events: i64,
    /// How many identifies there are.
    pub identifies: i64,
    /// How many page views there are.
    pub page_views: i64,
}

/// One entry of a visitor's timeline.
#[derive(Debug, Serialize)]
pub struct TimelineEntry {
    /// `event`, `identify` or `page_view`.
    pub kind: String,
    /// The event's name.
    pub name: Option<String>,
    /// Its idempotency key.
    pub message_id: Option<String>,
    /// When it happened.
    pub at: String,
    /// The entry as Koala's protocol writes it.
    pub entry: Box<RawValue>,
}

/// What the collector has; clones share the store.
#[derive(Clone)]
pub struct Visitors {
    store: Store,
    rules: IntentRules,
}

impl Visitors {
    /// The visitors of `store`, looked at with these rules.
    pub fn new(store: Store, rules: IntentRules) -> Self {
        Self { store, rules }
    }

    /// Keeps a batch: an entry whose message id is known already is not kept twice.
    pub async fn keep(&self, batch: Batch) -> Result<(), StoreError> {
        let rules = self.rules.clone();
        self.store.write(move |connection| keep(connection, &rules.now(), &batch)).await
    }

    /// Deletes what an address leads to.
    pub async fn delete(&self, email: &Email) -> Result<Receipt, StoreError> {
        deletion::delete(&self.store, email).await
    }

    /// Deletes a visitor, who may have no address; nothing where there is none.
    pub async fn delete_visitor(&self, id: i64) -> Result<Option<Receipt>, StoreError> {
        deletion::delete_visitor(&self.store, id).await
    }

    /// Changes whenever something is written.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.store.changes()
    }

    /// Visitors, the one seen last first, and how many there are in all.
    pub async fn list(&self, filter: Filter, offset: u32, limit: u32) -> Result<(Vec<Visitor>, i64), StoreError> {
        let list = move |connection: &Connection| {
            let (ids, total) = search::find(connection, &filter, offset, limit)?;
            let visitors = ids.into_iter().filter_map(|id| visitor(connection, id).transpose());
            Ok((visitors.collect::<rusqlite::Result<_>>()?, total))
        };
        self.store.read(list).await
    }

    /// One visitor with the newest entries of the timeline, newest first.
    pub async fn timeline(&self, id: i64, limit: u32) -> Result<Option<(Visitor, Vec<TimelineEntry>)>, StoreError> {
        let timeline = move |connection: &Connection| {
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
        };
        self.store.read(timeline).await
    }
}

fn keep(connection: &Connection, rules: &[StoredRule], batch: &Batch) -> rusqlite::Result<()> {
    let now = now_milliseconds();
    let (visitor_id, mut is_changed) = visitor_of(connection, batch, now)?;
    if let Some(traits) = &batch.traits {
        let newest = batch.entries.iter().filter_map(|entry| entry.at).max().unwrap_or(now);
        is_changed |= merge_traits(connection, visitor_id, traits, newest)?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO entry (visitor_id, kind, name, message_id, at, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (kind, message_id) DO NOTHING",
    )?;
    let mut seen = connection.prepare_cached(
        "UPDATE visitor SET first_seen = min(first_seen, ?2), last_seen = max(last_seen, ?2) WHERE id = ?1",
    )?;
    for entry in &batch.entries {
        let at = entry.at.unwrap_or(now);
        let kind = entry.kind.name();
        let kept = insert.execute(params![visitor_id, kind, entry.name, entry.message_id, at, entry.json])?;
        if kept == 0 {
            continue;
        }
        seen.execute(params![visitor_id, at])?;
        intent::note(connection, rules, Kept { visitor_id, kind: entry.kind, at, json: &entry.json })?;
        if let (EntryKind::Identify, Some(traits)) = (entry.kind, &entry.traits) {
            is_changed |= merge_traits(connection, visitor_id, traits, at)?;
        }
    }
    if is_changed { companies::assign(connection, visitor_id) } else { Ok(()) }
}

/// The visitor that the batch's identity leads to, and whether it is more known of it than before; when it leads to two, they
/// are one from now on.
fn visitor_of(connection: &Connection, batch: &Batch, now: i64) -> rusqlite::Result<(i64, bool)> {
    let profile_id = batch.profile_id.map(|id| ("profile_id", id.to_string()));
    // Mail treats addresses alike whatever their case, in practice.
    let email = batch.email.as_ref().map(|email| ("email", email.as_str().to_lowercase()));
    let identities: Vec<(&str, String)> = profile_id.into_iter().chain(email).collect();
    let mut find = connection.prepare_cached("SELECT visitor_id FROM identity WHERE kind = ?1 AND value = ?2")?;
    let mut found = Vec::new();
    for (kind, value) in &identities {
        found.extend(find.query_row(params![kind, value], |row| row.get::<_, i64>(0)).optional()?);
    }
    let visitor_id = match *found.as_slice() {
        [] => {
            let first = batch.entries.iter().filter_map(|entry| entry.at).min().unwrap_or(now);
            connection.execute("INSERT INTO visitor (first_seen, last_seen) VALUES (?1, ?1)", [first])?;
            connection.last_insert_rowid()
        }
        [one] => one,
        [one, other, ..] => {
            if one != other {
                merge_visitors(connection, one, other)?;
            }
            one
        }
    };
    let mut link = connection.prepare_cached(
        "INSERT INTO identity (kind, value, visitor_id) VALUES (?1, ?2, ?3) ON CONFLICT (kind, value) DO NOTHING",
    )?;
    let mut is_changed = found.len() != identities.len() || found.iter().any(|id| *id != visitor_id);
    for (kind, value) in &identities {
        is_changed |= link.execute(params![kind, value, visitor_id])? > 0;
    }
    Ok((visitor_id, is_changed))
}

fn merge_visitors(connection: &Connection, into: i64, from: i64) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO trait (visitor_id, name, value, at) SELECT ?1, name, value, at FROM trait WHERE visitor_id = ?2
         ON CONFLICT (visitor_id, name) DO UPDATE SET value = excluded.value, at = excluded.at WHERE excluded.at >= at",
        [into, from],
    )?;
    connection.execute("DELETE FROM trait WHERE visitor_id = ?1", [from])?;
    connection.execute("UPDATE entry SET visitor_id = ?1 WHERE visitor_id = ?2", [into, from])?;
    connection.execute("UPDATE identity SET visitor_id = ?1 WHERE visitor_id = ?2", [into, from])?;
    intent::move_to(connection, into, from)?;
    connection.execute(
        "UPDATE visitor SET (first_seen, last_seen) =
            (SELECT min(visitor.first_seen, other.first_seen), max(visitor.last_seen, other.last_seen)
             FROM visitor AS other WHERE other.id = ?2)
         WHERE id = ?1",
        [into, from],
    )?;
    companies::leave(connection, from)?;
    connection.execute("DELETE FROM visitor WHERE id = ?1", [from])?;
    Ok(())
}

/// What was said of a trait last counts, whatever order it comes in. Tells whether one is new or another than before.
fn merge_traits(
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
pub(super) fn traits(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Map<String, Value>> {
    let mut select = connection.prepare_cached("SELECT name, value FROM trait WHERE visitor_id = ?1 ORDER BY name")?;
    let read = select.query_map([visitor_id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let read = read.map(|read| read.map(|(name, value)| (name, serde_json::from_str(&value).unwrap_or_default())));
    let traits: Vec<(String, Value)> = read.collect::<rusqlite::Result<_>>()?;
    Ok(traits.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// A visitor's addresses.
pub(super) fn emails(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Vec<String>> {
    let mut select = connection
        .prepare_cached("SELECT value FROM identity WHERE visitor_id = ?1 AND kind = 'email' ORDER BY value")?;
    select.query_map([visitor_id], |row| row.get(0))?.collect()
}

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
            id,
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
    visitor.traits = traits(connection, id)?;
    let mut identities =
        connection.prepare_cached("SELECT kind, value FROM identity WHERE visitor_id = ?1 ORDER BY kind, value")?;
    for identity in identities.query_map([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (kind, value) = identity?;
        if kind == "email" { visitor.emails.push(value) } else { visitor.profile_ids.push(value) }
    }
    Ok(Some(visitor))
}
