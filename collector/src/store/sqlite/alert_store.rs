//! The port of alerts over the file.

use async_trait::async_trait;
use koala_destination::clock;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::ids;
use super::store::SqliteStore;
use super::{alert_messages as messages, alerts};
use crate::about::About;
use crate::store::StoreError;
use crate::store::alerts::{
    AlertStore, Changed, Claimed, Evaluated, MessageClaim, Rest, Settled, Standing, StoredMessage, Turn, Unsettled,
};
use crate::store::company::{Activity, CompanyId};
use crate::store::visitor::VisitorId;

#[async_trait]
impl AlertStore for SqliteStore {
    async fn changed(&self, limit: u32, unsettled: Unsettled<'_>) -> Result<Vec<Changed>, StoreError> {
        let (rules, noted) = (self.rules.now(), (unsettled.since, unsettled.before));
        let of_rules = Value::from(unsettled.rules).to_string();
        let changed = move |connection: &Connection| alerts::changed(connection, &rules, limit, noted, &of_rules);
        Ok(self.file.read(changed).await?)
    }

    async fn is_any_unsettled(&self, unsettled: Unsettled<'_>) -> Result<bool, StoreError> {
        let (noted, of_rules) = ((unsettled.since, unsettled.before), Value::from(unsettled.rules).to_string());
        Ok(self.file.read(move |connection| alerts::is_any_unsettled(connection, noted, &of_rules)).await?)
    }

    async fn standing(&self, company: &CompanyId) -> Result<Standing, StoreError> {
        let company = company.clone();
        Ok(self.file.read(move |connection| alerts::standing(connection, &company)).await?)
    }

    async fn recent(&self, company: &CompanyId, since: i64, limit: u32) -> Result<Vec<Activity>, StoreError> {
        let company = company.clone();
        Ok(self.file.read(move |connection| recent(connection, &company, since, limit)).await?)
    }

    async fn turn(&self) -> Result<Option<Turn>, StoreError> {
        Ok(self.file.read(alerts::turn).await?)
    }

    async fn is_counted(&self) -> Result<bool, StoreError> {
        // Points are counted when they are read.
        Ok(true)
    }

    async fn is_told(&self, alert: &str, occasion: &str) -> Result<bool, StoreError> {
        let (alert, occasion) = (alert.to_owned(), occasion.to_owned());
        Ok(self.file.read(move |connection| messages::is_told(connection, &alert, &occasion)).await?)
    }

    async fn tell(&self, evaluated: Evaluated) -> Result<bool, StoreError> {
        if evaluated == Evaluated::default() {
            return Ok(true);
        }
        Ok(self.file.write(move |connection| alerts::tell(connection, &evaluated)).await?)
    }

    async fn due_targets(&self, now: i64) -> Result<Vec<String>, StoreError> {
        Ok(self.file.read(move |connection| messages::due_targets(connection, now)).await?)
    }

    async fn claim(&self, claim: MessageClaim<'_>) -> Result<Vec<Claimed>, StoreError> {
        let MessageClaim { target, most, now, until, once, turn_until } = claim;
        let target = target.to_owned();
        let claim = move |connection: &Connection| {
            messages::claim(connection, MessageClaim { target: &target, most, now, until, once, turn_until })
        };
        Ok(self.file.write(claim).await?)
    }

    async fn recover(&self, now: i64) -> Result<u64, StoreError> {
        // Nearly always there is nothing, and writing wakes the pages.
        if !self.file.read(move |connection| messages::is_any_left(connection, now)).await? {
            return Ok(0);
        }
        Ok(self.file.write(move |connection| messages::recover(connection, now)).await? as u64)
    }

    async fn settle(
        &self,
        target: &str,
        ids: &[String],
        settled: Settled,
        rest: Option<Rest>,
    ) -> Result<(), StoreError> {
        let (target, ids) = (target.to_owned(), ids.to_vec());
        Ok(self.file.write(move |connection| messages::settle(connection, &target, &ids, &settled, rest)).await?)
    }

    async fn messages(&self, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        Ok(self.file.read(move |connection| messages::newest(connection, limit)).await?)
    }

    async fn redrive_messages(&self, now: i64) -> Result<u64, StoreError> {
        Ok(self.file.write(move |connection| messages::redrive(connection, now)).await? as u64)
    }

    async fn forget_messages(&self, before: i64, limit: u32) -> Result<u64, StoreError> {
        Ok(self.file.write(move |connection| messages::forget_messages(connection, before, limit)).await? as u64)
    }
}

/// What a company's visitors did since a time, the newest first.
fn recent(connection: &Connection, company: &CompanyId, since: i64, limit: u32) -> rusqlite::Result<Vec<Activity>> {
    let mut select = connection.prepare_cached(
        "SELECT visitor.id, entry.kind, entry.name, entry.at, entry.json
         FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
         CROSS JOIN entry ON entry.identity_id = identity.id AND entry.at >= ?2
         WHERE visitor.company_id = ?1 AND visitor.last_seen >= ?2 ORDER BY entry.at DESC, entry.id DESC LIMIT ?3",
    )?;
    let recent = select.query_map(params![ids::company_row(company.as_str()), since, limit], |row| {
        Ok(Activity {
            visitor_id: VisitorId::new(row.get::<_, i64>(0)?.to_string()),
            kind: row.get(1)?,
            name: row.get(2)?,
            path: About::of(row.get_ref(4)?.as_str()?).path,
            at: clock::from_milliseconds(row.get(3)?),
        })
    })?;
    recent.collect()
}
