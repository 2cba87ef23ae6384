//! Companies as they are shown: a page of the ranking, and one with its people.

use std::collections::HashMap;

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::PostgresError;
use super::intent::RuleSet;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{body, keys, points, visitors};
use crate::about::About;
use crate::intent::{Strength, Trend};
use crate::store::company::{Activity, Company, CompanyId, CompanyPage, DAYS, DaysOfActivity, LastPage, Member};
use crate::store::visitor::{Visitor, VisitorId};

statements! {
    COUNT = "SELECT count(*) FROM account";
    PAGE = "SELECT key, domain, name, traits, points, visitors, events, last_seen FROM account
            ORDER BY points DESC, last_seen DESC NULLS LAST, key LIMIT $1 OFFSET $2";
    ONE = "SELECT key, domain, name, traits, points, visitors, events, last_seen FROM account WHERE key = $1";
    PEOPLE = "SELECT id FROM visitor WHERE account = $1 ORDER BY last_seen DESC, id DESC LIMIT $2";
    // The newest entries of a company are of those who were seen last.
    ACTIVITY = "SELECT one.id, entry.kind, entry.name, entry.at, entry.body
                FROM (SELECT id FROM visitor WHERE account = $1 ORDER BY last_seen DESC LIMIT $2) AS one
                JOIN identity ON identity.visitor_id = one.id
                CROSS JOIN LATERAL (SELECT id, kind, name, at, body FROM entry WHERE identity_id = identity.id
                                    ORDER BY at DESC, id DESC LIMIT $2) AS entry
                ORDER BY entry.at DESC, entry.id DESC LIMIT $2";
    LAST_PAGES = "SELECT one.id, page.at, page.body FROM unnest($1::bigint[]) AS one (id)
                  CROSS JOIN LATERAL (
                      SELECT entry.at, entry.body FROM identity JOIN entry ON entry.identity_id = identity.id
                      WHERE identity.visitor_id = one.id AND entry.kind = 'page_view'
                      ORDER BY entry.at DESC, entry.id DESC LIMIT 1) AS page";
    DAYS_OF = "SELECT visitor.account, entry.at / $2, count(*) FROM visitor
               JOIN identity ON identity.visitor_id = visitor.id JOIN entry ON entry.identity_id = identity.id
               WHERE visitor.account = ANY($1::text[]) AND entry.at >= $3 GROUP BY 1, 2";
}

/// How many of a company's newest entries are shown.
const LATEST: i64 = 20;

/// A page of the ranking, and how many companies there are in all.
pub(super) async fn list(
    transaction: &Transaction,
    offset: u32,
    limit: u32,
) -> Result<(Vec<Company>, u64), PostgresError> {
    let ((), count, page, ()) = together!(
        transaction.begin(),
        transaction.query(COUNT, &[]),
        transaction.query(PAGE, &[&i64::from(limit), &i64::from(offset)]),
        transaction.commit(),
    )?;
    let count: i64 = count.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    let companies = page.iter().map(company).collect::<Result<_, _>>()?;
    Ok((companies, u64::try_from(count).unwrap_or_default()))
}

/// One company with at most `limit` of its visitors, and what they did.
pub(super) async fn show(
    transaction: &Transaction,
    rules: &RuleSet,
    key: &str,
    limit: u32,
) -> Result<Option<CompanyPage>, PostgresError> {
    let key = keys::key(key);
    let ((), one, people, activity, reasons) = together!(
        transaction.begin(),
        transaction.query_opt(ONE, &[&key]),
        transaction.query(PEOPLE, &[&key, &i64::from(limit)]),
        transaction.query(ACTIVITY, &[&key, &LATEST]),
        points::reasons(transaction, rules, &key),
    )?;
    let people = people.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>()?;
    let id = [CompanyId::new(key.as_ref())];
    let (people, last_pages, days) = together!(
        visitors::of_ids(transaction, &people),
        transaction.query(LAST_PAGES, &[&people]),
        days_of(transaction, &id),
    )?;
    transaction.commit().await?;
    let Some(one) = one else { return Ok(None) };
    let last_pages = last_pages.iter().map(last_page).collect::<Result<HashMap<_, _>, PostgresError>>()?;
    let people = people.into_iter().map(|visitor| member(visitor, &last_pages)).collect();
    let mut company = company(&one)?;
    company.intent = rounded(reasons.iter().map(|reason| reason.points).sum());
    let activity = activity.iter().map(|row| {
        Ok(Activity {
            visitor_id: visitors::visitor_id(row.try_get(0)?),
            kind: row.try_get(1)?,
            name: row.try_get(2)?,
            path: About::of(&body::unpack(row.try_get(4)?)?).path,
            at: clock::from_milliseconds(row.try_get(3)?),
        })
    });
    let activity = activity.collect::<Result<_, PostgresError>>()?;
    let days = days.into_iter().next().unwrap_or_default();
    Ok(Some(CompanyPage { company, reasons, days, people, interests: Vec::new(), sources: Vec::new(), activity }))
}

fn last_page(row: &Row) -> Result<(VisitorId, LastPage), PostgresError> {
    let About { path, title, .. } = About::of(&body::unpack(row.try_get(2)?)?);
    Ok((visitors::visitor_id(row.try_get(0)?), LastPage { path, title, at: clock::from_milliseconds(row.try_get(1)?) }))
}

fn member(visitor: Visitor, last_pages: &HashMap<VisitorId, LastPage>) -> Member {
    let title = visitor.traits.get("title").and_then(|title| title.as_str()).map(str::to_owned);
    let last_page = last_pages.get(&visitor.id).cloned();
    Member { visitor, title, last_page }
}

/// How many events each company had on each of the last days, today last.
pub(super) async fn activity(
    transaction: &Transaction,
    companies: &[CompanyId],
) -> Result<Vec<DaysOfActivity>, PostgresError> {
    let ((), days, ()) = together!(transaction.begin(), days_of(transaction, companies), transaction.commit())?;
    Ok(days)
}

async fn days_of(transaction: &Transaction, companies: &[CompanyId]) -> Result<Vec<DaysOfActivity>, PostgresError> {
    let keys: Vec<_> = companies.iter().map(|id| keys::key(id.as_str())).collect();
    let today = now_milliseconds() / MILLISECONDS_OF_A_DAY;
    let first = today - i64::try_from(DAYS).unwrap_or_default() + 1;
    let values: [&(dyn ToSql + Sync); 3] = [&keys, &MILLISECONDS_OF_A_DAY, &(first * MILLISECONDS_OF_A_DAY)];
    let rows = transaction.query(DAYS_OF, &values).await?;
    let mut days = vec![[0; DAYS]; keys.len()];
    for row in &rows {
        let (account, day): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        for (days, _) in days.iter_mut().zip(&keys).filter(|(_, key)| *key == account) {
            if let Some(count) = usize::try_from(day - first).ok().and_then(|at| days.get_mut(at)) {
                *count = row.try_get(2)?;
            }
        }
    }
    Ok(days)
}

fn company(row: &Row) -> Result<Company, PostgresError> {
    let points: f64 = row.try_get(4)?;
    Ok(Company {
        id: CompanyId::new(row.try_get::<_, String>(0)?),
        group_ids: Vec::new(),
        first_seen: None,
        excluded: false,
        key: row.try_get(0)?,
        domain: row.try_get(1)?,
        name: row.try_get(2)?,
        traits: serde_json::from_str(row.try_get(3)?).unwrap_or_default(),
        intent: rounded(points),
        // Points of a week ago are not stored here yet: there is no trend.
        intent_week_ago: points,
        strength: Strength::of(points),
        strength_label: Strength::of(points).label(),
        trend: Trend::Neutral,
        visitors: row.try_get(5)?,
        events: row.try_get(6)?,
        last_seen: row.try_get::<_, Option<i64>>(7)?.map(clock::from_milliseconds),
    })
}

/// Points with two digits. What is next to nothing is 0, and never -0.
fn rounded(points: f64) -> f64 {
    (points * 100.0).round() / 100.0 + 0.0
}
