//! What people decide of ids.

use koala_destination::clock::now_milliseconds;
use koala_destination::ids::Id;

use super::clusters::Clusters;
use super::error::PostgresError;
use super::history::Note;
use super::identities::{self, Ids};
use super::ids;
use super::pointers::Rows;
use super::pool::Pool;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use crate::identity::{Decision, Undecided, Wants, recompute};
use crate::store::decision::Undone;
use crate::store::visitor::VisitorId;

statements! {
    NOTE = "INSERT INTO decision (id, at, what, identity_id, to_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    CLAIMANTS = "SELECT identity.kind, identity.value FROM claim JOIN identity ON identity.id = claim.identity_id
                 WHERE claim.owner_id = $1";
    VISITOR_OF = "SELECT visitor_id FROM identity WHERE id = $1";
}

/// Ids that are looked at anew in one transaction.
const IDS_AT_ONCE: usize = 200;

/// Writes what was decided, and when. Gives back the visitor that the id is of then.
pub(super) async fn decide(
    pool: &Pool,
    decision: &Decision,
    note: Option<&Note>,
) -> Result<Result<VisitorId, Undone>, PostgresError> {
    // One number for every attempt: it is noted once.
    let number = row_ids::next();
    let decided = transact!(pool, Mode::Write, |transaction| write(&transaction, decision, number, note))?;
    let row = match decided {
        Ok(row) => row,
        Err(undone) => return Ok(Err(undone)),
    };
    if matches!(decision, Decision::Block { .. }) {
        let claimants = transact!(pool, Mode::Read, |transaction| claimants(&transaction, row))?;
        look_anew(pool, &claimants).await?;
    }
    let visitor = transact!(pool, Mode::Read, |transaction| async {
        let ((), row_of, ()) =
            together!(transaction.begin(), transaction.query_opt(VISITOR_OF, &[&row]), transaction.commit())?;
        Ok(row_of.map(|row| row.try_get(0)).transpose()?)
    })?;
    Ok(Ok(ids::visitor_id(visitor.unwrap_or(row))))
}

/// Writes the decision; gives back the row of the id.
async fn write(
    transaction: &Transaction,
    decision: &Decision,
    number: i64,
    note: Option<&Note>,
) -> Result<Result<i64, Undone>, PostgresError> {
    let mut ids = Ids::new(transaction);
    let to = if let Decision::Attach { to, .. } = decision { Some(to) } else { None };
    let named: Vec<&Id> = std::iter::once(decision.id()).chain(to).collect();
    let wants = Wants { ids: named.iter().map(|id| (*id).clone()).collect(), ..Wants::default() };
    together!(transaction.begin(), ids.load(&wants))?;
    let is_unknown = named.iter().any(|id| ids.row(id).is_none());
    if !matches!(decision, Decision::Block { .. }) && is_unknown {
        transaction.commit().await?;
        return Ok(Err(Undone::Unknown));
    }
    let change = loop {
        match decision.rows(ids.known()) {
            Ok(change) => break change,
            Err(Undecided::Wants(wants)) => ids.load(&wants).await?,
            Err(Undecided::Refused(refused)) => {
                transaction.commit().await?;
                return Ok(Err(Undone::Refused(refused)));
            }
        }
    };
    let mut rows = Rows::of(&mut ids, &change);
    let row = ids.row_or_new(decision.id()).id;
    rows.moved.add(row);
    let ((), clusters) = together!(rows.write(transaction), Clusters::read(transaction, &rows.moved))?;
    let regrouped = clusters.regroup();
    let what = match decision {
        Decision::Attach { .. } => "attach",
        Decision::Detach { .. } => "split",
        Decision::Block { .. } => "block",
    };
    let to = to.map(|to| ids.row_or_new(to).id);
    let note_deed = async {
        match note {
            Some(note) => note.write(transaction).await,
            None => Ok(()),
        }
    };
    together!(
        regrouped.write(transaction),
        transaction.execute(NOTE, &[&number, &now_milliseconds(), &what, &row, &to]),
        note_deed,
        transaction.commit(),
    )?;
    Ok(Ok(row))
}

/// The ids that have a claim on one.
async fn claimants(transaction: &Transaction, owner: i64) -> Result<Vec<Id>, PostgresError> {
    let ((), rows, ()) = together!(transaction.begin(), transaction.query(CLAIMANTS, &[&owner]), transaction.commit())?;
    rows.iter().map(|row| identities::id_of(row, 0)).collect()
}

/// Has ids belong to whom their claims lead now, in pieces.
pub(super) async fn look_anew(pool: &Pool, claimants: &[Id]) -> Result<(), PostgresError> {
    for some in claimants.chunks(IDS_AT_ONCE) {
        transact!(pool, Mode::Write, |transaction| look_at(&transaction, some))?;
    }
    Ok(())
}

async fn look_at(transaction: &Transaction, some: &[Id]) -> Result<(), PostgresError> {
    let mut ids = Ids::new(transaction);
    let wants = Wants { ids: some.iter().cloned().collect(), ..Wants::default() };
    together!(transaction.begin(), ids.load(&wants))?;
    // One that was deleted in between is nothing to look at.
    let there: Vec<&Id> = some.iter().filter(|id| ids.row(id).is_some()).collect();
    let change = ids.ask(|known| recompute(there.iter().copied(), known)).await?;
    let rows = Rows::of(&mut ids, &change);
    if rows.moved.is_empty() {
        together!(rows.write(transaction), transaction.commit())?;
        return Ok(());
    }
    let ((), clusters) = together!(rows.write(transaction), Clusters::read(transaction, &rows.moved))?;
    let regrouped = clusters.regroup();
    together!(regrouped.write(transaction), transaction.commit())?;
    Ok(())
}
