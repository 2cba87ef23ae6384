//! The rows of ids and of what they claim.

use std::collections::HashMap;

use koala_destination::ids::{Id, IdKind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::identity::{Claim, Claimant, Decided, Identity, Known, Rank, Wants, line_length};

/// What is known of some ids within one piece of work, and their rows.
pub(super) struct Ids<'c> {
    connection: &'c Connection,
    known: Known,
    rows: HashMap<Id, i64>,
}

impl<'c> Ids<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, known: Known::default(), rows: HashMap::new() }
    }

    /// What was loaded up to now.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// Asks until all is loaded that an answer needs.
    pub(super) fn ask<T>(&mut self, ask: impl Fn(&Known) -> Result<T, Wants>) -> rusqlite::Result<T> {
        loop {
            match ask(&self.known) {
                Ok(answer) => return Ok(answer),
                Err(wants) => self.load(&wants)?,
            }
        }
    }

    /// Loads what is wanted.
    pub(super) fn load(&mut self, wants: &Wants) -> rusqlite::Result<()> {
        for id in &wants.ids {
            let (identity, claims) = match self.find(id)? {
                None => (Identity::default(), Vec::new()),
                Some((row, identity)) => (identity, claims_of(self.connection, row)?),
            };
            self.known.put_id(id.clone(), identity, claims);
        }
        for (owner, kind) in &wants.lines {
            let members = match self.row(owner)? {
                None => Vec::new(),
                Some(row) => line_of(self.connection, row, *kind)?,
            };
            self.known.put_line(owner.clone(), *kind, members);
        }
        Ok(())
    }

    /// The row of an id, where it has one.
    pub(super) fn row(&mut self, id: &Id) -> rusqlite::Result<Option<i64>> {
        match self.rows.get(id) {
            Some(row) => Ok(Some(*row)),
            None => Ok(self.find(id)?.map(|(row, _)| row)),
        }
    }

    /// The row of an id; it is made where there is none, and then leads to itself.
    pub(super) fn row_or_insert(&mut self, id: &Id) -> rusqlite::Result<i64> {
        if let Some(row) = self.row(id)? {
            return Ok(row);
        }
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO identity (id, kind, value, visitor_id)
             SELECT next, ?1, ?2, next FROM (
                 SELECT max(coalesce((SELECT max(id) FROM identity), 0), highest_id) + 1 AS next FROM installation)
             RETURNING id",
        )?;
        let row = insert.query_row(params![id.kind().name(), id.value()], |row| row.get(0))?;
        self.rows.insert(id.clone(), row);
        Ok(row)
    }

    fn find(&mut self, id: &Id) -> rusqlite::Result<Option<(i64, Identity)>> {
        let mut find = self.connection.prepare_cached(
            "SELECT identity.id, identity.first_at, identity.decision, owner.kind, owner.value
             FROM identity LEFT JOIN identity AS owner ON owner.id = identity.into_id
             WHERE identity.kind = ?1 AND identity.value = ?2",
        )?;
        let found = find.query_row(params![id.kind().name(), id.value()], |row| {
            let decision = row.get_ref(2)?.as_str_or_null()?.and_then(Decided::of);
            let into = row.get_ref(3)?.as_str_or_null()?.map(|_| id_of(row, 3, 4)).transpose()?;
            Ok((row.get(0)?, Identity { first_at: row.get(1)?, into, decision }))
        });
        let found = found.optional()?;
        if let Some((row, _)) = &found {
            self.rows.insert(id.clone(), *row);
        }
        Ok(found)
    }
}

/// The id in two columns, its kind and its value.
pub(super) fn id_of(row: &Row<'_>, kind: usize, value: usize) -> rusqlite::Result<Id> {
    // Only names of kinds are written.
    let kind = IdKind::of(row.get_ref(kind)?.as_str()?).unwrap_or(IdKind::Device);
    Ok(Id::stored(kind, row.get_ref(value)?.as_str()?))
}

fn claims_of(connection: &Connection, row: i64) -> rusqlite::Result<Vec<Claim>> {
    let mut select = connection.prepare_cached(
        "SELECT claim.rank, claim.at, owner.decision, owner.kind, owner.value
         FROM claim CROSS JOIN identity AS owner ON owner.id = claim.owner_id
         WHERE claim.identity_id = ?1 AND owner.kind <> 'taken'",
    )?;
    let claims = select.query_map([row], |row| {
        let decision = row.get_ref(2)?.as_str_or_null()?.and_then(Decided::of);
        Ok(Claim {
            rank: Rank::of(row.get(0)?),
            at: row.get(1)?,
            owner: id_of(row, 3, 4)?,
            owner_is_blocked: decision == Some(Decided::Blocked),
        })
    })?;
    claims.collect()
}

/// The best members of a kind of an owner, of those that no decision of a person has taken elsewhere.
pub(super) fn line_of(connection: &Connection, owner: i64, kind: IdKind) -> rusqlite::Result<Vec<Claimant>> {
    let mut select = connection.prepare_cached(
        "SELECT claim.rank, claim.at, identity.kind, identity.value
         FROM claim CROSS JOIN identity ON identity.id = claim.identity_id
         WHERE claim.owner_id = ?1 AND claim.kind = ?2 AND identity.kind = ?2
             AND (identity.decision IS NULL OR (identity.decision = 'attached' AND identity.into_id = ?1))
         ORDER BY claim.rank, claim.at, identity.value LIMIT ?3",
    )?;
    let most = i64::try_from(line_length(kind)).unwrap_or(i64::MAX);
    let members = select.query_map(params![owner, kind.name(), most], |row| {
        Ok(Claimant { rank: Rank::of(row.get(0)?), at: row.get(1)?, id: id_of(row, 2, 3)? })
    })?;
    members.collect()
}

/// The row of an id.
pub(super) fn row_of(connection: &Connection, id: &Id) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM identity WHERE kind = ?1 AND value = ?2")?;
    find.query_row(params![id.kind().name(), id.value()], |row| row.get(0)).optional()
}

/// What a person decided of an id.
pub(super) fn decision_of(connection: &Connection, id: &Id) -> rusqlite::Result<Option<Decided>> {
    let mut find = connection.prepare_cached("SELECT decision FROM identity WHERE kind = ?1 AND value = ?2")?;
    let decision = find.query_row(params![id.kind().name(), id.value()], |row| row.get::<_, Option<String>>(0));
    Ok(decision.optional()?.flatten().as_deref().and_then(Decided::of))
}

/// The visitor that a row leads to: one's own number, or that of a visitor whom it was merged with.
pub(super) fn visitor_of_row(connection: &Connection, row: i64) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT visitor_id FROM identity WHERE id = ?1")?;
    find.query_row([row], |row| row.get(0)).optional()
}

/// A visitor's addresses, the one that was known first first.
pub(super) fn emails(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached(
        "SELECT value FROM identity WHERE visitor_id = ?1 AND kind = 'email'
         ORDER BY min(coalesce(first_at, 9223372036854775807),
                      coalesce((SELECT min(at) FROM claim WHERE identity_id = identity.id), 9223372036854775807)), value",
    )?;
    select.query_map([visitor_id], |row| row.get(0))?.collect()
}
