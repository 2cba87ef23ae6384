//! A batch is kept: its visitor is found, made or merged, and its entries and traits are noted.

use koala_destination::clock::now_milliseconds;
use rusqlite::{Connection, params};

use super::intent::{self, Kept, StoredRule};
use super::{accounts, identities, traits};
use crate::protocol::batch::{Batch, EntryKind};

/// Keeps a batch: an entry whose message id is known already is not kept twice.
pub(super) fn keep(connection: &Connection, rules: &[StoredRule], batch: &Batch) -> rusqlite::Result<()> {
    let now = now_milliseconds();
    let (visitor_id, mut is_changed) = visitor_of(connection, batch, now)?;
    if let Some(traits) = &batch.traits {
        let newest = batch.entries.iter().filter_map(|entry| entry.at).max().unwrap_or(now);
        is_changed |= traits::merge(connection, visitor_id, traits, newest)?;
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
            is_changed |= traits::merge(connection, visitor_id, traits, at)?;
        }
    }
    if is_changed { accounts::assign(connection, visitor_id) } else { Ok(()) }
}

/// The visitor that the batch's identity leads to, and whether it is more known of it than before; when it leads to two, they
/// are one from now on.
fn visitor_of(connection: &Connection, batch: &Batch, now: i64) -> rusqlite::Result<(i64, bool)> {
    let profile_id = batch.profile_id.map(|id| (identities::PROFILE_ID, id.to_string()));
    // Mail treats addresses alike whatever their case, in practice.
    let email = batch.email.as_ref().map(|email| (identities::EMAIL, email.as_str().to_lowercase()));
    let named: Vec<(&str, String)> = profile_id.into_iter().chain(email).collect();
    let mut found = Vec::new();
    for (kind, value) in &named {
        found.extend(identities::find(connection, kind, value)?);
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
    let mut is_changed = found.len() != named.len() || found.iter().any(|id| *id != visitor_id);
    for (kind, value) in &named {
        is_changed |= identities::link(connection, kind, value, visitor_id)?;
    }
    Ok((visitor_id, is_changed))
}

fn merge_visitors(connection: &Connection, into: i64, from: i64) -> rusqlite::Result<()> {
    traits::move_to(connection, into, from)?;
    connection.execute("UPDATE entry SET visitor_id = ?1 WHERE visitor_id = ?2", [into, from])?;
    identities::move_to(connection, into, from)?;
    intent::move_to(connection, into, from)?;
    connection.execute(
        "UPDATE visitor SET (first_seen, last_seen) =
            (SELECT min(visitor.first_seen, other.first_seen), max(visitor.last_seen, other.last_seen)
             FROM visitor AS other WHERE other.id = ?2)
         WHERE id = ?1",
        [into, from],
    )?;
    accounts::leave(connection, from)?;
    connection.execute("DELETE FROM visitor WHERE id = ?1", [from])?;
    Ok(())
}
