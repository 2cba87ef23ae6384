//! The rows of the visitors that a filter looks for.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::store::filter::{Filter, TraitFilter};

/// Whether of a trait, in a query over `identity` and `trait`, nothing was said later under another id of the visitor.
const LATEST_TRAIT: &str = "NOT EXISTS (
    SELECT 1 FROM identity AS other CROSS JOIN trait AS later ON later.identity_id = other.id AND later.name = trait.name
    WHERE other.visitor_id = identity.visitor_id AND later.at > trait.at)";

/// Conditions on a visitor with the values that they ask for.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }

    fn of(filter: &Filter) -> Self {
        let mut all = Self::default();
        if let Some(text) = &filter.text {
            let part = Value::from(text.to_lowercase());
            all.add(
                format!(
                    "id IN (SELECT visitor_id FROM identity WHERE instr(lower(value), ?) > 0
                            UNION SELECT identity.visitor_id FROM trait CROSS JOIN identity ON identity.id = trait.identity_id
                                  WHERE instr(lower(trait.value), ?) > 0 AND {LATEST_TRAIT}
                            UNION SELECT visitor_id FROM identity
                                  WHERE id IN (SELECT identity_id FROM entry WHERE name = ? COLLATE NOCASE))"
                ),
                [part.clone(), part, text.clone().into()],
            );
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
                    [name.clone().into(), value.to_lowercase().into()],
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
        let time =
            filter.since.map(|at| (" AND at >= ?", at)).into_iter().chain(filter.before.map(|at| (" AND at < ?", at)));
        let (times, at): (String, Vec<Value>) = time.map(|(sql, at)| (sql, Value::from(at))).unzip();
        match &filter.did.event {
            Some(event) if at.is_empty() => {
                self.add(
                    "id IN (SELECT visitor_id FROM identity
                            WHERE id IN (SELECT identity_id FROM entry WHERE name = ? COLLATE NOCASE))",
                    [event.clone().into()],
                );
            }
            Some(event) => self.add(
                format!(
                    "EXISTS (SELECT 1 FROM identity CROSS JOIN entry ON entry.identity_id = identity.id
                             WHERE entry.name = ? COLLATE NOCASE AND identity.visitor_id = visitor.id{times})"
                ),
                std::iter::once(event.clone().into()).chain(at),
            ),
            None if at.is_empty() => {}
            None => self.add(
                format!(
                    "EXISTS (SELECT 1 FROM identity CROSS JOIN entry ON entry.identity_id = identity.id
                             WHERE identity.visitor_id = visitor.id{times})"
                ),
                at,
            ),
        }
    }
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
