//! Visitors that were put together, written.

use super::accounts::ChangedCompanies;
use super::error::PostgresError;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Transaction, together};

statements! {
    GROUP = "UPDATE identity SET visitor_id = new.visitor_id
             FROM unnest($1::bigint[], $2::bigint[]) AS new (id, visitor_id) WHERE identity.id = new.id";
    // Whether it is kept out of the ranking is looked at anew, unless nobody is.
    PUT_VISITORS = "INSERT INTO visitor (id, first_seen, last_seen, company_key, given, is_guess, excluded_for)
                    SELECT id, first_seen, last_seen, company_key, given, is_guess, CASE WHEN $6 = 0::bigint THEN 0 ELSE -1 END
                    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $7::boolean[])
                        AS new (id, first_seen, last_seen, company_key, given, is_guess)
                    ON CONFLICT (id) DO UPDATE SET first_seen = excluded.first_seen, last_seen = excluded.last_seen,
                        is_guess = excluded.is_guess, company_key = excluded.company_key, given = excluded.given, excluded_for = excluded.excluded_for,
                        excluded = CASE WHEN $6 = 0::bigint THEN FALSE ELSE visitor.excluded END";
    REGROUP_LATER = "INSERT INTO regroup (id, identity_id) SELECT * FROM unnest($1::bigint[], $2::bigint[])";
    FORGET_VISITORS = "DELETE FROM visitor WHERE id = ANY($1::bigint[])";
}

/// Ids that get another visitor in one transaction, of which Aurora DSQL takes 3,000 rows; the others follow (`regroup_some`).
pub(super) const IDS_AT_ONCE: usize = 2000;

/// Rows of visitors, in columns.
#[derive(Default)]
pub(super) struct VisitorRows {
    ids: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    keys: Vec<Option<String>>,
    guessed: Vec<bool>,
    given: Vec<Option<String>>,
}

impl VisitorRows {
    pub(super) fn add(
        &mut self,
        id: i64,
        [first, last]: [i64; 2],
        (key, is_guess): (Option<String>, bool),
        given: Option<String>,
    ) {
        self.ids.push(id);
        self.first.push(first);
        self.last.push(last);
        self.keys.push(key);
        self.guessed.push(is_guess);
        self.given.push(given);
    }
}

/// Visitors put together anew.
#[derive(Default)]
pub(super) struct Regrouped {
    pub(super) grouped: (Vec<i64>, Vec<i64>),
    /// Ids of those that are more than go at once.
    pub(super) later: Vec<i64>,
    pub(super) visitors: VisitorRows,
    pub(super) gone: Vec<i64>,
    /// The companies that they were and are of.
    pub(super) of_companies: Vec<String>,
    pub(super) changed: ChangedCompanies,
}

impl Regrouped {
    /// Writes them.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let excludes = transaction.excludes();
        let Self { grouped, later, visitors, gone, changed, .. } = self;
        let numbers: Vec<i64> = (row_ids::next()..).take(later.len()).collect();
        let VisitorRows { ids, first, last, keys, guessed, given } = visitors;
        together!(
            transaction.execute_if(!grouped.0.is_empty(), GROUP, &[&grouped.0, &grouped.1]),
            transaction.execute_if(!ids.is_empty(), PUT_VISITORS, &[ids, first, last, keys, given, &excludes, guessed]),
            transaction.execute_if(!later.is_empty(), REGROUP_LATER, &[&numbers, later]),
            transaction.execute_if(!gone.is_empty(), FORGET_VISITORS, &[gone]),
            changed.write(transaction),
        )?;
        Ok(())
    }
}
