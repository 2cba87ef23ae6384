//! Visitors taken out, and what hangs on their ids deleted piece by piece.
//!
//! In one transaction the rows of the ids give up what they are called by (their kind is `taken`), and the visitor is gone: nothing
//! leads to them, and what comes in under the same ids makes new rows; what was said under them of companies counts no longer.
//! Then the entries, what was counted of them, traits, intent, claims and decisions go, and the rows themselves.

use std::collections::BTreeSet;

use koala_destination::ids::{Id, IdKind};
use rusqlite::{Connection, OptionalExtension, params};

use super::identities::{self, Ids};
use super::{accounts, alert_changes, clusters, company_keys, decisions, guesses, statements, topics};
use crate::identity::{Decided, MOST_DEVICES, Rank};

/// Rows that are deleted in one piece, while other writing waits: some milliseconds.
pub(super) const ROWS_OF_A_PIECE: usize = 1000;
/// Claims that go at once, each with who has to be looked at anew for it.
const CLAIMS_AT_ONCE: usize = 100;

/// What was taken.
pub(super) struct Taken {
    /// The ids that went.
    pub(super) ids: Vec<Id>,
    /// Whether some of them are others' now.
    pub(super) are_others_now: bool,
}

/// Takes a visitor out; gives back the ids that went. One that a person has blocked stays so, with nothing under it, unless it
/// was asked for.
pub(super) fn take(
    connection: &Connection,
    visitor_id: i64,
    deletion: Option<&str>,
    is_asked_for: impl Fn(&Id) -> bool,
) -> rusqlite::Result<Taken> {
    let mut select = connection
        .prepare_cached("SELECT id, kind, value, decision FROM identity WHERE visitor_id = ?1 AND kind <> 'taken'")?;
    let rows = select.query_map([visitor_id], |row| {
        let decision: Option<String> = row.get(3)?;
        Ok((row.get::<_, i64>(0)?, identities::id_of(row, 1, 2)?, decision.as_deref().and_then(Decided::of)))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    statements::forget(connection, visitor_id)?;
    clusters::forget(connection, visitor_id)?;
    let mut rename = connection.prepare_cached(
        "UPDATE identity SET kind = 'taken', value = CAST(id AS TEXT), visitor_id = id, into_id = NULL, decision = NULL,
             first_at = NULL, first_seen = NULL, last_seen = NULL WHERE id = ?1",
    )?;
    let mut note = connection.prepare_cached("INSERT INTO taken (identity_id, deletion_id) VALUES (?1, ?2)")?;
    for (row, _, _) in &rows {
        alert_changes::forget(connection, *row)?;
        guesses::forget(connection, *row)?;
        accounts::forget_traits(connection, *row)?;
        rename.execute([row])?;
        note.execute(params![row, deletion])?;
    }
    let (mut ids, mut of_others) = (Vec::with_capacity(rows.len()), Vec::new());
    for (row, id, decision) in rows {
        let is_blocked = decision == Some(Decided::Blocked);
        if is_blocked && !is_asked_for(&id) {
            block_again(connection, row, &id)?;
            continue;
        }
        if !is_blocked && !is_asked_for(&id) && stays_with_others(connection, row, &id)? {
            of_others.push(id.clone());
        }
        ids.push(id);
    }
    decisions::look_anew(connection, &of_others)?;
    company_keys::tidy_up(connection)?;
    Ok(Taken { ids, are_others_now: !of_others.is_empty() })
}

/// An address that another account says as its own, or a device that somebody else has logged in on, is theirs as their own
/// events have it: their claims stay, on a row of its own. Tells whether there are any.
fn stays_with_others(connection: &Connection, before: i64, id: &Id) -> rusqlite::Result<bool> {
    let said = "claim.identity_id = ?1 AND claim.rank <= ?2
         AND EXISTS (SELECT 1 FROM identity WHERE id = claim.owner_id AND kind <> 'taken')";
    let any = format!("SELECT EXISTS (SELECT 1 FROM claim WHERE {said})");
    let rank = Rank::ToEmail.number();
    if !connection.prepare_cached(&any)?.query_row([before, rank], |row| row.get::<_, bool>(0))? {
        return Ok(false);
    }
    let row = Ids::new(connection).row_or_insert(id)?;
    let change = format!("UPDATE claim SET identity_id = ?3 WHERE {said}");
    connection.prepare_cached(&change)?.execute([before, rank, row])?;
    Ok(true)
}

/// The decision of a person that an id is none stays, with its time, on a row of its own.
fn block_again(connection: &Connection, before: i64, id: &Id) -> rusqlite::Result<()> {
    let row = Ids::new(connection).row_or_insert(id)?;
    connection.execute("UPDATE identity SET decision = 'blocked' WHERE id = ?1", [row])?;
    connection
        .execute("UPDATE decision SET identity_id = ?2 WHERE identity_id = ?1 AND what = 'block'", [before, row])
        .map(drop)
}

/// Deletes a piece of what hangs on taken ids. Tells whether there was any.
pub(super) fn purge(connection: &Connection) -> rusqlite::Result<bool> {
    let mut next =
        connection.prepare_cached("SELECT identity_id, deletion_id FROM taken ORDER BY identity_id LIMIT 1")?;
    let (mut left, mut any) = (ROWS_OF_A_PIECE, false);
    while left > 0 {
        let row = next.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)));
        let Some((row, deletion)) = row.optional()? else { break };
        any = true;
        let before = left;
        let is_empty = delete_entries(connection, row, deletion.as_deref(), &mut left)?
            && topics::forget_some(connection, row, &mut left)?
            && delete(connection, TRAITS, row, &mut left)?
            && delete(connection, INTENT, row, &mut left)?
            && delete_claims(connection, row, &mut left)?
            && delete(connection, DECISIONS, row, &mut left)?;
        if is_empty {
            connection.prepare_cached("DELETE FROM taken WHERE identity_id = ?1")?.execute([row])?;
            connection.prepare_cached("DELETE FROM identity WHERE id = ?1")?.execute([row])?;
            let mut highest =
                connection.prepare_cached("UPDATE installation SET highest_id = ?1 WHERE highest_id < ?1")?;
            highest.execute([row])?;
        }
        left = left.min(before.saturating_sub(1));
    }
    Ok(any)
}

const ENTRIES: &str = "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE identity_id = ?1 LIMIT ?2)";
const TRAITS: &str = "DELETE FROM trait WHERE identity_id = ?1
     AND name IN (SELECT name FROM trait WHERE identity_id = ?1 LIMIT ?2)";
const INTENT: &str = "DELETE FROM intent WHERE identity_id = ?1
     AND (rule_id, day) IN (SELECT rule_id, day FROM intent WHERE identity_id = ?1 LIMIT ?2)";
const DECISIONS: &str = "DELETE FROM decision
     WHERE id IN (SELECT id FROM decision WHERE identity_id = ?1 OR to_id = ?1 LIMIT ?2)";

/// Deletes as many rows of a row's as may still be. Tells whether none are left.
fn delete(connection: &Connection, sql: &str, row: i64, left: &mut usize) -> rusqlite::Result<bool> {
    let most = *left;
    *left -= connection.prepare_cached(sql)?.execute(params![row, i64::try_from(most).unwrap_or(i64::MAX)])?.min(most);
    Ok(*left > 0)
}

fn delete_entries(
    connection: &Connection,
    row: i64,
    deletion: Option<&str>,
    left: &mut usize,
) -> rusqlite::Result<bool> {
    let before = *left;
    let is_empty = delete(connection, ENTRIES, row, left)?;
    if before > *left {
        let mut count = connection.prepare_cached("UPDATE deletion SET entries = entries + ?2 WHERE id = ?1")?;
        count.execute(params![deletion, i64::try_from(before - *left).unwrap_or(i64::MAX)])?;
    }
    Ok(is_empty)
}

/// Deletes the claims of a row and on it, and has those who stay belong to whom their other claims lead.
fn delete_claims(connection: &Connection, row: i64, left: &mut usize) -> rusqlite::Result<bool> {
    let claims = claims(connection, row, CLAIMS_AT_ONCE.min(*left))?;
    let others = others(connection, &claims)?;
    let mut forget = connection.prepare_cached("DELETE FROM claim WHERE identity_id = ?1 AND owner_id = ?2")?;
    for claim in &claims {
        forget.execute([claim.one, claim.owner])?;
    }
    decisions::look_anew(connection, &others)?;
    *left = left.saturating_sub(claims.len() + others.len());
    Ok(claims.len() < CLAIMS_AT_ONCE && *left > 0)
}

/// A claim of a taken id or on one.
struct TakenClaim {
    one: i64,
    owner: i64,
    kind: String,
}

fn claims(connection: &Connection, row: i64, most: usize) -> rusqlite::Result<Vec<TakenClaim>> {
    let mut select = connection.prepare_cached(
        "SELECT identity_id, owner_id, kind FROM claim WHERE identity_id = ?1
         UNION ALL SELECT identity_id, owner_id, kind FROM claim WHERE owner_id = ?1 LIMIT ?2",
    )?;
    let claims = select.query_map(params![row, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        Ok(TakenClaim { one: row.get(0)?, owner: row.get(1)?, kind: row.get(2)? })
    })?;
    claims.collect()
}

/// Who may belong to somebody else when claims go: who claims a taken id, and whose place in the line of an owner moves.
fn others(connection: &Connection, claims: &[TakenClaim]) -> rusqlite::Result<Vec<Id>> {
    let mut find = connection.prepare_cached("SELECT kind, value FROM identity WHERE id = ?1 AND kind <> 'taken'")?;
    let mut find = |row: i64| find.query_row([row], |row| identities::id_of(row, 0, 1)).optional();
    let (mut others, mut lines) = (BTreeSet::new(), BTreeSet::new());
    for claim in claims {
        others.extend(find(claim.one)?);
        if find(claim.owner)?.is_some_and(|owner| owner.kind() != IdKind::Device) {
            lines.extend(IdKind::of(&claim.kind).map(|kind| (claim.owner, kind)));
        }
    }
    for (owner, kind) in lines {
        // An address may be the first one now, and a device within the limit.
        let moves = if kind == IdKind::Email { 0 } else { MOST_DEVICES - CLAIMS_AT_ONCE };
        others.extend(identities::line_of(connection, owner, kind)?.into_iter().skip(moves).map(|member| member.id));
    }
    Ok(others.into_iter().collect())
}

/// Who may belong to somebody else now that a visitor's ids were taken; nothing where that are more than may be looked at.
pub(super) fn affected(connection: &Connection, rows: &[i64]) -> rusqlite::Result<Option<Vec<Id>>> {
    let mut all = BTreeSet::new();
    for row in rows {
        let claims = claims(connection, *row, ROWS_OF_A_PIECE)?;
        all.extend(others(connection, &claims)?);
        if claims.len() == ROWS_OF_A_PIECE || all.len() > ROWS_OF_A_PIECE {
            return Ok(None);
        }
    }
    Ok(Some(all.into_iter().collect()))
}
