//! What a company is called by those who say so of one of its identities.

use super::company_keys::KeyRow;
use tokio_postgres::Row;

use super::error::PostgresError;
use super::sql::statements;
use super::transaction::Transaction;
use crate::company::{self, CompanyKey, CompanyKind, MOST_VOTES, Naming};

/// Names given with something. One that belongs to another company is none of this one.
macro_rules! names {
    ($of:literal) => {
        concat!(
            "SELECT coalesce(identity.visitor_id, 0), said.written, said.at, said.domain, said.group_id,
                    EXISTS (SELECT 1 FROM identity AS known
                            WHERE known.visitor_id = identity.visitor_id AND known.kind IN ('user', 'email'))
             FROM company_said AS said LEFT JOIN identity ON identity.id = said.voter_id
             LEFT JOIN visitor ON visitor.id = identity.visitor_id
             LEFT JOIN company_key AS named ON named.key = 'name:' || said.name
             WHERE ",
            $of,
            " AND said.name <> '' AND (said.voter_id = 0 OR identity.kind <> 'taken')
                 AND (identity.decision IS NULL OR identity.decision <> 'blocked')
                 AND (named.into_key IS NULL OR named.company_id = $2)
             ORDER BY said.at, said.voter_id LIMIT $3"
        )
    };
}

statements! {
    WITH_DOMAIN = names!("said.domain = $1");
    WITH_ADDRESS = names!("said.domain = '' AND visitor.given = $1");
    WITH_GROUP = names!("said.group_id = $1");
    BY_NAME = names!("said.name = $1");
    BY_GROUP_CALL = "SELECT coalesce(identity.visitor_id, 0), said.written, said.at, said.domain, said.group_id,
                            EXISTS (SELECT 1 FROM identity AS known
                                    WHERE known.visitor_id = identity.visitor_id AND known.kind IN ('user', 'email'))
                     FROM company_said AS said LEFT JOIN identity ON identity.id = said.voter_id
                     WHERE said.group_id = $1 AND said.domain = '' AND said.name <> '' AND said.by_group_call
                         AND (said.voter_id = 0 OR identity.kind <> 'taken')
                         AND (identity.decision IS NULL OR identity.decision <> 'blocked')
                     ORDER BY said.at, said.voter_id LIMIT $2";
}

/// The most groups, and the most names, of one company that are asked for what it is called.
const MOST_KEYS: usize = 20;

/// The name of a company of these identities.
pub(super) async fn of(
    transaction: &Transaction,
    company_id: i64,
    keys: &[(CompanyKey, KeyRow)],
) -> Result<Option<String>, PostgresError> {
    let of_kind =
        |kind| keys.iter().map(|(key, _)| key).filter(move |key| key.kind == kind).map(|key| key.value.as_str());
    let groups: Vec<&str> = of_kind(CompanyKind::Group).take(MOST_KEYS).collect();
    let domains = of_kind(CompanyKind::Domain).flat_map(|domain| [(WITH_DOMAIN, domain), (WITH_ADDRESS, domain)]);
    let names = of_kind(CompanyKind::Name).take(MOST_KEYS).map(|name| (BY_NAME, name));
    let asked = domains.chain(groups.iter().map(|group| (WITH_GROUP, *group))).chain(names);
    let mut given = Vec::new();
    for (sql, value) in asked {
        let rows = transaction.query(sql, &[&value, &company_id, &i64::from(MOST_VOTES)]).await?;
        for row in &rows {
            let (domain, group_id): (&str, &str) = (row.try_get(3)?, row.try_get(4)?);
            // With a domain it is the domain's, else the group's, whoever says it.
            let is_of_it = if sql == WITH_ADDRESS {
                group_id.is_empty() || groups.contains(&group_id)
            } else {
                sql != WITH_GROUP || domain.is_empty()
            };
            if is_of_it {
                given.push(naming(row)?);
            }
        }
    }
    match company::called(given) {
        None if of_kind(CompanyKind::Domain).next().is_none() => of_groups(transaction, &groups).await,
        name => Ok(name),
    }
}

fn naming(row: &Row) -> Result<Naming, PostgresError> {
    Ok(Naming { voter: row.try_get(0)?, is_known: row.try_get(5)?, written: row.try_get(1)?, at: row.try_get(2)? })
}

/// The name that group calls gave groups, where it belongs to another company: two groups of one name have it both.
async fn of_groups(transaction: &Transaction, groups: &[&str]) -> Result<Option<String>, PostgresError> {
    let mut given = Vec::new();
    for group in groups {
        let rows = transaction.query(BY_GROUP_CALL, &[group, &i64::from(MOST_VOTES)]).await?;
        for row in &rows {
            given.push(naming(row)?);
        }
    }
    Ok(company::called(given))
}
