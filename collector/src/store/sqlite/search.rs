//! The rows of the visitors, and of the companies, that a filter looks for.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::companies;
use crate::store::filter::{CompanyFilter, Did, Filter, TraitFilter};

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

/// The visitors who did something that is among some topics; with a time, at that time.
fn who_did(topics: &str, count: usize, text: &str, time: &Time) -> Ids {
    let mut values = vec![part(text); count];
    let mut sql = format!(
        "SELECT identity.visitor_id FROM done CROSS JOIN identity ON identity.id = done.identity_id
         WHERE done.topic_id IN (SELECT id FROM topic WHERE {topics})"
    );
    if !time.is_any() {
        sql += " AND EXISTS (SELECT 1 FROM entry WHERE identity_id = done.identity_id AND topic_id = done.topic_id";
        sql += &time.sql;
        sql += ")";
        values.extend(time.values.iter().cloned());
    }
    Ids { sql, values }
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

/// Of each thing that somebody did or came by, the visitors who did.
fn whoever_did(did: &Did, time: &Time) -> Vec<Ids> {
    let Did { event, page, path, source, rule } = did;
    let did = |text: &Option<String>, topics: &str, count| text.as_ref().map(|text| who_did(topics, count, text, time));
    let event = did(event, &format!("kind = 'event' AND {IN_NAME}"), 1);
    let page = did(page, &format!("kind = 'page_view' AND {IN_PAGE}"), 3);
    let path = did(path, IN_PATH, 1);
    let source = source.as_ref().map(|text| Ids {
        sql: "SELECT identity.visitor_id FROM came_from CROSS JOIN identity ON identity.id = came_from.identity_id
              WHERE source_id IN (SELECT id FROM source WHERE instr(lower(referrer), ?) > 0 OR instr(lower(source), ?) > 0
                                  OR instr(lower(medium), ?) > 0 OR instr(lower(campaign), ?) > 0)"
            .to_owned(),
        values: vec![part(text); 4],
    });
    let rule = rule.as_ref().map(|name| Ids {
        sql: "SELECT identity.visitor_id FROM intent CROSS JOIN identity ON identity.id = intent.identity_id
              WHERE rule_id = (SELECT id FROM intent_rule WHERE name = ?)"
            .to_owned(),
        values: vec![name.clone().into()],
    });
    [event, page, path, source, rule].into_iter().flatten().collect()
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

    fn of(filter: &Filter) -> Self {
        let mut all = Self::default();
        if let Some(text) = &filter.text {
            let did = who_did(IN_PAGE, 3, text, &Time::default());
            all.add(
                format!(
                    "id IN (SELECT visitor_id FROM identity WHERE instr(lower(value), ?) > 0
                            UNION SELECT identity.visitor_id FROM trait CROSS JOIN identity ON identity.id = trait.identity_id
                                  WHERE instr(lower(trait.value), ?) > 0 AND {LATEST_TRAIT}
                            UNION {})",
                    did.sql
                ),
                [part(text), part(text)].into_iter().chain(did.values),
            );
        }
        if let Some(user_id) = &filter.user_id {
            let sql = "id IN (SELECT visitor_id FROM identity WHERE kind = 'user' AND instr(lower(value), ?) > 0)";
            all.add(sql, [part(user_id)]);
        }
        if let Some(company) = &filter.company {
            let Ids { sql, values } = companies_called(company);
            let row = companies::row_of(company);
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
        all.add_entry(filter);
        all
    }

    fn add_entry(&mut self, filter: &Filter) {
        if let Some(since) = filter.since {
            self.add("last_seen >= ?", [since.into()]);
        }
        if let Some(before) = filter.before {
            self.add("first_seen < ?", [before.into()]);
        }
        let time = Time::of(filter);
        for Ids { sql, values } in whoever_did(&filter.did, &time) {
            self.add(format!("id IN ({sql})"), values);
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
    }
}

/// The companies that a filter looks for, whether they are kept out of the ranking or not; nothing where it asks for none.
pub(super) fn find_companies(
    connection: &Connection,
    filter: &CompanyFilter,
) -> rusqlite::Result<Option<HashSet<i64>>> {
    let mut all = Conditions::default();
    if let Some(text) = &filter.text {
        let (called, did) = (companies_called(text), who_did(IN_PAGE, 3, text, &Time::default()));
        all.add(
            format!(
                "id IN ({} UNION SELECT company_id FROM visitor
                        WHERE id IN (SELECT visitor_id FROM identity WHERE instr(lower(value), ?) > 0 UNION {}))",
                called.sql, did.sql
            ),
            called.values.into_iter().chain([part(text)]).chain(did.values),
        );
    }
    for Ids { sql, values } in whoever_did(&filter.did, &Time::default()) {
        all.add(format!("id IN (SELECT company_id FROM visitor WHERE id IN ({sql}))"), values);
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

/// The visitors that are looked for, the one seen last first, and how many there are in all.
pub(super) fn find(
    connection: &Connection,
    filter: &Filter,
    offset: u32,
    limit: u32,
) -> rusqlite::Result<(Vec<i64>, i64)> {
    let Conditions { sql, values } = Conditions::of(filter);
    let ordered = "ORDER BY last_seen DESC, id DESC";
    if sql.is_empty() {
        let mut count = connection.prepare_cached("SELECT count(*) FROM visitor")?;
        let page = format!("SELECT id FROM visitor {ordered} LIMIT ?1 OFFSET ?2");
        let mut select = connection.prepare_cached(&page)?;
        let ids = select.query_map([limit, offset], |row| row.get(0))?;
        return Ok((ids.collect::<rusqlite::Result<_>>()?, count.query_row([], |row| row.get(0))?));
    }
    // Once through all that are found: to look for them costs far more than to count them.
    let mut select =
        connection.prepare_cached(&format!("SELECT id FROM visitor WHERE {} {ordered}", sql.join(" AND ")))?;
    let mut rows = select.query(params_from_iter(&values))?;
    let (offset, limit) = (i64::from(offset), i64::from(limit));
    let (mut ids, mut total) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if (offset..offset + limit).contains(&total) {
            ids.push(row.get(0)?);
        }
        total += 1;
    }
    Ok((ids, total))
}

/// The visitors that are looked for behind the row `after`, in the order of their rows.
pub(super) fn find_behind(
    connection: &Connection,
    filter: &Filter,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<i64>> {
    let mut all = Conditions::of(filter);
    all.add("id > ?", [after.into()]);
    let sql = all.sql.join(" AND ");
    let mut select =
        connection.prepare_cached(&format!("SELECT id FROM visitor WHERE {sql} ORDER BY id LIMIT {limit}"))?;
    select.query_map(params_from_iter(&all.values), |row| row.get(0))?.collect()
}
