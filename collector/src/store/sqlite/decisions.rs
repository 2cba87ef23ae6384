//! What people decide of ids.

use koala_destination::ids::Id;
use rusqlite::{Connection, params};

use super::identities::{self, Ids};
use super::{clusters, statements};
use crate::identity::{Decision, Undecided, recompute};
use crate::store::decision::Undone;
use crate::store::visitor::VisitorId;

/// Ids that are looked at anew at once.
const IDS_AT_ONCE: usize = 200;

/// Writes what was decided, and when. Gives back the visitor that the id is of then.
pub(super) fn decide(
    connection: &Connection,
    decision: &Decision,
    now: i64,
) -> rusqlite::Result<Result<VisitorId, Undone>> {
    let mut ids = Ids::new(connection);
    let named = [Some(decision.id()), if let Decision::Attach { to, .. } = decision { Some(to) } else { None }];
    for id in named.into_iter().flatten() {
        if !matches!(decision, Decision::Block { .. }) && ids.row(id)?.is_none() {
            return Ok(Err(Undone::Unknown));
        }
    }
    let change = loop {
        match decision.rows(ids.known()) {
            Ok(change) => break change,
            Err(Undecided::Wants(wants)) => ids.load(&wants)?,
            Err(Undecided::Refused(refused)) => return Ok(Err(Undone::Refused(refused))),
        }
    };
    let moved = clusters::apply(connection, &mut ids, &change)?;
    clusters::regroup(connection, &moved)?;
    let row = ids.row_or_insert(decision.id())?;
    let (what, to) = match decision {
        Decision::Attach { to, .. } => ("attach", Some(ids.row_or_insert(to)?)),
        Decision::Detach { .. } => ("split", None),
        Decision::Block { .. } => ("block", None),
    };
    connection
        .prepare_cached("INSERT INTO decision (at, what, identity_id, to_id) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![now, what, row, to])?;
    if matches!(decision, Decision::Block { .. }) {
        look_anew(connection, &claimants(connection, row)?)?;
    }
    // What a blocked id said of companies counts no longer.
    statements::look_again_at(connection, row)?;
    let visitor = identities::visitor_of_row(connection, row)?.unwrap_or(row);
    Ok(Ok(VisitorId::new(visitor.to_string())))
}

/// The ids that have a claim on one.
fn claimants(connection: &Connection, owner: i64) -> rusqlite::Result<Vec<Id>> {
    let mut select = connection.prepare_cached(
        "SELECT identity.kind, identity.value FROM claim CROSS JOIN identity ON identity.id = claim.identity_id
         WHERE claim.owner_id = ?1",
    )?;
    select.query_map([owner], |row| identities::id_of(row, 0, 1))?.collect()
}

/// Has ids belong to whom their claims lead now.
pub(super) fn look_anew(connection: &Connection, claimants: &[Id]) -> rusqlite::Result<()> {
    for some in claimants.chunks(IDS_AT_ONCE) {
        let mut ids = Ids::new(connection);
        let change = ids.ask(|known| recompute(some, known))?;
        let moved = clusters::apply(connection, &mut ids, &change)?;
        clusters::regroup(connection, &moved)?;
    }
    Ok(())
}
