//! How far deletions are.

use koala_destination::clock::{self, now_milliseconds};

use super::error::PostgresError;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{identities, taken};
use crate::store::deletion::{Deletion, DeletionId, DeletionStatus, Departed, Forgotten};
use crate::tombstone::Tombstone;

statements! {
    SHOW = "SELECT requested_at, completed_at, visitors, entries, messages, coalesce(others, 0) FROM deletion WHERE id = $1";
    NEXT_DEPARTED = "SELECT id FROM deletion WHERE completed_at IS NULL AND forgotten_at IS NULL ORDER BY requested_at, id LIMIT 1";
    DEPARTED = "SELECT kind, value, at, is_whole FROM departed WHERE deletion_id = $1";
    FORGOTTEN = "UPDATE deletion SET messages = messages + $3,
                     forgotten_at = CASE WHEN (SELECT count(*) FROM departed WHERE deletion_id = $1) <= $4 THEN $2::bigint END
                 WHERE id = $1 AND forgotten_at IS NULL";
    DONE_WITH = "SELECT id FROM deletion WHERE completed_at IS NULL AND forgotten_at IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM taken WHERE deletion_id = deletion.id) LIMIT 1";
    FORGET_IDS = "DELETE FROM departed WHERE (deletion_id, kind, value) IN
                      (SELECT deletion_id, kind, value FROM departed WHERE deletion_id = $1 LIMIT $2)";
    COMPLETE = "UPDATE deletion SET completed_at = $2 WHERE id = $1";
}

/// How far a deletion is.
pub(super) async fn show(transaction: &Transaction, id: &DeletionId) -> Result<Option<Deletion>, PostgresError> {
    let ((), row, ()) =
        together!(transaction.begin(), transaction.query_opt(SHOW, &[&id.as_str()]), transaction.commit())?;
    let Some(row) = row else { return Ok(None) };
    let completed_at: Option<i64> = row.try_get(1)?;
    let count = |column| Ok::<_, PostgresError>(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or_default());
    Ok(Some(Deletion {
        id: id.clone(),
        status: if completed_at.is_some() { DeletionStatus::Completed } else { DeletionStatus::InProgress },
        requested_at: clock::from_milliseconds(row.try_get(0)?),
        completed_at: completed_at.map(clock::from_milliseconds),
        visitors: count(2)?,
        entries: count(3)?,
        messages: count(4)?,
        others: count(5)?,
    }))
}

/// A deletion whose people may still stand in queues.
pub(super) async fn departed(transaction: &Transaction) -> Result<Option<Departed>, PostgresError> {
    let ((), next) = together!(transaction.begin(), transaction.query_opt(NEXT_DEPARTED, &[]))?;
    let Some(next) = next else {
        transaction.commit().await?;
        return Ok(None);
    };
    let id: String = next.try_get(0)?;
    let (rows, ()) = together!(transaction.query(DEPARTED, &[&id]), transaction.commit())?;
    let ids = rows
        .iter()
        .map(|row| Ok((identities::id_of(row, 0)?, Tombstone { at: row.try_get(2)?, is_whole: row.try_get(3)? })));
    Ok(Some(Departed { id: DeletionId::new(id), ids: ids.collect::<Result<_, PostgresError>>()? }))
}

/// Messages of a deletion's people were deleted, up to the last one or not.
pub(super) async fn forgotten(
    transaction: &Transaction,
    id: &DeletionId,
    forgotten: Forgotten,
) -> Result<(), PostgresError> {
    let messages = i64::try_from(forgotten.messages).unwrap_or(i64::MAX);
    let at = forgotten.is_all.then(now_milliseconds);
    let ids = i64::try_from(forgotten.ids).unwrap_or(i64::MAX);
    together!(
        transaction.begin(),
        transaction.execute(FORGOTTEN, &[&id.as_str(), &at, &messages, &ids]),
        transaction.commit(),
    )?;
    Ok(())
}

/// Completes a piece of a deletion of which nothing is left here and in the queues. Tells whether there was one.
pub(super) async fn complete(transaction: &Transaction) -> Result<bool, PostgresError> {
    let ((), done) = together!(transaction.begin(), transaction.query_opt(DONE_WITH, &[]))?;
    let Some(done) = done else {
        transaction.commit().await?;
        return Ok(false);
    };
    let id: String = done.try_get(0)?;
    let forgotten = transaction.execute(FORGET_IDS, &[&id, &taken::ROWS_AT_ONCE]).await?;
    let is_all = i64::try_from(forgotten).is_ok_and(|rows| rows < taken::ROWS_AT_ONCE);
    together!(transaction.execute_if(is_all, COMPLETE, &[&id, &now_milliseconds()]), transaction.commit())?;
    Ok(true)
}
