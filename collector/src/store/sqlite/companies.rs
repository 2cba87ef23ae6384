//! Companies as they are shown: a page of the ranking, and one with its people.

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use rusqlite::{Connection, OptionalExtension, params};

use super::ranking::Ranked;
use super::visitors;
use crate::about::About;
use crate::store::company::{
    Activity, Company, CompanyId, CompanyPage, DAYS, DaysOfActivity, LastPage, Member, Reason,
};
use crate::store::visitor::VisitorId;

/// How many of a company's newest entries are shown.
const LATEST: u32 = 20;

/// The companies of a page of the ranking.
pub(super) fn list(connection: &Connection, ranked: &[Ranked]) -> rusqlite::Result<Vec<Company>> {
    // One that is gone since it was ranked is left out.
    let found = ranked.iter().filter_map(|Ranked { key, points }| company(connection, key, *points).transpose());
    found.collect()
}

/// How many events each company had on each of the last days, today last.
pub(super) fn activity(connection: &Connection, keys: &[CompanyId]) -> rusqlite::Result<Vec<DaysOfActivity>> {
    let today = now_milliseconds() / MILLISECONDS_OF_A_DAY;
    let mut days = connection.prepare_cached(
        "SELECT entry.at / ?2, count(*) FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
             CROSS JOIN entry ON entry.identity_id = identity.id
         WHERE visitor.account = ?1 AND entry.at >= ?3 GROUP BY 1",
    )?;
    let first = today - i64::try_from(DAYS).unwrap_or_default() + 1;
    let of = |key: &CompanyId| {
        let mut counts = [0; DAYS];
        let read = days
            .query_map(params![key.as_str(), MILLISECONDS_OF_A_DAY, first * MILLISECONDS_OF_A_DAY], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
        for day in read {
            let (day, count) = day?;
            if let Some(counted) = usize::try_from(day - first).ok().and_then(|at| counts.get_mut(at)) {
                *counted = count;
            }
        }
        Ok(counts)
    };
    keys.iter().map(of).collect()
}

/// One company with at most `limit` of its visitors, and what they did.
pub(super) fn show(
    connection: &Connection,
    key: &str,
    reasons: Vec<Reason>,
    limit: u32,
) -> rusqlite::Result<Option<CompanyPage>> {
    let points = reasons.iter().map(|reason| reason.points).sum();
    let Some(company) = company(connection, key, points)? else { return Ok(None) };
    let mut ids =
        connection.prepare_cached("SELECT id FROM visitor WHERE account = ?1 ORDER BY last_seen DESC LIMIT ?2")?;
    let ids = ids.query_map(params![key, limit], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let people = ids.into_iter().filter_map(|id| member(connection, id).transpose());
    let people = people.collect::<rusqlite::Result<_>>()?;
    let activity_of = activity(connection, std::slice::from_ref(&company.id))?;
    let days = activity_of.into_iter().next().unwrap_or_default();
    let activity = latest_activity(connection, key)?;
    let (interests, sources) = (Vec::new(), Vec::new());
    Ok(Some(CompanyPage { company, reasons, days, people, interests, sources, activity }))
}

fn member(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Option<Member>> {
    let Some(visitor) = visitors::visitor(connection, visitor_id)? else { return Ok(None) };
    let title = visitor.traits.get("title").and_then(|title| title.as_str()).map(str::to_owned);
    let mut last = connection.prepare_cached(
        "SELECT at, json FROM identity CROSS JOIN entry ON entry.identity_id = identity.id AND entry.kind = 'page_view'
         WHERE identity.visitor_id = ?1 ORDER BY at DESC LIMIT 1",
    )?;
    let last_page = last.query_row([visitor_id], |row| {
        let About { path, title, .. } = About::of(row.get_ref(1)?.as_str()?);
        Ok(LastPage { path, title, at: clock::from_milliseconds(row.get(0)?) })
    });
    Ok(Some(Member { visitor, title, last_page: last_page.optional()? }))
}

/// The newest entries of a company's visitors: they are of those that were seen last.
fn latest_activity(connection: &Connection, key: &str) -> rusqlite::Result<Vec<Activity>> {
    let mut select = connection.prepare_cached(
        "SELECT one.id, entry.kind, name, at, json FROM (SELECT id FROM visitor WHERE account = ?1 ORDER BY last_seen DESC LIMIT ?2) AS one
         CROSS JOIN identity ON identity.visitor_id = one.id CROSS JOIN entry ON entry.identity_id = identity.id
         ORDER BY at DESC, entry.id DESC LIMIT ?2",
    )?;
    let activity = select.query_map(params![key, LATEST], |row| {
        let at = clock::from_milliseconds(row.get(3)?);
        let visitor_id = VisitorId::new(row.get::<_, i64>(0)?.to_string());
        let path = About::of(row.get_ref(4)?.as_str()?).path;
        Ok(Activity { visitor_id, kind: row.get(1)?, name: row.get(2)?, path, at })
    })?;
    activity.collect()
}

fn company(connection: &Connection, key: &str, points: f64) -> rusqlite::Result<Option<Company>> {
    // From the company to its visitors to their ids to their entries.
    let mut select = connection.prepare_cached(
        "SELECT domain, name, traits,
                (SELECT count(*) FROM visitor WHERE account = key),
                (SELECT count(*) FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
                 CROSS JOIN entry ON entry.identity_id = identity.id AND entry.kind IN ('event', 'page_view')
                 WHERE visitor.account = key),
                (SELECT max(last_seen) FROM visitor WHERE account = key)
         FROM account WHERE key = ?1",
    )?;
    let company = select.query_row([key], |row| {
        let traits: String = row.get(2)?;
        Ok(Company {
            id: CompanyId::new(key),
            key: key.to_owned(),
            group_ids: Vec::new(),
            first_seen: None,
            excluded: false,
            domain: row.get(0)?,
            name: row.get(1)?,
            intent: rounded(points),
            traits: serde_json::from_str(&traits).unwrap_or_default(),
            visitors: row.get(3)?,
            events: row.get(4)?,
            last_seen: row.get::<_, Option<i64>>(5)?.map(clock::from_milliseconds),
        })
    });
    company.optional()
}

/// Points with two digits. What is next to nothing is 0, and never -0.
fn rounded(points: f64) -> f64 {
    (points * 100.0).round() / 100.0 + 0.0
}
