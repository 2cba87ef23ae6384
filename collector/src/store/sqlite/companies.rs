//! Companies as they are shown: a page of the ranking, and one with its people.

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use rusqlite::{Connection, OptionalExtension, params};

use super::ids;
use super::ranking::Ranked;
use super::{accounts, company_keys, interests, visitors};
use crate::about::About;
use crate::company::{self, CompanyKey, CompanyKind};
use crate::intent::{Strength, Trend};
use crate::store::company::{
    Activity, Company, CompanyId, CompanyPage, DAYS, DaysOfActivity, LastPage, Member, Reason,
};
use crate::store::visitor::VisitorId;

/// How many of a company's newest entries are shown.
const LATEST: u32 = 20;

/// The company that an id, a domain, a group's id or a name leads to.
pub(super) fn find(connection: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT company_id FROM company_key WHERE id = ?1")?;
    if let Some(company_id) = select.query_row([ids::company_row(text)], |row| row.get(0)).optional()? {
        return Ok(Some(company_id));
    }
    let domain = company::registrable(text).map(|domain| CompanyKey::stored(CompanyKind::Domain, domain));
    let keys = [domain, CompanyKey::group(text), CompanyKey::of_name(text)];
    for key in keys.into_iter().flatten() {
        if let Some(row) = company_keys::find(connection, &key)? {
            return Ok(Some(row.company_id));
        }
    }
    Ok(None)
}

/// The companies of a page of the ranking.
pub(super) fn list(connection: &Connection, ranked: &[Ranked]) -> rusqlite::Result<Vec<Company>> {
    // One that is gone since it was ranked is skipped.
    let found = ranked.iter().filter_map(|ranked| company(connection, ranked).transpose());
    found.collect()
}

/// How many events each company had on each of the last days, today last.
pub(super) fn activity(connection: &Connection, ids: &[CompanyId]) -> rusqlite::Result<Vec<DaysOfActivity>> {
    ids.iter().map(|id| days_of(connection, find(connection, id.as_str())?)).collect()
}

fn days_of(connection: &Connection, company_id: Option<i64>) -> rusqlite::Result<DaysOfActivity> {
    let today = now_milliseconds() / MILLISECONDS_OF_A_DAY;
    let mut days = connection.prepare_cached(
        "SELECT entry.at / ?2, count(*) FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
             CROSS JOIN entry ON entry.identity_id = identity.id
         WHERE visitor.company_id = ?1 AND entry.at >= ?3 GROUP BY 1",
    )?;
    let first = today - i64::try_from(DAYS).unwrap_or_default() + 1;
    let mut counts = [0; DAYS];
    let read = days.query_map(params![company_id, MILLISECONDS_OF_A_DAY, first * MILLISECONDS_OF_A_DAY], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    for day in read {
        let (day, count) = day?;
        if let Some(counted) = usize::try_from(day - first).ok().and_then(|at| counts.get_mut(at)) {
            *counted = count;
        }
    }
    Ok(counts)
}

/// One company with at most `limit` of its visitors, and what they did.
pub(super) fn show(
    connection: &Connection,
    company_id: i64,
    reasons: Vec<Reason>,
    limit: u32,
) -> rusqlite::Result<Option<CompanyPage>> {
    let points = reasons.iter().map(|reason| reason.points).sum();
    let points_week_ago = reasons.iter().map(|reason| reason.points_week_ago).sum();
    let mut excluded = connection.prepare_cached(
        "SELECT coalesce(excluded, 0) <> 0 OR (EXISTS (SELECT 1 FROM visitor WHERE company_id = ?1 AND excluded = 1)
                AND NOT EXISTS (SELECT 1 FROM visitor WHERE company_id = ?1 AND excluded IS NOT 1))
         FROM company WHERE id = ?1",
    )?;
    let Some(excluded) = excluded.query_row([company_id], |row| row.get(0)).optional()? else { return Ok(None) };
    let ranked = Ranked { company_id, points, points_week_ago, excluded };
    let Some(company) = company(connection, &ranked)? else { return Ok(None) };
    let mut ids =
        connection.prepare_cached("SELECT id FROM visitor WHERE company_id = ?1 ORDER BY last_seen DESC LIMIT ?2")?;
    let ids = ids.query_map(params![company_id, limit], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let people = ids.into_iter().filter_map(|id| member(connection, id).transpose());
    Ok(Some(CompanyPage {
        company,
        reasons,
        days: days_of(connection, Some(company_id))?,
        people: people.collect::<rusqlite::Result<_>>()?,
        interests: interests::of_company(connection, company_id)?,
        sources: interests::sources_of_company(connection, company_id)?,
        activity: latest_activity(connection, company_id)?,
    }))
}

fn member(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Option<Member>> {
    let Some(visitor) = visitors::visitor(connection, visitor_id)? else { return Ok(None) };
    let title = visitor.traits.get("title").and_then(|title| title.as_str()).map(str::to_owned);
    let mut last = connection.prepare_cached(
        "SELECT nullif(path, ''), nullif(title, ''), last_at
         FROM identity CROSS JOIN done ON done.identity_id = identity.id CROSS JOIN topic ON topic.id = done.topic_id
         WHERE identity.visitor_id = ?1 AND topic.kind = 'page_view' ORDER BY last_at DESC LIMIT 1",
    )?;
    let last_page = last.query_row([visitor_id], |row| {
        Ok(LastPage { path: row.get(0)?, title: row.get(1)?, at: clock::from_milliseconds(row.get(2)?) })
    });
    Ok(Some(Member { visitor, title, last_page: last_page.optional()? }))
}

/// The newest entries of a company's visitors: they are of those that were seen last.
fn latest_activity(connection: &Connection, company_id: i64) -> rusqlite::Result<Vec<Activity>> {
    let mut select = connection.prepare_cached(
        "SELECT one.id, entry.kind, name, at, json
         FROM (SELECT id FROM visitor WHERE company_id = ?1 ORDER BY last_seen DESC LIMIT ?2) AS one
         CROSS JOIN identity ON identity.visitor_id = one.id CROSS JOIN entry ON entry.identity_id = identity.id
         ORDER BY at DESC, entry.id DESC LIMIT ?2",
    )?;
    let activity = select.query_map(params![company_id, LATEST], |row| {
        let at = clock::from_milliseconds(row.get(3)?);
        let visitor_id = VisitorId::new(row.get::<_, i64>(0)?.to_string());
        let path = About::of(row.get_ref(4)?.as_str()?).path;
        Ok(Activity { visitor_id, kind: row.get(1)?, name: row.get(2)?, path, at })
    })?;
    activity.collect()
}

fn company(connection: &Connection, ranked: &Ranked) -> rusqlite::Result<Option<Company>> {
    let &Ranked { company_id, points, points_week_ago, excluded } = ranked;
    // From the company to its visitors to their ids to their entries.
    let mut select = connection.prepare_cached(
        "SELECT key, domain, name,
                (SELECT count(*) FROM visitor WHERE company_id = company.id),
                (SELECT count(*) FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
                 CROSS JOIN entry ON entry.identity_id = identity.id AND entry.kind IN ('event', 'page_view')
                 WHERE visitor.company_id = company.id),
                (SELECT min(first_seen) FROM visitor WHERE company_id = company.id),
                (SELECT max(last_seen) FROM visitor WHERE company_id = company.id),
                (SELECT coalesce(min(is_guess), 0) FROM visitor WHERE company_id = company.id)
         FROM company WHERE id = ?1",
    )?;
    let company = select.query_row([company_id], |row| {
        let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(clock::from_milliseconds));
        Ok(Company {
            id: ids::company_id(company_id),
            key: row.get(0)?,
            domain: row.get(1)?,
            name: row.get(2)?,
            group_ids: Vec::new(),
            intent: rounded(points),
            intent_week_ago: points_week_ago.max(0.0),
            strength: Strength::of(points),
            strength_label: Strength::of(points).label(),
            trend: Trend::of(points, points_week_ago),
            traits: serde_json::Map::new(),
            company_source: ids::source_of(row.get(7)?),
            visitors: row.get(3)?,
            events: row.get(4)?,
            first_seen: time(5)?,
            last_seen: time(6)?,
            excluded,
        })
    });
    let Some(mut company) = company.optional()? else { return Ok(None) };
    company.group_ids = accounts::values_of(connection, company_id, CompanyKind::Group)?;
    company.traits = accounts::traits_of(connection, company_id)?;
    Ok(Some(company))
}

/// Points with two digits. What is next to nothing is 0, and never -0.
fn rounded(points: f64) -> f64 {
    (points.max(0.0) * 100.0).round() / 100.0 + 0.0
}
