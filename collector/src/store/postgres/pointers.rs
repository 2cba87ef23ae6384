//! Changes of who is who, written down: pointers and claims.

use std::collections::BTreeSet;

use super::error::PostgresError;
use super::identities::Ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::identity::{Change, Decided};

statements! {
    INSERT = "INSERT INTO identity (id, kind, value, visitor_id)
              SELECT id, kind, value, id FROM unnest($1::bigint[], $2::text[], $3::text[]) AS new (id, kind, value)";
    UPDATE = "UPDATE identity SET into_id = CASE WHEN new.moves THEN new.into_id ELSE identity.into_id END,
                  first_at = coalesce(new.first_at, identity.first_at), decision = coalesce(new.decision, identity.decision)
              FROM unnest($1::bigint[], $2::boolean[], $3::bigint[], $4::bigint[], $5::text[])
                  AS new (id, moves, into_id, first_at, decision)
              WHERE identity.id = new.id";
    DROP_CLAIMS = "DELETE FROM claim WHERE (identity_id, owner_id) IN
                       (SELECT identity_id, owner_id FROM unnest($1::bigint[], $2::bigint[]) AS gone (identity_id, owner_id))";
    PUT_CLAIMS = "INSERT INTO claim (identity_id, owner_id, kind, rank, at)
                  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
                  ON CONFLICT (identity_id, owner_id) DO UPDATE SET rank = excluded.rank, at = excluded.at";
}

/// What has to be put together anew: ids that were moved, and the visitors that they were of.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) ids: BTreeSet<i64>,
    pub(super) visitors: BTreeSet<i64>,
}

impl Moved {
    /// One id, with all that belong to the same visitor.
    pub(super) fn add(&mut self, id: i64) {
        self.ids.insert(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Rows of ids that change: the number, whether it moves, whom it belongs to then, its first time, a person's decision.
type ChangedIds = (Vec<i64>, Vec<bool>, Vec<Option<i64>>, Vec<Option<i64>>, Vec<Option<&'static str>>);
/// Rows of claims: whose, on whom, the kind, the rank, the time.
type Claims = (Vec<i64>, Vec<i64>, Vec<&'static str>, Vec<i64>, Vec<i64>);

/// The rows of a change, in columns.
#[derive(Default)]
pub(super) struct Rows {
    new: (Vec<i64>, Vec<&'static str>, Vec<String>),
    changed: ChangedIds,
    dropped: (Vec<i64>, Vec<i64>),
    claims: Claims,
    pub(super) moved: Moved,
}

impl Rows {
    /// What a change writes: each row that was looked at for it, so that a writer beside meets it.
    pub(super) fn of(ids: &mut Ids<'_>, change: &Change) -> Self {
        let mut rows = Self::default();
        for (id, change) in &change.identities {
            let row = ids.row_or_new(id);
            let into = change.into.as_ref().map(|into| into.as_ref().map(|into| ids.row_or_new(into).id));
            if into.is_some() {
                rows.moved.ids.insert(row.id);
                rows.moved.visitors.insert(row.visitor_id);
            }
            rows.changed.0.push(row.id);
            rows.changed.1.push(into.is_some());
            rows.changed.2.push(into.flatten());
            rows.changed.3.push(change.first_at);
            rows.changed.4.push(change.decision.map(Decided::name));
        }
        for (id, owner) in &change.dropped {
            if let (Some(id), Some(owner)) = (ids.row(id), ids.row(owner)) {
                rows.dropped.0.push(id.id);
                rows.dropped.1.push(owner.id);
            }
        }
        for ((id, owner), (rank, at)) in &change.claims {
            rows.claims.0.push(ids.row_or_new(id).id);
            rows.claims.1.push(ids.row_or_new(owner).id);
            rows.claims.2.push(id.kind().name());
            rows.claims.3.push(rank.number());
            rows.claims.4.push(*at);
        }
        for (id, row) in ids.take_new() {
            rows.new.0.push(row);
            rows.new.1.push(id.kind().name());
            rows.new.2.push(id.value().to_owned());
        }
        rows
    }

    /// Writes them.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { new, changed, dropped, claims, .. } = self;
        together!(
            transaction.execute_if(!new.0.is_empty(), INSERT, &[&new.0, &new.1, &new.2]),
            transaction.execute_if(
                !changed.0.is_empty(),
                UPDATE,
                &[&changed.0, &changed.1, &changed.2, &changed.3, &changed.4]
            ),
            transaction.execute_if(!dropped.0.is_empty(), DROP_CLAIMS, &[&dropped.0, &dropped.1]),
            transaction.execute_if(
                !claims.0.is_empty(),
                PUT_CLAIMS,
                &[&claims.0, &claims.1, &claims.2, &claims.3, &claims.4]
            ),
        )?;
        Ok(())
    }
}
