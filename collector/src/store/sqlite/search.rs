//! The rows of the visitors, and of the companies, that a filter looks for.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::ids;
use crate::store::filter::{CompanyFilter, Did, Filter, TraitFilter};
use crate::store::visitor_points::VisitorPoints;

/// Whether of a trait, in a query over `identity` and `trait`, nothing was said later under another id of the visitor.
const LATEST_TRAIT: &str = "NOT EXISTS (
    SELECT 1 FROM identity AS other CROSS JOIN trait AS later ON later.identity_id = other.id AND later.name = trait.name
    WHERE other.visitor_id = identity.visitor_id AND later.at > trait.at)";
/// Topics with a part in a name, a title or a path, each asked for once.
const IN_NAME: &str = "instr(lower(name), ?) > 0";
const IN_PAGE: &str = "(instr(lower(name), ?) > 0 OR instr(lower(title), ?) > 0 OR instr(lower(path), ?) > 0)";
const IN_PATH: &str = "instr(lower(path), ?) > 0";

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

/// A part of a text, as it is compared: `lower` of SQLite knows ASCII alone.
fn part(text: &str) -> Value {
    text.to_ascii_lowercase().into()
}

/// What is found as often as this is looked for at each visitor, what is rarer by the index of what was done: the one takes as long
/// as there are visitors, the other as long as there are finds.
const COMMON: u32 = 20_000;

/// What somebody did or came by: rows of a table with the column `identity_id`.
struct Done {
    table: &'static str,
    /// The condition on its rows.
    rows: String,
    values: Vec<Value>,
    /// Where a time is asked for, the same in a query over `entry`.
    at_a_time: Option<String>,
    times: Vec<Value>,
    is_common: bool,
}

impl Done {
    fn new(connection: &Connection, table: &'static str, rows: String, values: Vec<Value>) -> rusqlite::Result<Self> {
        let sql = format!("SELECT count(*) >= {COMMON} FROM (SELECT 1 FROM {table} WHERE {rows} LIMIT {COMMON})");
        let is_common = connection.prepare_cached(&sql)?.query_row(params_from_iter(&values), |row| row.get(0))?;
        Ok(Self { table, rows, values, at_a_time: None, times: Vec::new(), is_common })
    }

    /// What is among some topics; with a time, at that time.
    fn of_topics(connection: &Connection, topics: &str, values: Vec<Value>, time: &Time) -> rusqlite::Result<Self> {
        let rows = format!("topic_id IN (SELECT id FROM topic WHERE {topics})");
        let done = Self::new(connection, "done", rows, values)?;
        Ok(if time.is_any() {
            done
        } else {
            Self { at_a_time: Some(time.sql.clone()), times: time.values.clone(), ..done }
        })
    }

    /// A query for rows that lead to their id: what is looked for at an id, or what leads to one.
    fn joined_rows(&self) -> (String, Vec<Value>) {
        let Self { table, rows, values, at_a_time, times, is_common } = self;
        let all = values.iter().chain(times).cloned().collect();
        // An id has few rows: without the plus, which takes the column from the index, each of the topics is looked for at each id,
        // and there may be thousands.
        let at_each = if *is_common && *table != "intent" { "+" } else { "" };
        match at_a_time {
            None => (format!("{table} ON {table}.identity_id = identity.id AND {at_each}{rows}"), values.clone()),
            Some(time) if *is_common => {
                (format!("entry ON entry.identity_id = identity.id{time} AND {at_each}{rows}"), {
                    times.iter().chain(values).cloned().collect()
                })
            }
            Some(time) => {
                let at_that_time =
                    "EXISTS (SELECT 1 FROM entry WHERE identity_id = done.identity_id AND topic_id = done.topic_id";
                (format!("{table} ON {table}.identity_id = identity.id AND {rows} AND {at_that_time}{time})"), all)
            }
        }
    }

    /// Whether a visitor did it, in a query over `visitor`.
    fn by_visitor(&self) -> (String, Vec<Value>) {
        let (rows, values) = self.joined_rows();
        if self.is_common {
            let sql =
                format!("EXISTS (SELECT 1 FROM identity CROSS JOIN {rows} WHERE identity.visitor_id = visitor.id)");
            return (sql, values);
        }
        (format!("id IN ({})", Self::who(&rows)), values)
    }

    /// Whether one of its visitors did it, in a query over `company`.
    fn by_company(&self) -> (String, Vec<Value>) {
        let (rows, values) = self.joined_rows();
        if self.is_common {
            let sql = format!(
                "EXISTS (SELECT 1 FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id CROSS JOIN {rows}
                         WHERE visitor.company_id = company.id)"
            );
            return (sql, values);
        }
        (format!("id IN (SELECT company_id FROM visitor WHERE id IN ({}))", Self::who(&rows)), values)
    }

    /// The visitors who did it, found by the rows.
    fn who(rows: &str) -> String {
        let (table, condition) = rows.split_once(" ON ").unwrap_or((rows, "TRUE"));
        format!("SELECT identity.visitor_id FROM {table} CROSS JOIN identity ON {condition}")
    }
}

/// A time in which entries are looked for.
#[derive(Default)]
struct Time {
    sql: String,
    values: Vec<Value>,
}

impl Time {
    fn of(filter: &Filter) -> Self {
        let since = filter.since.map(|at| (" AND at >= ?", at));
        let before = filter.before.map(|at| (" AND at < ?", at));
        let (sql, values) = since.into_iter().chain(before).map(|(sql, at)| (sql, Value::from(at))).unzip();
        Self { sql, values }
    }

    fn is_any(&self) -> bool {
        self.values.is_empty()
    }
}

/// Each thing that somebody did or came by.
fn whatever_was_done(connection: &Connection, did: &Did, time: &Time) -> rusqlite::Result<Vec<Done>> {
    let Did { event, page, path, source, rule } = did;
    let mut all = Vec::new();
    for (text, topics, count) in [
        (event, format!("kind = 'event' AND {IN_NAME}"), 1),
        (page, format!("kind = 'page_view' AND {IN_PAGE}"), 3),
        (path, IN_PATH.to_owned(), 1),
    ] {
        if let Some(text) = text {
            all.push(Done::of_topics(connection, &topics, vec![part(text); count], time)?);
        }
    }
    if let Some(text) = source {
        let rows =
            "source_id IN (SELECT id FROM source WHERE instr(lower(referrer), ?) > 0 OR instr(lower(source), ?) > 0
                                  OR instr(lower(medium), ?) > 0 OR instr(lower(campaign), ?) > 0)";
        all.push(Done::new(connection, "came_from", rows.to_owned(), vec![part(text); 4])?);
    }
    if let Some(name) = rule {
        let rows = "rule_id = (SELECT id FROM intent_rule WHERE name = ?)";
        all.push(Done::new(connection, "intent", rows.to_owned(), vec![name.clone().into()])?);
    }
    Ok(all)
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
            let exists = format!(
                "EXISTS (SELECT 1 FROM identity CROSS JOIN trait ON trait.identity_id = identity.id
                         WHERE identity.visitor_id = visitor.id AND trait.name = ? COLLATE NOCASE AND {LATEST_TRAIT}"
            );
            match value {
                None => all.add(format!("{exists} AND trait.value <> 'null')"), [name.clone().into()]),
                Some(value) => all.add(
                    // The value of a text without its quotes, and all others as JSON writes them.
                    format!(
                        "{exists} AND lower(CASE json_type(trait.value) WHEN 'text' THEN trait.value ->> '$' ELSE trait.value END) = ?)"
                    ),
                    [name.clone().into(), part(value)],
                ),
            }
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

/// The visitors that are looked for, the one seen last first, and how many there are in all; where the filter asks for points, by
/// these.
pub(super) fn find(
    connection: &Connection,
    (filter, points): (&Filter, Option<&VisitorPoints>),
    offset: u32,
    limit: u32,
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
    while let Some(row) = rows.next()? {
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
    // What points leave out is passed over here.
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

    use super::*;

    fn database(rows: &str) -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        for sql in [
            include_str!("migrations/1.sql"),
            include_str!("migrations/2.sql"),
            include_str!("migrations/3.sql"),
            include_str!("migrations/4.sql"),
            include_str!("migrations/5.sql"),
            include_str!("migrations/6.sql"),
            include_str!("migrations/7.sql"),
            include_str!("migrations/8.sql"),
            rows,
        ] {
            connection.execute_batch(sql).expect("SQL");
        }
        connection
    }

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

    #[test]
    fn what_is_common_and_what_is_rare_is_found_alike() {
        let connection = database(
            "INSERT INTO company (id, key) VALUES (1, 'a'), (2, 'b');
             INSERT INTO visitor (id, first_seen, last_seen, company_id) VALUES (1, 0, 9, 1), (2, 0, 9, 2), (3, 0, 9, NULL);
             INSERT INTO identity (id, kind, value, visitor_id) VALUES
                 (1, 'user', 'u1', 1), (2, 'user', 'u2', 2), (3, 'user', 'u3', 3), (4, 'device', 'd1', 1);
             INSERT INTO topic (id, kind, name, path, title) VALUES (1, 'event', 'A', '/x', ''), (2, 'event', 'B', '/y', '');
             INSERT INTO entry (identity_id, kind, name, at, json, topic_id) VALUES
                 (4, 'event', 'A', 3, '{}', 1), (1, 'event', 'B', 5, '{}', 2), (2, 'event', 'A', 7, '{}', 1), (3, 'event', 'B', 5, '{}', 2);
             INSERT INTO done SELECT topic_id, identity_id, count(*), max(at) FROM entry GROUP BY 1, 2;",
        );
        let find = |(condition, values): (String, Vec<Value>), of: &str| {
            let mut select =
                connection.prepare(&format!("SELECT id FROM {of} WHERE {condition} ORDER BY id")).expect("SQL");
            let ids = select.query_map(params_from_iter(&values), |row| row.get(0)).expect("rows");
            ids.collect::<rusqlite::Result<Vec<i64>>>().expect("ids")
        };
        let some_time = Time { sql: " AND at >= ? AND at < ?".to_owned(), values: vec![4.into(), 8.into()] };
        for (time, visitors, companies) in [(Time::default(), &[1, 2][..], &[1, 2][..]), (some_time, &[2], &[2])] {
            for is_common in [false, true] {
                let done = Done::of_topics(&connection, IN_NAME, vec![part("a")], &time).expect("topics");
                let done = Done { is_common, ..done };
                assert_eq!(find(done.by_visitor(), "visitor"), visitors, "{is_common}");
                assert_eq!(find(done.by_company(), "company"), companies, "{is_common}");
            }
        }
    }
}
