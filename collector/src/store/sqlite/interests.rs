//! What a company's visitors looked at, and where they came from.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use koala_destination::clock;
use rusqlite::{Connection, params};

use crate::about::Utm;
use crate::store::company::{Interest, Source};
use crate::store::visitor::VisitorId;

/// Of so many of a company's visitors, those that were seen last, it is told what they did.
const MOST_VISITORS: u32 = 1000;
/// The most pages and events, and the most sources, of one company that are told.
const MOST: u32 = 50;
/// Of so many visitors it is told that they did it.
const MOST_BY: usize = 5;

/// The pages and events of a company's visitors: what most of them did, and most often, first. An event is one whatever the page
/// it was done on, and a page one whatever its title.
pub(super) fn of_company(connection: &Connection, company_id: i64) -> rusqlite::Result<Vec<Interest>> {
    let mut select = connection.prepare_cached(
        "SELECT topic.kind, topic.name, topic.path, topic.title, one.id, times, last_at
         FROM (SELECT id FROM visitor WHERE company_id = ?1 ORDER BY last_seen DESC LIMIT ?2) AS one
         CROSS JOIN identity ON identity.visitor_id = one.id
         CROSS JOIN done ON done.identity_id = identity.id CROSS JOIN topic ON topic.id = done.topic_id
         ORDER BY last_at DESC",
    )?;
    let mut rows = select.query(params![company_id, MOST_VISITORS])?;
    let mut all: HashMap<(String, String), (Interest, Reached)> = HashMap::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column);
        let (kind, name, path, title) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let is_page = kind == "page_view";
        let known_by =
            if is_page { [&path, &name, &title].into_iter().find(|it| !it.is_empty()).unwrap_or(&path) } else { &name };
        let (visitor_id, times, last): (i64, i64, i64) = (row.get(4)?, row.get(5)?, row.get(6)?);
        // The newest comes first: what it is called now.
        let (interest, reached) = all.entry((kind.clone(), known_by.clone())).or_insert_with(|| {
            let said = |text: String| (!text.is_empty()).then_some(text);
            let last_at = clock::from_milliseconds(last);
            let path = said(path.clone()).filter(|_| is_page);
            let (name, title) = (said(name.clone()), said(title.clone()));
            (Interest { kind, name, path, title, times: 0, visitors: 0, by: Vec::new(), last_at }, Reached::at(last))
        });
        interest.times += times;
        reached.by(visitor_id);
    }
    let mut all: Vec<(Interest, Reached)> = all.into_values().collect();
    all.sort_by_cached_key(|(interest, reached)| {
        let named = (interest.kind.clone(), interest.path.clone(), interest.name.clone());
        (Reverse((reached.visitors.len(), interest.times, reached.last_at)), named)
    });
    let told = all.into_iter().take(MOST as usize).map(|(interest, reached)| {
        let by = reached.visitors.iter().take(MOST_BY).map(|id| VisitorId::new(id.to_string())).collect();
        Interest { visitors: reached.count(), by, ..interest }
    });
    Ok(told.collect())
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

/// Whom something reached, the last first.
struct Reached {
    visitors: Vec<i64>,
    known: HashSet<i64>,
    last_at: i64,
}

impl Reached {
    fn at(last_at: i64) -> Self {
        Self { visitors: Vec::new(), known: HashSet::new(), last_at }
    }

    fn by(&mut self, visitor_id: i64) {
        if self.known.insert(visitor_id) {
            self.visitors.push(visitor_id);
        }
    }

    fn count(&self) -> i64 {
        i64::try_from(self.visitors.len()).unwrap_or(i64::MAX)
    }
}
