//! Who is kept out of the ranking. A visitor who changed, and all when the parameter changed, are looked at again, a piece at a time;
//! companies when they are counted.

use super::accounts::ChangedCompanies;
use super::error::PostgresError;
use super::excludes::Excludes;
use super::ids;
use super::intent::RuleSet;
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use super::visitors;
use crate::exclude::Exclude;

statements! {
    UNSEEN = "SELECT id, company_key FROM visitor WHERE excluded_for < $1 OR excluded_for > $1 LIMIT $2";
    MARK = "UPDATE visitor SET excluded = new.excluded, excluded_for = $3
            FROM unnest($1::bigint[], $2::boolean[]) AS new (id, excluded) WHERE visitor.id = new.id";
    COMPANIES_OUT = "SELECT count(*) FROM company WHERE is_shown AND excluded";
    VISITORS_OUT = "SELECT count(*) FROM visitor LEFT JOIN company_key ON company_key.key = visitor.company_key
                    LEFT JOIN company ON company.id = company_key.company_id WHERE visitor.excluded OR company.excluded";
}

/// Visitors that are looked at in one piece.
const AT_ONCE: i64 = 500;

/// Looks at a piece of the visitors that are yet to be. Gives back whether there is more.
pub(super) async fn look_back(excludes: &Excludes, pool: &Pool) -> Result<bool, PostgresError> {
    let (exclude, version) = excludes.now();
    transact!(pool, Mode::Write, |transaction| look(&transaction, &exclude, version))
}

async fn look(transaction: &Transaction, exclude: &Exclude, version: i64) -> Result<bool, PostgresError> {
    let ((), rows) = together!(transaction.begin(), transaction.query(UNSEEN, &[&version, &AT_ONCE]))?;
    if rows.is_empty() {
        transaction.commit().await?;
        return Ok(false);
    }
    let ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>()?;
    let mut excluded = vec![false; ids.len()];
    if !exclude.is_empty() {
        for visitor in visitors::of_ids(transaction, &RuleSet::default(), None, &ids).await? {
            let takes = exclude.takes_visitor(&visitor.user_ids, &visitor.emails, &visitor.traits);
            let place = ids.iter().position(|id| *id == ids::visitor_row(&visitor.id));
            if let Some(mark) = place.and_then(|place| excluded.get_mut(place)) {
                *mark = takes;
            }
        }
    }
    let mut changed = ChangedCompanies::default();
    for row in &rows {
        if let Some(key) = row.try_get::<_, Option<String>>(1)? {
            changed.count(key);
        }
    }
    together!(
        transaction.execute(MARK, &[&ids, &excluded, &version]),
        changed.write(transaction),
        transaction.commit(),
    )?;
    Ok(true)
}

/// How many companies and visitors are kept out.
pub(super) async fn count(transaction: &Transaction) -> Result<[u64; 2], PostgresError> {
    let ((), companies, visitors, ()) = together!(
        transaction.begin(),
        transaction.query_opt(COMPANIES_OUT, &[]),
        transaction.query_opt(VISITORS_OUT, &[]),
        transaction.commit(),
    )?;
    let count = |row: Option<tokio_postgres::Row>| -> Result<u64, PostgresError> {
        let count: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    };
    Ok([count(companies)?, count(visitors)?])
}
