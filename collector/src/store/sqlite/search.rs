//! The rows of the visitors, and of the companies, that a filter looks for.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::done::{Done, IN_PAGE, Time, are_there, part, whatever_was_done};
use super::ids;
use crate::store::filter::{CompanyFilter, Did, Filter, TraitFilter};
use crate::store::visitor_points::VisitorPoints;

/// Whether of a trait, in a query over `identity` and `trait`, nothing was said later under another id of the visitor.
const LATEST_TRAIT: &str = "NOT EXISTS (
    SELECT 1 FROM identity AS other CROSS JOIN trait AS later ON later.identity_id = other.id AND later.name = trait.name
    WHERE other.visitor_id = identity.visitor_id AND later.at > trait.at)";
/// A trait that so many ids have is looked for at each visitor: a page of those who have it is soon full. One that fewer have is looked for
/// once among all traits.
const COMMON: u32 = 2000;

/// Conditions with the values that they ask for.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

/// A query for ids, with the values that it asks for.
struct Ids {
    sql: String,
    values: Vec<Value>,
}

/// Companies with a part in their domain, a group's id or a name.
fn companies_called(text: &str) -> Ids {
    Ids {
        sql: "SELECT company_id FROM company_key WHERE instr(lower(value), ?) > 0
              UNION SELECT id FROM company WHERE instr(lower(name), ?) > 0"
            .to_owned(),
        values: vec![part(text); 2],
    }
}

impl Conditions {
    fn add(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }

    fn of(connection: &Connection, filter: &Filter) -> rusqlite::Result<Self> {
        let mut all = Self::default();
        if let Some(text) = &filter.text {
            let done = Done::of_topics(connection, IN_PAGE, vec![part(text); 3], &Time::default())?;
            let (did, values) = done.by_visitor();
            all.add(
                format!(
                    "({did} OR id IN (SELECT visitor_id FROM identity WHERE instr(lower(value), ?) > 0
                            UNION SELECT identity.visitor_id FROM trait CROSS JOIN identity ON identity.id = trait.identity_id
                                  WHERE instr(lower(trait.value), ?) > 0 AND {LATEST_TRAIT}))"
                ),
                values.into_iter().chain([part(text), part(text)]),
            );
        }
        if let Some(user_id) = &filter.user_id {
            let sql = "id IN (SELECT visitor_id FROM identity WHERE kind = 'user' AND instr(lower(value), ?) > 0)";
            all.add(sql, [part(user_id)]);
        }
        if let Some(company) = &filter.company {
            let Ids { sql, values } = companies_called(company);
            let row = ids::company_row(company);
            all.add(
                format!("company_id IN (SELECT company_id FROM company_key WHERE id = ? UNION {sql})"),
                std::iter::once(row.into()).chain(values),
            );
        }
        if let Some(at) = filter.first_seen_since {
            all.add("first_seen >= ?", [at.into()]);
        }
        if let Some(known) = filter.known {
            let not = if known { "" } else { "NOT " };
            all.add(
                format!("{not}EXISTS (SELECT 1 FROM identity WHERE visitor_id = visitor.id AND kind <> 'device')"),
                [],
            );
        }
        if let Some(TraitFilter { name, value }) = &filter.of_trait {
            let (of_value, value) = match value {
                None => ("trait.value <> 'null'", None),
                // The value of a text without its quotes, and all others as JSON writes them.
                Some(value) => (
                    "lower(CASE json_type(trait.value) WHEN 'text' THEN trait.value ->> '$' ELSE trait.value END) = ?",
                    Some(part(value)),
                ),
            };
            let rows = format!("trait.name = ? COLLATE NOCASE AND {of_value}");
            let values: Vec<Value> = [name.clone().into()].into_iter().chain(value).collect();
            let sql = if are_there(connection, ("trait", &rows, &values), COMMON)? {
                format!(
                    "EXISTS (SELECT 1 FROM identity CROSS JOIN trait ON trait.identity_id = identity.id
                             WHERE identity.visitor_id = visitor.id AND {rows} AND {LATEST_TRAIT})"
                )
            } else {
                format!(
                    "id IN (SELECT identity.visitor_id FROM trait CROSS JOIN identity ON identity.id = trait.identity_id
                            WHERE {rows} AND {LATEST_TRAIT})"
                )
            };
            all.add(sql, values);
        }
        all.add_entry(connection, filter)?;
        Ok(all)
    }

    fn add_entry(&mut self, connection: &Connection, filter: &Filter) -> rusqlite::Result<()> {
        if let Some(since) = filter.since {
            self.add("last_seen >= ?", [since.into()]);
        }
        if let Some(before) = filter.before {
            self.add("first_seen < ?", [before.into()]);
        }
        let time = Time::of(filter);
        for done in whatever_was_done(connection, &filter.did, &time)? {
            let (sql, values) = done.by_visitor();
            self.add(sql, values);
        }
        let Did { event, page, path, .. } = &filter.did;
        if !time.is_any() && event.is_none() && page.is_none() && path.is_none() {
            self.add(
                format!(
                    "EXISTS (SELECT 1 FROM identity CROSS JOIN entry ON entry.identity_id = identity.id
                             WHERE identity.visitor_id = visitor.id{})",
                    time.sql
                ),
                time.values,
            );
        }
        Ok(())
    }
}

/// The companies that a filter looks for, whether they are kept out of the ranking or not; nothing where it asks for none.
pub(super) fn find_companies(
    connection: &Connection,
    filter: &CompanyFilter,
) -> rusqlite::Result<Option<HashSet<i64>>> {
    let mut all = Conditions::default();
    if let Some(text) = &filter.text {
        let done = Done::of_topics(connection, IN_PAGE, vec![part(text); 3], &Time::default())?;
        let (called, (did, values)) = (companies_called(text), done.by_company());
        all.add(
            format!(
                "({did} OR id IN ({} UNION SELECT company_id FROM visitor
                        WHERE id IN (SELECT visitor_id FROM identity WHERE instr(lower(value), ?) > 0)))",
                called.sql
            ),
            values.into_iter().chain(called.values).chain([part(text)]),
        );
    }
    for done in whatever_was_done(connection, &filter.did, &Time::default())? {
        let (sql, values) = done.by_company();
        all.add(sql, values);
    }
    if let Some(at) = filter.first_seen_since {
        all.add("(SELECT min(first_seen) FROM visitor WHERE company_id = company.id) >= ?", [at.into()]);
    }
    if all.sql.is_empty() {
        return Ok(None);
    }
    let mut select = connection.prepare_cached(&format!("SELECT id FROM company WHERE {}", all.sql.join(" AND ")))?;
    let ids = select.query_map(params_from_iter(&all.values), |row| row.get(0))?;
    ids.collect::<rusqlite::Result<_>>().map(Some)
}

/// The visitors that are looked for, the one seen last first, and how many there are in all, or one more than are counted at most;
/// where the filter asks for points, by these.
pub(super) fn find(
    connection: &Connection,
    (filter, points): (&Filter, Option<&VisitorPoints>),
    (offset, limit): (u32, u32),
    most_counted: u32,
) -> rusqlite::Result<(Vec<i64>, i64)> {
    let mut all = Conditions::of(connection, filter)?;
    let ordered = "ORDER BY last_seen DESC, id DESC";
    if all.sql.is_empty() && points.is_none() {
        let mut count = connection.prepare_cached("SELECT count(*) FROM visitor")?;
        let page = format!("SELECT id FROM visitor {ordered} LIMIT ?1 OFFSET ?2");
        let mut select = connection.prepare_cached(&page)?;
        let ids = select.query_map([limit, offset], |row| row.get(0))?;
        return Ok((ids.collect::<rusqlite::Result<_>>()?, count.query_row([], |row| row.get(0))?));
    }
    // Once through all that are found: to look for them costs far more than to count them.
    all.add("TRUE", []);
    let mut select =
        connection.prepare_cached(&format!("SELECT id FROM visitor WHERE {} {ordered}", all.sql.join(" AND ")))?;
    let mut rows = select.query(params_from_iter(&all.values))?;
    let (offset, limit) = (i64::from(offset), i64::from(limit));
    let (mut ids, mut total) = (Vec::new(), 0);
    let most = i64::from(most_counted).max(offset + limit);
    while total <= most
        && let Some(row) = rows.next()?
    {
        let id = row.get(0)?;
        if points.is_some_and(|points| !points.are_found_by(filter, id)) {
            continue;
        }
        if (offset..offset + limit).contains(&total) {
            ids.push(id);
        }
        total += 1;
    }
    Ok((ids, total))
}

/// The visitors that are looked for behind the row `after`, in the order of their rows.
pub(super) fn find_behind(
    connection: &Connection,
    (filter, points): (&Filter, Option<&VisitorPoints>),
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<i64>> {
    let mut all = Conditions::of(connection, filter)?;
    all.add("id > ?", [after.into()]);
    let sql = all.sql.join(" AND ");
    // What the points of a filter do not take is skipped.
    let most = points.map_or(i64::from(limit), |_| -1);
    let mut select =
        connection.prepare_cached(&format!("SELECT id FROM visitor WHERE {sql} ORDER BY id LIMIT {most}"))?;
    let mut rows = select.query(params_from_iter(&all.values))?;
    let mut ids = Vec::new();
    while ids.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let id = row.get(0)?;
        if points.is_none_or(|points| points.are_found_by(filter, id)) {
            ids.push(id);
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::in_memory::database;
    use super::*;

    /// Steps of SQLite's machine for a search, and how much it finds: the time without the machine's noise.
    fn steps(connection: &Connection, filter: &Filter) -> (i32, usize) {
        let Conditions { sql, values } = Conditions::of(connection, filter).expect("conditions");
        let sql = format!("SELECT id FROM visitor WHERE {} ORDER BY last_seen DESC, id DESC", sql.join(" AND "));
        let mut select = connection.prepare(&sql).expect("SQL");
        let found = select.query_map(params_from_iter(&values), |_| Ok(())).expect("rows").count();
        (select.get_status(StatementStatus::VmStep), found)
    }

    #[test]
    fn a_search_for_what_everybody_did_costs_no_more_where_there_are_many_pages() {
        // Each of 10,000 visitors looked at two pages, of few or of many; each on one day of ten.
        let rows = |pages: u32| {
            format!(
                "CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000) SELECT n FROM n;
                 INSERT INTO topic (id, kind, name, path, title) SELECT n, 'page_view', '', '/docs/' || n, '' FROM n WHERE n <= {pages};
                 INSERT INTO visitor (id, first_seen, last_seen) SELECT n, 0, 10 FROM n;
                 INSERT INTO identity (id, kind, value, visitor_id) SELECT n, 'user', n, n FROM n;
                 INSERT INTO entry (identity_id, kind, at, json, topic_id)
                     SELECT n, 'page_view', n % 10, '', 1 + (n * 7 + which) % {pages} FROM n, (SELECT 0 AS which UNION SELECT 1);
                 INSERT INTO done SELECT topic_id, identity_id, count(*), max(at) FROM entry GROUP BY 1, 2;"
            )
        };
        let did = Did { path: Some("/docs".to_owned()), ..Did::default() };
        let ever = Filter { did: did.clone(), ..Filter::default() };
        let then = Filter { since: Some(3), before: Some(5), ..ever.clone() };
        let (few, many) = (database(&rows(2)), database(&rows(2000)));
        for (filter, found) in [(&ever, 10_000), (&then, 2000)] {
            let ((of_few, few), (of_many, many)) = (steps(&few, filter), steps(&many, filter));
            assert_eq!((few, many), (found, found));
            assert!(of_many < of_few * 2 + 100_000, "{of_many} steps, {of_few} of few pages");
        }
    }
}
