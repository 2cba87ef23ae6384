//! What somebody did or came by, as a condition on visitors and companies.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::store::filter::{Did, Filter};

/// Topics with a part in a name, a title or a path, each asked for once.
const IN_NAME: &str = "instr(lower(name), ?) > 0";
pub(super) const IN_PAGE: &str =
    "(instr(lower(name), ?) > 0 OR instr(lower(title), ?) > 0 OR instr(lower(path), ?) > 0)";
const IN_PATH: &str = "instr(lower(path), ?) > 0";

/// A part of a text, as it is compared: `lower` of SQLite knows ASCII alone.
pub(super) fn part(text: &str) -> Value {
    text.to_ascii_lowercase().into()
}

/// What is found as often as this is looked for at each visitor, what is rarer by the index of what was done: the one takes as long
/// as there are visitors, the other as long as there are finds.
const COMMON: u32 = 20_000;

/// Whether at least so many rows of a table are found.
pub(super) fn are_there(
    connection: &Connection,
    (table, rows, values): (&str, &str, &[Value]),
    least: u32,
) -> rusqlite::Result<bool> {
    let sql = format!("SELECT count(*) >= {least} FROM (SELECT 1 FROM {table} WHERE {rows} LIMIT {least})");
    connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))
}

/// What somebody did or came by: rows of a table with the column `identity_id`.
pub(super) struct Done {
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
        let is_common = are_there(connection, (table, &rows, &values), COMMON)?;
        Ok(Self { table, rows, values, at_a_time: None, times: Vec::new(), is_common })
    }

    /// What is among some topics; with a time, at that time.
    pub(super) fn of_topics(
        connection: &Connection,
        topics: &str,
        values: Vec<Value>,
        time: &Time,
    ) -> rusqlite::Result<Self> {
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
    pub(super) fn by_visitor(&self) -> (String, Vec<Value>) {
        let (rows, values) = self.joined_rows();
        if self.is_common {
            let sql =
                format!("EXISTS (SELECT 1 FROM identity CROSS JOIN {rows} WHERE identity.visitor_id = visitor.id)");
            return (sql, values);
        }
        (format!("id IN ({})", Self::who(&rows)), values)
    }

    /// Whether one of its visitors did it, in a query over `company`.
    pub(super) fn by_company(&self) -> (String, Vec<Value>) {
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
pub(super) struct Time {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Time {
    pub(super) fn of(filter: &Filter) -> Self {
        let since = filter.since.map(|at| (" AND at >= ?", at));
        let before = filter.before.map(|at| (" AND at < ?", at));
        let (sql, values) = since.into_iter().chain(before).map(|(sql, at)| (sql, Value::from(at))).unzip();
        Self { sql, values }
    }

    pub(super) fn is_any(&self) -> bool {
        self.values.is_empty()
    }
}

/// Each thing that somebody did or came by.
pub(super) fn whatever_was_done(connection: &Connection, did: &Did, time: &Time) -> rusqlite::Result<Vec<Done>> {
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

#[cfg(test)]
mod tests {
    use super::super::in_memory::database;
    use super::*;

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
