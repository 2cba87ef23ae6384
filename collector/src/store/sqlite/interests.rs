//! What a company's visitors looked at, and where they came from.

use koala_destination::clock;
use rusqlite::{Connection, params};

use crate::about::Utm;
use crate::store::company::{Interest, Source};
use crate::store::interests::{self, DoneByVisitor, MOST, MOST_VISITORS};
use crate::store::visitor::VisitorId;

/// The pages and events of a company's visitors: what most of them did, and most often, first.
pub(super) fn of_company(connection: &Connection, company_id: i64) -> rusqlite::Result<Vec<Interest>> {
    let mut select = connection.prepare_cached(
        "SELECT topic.kind, topic.name, topic.path, topic.title, one.id, times, last_at
         FROM (SELECT id FROM visitor WHERE company_id = ?1 ORDER BY last_seen DESC LIMIT ?2) AS one
         CROSS JOIN identity ON identity.visitor_id = one.id
         CROSS JOIN done ON done.identity_id = identity.id CROSS JOIN topic ON topic.id = done.topic_id
         ORDER BY last_at DESC",
    )?;
    let deeds = select.query_map(params![company_id, MOST_VISITORS], |row| {
        let visitor_id = VisitorId::new(row.get::<_, i64>(4)?.to_string());
        let (kind, name, path, title) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(DoneByVisitor { kind, name, path, title, visitor_id, times: row.get(5)?, last_at: row.get(6)? })
    })?;
    Ok(interests::of(deeds.collect::<rusqlite::Result<Vec<_>>>()?))
}

/// Where a company's visitors came from: what most of them came by first.
pub(super) fn sources_of_company(connection: &Connection, company_id: i64) -> rusqlite::Result<Vec<Source>> {
    let mut select = connection.prepare_cached(
        "SELECT nullif(referrer, ''), nullif(source, ''), nullif(medium, ''), nullif(campaign, ''),
                sum(times), count(DISTINCT one.id), max(last_at)
         FROM (SELECT id FROM visitor WHERE company_id = ?1 ORDER BY last_seen DESC LIMIT ?2) AS one
         CROSS JOIN identity ON identity.visitor_id = one.id
         CROSS JOIN came_from ON came_from.identity_id = identity.id CROSS JOIN source ON source.id = came_from.source_id
         GROUP BY source.id ORDER BY 6 DESC, 5 DESC, 7 DESC, referrer, source, medium, campaign LIMIT ?3",
    )?;
    let sources = select.query_map(params![company_id, MOST_VISITORS, MOST], |row| {
        Ok(Source {
            referrer: row.get(0)?,
            utm: Utm { source: row.get(1)?, medium: row.get(2)?, campaign: row.get(3)? },
            times: row.get(4)?,
            visitors: row.get(5)?,
            last_at: clock::from_milliseconds(row.get(6)?),
        })
    })?;
    sources.collect()
}
