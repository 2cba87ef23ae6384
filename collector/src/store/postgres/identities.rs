//! The rows of ids and of what they claim.

use std::collections::{BTreeMap, HashMap};

use koala_destination::ids::{Id, IdKind};
use tokio_postgres::Row;

use super::error::PostgresError;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::identity::{Claim, Claimant, Decided, Identity, Known, Rank, Wants, line_length};

statements! {
    IDS = "SELECT identity.kind, identity.value, identity.id, identity.visitor_id, identity.first_at, identity.decision,
                  owner.kind, owner.value, owner.id, owner.visitor_id
           FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
           JOIN identity ON identity.kind = wanted.kind AND identity.value = wanted.value
           LEFT JOIN identity AS owner ON owner.id = identity.into_id";
    CLAIMS = "SELECT identity.kind, identity.value, claim.rank, claim.at, owner.decision, owner.kind, owner.value,
                     owner.id, owner.visitor_id
              FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
              JOIN identity ON identity.kind = wanted.kind AND identity.value = wanted.value
              JOIN claim ON claim.identity_id = identity.id
              JOIN identity AS owner ON owner.id = claim.owner_id AND owner.kind <> 'taken'";
    LINES = "SELECT wanted.kind, wanted.value, wanted.member_kind, member.rank, member.at, member.value,
                    member.id, member.visitor_id
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS wanted (kind, value, member_kind, most)
             JOIN identity AS owner ON owner.kind = wanted.kind AND owner.value = wanted.value
             CROSS JOIN LATERAL (
                 SELECT claim.rank, claim.at, identity.value, identity.id, identity.visitor_id FROM claim JOIN identity ON identity.id = claim.identity_id
                 WHERE claim.owner_id = owner.id AND claim.kind = wanted.member_kind
                     AND identity.kind = wanted.member_kind
                     AND (identity.decision IS NULL
                          OR (identity.decision = 'attached' AND identity.into_id = claim.owner_id))
                 ORDER BY claim.rank, claim.at, identity.value LIMIT wanted.most) AS member";
}

/// The row of an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdRow {
    pub(super) id: i64,
    /// The visitor that it was of when it was loaded.
    pub(super) visitor_id: i64,
    /// Whether it has yet to be inserted.
    pub(super) is_new: bool,
}

/// What is known of some ids within one transaction, and their rows.
pub(super) struct Ids<'t> {
    transaction: &'t Transaction,
    known: Known,
    rows: HashMap<Id, IdRow>,
    decisions: HashMap<Id, Decided>,
    /// The first time of each id that something is known of.
    known_since: HashMap<Id, i64>,
}

impl<'t> Ids<'t> {
    pub(super) fn new(transaction: &'t Transaction) -> Self {
        Self {
            transaction,
            known: Known::default(),
            rows: HashMap::new(),
            decisions: HashMap::new(),
            known_since: HashMap::new(),
        }
    }

    /// What was loaded up to now.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// Asks until all is loaded that an answer needs.
    pub(super) async fn ask<T>(&mut self, ask: impl Fn(&Known) -> Result<T, Wants>) -> Result<T, PostgresError> {
        loop {
            match ask(&self.known) {
                Ok(answer) => return Ok(answer),
                Err(wants) => self.load(&wants).await?,
            }
        }
    }

    /// Loads what is wanted, in one round trip.
    pub(super) async fn load(&mut self, wants: &Wants) -> Result<(), PostgresError> {
        together!(load_ids(self.transaction, wants), load_lines(self.transaction, wants))
            .map(|((rows, claims), lines)| self.put(wants, &rows, &claims, &lines))?
    }

    fn put(&mut self, wants: &Wants, rows: &[Row], claims: &[Row], lines: &[Row]) -> Result<(), PostgresError> {
        let mut found: BTreeMap<Id, (Identity, Vec<Claim>)> =
            wants.ids.iter().map(|id| (id.clone(), <(Identity, Vec<Claim>)>::default())).collect();
        for row in rows {
            let id = id_of(row, 0)?;
            let into = match row.try_get::<_, Option<&str>>(6)? {
                None => None,
                Some(_) => Some(self.note(id_of(row, 6)?, row, 8)?),
            };
            let decision = row.try_get::<_, Option<&str>>(5)?.and_then(Decided::of);
            let id = self.note(id, row, 2)?;
            found.entry(id).or_default().0 = Identity { first_at: row.try_get(4)?, into, decision };
        }
        for row in claims {
            let decision = row.try_get::<_, Option<&str>>(4)?.and_then(Decided::of);
            let claim = Claim {
                rank: Rank::of(row.try_get(2)?),
                at: row.try_get(3)?,
                owner: self.note(id_of(row, 5)?, row, 7)?,
                owner_is_blocked: decision == Some(Decided::Blocked),
            };
            found.entry(id_of(row, 0)?).or_default().1.push(claim);
        }
        for (id, (identity, claims)) in found {
            self.decisions.extend(identity.decision.map(|decision| (id.clone(), decision)));
            let times = claims.iter().map(|claim| claim.at).chain(identity.first_at);
            self.known_since.extend(times.min().map(|at| (id.clone(), at)));
            self.known.put_id(id, identity, claims);
        }
        let mut members: BTreeMap<(Id, IdKind), Vec<Claimant>> =
            wants.lines.iter().map(|line| (line.clone(), Vec::new())).collect();
        for row in lines {
            let kind = kind_of(row.try_get(2)?);
            let id = self.note(Id::stored(kind, row.try_get::<_, &str>(5)?), row, 6)?;
            let member = Claimant { rank: Rank::of(row.try_get(3)?), at: row.try_get(4)?, id };
            members.entry((id_of(row, 0)?, kind)).or_default().push(member);
        }
        for ((owner, kind), members) in members {
            self.known.put_line(owner, kind, members);
        }
        Ok(())
    }

    /// What a person decided of an id that was loaded.
    pub(super) fn decision(&self, id: &Id) -> Option<Decided> {
        self.decisions.get(id).copied()
    }

    /// Whether a person said that an id that was loaded is none.
    pub(super) fn is_blocked(&self, id: &Id) -> bool {
        self.decision(id) == Some(Decided::Blocked)
    }

    /// Whether anything is known of an id that was there by a time: an entry filed under it, or a claim of its.
    pub(super) fn is_known_before(&self, id: &Id, at: i64) -> bool {
        self.known_since.get(id).is_some_and(|since| *since <= at)
    }

    /// Notes the row of an id that was met: its number and that of its visitor stand in two columns.
    fn note(&mut self, id: Id, row: &Row, column: usize) -> Result<Id, PostgresError> {
        let id_row = IdRow { id: row.try_get(column)?, visitor_id: row.try_get(column + 1)?, is_new: false };
        self.rows.insert(id.clone(), id_row);
        Ok(id)
    }

    /// The row of an id that was loaded, where it has one.
    pub(super) fn row(&self, id: &Id) -> Option<IdRow> {
        self.rows.get(id).copied()
    }

    /// The row of an id that was loaded; one that has none gets one, which leads to itself and has yet to be inserted.
    pub(super) fn row_or_new(&mut self, id: &Id) -> IdRow {
        *self.rows.entry(id.clone()).or_insert_with(|| {
            let id = row_ids::next();
            IdRow { id, visitor_id: id, is_new: true }
        })
    }

    /// The rows that have yet to be inserted, in the order of their keys; then they are.
    pub(super) fn take_new(&mut self) -> Vec<(Id, i64)> {
        let mut new = Vec::new();
        for (id, row) in self.rows.iter_mut().filter(|(_, row)| row.is_new) {
            row.is_new = false;
            new.push((id.clone(), row.id));
        }
        new.sort_unstable();
        new
    }
}

/// Kinds and values of ids, as two arrays.
pub(super) fn columns<'i>(ids: impl IntoIterator<Item = &'i Id>) -> (Vec<&'static str>, Vec<&'i str>) {
    ids.into_iter().map(|id| (id.kind().name(), id.value())).unzip()
}

async fn load_ids(transaction: &Transaction, wants: &Wants) -> Result<(Vec<Row>, Vec<Row>), PostgresError> {
    if wants.ids.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (kinds, values) = columns(&wants.ids);
    together!(transaction.query(IDS, &[&kinds, &values]), transaction.query(CLAIMS, &[&kinds, &values]))
}

async fn load_lines(transaction: &Transaction, wants: &Wants) -> Result<Vec<Row>, PostgresError> {
    if wants.lines.is_empty() {
        return Ok(Vec::new());
    }
    let (kinds, values) = columns(wants.lines.iter().map(|(owner, _)| owner));
    let of_kinds: Vec<&str> = wants.lines.iter().map(|(_, kind)| kind.name()).collect();
    let most = wants.lines.iter().map(|(_, kind)| i64::try_from(line_length(*kind)).unwrap_or(i64::MAX));
    let most: Vec<i64> = most.collect();
    transaction.query(LINES, &[&kinds, &values, &of_kinds, &most]).await
}

/// The id in two columns, its kind and its value.
pub(super) fn id_of(row: &Row, kind: usize) -> Result<Id, PostgresError> {
    Ok(Id::stored(kind_of(row.try_get(kind)?), row.try_get::<_, &str>(kind + 1)?))
}

/// Only names of kinds are written.
pub(super) fn kind_of(name: &str) -> IdKind {
    IdKind::of(name).unwrap_or(IdKind::Device)
}
