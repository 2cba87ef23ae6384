//! The rows of the visitors that a filter looks for.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::PostgresError;
use super::keys;
use super::transaction::Transaction;
use crate::store::filter::{Filter, TraitFilter};

/// Whether of a trait, in a query over `identity` and `trait`, nothing was said later under another id of the visitor.
const LATEST_TRAIT: &str = "NOT EXISTS (
    SELECT 1 FROM identity AS other JOIN trait AS later ON later.identity_id = other.id AND later.name_key = trait.name_key
    WHERE other.visitor_id = identity.visitor_id AND later.at > trait.at)";

/// Conditions on a visitor with the values that they ask for.
#[derive(Default)]
pub struct Conditions {
    sql: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    /// The place of a value in the statement.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// What a filter asks for.
    #[must_use]
    pub fn of(filter: &Filter) -> Self {
        let mut all = Self::default();
        if let Some(text) = &filter.text {
            all.add_text(text);
        }
        if let Some(known) = filter.known {
            let not = if known { "" } else { "NOT " };
            all.sql.push(format!(
                "{not}EXISTS (SELECT 1 FROM identity WHERE visitor_id = visitor.id AND kind <> 'device')"
            ));
        }
        if let Some(of_trait) = &filter.of_trait {
            all.add_trait(of_trait);
        }
        all.add_entry(filter);
        all
    }

    fn add_text(&mut self, text: &str) {
        let (part, name) = (self.value(text_of(text).to_lowercase()), self.value(keys::name_key(text)));
        self.sql.push(format!(
            "id IN (SELECT visitor_id FROM identity WHERE position({part}::text IN lower(value)) > 0
                    UNION SELECT identity.visitor_id FROM trait JOIN identity ON identity.id = trait.identity_id
                          WHERE position({part}::text IN lower(trait.value)) > 0 AND {LATEST_TRAIT}
                    UNION SELECT visitor_id FROM identity
                          WHERE id IN (SELECT identity_id FROM entry WHERE name_key = {name}::text))"
        ));
    }

    fn add_trait(&mut self, TraitFilter { name, value }: &TraitFilter) {
        let name = self.value(text_of(name).to_lowercase());
        let exists = format!(
            "EXISTS (SELECT 1 FROM identity JOIN trait ON trait.identity_id = identity.id
                     WHERE identity.visitor_id = visitor.id AND lower(trait.name) = {name}::text AND {LATEST_TRAIT}"
        );
        match value {
            None => self.sql.push(format!("{exists} AND trait.value <> 'null')")),
            Some(value) => {
                // A text stands with its quotes, and all others as JSON writes them.
                let value = text_of(value).to_lowercase();
                let quoted = self.value(serde_json::Value::from(value.as_str()).to_string());
                let plain = self.value(value);
                self.sql.push(format!(
                    "{exists} AND lower(trait.value) IN ({quoted}::text, {plain}::text)
                         AND (lower(trait.value) = {quoted}::text OR trait.value NOT LIKE '\"%'))"
                ));
            }
        }
    }

    fn add_entry(&mut self, filter: &Filter) {
        let mut times = String::new();
        if let Some(since) = filter.since {
            let since = self.value(since);
            self.sql.push(format!("last_seen >= {since}::bigint"));
            times += " AND entry.at >= ";
            times += &since;
        }
        if let Some(before) = filter.before {
            let before = self.value(before);
            self.sql.push(format!("first_seen < {before}::bigint"));
            times += " AND entry.at < ";
            times += &before;
        }
        let mut name = String::new();
        if let Some(event) = &filter.did.event {
            name = format!(" AND entry.name_key = {}::text", self.value(keys::name_key(event)));
        }
        match (&filter.did.event, times.is_empty()) {
            (Some(_), true) => self.sql.push(format!(
                "id IN (SELECT identity.visitor_id FROM entry JOIN identity ON identity.id = entry.identity_id WHERE TRUE{name})"
            )),
            (None, true) => {}
            (_, false) => self.sql.push(format!(
                "EXISTS (SELECT 1 FROM identity JOIN entry ON entry.identity_id = identity.id
                         WHERE identity.visitor_id = visitor.id{name}{times})"
            )),
        }
    }

    fn filter(&self) -> String {
        if self.sql.is_empty() { "TRUE".to_owned() } else { self.sql.join(" AND ") }
    }

    /// The page of visitors, the one seen last first.
    #[must_use]
    pub fn page(&self, offset: u32, limit: u32) -> String {
        let filter = self.filter();
        format!("SELECT id FROM visitor WHERE {filter} ORDER BY last_seen DESC, id DESC LIMIT {limit} OFFSET {offset}")
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> String {
        format!("SELECT count(*) FROM visitor WHERE {}", self.filter())
    }

    /// At most so many behind a row, in the order of their rows.
    #[must_use]
    pub fn behind(&self, after: i64, limit: u32) -> String {
        format!("SELECT id FROM visitor WHERE {} AND id > {after} ORDER BY id LIMIT {limit}", self.filter())
    }

    pub(super) async fn query(&self, transaction: &Transaction, sql: &str) -> Result<Vec<i64>, PostgresError> {
        let values: Vec<&(dyn ToSql + Sync)> =
            self.values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
        let rows: Vec<Row> = transaction.query_once(sql, &values).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

fn text_of(text: &str) -> String {
    keys::text(text).into_owned()
}
