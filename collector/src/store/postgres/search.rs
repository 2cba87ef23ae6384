//! The rows of the visitors, and of the companies, that a filter looks for. Their statements are put together of these parts alone;
//! what is looked for travels beside them.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::PostgresError;
use super::ids;
use super::transaction::Transaction;
use super::{keys, points};
use crate::store::filter::{CompanyFilter, Did, Filter, TraitFilter};
use crate::store::visitor_points::Rows;

/// More ids than these are counted by the database and not read.
const MOST_READ: u32 = 10_000;

/// Whether of a trait, in a query over `identity` and `trait`, nothing was said later under another id of the visitor.
/// Id by id and name by name: a planner that knows nothing of the rows yet would look through all traits for each.
const LATEST_TRAIT: &str = "NOT EXISTS (
    SELECT 1 FROM (SELECT id FROM identity AS one WHERE one.visitor_id = identity.visitor_id OFFSET 0) AS other
        CROSS JOIN LATERAL (SELECT at FROM trait AS said WHERE said.identity_id = other.id AND said.name_key = trait.name_key OFFSET 0) AS later
    WHERE later.at > trait.at)";

/// Conditions with the values that they ask for.
#[derive(Default)]
pub struct Conditions {
    sql: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

/// A part of a text, as it is compared: `lower` at collation C knows ASCII alone.
fn part(text: &str) -> String {
    keys::text(text).to_ascii_lowercase()
}

fn in_name(part: &str) -> String {
    format!("position({part}::text IN lower(name)) > 0")
}

fn in_path(part: &str) -> String {
    format!("position({part}::text IN lower(path)) > 0")
}

fn in_page(part: &str) -> String {
    format!("({} OR position({part}::text IN lower(title)) > 0 OR {})", in_name(part), in_path(part))
}

/// The visitors who did something that is among some topics; with a time, at that time.
fn who_did(topics: &str, time: &str) -> String {
    let at_that_time = if time.is_empty() {
        String::new()
    } else {
        format!(
            " AND EXISTS (SELECT 1 FROM entry WHERE entry.identity_id = done.identity_id AND entry.topic_id = done.topic_id{time})"
        )
    };
    format!(
        "SELECT identity.visitor_id FROM done JOIN identity ON identity.id = done.identity_id
         WHERE done.topic_id IN (SELECT id FROM topic WHERE {topics}){at_that_time}"
    )
}

/// Companies with a part in their domain, a group's id or a name.
fn companies_called(part: &str) -> String {
    format!(
        "SELECT company_id FROM company_key WHERE position({part}::text IN lower(substr(key, position(':' IN key) + 1))) > 0
         UNION SELECT id FROM company WHERE position({part}::text IN lower(name)) > 0"
    )
}

impl Conditions {
    /// The place of a value in the statement.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// What a filter of visitors asks for.
    #[must_use]
    pub fn of(filter: &Filter) -> Self {
        let mut all = Self::default();
        if let Some(text) = &filter.text {
            let part = all.value(part(text));
            let did = who_did(&in_page(&part), "");
            all.sql.push(format!(
                "visitor.id IN (SELECT visitor_id FROM identity WHERE position({part}::text IN lower(value)) > 0
                     UNION SELECT identity.visitor_id FROM trait JOIN identity ON identity.id = trait.identity_id
                           WHERE position({part}::text IN lower(trait.value)) > 0 AND {LATEST_TRAIT}
                     UNION {did})"
            ));
        }
        if let Some(user_id) = &filter.user_id {
            let part = all.value(part(user_id));
            all.sql.push(format!(
                "visitor.id IN (SELECT visitor_id FROM identity WHERE kind = 'user' AND position({part}::text IN lower(value)) > 0)"
            ));
        }
        if let Some(company) = &filter.company {
            let (part, row) = (all.value(part(company)), all.value(ids::company_row(company)));
            let called = companies_called(&part);
            all.sql.push(format!(
                "visitor.company_key IN (SELECT key FROM company_key WHERE company_id IN
                     (SELECT company_id FROM company_key WHERE id = {row}::bigint UNION {called}))"
            ));
        }
        if let Some(at) = filter.first_seen_since {
            let at = all.value(at);
            all.sql.push(format!("visitor.first_seen >= {at}::bigint"));
        }
        if let Some(known) = filter.known {
            let not = if known { "" } else { "NOT " };
            all.sql.push(format!(
                "{not}EXISTS (SELECT 1 FROM identity WHERE identity.visitor_id = visitor.id AND identity.kind <> 'device')"
            ));
        }
        if let Some(of_trait) = &filter.of_trait {
            all.add_trait(of_trait);
        }
        all.add_entry(filter);
        all
    }

    /// Of these the ones that are found by their points as well.
    #[must_use]
    pub fn among(mut self, rows: Option<Rows>) -> Self {
        let (not, rows) = match rows {
            None => return self,
            Some(Rows::These(rows)) => ("", rows),
            Some(Rows::AllBut(rows)) => ("NOT ", rows),
        };
        let rows = self.value(rows);
        // A planner hashes an EXISTS however many there are, and not a NOT IN of more than its memory holds.
        self.sql.push(format!(
            "{not}EXISTS (SELECT 1 FROM unnest({rows}::bigint[]) AS found (id) WHERE found.id = visitor.id)"
        ));
        self
    }

    fn add_trait(&mut self, TraitFilter { name, value }: &TraitFilter) {
        let name = self.value(part(name));
        let of_value = match value {
            None => "trait.value <> 'null'".to_owned(),
            Some(value) => {
                // A text stands with its quotes, and all others as JSON writes them.
                let value = part(value);
                let quoted = self.value(serde_json::Value::from(value.as_str()).to_string());
                let plain = self.value(value);
                format!(
                    "(lower(trait.value) = {quoted}::text OR (lower(trait.value) = {plain}::text AND trait.value NOT LIKE '\"%'))"
                )
            }
        };
        // Looked for once among all traits, whatever a planner knows of them: it never knows how many have one.
        self.sql.push(format!(
            "visitor.id = ANY(ARRAY(SELECT identity.visitor_id FROM trait JOIN identity ON identity.id = trait.identity_id
                                    WHERE lower(trait.name) = {name}::text AND {of_value} AND {LATEST_TRAIT}))"
        ));
    }

    fn add_entry(&mut self, filter: &Filter) {
        let mut time = String::new();
        if let Some(since) = filter.since {
            let since = self.value(since);
            self.sql.push(format!("visitor.last_seen >= {since}::bigint"));
            time += " AND entry.at >= ";
            time += &since;
        }
        if let Some(before) = filter.before {
            let before = self.value(before);
            self.sql.push(format!("visitor.first_seen < {before}::bigint"));
            time += " AND entry.at < ";
            time += &before;
        }
        for who in self.whoever_did(&filter.did, &time) {
            self.sql.push(format!("visitor.id IN ({who})"));
        }
        let Did { event, page, path, .. } = &filter.did;
        if !time.is_empty() && event.is_none() && page.is_none() && path.is_none() {
            self.sql.push(format!(
                "EXISTS (SELECT 1 FROM identity JOIN entry ON entry.identity_id = identity.id
                         WHERE identity.visitor_id = visitor.id{time})"
            ));
        }
    }

    /// Of each thing that somebody did or came by, the visitors who did.
    fn whoever_did(&mut self, Did { event, page, path, source, rule }: &Did, time: &str) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(event) = event {
            let part = self.value(part(event));
            all.push(who_did(&format!("kind = 'event' AND {}", in_name(&part)), time));
        }
        if let Some(page) = page {
            let part = self.value(part(page));
            all.push(who_did(&format!("kind = 'page_view' AND {}", in_page(&part)), time));
        }
        if let Some(path) = path {
            let part = self.value(part(path));
            all.push(who_did(&in_path(&part), time));
        }
        if let Some(source) = source {
            let part = self.value(part(source));
            let columns = ["referrer", "source", "medium", "campaign"];
            let parts = columns.map(|column| format!("position({part}::text IN lower({column})) > 0"));
            all.push(format!(
                "SELECT identity.visitor_id FROM came_from JOIN identity ON identity.id = came_from.identity_id
                 WHERE came_from.source_id IN (SELECT id FROM source WHERE {})",
                parts.join(" OR ")
            ));
        }
        if let Some(rule) = rule {
            let name = self.value(keys::text(rule).into_owned());
            all.push(format!(
                "SELECT identity.visitor_id FROM intent JOIN identity ON identity.id = intent.identity_id
                 WHERE intent.rule_id IN (SELECT id FROM intent_rule WHERE name = {name}::text)"
            ));
        }
        all
    }

    /// What a filter of companies asks for.
    #[must_use]
    pub fn of_companies(filter: &CompanyFilter) -> Self {
        let mut all = Self::default();
        let not = if filter.excluded { "" } else { "NOT " };
        all.sql.push(format!("company.is_shown AND {not}company.excluded"));
        let of_visitors = |visitors: &str| {
            format!(
                "SELECT company_key.company_id FROM visitor JOIN company_key ON company_key.key = visitor.company_key
                 WHERE visitor.id IN ({visitors})"
            )
        };
        if let Some(text) = &filter.text {
            let part = all.value(part(text));
            let named = format!("SELECT visitor_id FROM identity WHERE position({part}::text IN lower(value)) > 0");
            let visitors = of_visitors(&format!("{named} UNION {}", who_did(&in_page(&part), "")));
            all.sql.push(format!("company.id IN ({} UNION {visitors})", companies_called(&part)));
        }
        for who in all.whoever_did(&filter.did, "") {
            all.sql.push(format!("company.id IN ({})", of_visitors(&who)));
        }
        if let Some(strength) = filter.strength {
            let strength = all.value(points::in_words(strength));
            all.sql.push(format!("company.strength = {strength}::text"));
        }
        if let Some(trend) = filter.trend {
            let trend = all.value(points::in_words(trend));
            all.sql.push(format!("company.trend = {trend}::text"));
        }
        if let Some(at) = filter.first_seen_since {
            let at = all.value(at);
            all.sql.push(format!("company.first_seen >= {at}::bigint"));
        }
        all
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

    /// A page of visitors, and how many there are; of more than `most_counted` one more.
    pub(super) async fn found(
        &self,
        transaction: &Transaction,
        (offset, limit): (u32, u32),
        most_counted: u32,
    ) -> Result<(Vec<i64>, u64), PostgresError> {
        let most = most_counted.max(offset.saturating_add(limit));
        if most >= MOST_READ {
            let ids = self.numbers(transaction, &self.page(offset, limit)).await?;
            let total = self.numbers(transaction, &self.count()).await?;
            return Ok((ids, total.first().and_then(|total| u64::try_from(*total).ok()).unwrap_or_default()));
        }
        // What is counted is read: to look for it a second time takes as long as the first.
        let all = self.numbers(transaction, &self.page(0, most + 1)).await?;
        let total = all.len() as u64;
        Ok((all.into_iter().skip(offset as usize).take(limit as usize).collect(), total))
    }

    /// At most so many behind a row, in the order of their rows.
    #[must_use]
    pub fn behind(&self, after: i64, limit: u32) -> String {
        format!("SELECT id FROM visitor WHERE {} AND visitor.id > {after} ORDER BY id LIMIT {limit}", self.filter())
    }

    /// The page of companies, the one with the most points first, each with how many there are in all.
    #[must_use]
    pub fn page_of_companies(&self, offset: u32, limit: u32) -> String {
        format!(
            "SELECT id, key, domain, name, group_ids, traits, points, visitors, events, first_seen, last_seen, excluded, points_week_ago, is_guess,
                    count(*) OVER ()
             FROM company WHERE {} ORDER BY points DESC, last_seen DESC NULLS LAST, key LIMIT {limit} OFFSET {offset}",
            self.filter()
        )
    }

    /// How many companies there are.
    #[must_use]
    pub fn count_of_companies(&self) -> String {
        format!("SELECT count(*) FROM company WHERE {}", self.filter())
    }

    pub(super) async fn query(&self, transaction: &Transaction, sql: &str) -> Result<Vec<Row>, PostgresError> {
        let values: Vec<&(dyn ToSql + Sync)> =
            self.values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
        transaction.query_once(sql, &values).await
    }

    /// The same of a statement that gives numbers.
    pub(super) async fn numbers(&self, transaction: &Transaction, sql: &str) -> Result<Vec<i64>, PostgresError> {
        self.query(transaction, sql).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}
