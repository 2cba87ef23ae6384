//! What people did.

use koala_destination::clock::{self, now_milliseconds};
use tokio_postgres::Row;

use super::error::PostgresError;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::identity::Decision;
use crate::store::deletion::DeletionId;
use crate::store::history::{Actor, HashedId, HistoryCursor, HistoryEntry, What};
use crate::tombstone::TombstoneKey;

statements! {
    NOTE = "INSERT INTO history (id, at, what, token, kind, hash, to_kind, to_hash, deletion_id, visitors)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    LIST = "SELECT id, at, what, token, kind, hash, to_kind, to_hash, deletion_id, visitors FROM history
            WHERE id < $1 ORDER BY id DESC LIMIT $2";
}

/// What is to be noted with what it is about, once, however often it is tried.
pub(super) struct Note {
    id: i64,
    at: i64,
    what: What,
    by: Actor,
    about: Option<HashedId>,
    to: Option<HashedId>,
    deletion: Option<String>,
    visitors: Option<i64>,
}

impl Note {
    /// That of a decision.
    pub(super) fn of_decision(by: Option<Actor>, decision: &Decision, key: &TombstoneKey) -> Option<Self> {
        let to = if let Decision::Attach { to, .. } = decision { Some(HashedId::of(to, key)) } else { None };
        let about = Some(HashedId::of(decision.id(), key));
        Some(Self { about, to, ..Self::new(by?, What::of(decision)) })
    }

    /// That of a deletion.
    pub(super) fn of_deletion(by: Option<Actor>, deletion: &DeletionId, visitors: usize) -> Option<Self> {
        let (deletion, visitors) = (Some(deletion.as_str().to_owned()), i64::try_from(visitors).ok());
        Some(Self { deletion, visitors, ..Self::new(by?, What::Deleted) })
    }

    fn new(by: Actor, what: What) -> Self {
        let (id, at) = (row_ids::next(), now_milliseconds());
        Self { id, at, what, by, about: None, to: None, deletion: None, visitors: None }
    }

    /// Writes it.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let token = self.by.token.map(|token| token.to_string());
        let [(kind, hash), (to_kind, to_hash)] =
            [&self.about, &self.to].map(|id| id.as_ref().map(|id| (id.kind.as_str(), id.hash.as_str())).unzip());
        let what = self.what.name();
        transaction
            .execute(
                NOTE,
                &[&self.id, &self.at, &what, &token, &kind, &hash, &to_kind, &to_hash, &self.deletion, &self.visitors],
            )
            .await
            .map(drop)
    }
}

/// The latest deeds from behind a place on.
pub(super) async fn list(
    transaction: &Transaction,
    behind: Option<HistoryCursor>,
    limit: u32,
) -> Result<Vec<HistoryEntry>, PostgresError> {
    let (behind, limit) = (behind.map_or(i64::MAX, |behind| behind.0), i64::from(limit));
    let ((), rows, ()) =
        together!(transaction.begin(), transaction.query(LIST, &[&behind, &limit]), transaction.commit())?;
    let deeds = rows.iter().map(deed).collect::<Result<Vec<_>, _>>()?;
    // What a later release notes is skipped.
    Ok(deeds.into_iter().flatten().collect())
}

fn deed(row: &Row) -> Result<Option<HistoryEntry>, PostgresError> {
    let Some(what) = What::parse(row.try_get(2)?) else { return Ok(None) };
    let visitors: Option<i64> = row.try_get(9)?;
    Ok(Some(HistoryEntry {
        cursor: HistoryCursor(row.try_get(0)?),
        at: clock::from_milliseconds(row.try_get(1)?),
        what,
        token: row.try_get(3)?,
        id: HashedId::kept(row.try_get(4)?, row.try_get(5)?),
        to: HashedId::kept(row.try_get(6)?, row.try_get(7)?),
        deletion_request_id: row.try_get(8)?,
        visitors: visitors.and_then(|visitors| u64::try_from(visitors).ok()),
    }))
}
