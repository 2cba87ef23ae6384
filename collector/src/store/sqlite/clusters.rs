//! Changes of who is who written down, and the visitors that come of them.
//!
//! The pointers say who belongs together. `identity.visitor_id` and the rows of `visitor` are made from them, for the ids whose
//! pointers moved alone, so that lists, search and ranking need not follow pointers.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::identities::Ids;
use super::{accounts, statements};
use crate::identity::{Change, Decided};

/// What has to be put together anew: tops of the clusters that a change took something from, and ids that it moved.
#[derive(Debug, Default)]
pub(super) struct Moved(BTreeSet<i64>);

impl Moved {
    /// The clusters of these.
    pub(super) fn of(rows: impl IntoIterator<Item = i64>) -> Self {
        Self(rows.into_iter().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes the rows of a change. The one writer of a file sees what it looked at unchanged, so that only what changes is written.
pub(super) fn apply(connection: &Connection, ids: &mut Ids<'_>, change: &Change) -> rusqlite::Result<Moved> {
    let mut moved = Moved::default();
    for (id, change) in &change.identities {
        if change.into.is_none() && change.first_at.is_none() && change.decision.is_none() {
            continue;
        }
        let row = ids.row_or_insert(id)?;
        if let Some(into) = &change.into {
            moved.0.extend([row, top_of(connection, row)?]);
            let into = into.as_ref().map(|into| ids.row_or_insert(into)).transpose()?;
            connection.prepare_cached("UPDATE identity SET into_id = ?2 WHERE id = ?1")?.execute(params![row, into])?;
        }
        let mut update = connection.prepare_cached(
            "UPDATE identity SET first_at = coalesce(?2, first_at), decision = coalesce(?3, decision) WHERE id = ?1",
        )?;
        if change.first_at.is_some() || change.decision.is_some() {
            update.execute(params![row, change.first_at, change.decision.map(Decided::name)])?;
        }
    }
    let mut forget = connection.prepare_cached("DELETE FROM claim WHERE identity_id = ?1 AND owner_id = ?2")?;
    for (id, owner) in &change.dropped {
        forget.execute([ids.row(id)?, ids.row(owner)?])?;
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO claim (identity_id, owner_id, kind, rank, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (identity_id, owner_id) DO UPDATE SET rank = excluded.rank, at = excluded.at",
    )?;
    for ((id, owner), (rank, at)) in &change.claims {
        let (row, owner) = (ids.row_or_insert(id)?, ids.row_or_insert(owner)?);
        upsert.execute(params![row, owner, id.kind().name(), rank.number(), at])?;
    }
    Ok(moved)
}

/// Puts together anew what moved: each id gets the number of its visitor, and each visitor its times and its company.
pub(super) fn regroup(connection: &Connection, moved: &Moved) -> rusqlite::Result<()> {
    let mut tops = BTreeSet::new();
    for row in &moved.0 {
        tops.insert(top_of(connection, *row)?);
    }
    let mut visitors = BTreeSet::new();
    let mut assign = connection.prepare_cached("UPDATE identity SET visitor_id = ?2 WHERE id = ?1")?;
    for top in tops {
        let members = members_of(connection, top)?;
        let Some(visitor_id) = members.iter().map(|(row, _)| *row).min() else { continue };
        visitors.insert(visitor_id);
        for (row, before) in members {
            if before != visitor_id {
                visitors.insert(before);
                assign.execute([row, visitor_id])?;
            }
        }
    }
    // Those who are there first: a company whose last visitor goes is forgotten.
    let mut gone = Vec::new();
    for visitor_id in visitors {
        if !refresh(connection, visitor_id)? {
            gone.push(visitor_id);
        }
    }
    gone.into_iter().try_for_each(|visitor_id| forget(connection, visitor_id).map(drop))
}

/// Says anew what is known of a visitor. Tells whether there is one: ids that nothing is filed under are none.
fn refresh(connection: &Connection, visitor_id: i64) -> rusqlite::Result<bool> {
    let mut times =
        connection.prepare_cached("SELECT min(first_seen), max(last_seen) FROM identity WHERE visitor_id = ?1")?;
    let (Some(first_seen), Some(last_seen)) =
        times.query_row([visitor_id], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?
    else {
        return Ok(false);
    };
    let mut upsert = connection.prepare_cached(
        "INSERT INTO visitor (id, first_seen, last_seen) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET first_seen = excluded.first_seen, last_seen = excluded.last_seen",
    )?;
    upsert.execute([visitor_id, first_seen, last_seen])?;
    accounts::assign(connection, visitor_id)?;
    statements::look_again(connection, visitor_id)?;
    Ok(true)
}

/// Takes away the row of a visitor that is no longer one. Tells how many rows there were.
pub(super) fn forget(connection: &Connection, visitor_id: i64) -> rusqlite::Result<usize> {
    accounts::leave(connection, visitor_id)?;
    connection.prepare_cached("DELETE FROM visitor WHERE id = ?1")?.execute([visitor_id])
}

/// The row that all pointers from a row lead to in the end.
fn top_of(connection: &Connection, row: i64) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached(
        "WITH RECURSIVE way (id, into_id) AS (
             SELECT id, into_id FROM identity WHERE id = ?1
             UNION SELECT identity.id, identity.into_id FROM way CROSS JOIN identity ON identity.id = way.into_id)
         SELECT id FROM way WHERE into_id IS NULL",
    )?;
    Ok(select.query_row([row], |row| row.get(0)).optional()?.unwrap_or(row))
}

/// A row with all that lead to it, each with the visitor that it was of.
fn members_of(connection: &Connection, top: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut select = connection.prepare_cached(
        "WITH RECURSIVE member (id) AS (
             SELECT ?1 UNION SELECT identity.id FROM member CROSS JOIN identity ON identity.into_id = member.id)
         SELECT identity.id, visitor_id FROM member CROSS JOIN identity ON identity.id = member.id",
    )?;
    select.query_map([top], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
