//! Companies as they are shown: a page of the ranking, and one with its people.

use std::collections::HashMap;

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::PostgresError;
use super::ids;
use super::intent::RuleSet;
use super::search::Conditions;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{accounts, reasons, recent, visitors};
use crate::about::Utm;
use crate::company::{self, CompanyKey, CompanyKind};
use crate::intent::{Strength, Trend};
use crate::store::company::{Company, CompanyId, CompanyPage, DAYS, DaysOfActivity, LastPage, Member, Reason, Source};
use crate::store::filter::CompanyFilter;
use crate::store::interests::{self, DoneByVisitor};
use crate::store::visitor::{Visitor, VisitorId};

statements! {
    BY_ID = "SELECT company_id FROM company_key WHERE id = $1";
    BY_KEY = "SELECT company_id FROM company_key WHERE key = ANY($1::text[]) ORDER BY array_position($1::text[], key) LIMIT 1";
    ONE = "SELECT id, key, domain, name, group_ids, traits, points, visitors, events, first_seen, last_seen, excluded, points_week_ago, is_guess
           FROM company WHERE id = $1";
    PEOPLE = "SELECT visitor.id FROM company_key JOIN visitor ON visitor.company_key = company_key.key
              WHERE company_key.company_id = $1 ORDER BY visitor.last_seen DESC, visitor.id DESC LIMIT $2";
    // The newest entries of a company are of those who were seen last.
    ACTIVITY = "SELECT one.id, entry.kind, entry.name, entry.at, entry.body
                FROM (SELECT visitor.id FROM company_key JOIN visitor ON visitor.company_key = company_key.key
                      WHERE company_key.company_id = $1 ORDER BY visitor.last_seen DESC LIMIT $2) AS one
                JOIN identity ON identity.visitor_id = one.id
                CROSS JOIN LATERAL (SELECT id, kind, name, at, body FROM entry WHERE identity_id = identity.id
                                    ORDER BY at DESC, id DESC LIMIT $2) AS entry
                ORDER BY entry.at DESC, entry.id DESC LIMIT $2";
    DEEDS = "SELECT topic.kind, topic.name, topic.path, topic.title, one.id, done.times, done.last_at
             FROM (SELECT visitor.id FROM company_key JOIN visitor ON visitor.company_key = company_key.key
                   WHERE company_key.company_id = $1 ORDER BY visitor.last_seen DESC LIMIT $2) AS one
             JOIN identity ON identity.visitor_id = one.id
             JOIN done ON done.identity_id = identity.id JOIN topic ON topic.id = done.topic_id
             ORDER BY done.last_at DESC LIMIT 20000";
    SOURCES = "SELECT nullif(source.referrer, ''), nullif(source.source, ''), nullif(source.medium, ''), nullif(source.campaign, ''),
                   sum(came_from.times)::bigint AS times, count(DISTINCT one.id) AS visitors, max(came_from.last_at) AS last_at
               FROM (SELECT visitor.id FROM company_key JOIN visitor ON visitor.company_key = company_key.key
                     WHERE company_key.company_id = $1 ORDER BY visitor.last_seen DESC LIMIT $2) AS one
               JOIN identity ON identity.visitor_id = one.id
               JOIN came_from ON came_from.identity_id = identity.id JOIN source ON source.id = came_from.source_id
               GROUP BY source.id, source.referrer, source.source, source.medium, source.campaign
               ORDER BY visitors DESC, times DESC, last_at DESC, source.referrer, source.source, source.medium, source.campaign
               LIMIT $3";
    LAST_PAGES = "SELECT one.id, page.last_at, page.path, page.title FROM unnest($1::bigint[]) AS one (id)
                  CROSS JOIN LATERAL (
                      SELECT done.last_at, topic.path, topic.title FROM identity JOIN done ON done.identity_id = identity.id
                      JOIN topic ON topic.id = done.topic_id
                      WHERE identity.visitor_id = one.id AND topic.kind = 'page_view'
                      ORDER BY done.last_at DESC LIMIT 1) AS page";
    DAYS_OF = "SELECT asked.id, entry.at / $2, count(*) FROM unnest($1::bigint[]) AS asked (id)
               JOIN company_key ON company_key.company_id = asked.id JOIN visitor ON visitor.company_key = company_key.key
               JOIN identity ON identity.visitor_id = visitor.id JOIN entry ON entry.identity_id = identity.id
               WHERE entry.at >= $3 GROUP BY 1, 2";
}

/// How many of a company's newest entries are shown.
const LATEST: i64 = 20;

/// The company that an id, a domain, a group's id or a name leads to.
async fn find(transaction: &Transaction, text: &str) -> Result<Option<i64>, PostgresError> {
    let domain = company::registrable(text).map(|domain| CompanyKey::stored(CompanyKind::Domain, domain));
    let keys = [domain, CompanyKey::group(text), CompanyKey::of_name(text)];
    let keys: Vec<String> = keys.iter().flatten().map(accounts::text_of).collect();
    let row = ids::company_row(text);
    let (by_id, by_key) = together!(transaction.query_opt(BY_ID, &[&row]), transaction.query_opt(BY_KEY, &[&keys]))?;
    Ok(by_id.or(by_key).map(|row| row.try_get(0)).transpose()?)
}

/// A page of the ranking of those that a filter looks for, and how many there are in all.
pub(super) async fn list(
    transaction: &Transaction,
    filter: &CompanyFilter,
    offset: u32,
    limit: u32,
) -> Result<(Vec<Company>, u64), PostgresError> {
    let conditions = Conditions::of_companies(filter);
    transaction.begin().await?;
    let page = conditions.query(transaction, &conditions.page_of_companies(offset, limit)).await?;
    let count: i64 = match page.first() {
        Some(row) => row.try_get(HOW_MANY)?,
        // A page behind the last one has none who says it.
        None if offset > 0 || limit == 0 => {
            let count = conditions.numbers(transaction, &conditions.count_of_companies()).await?;
            count.first().copied().unwrap_or_default()
        }
        None => 0,
    };
    transaction.commit().await?;
    let companies = page.iter().map(company).collect::<Result<_, _>>()?;
    Ok((companies, u64::try_from(count).unwrap_or_default()))
}

/// The column of a page that says how many there are.
const HOW_MANY: usize = 14;

/// One company with at most `limit` of its visitors, and what they did.
pub(super) async fn show(
    transaction: &Transaction,
    rules: &RuleSet,
    key: &str,
    limit: u32,
) -> Result<Option<CompanyPage>, PostgresError> {
    let ((), found) = together!(transaction.begin(), find(transaction, key))?;
    let Some(company_id) = found else {
        transaction.commit().await?;
        return Ok(None);
    };
    let most_visitors = i64::from(interests::MOST_VISITORS);
    let (one, people, activity, reasons, deeds, sources) = together!(
        transaction.query_opt(ONE, &[&company_id]),
        transaction.query(PEOPLE, &[&company_id, &i64::from(limit)]),
        transaction.query(ACTIVITY, &[&company_id, &LATEST]),
        reasons::reasons(transaction, rules, company_id),
        transaction.query(DEEDS, &[&company_id, &most_visitors]),
        transaction.query(SOURCES, &[&company_id, &most_visitors, &i64::from(interests::MOST)]),
    )?;
    let people = people.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>()?;
    let (people, last_pages, days) = together!(
        visitors::of_ids(transaction, rules, None, &people),
        transaction.query(LAST_PAGES, &[&people]),
        days_of(transaction, &[company_id]),
    )?;
    transaction.commit().await?;
    let Some(one) = one else { return Ok(None) };
    let last_pages = last_pages.iter().map(last_page).collect::<Result<HashMap<_, _>, PostgresError>>()?;
    let people = people.into_iter().map(|visitor| member(visitor, &last_pages)).collect();
    let company = company(&one)?;
    let activity = activity.iter().map(recent::activity);
    let activity = activity.collect::<Result<_, PostgresError>>()?;
    let days = days.get(&company_id).copied().unwrap_or_default();
    let interests = interests::of(deeds.iter().map(deed).collect::<Result<Vec<_>, PostgresError>>()?);
    let sources = sources.iter().map(source).collect::<Result<_, PostgresError>>()?;
    Ok(Some(CompanyPage { company, reasons, days, people, interests, sources, activity }))
}

fn deed(row: &Row) -> Result<DoneByVisitor, PostgresError> {
    Ok(DoneByVisitor {
        kind: row.try_get(0)?,
        name: row.try_get(1)?,
        path: row.try_get(2)?,
        title: row.try_get(3)?,
        visitor_id: ids::visitor_id(row.try_get(4)?),
        times: row.try_get(5)?,
        last_at: row.try_get(6)?,
    })
}

fn source(row: &Row) -> Result<Source, PostgresError> {
    Ok(Source {
        referrer: row.try_get(0)?,
        utm: Utm { source: row.try_get(1)?, medium: row.try_get(2)?, campaign: row.try_get(3)? },
        times: row.try_get(4)?,
        visitors: row.try_get(5)?,
        last_at: clock::from_milliseconds(row.try_get(6)?),
    })
}

fn last_page(row: &Row) -> Result<(VisitorId, LastPage), PostgresError> {
    let text =
        |column| Ok::<_, PostgresError>(row.try_get::<_, Option<String>>(column)?.filter(|text| !text.is_empty()));
    let page = LastPage { path: text(2)?, title: text(3)?, at: clock::from_milliseconds(row.try_get(1)?) };
    Ok((ids::visitor_id(row.try_get(0)?), page))
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
    transaction.begin().await?;
    let mut rows = Vec::with_capacity(companies.len());
    for id in companies {
        // Those of the page have ids of ours, which need no question.
        let row = ids::company_row(id.as_str());
        rows.push(if row < 0 { find(transaction, id.as_str()).await?.unwrap_or(-1) } else { row });
    }
    let days = days_of(transaction, &rows).await?;
    transaction.commit().await?;
    Ok(rows.iter().map(|row| days.get(row).copied().unwrap_or_default()).collect())
}

/// What each of these companies has most of its points from.
pub(super) async fn top_reasons(
    transaction: &Transaction,
    rules: &RuleSet,
    companies: &[CompanyId],
) -> Result<Vec<Option<Reason>>, PostgresError> {
    let rows: Vec<i64> = companies.iter().map(|id| ids::company_row(id.as_str())).collect();
    let ((), mut reasons, ()) =
        together!(transaction.begin(), reasons::reasons_of(transaction, rules, &rows), transaction.commit())?;
    Ok(rows.iter().map(|row| reasons.remove(row).and_then(|of_company| of_company.into_iter().next())).collect())
}

async fn days_of(transaction: &Transaction, companies: &[i64]) -> Result<HashMap<i64, DaysOfActivity>, PostgresError> {
    let today = now_milliseconds() / MILLISECONDS_OF_A_DAY;
    let first = today - i64::try_from(DAYS).unwrap_or_default() + 1;
    let values: [&(dyn ToSql + Sync); 3] = [&companies, &MILLISECONDS_OF_A_DAY, &(first * MILLISECONDS_OF_A_DAY)];
    let rows = transaction.query(DAYS_OF, &values).await?;
    let mut days: HashMap<i64, DaysOfActivity> = HashMap::new();
    for row in &rows {
        let (id, day): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let of = days.entry(id).or_default();
        if let Some(count) = usize::try_from(day - first).ok().and_then(|at| of.get_mut(at)) {
            *count = row.try_get(2)?;
        }
    }
    Ok(days)
}

fn company(row: &Row) -> Result<Company, PostgresError> {
    let time = |column| Ok::<_, PostgresError>(row.try_get::<_, Option<i64>>(column)?.map(clock::from_milliseconds));
    let (points, week_ago): (f64, f64) = (row.try_get(6)?, row.try_get::<_, f64>(12)?.max(0.0));
    Ok(Company {
        id: ids::company_id(row.try_get(0)?),
        key: row.try_get(1)?,
        domain: row.try_get(2)?,
        name: row.try_get(3)?,
        group_ids: serde_json::from_str(row.try_get(4)?).unwrap_or_default(),
        traits: serde_json::from_str(row.try_get(5)?).unwrap_or_default(),
        company_source: ids::source_of(row.try_get(13)?),
        intent: rounded(points),
        intent_week_ago: rounded(week_ago),
        strength: Strength::of(points),
        strength_label: Strength::of(points).label(),
        trend: Trend::of(points, week_ago),
        visitors: row.try_get(7)?,
        events: row.try_get(8)?,
        first_seen: time(9)?,
        last_seen: time(10)?,
        excluded: row.try_get(11)?,
    })
}

/// Points with two digits. What is next to nothing is 0, and never -0.
fn rounded(points: f64) -> f64 {
    (points.max(0.0) * 100.0).round() / 100.0 + 0.0
}
