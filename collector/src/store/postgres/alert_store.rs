//! The port of alerts over the database.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::ids;
use super::store::PostgresStore;
use super::transaction::{Mode, together, transact};
use super::{alert_changes, alert_messages, alert_tell, points, recent, row_ids};
use crate::store::StoreError;
use crate::store::alerts::{
    AlertStore, Changed, Claimed, Evaluated, MessageClaim, Rest, Settled, Standing, StoredMessage, Turn, Unsettled,
};
use crate::store::company::{Activity, CompanyId};

/// How long companies are counted before it is said that they are not all counted yet.
const COUNT_FOR_A_TURN: Duration = Duration::from_secs(5);

#[async_trait]
impl AlertStore for PostgresStore {
    async fn changed(&self, limit: u32, unsettled: Unsettled<'_>) -> Result<Vec<Changed>, StoreError> {
        // Nearly always there is nothing.
        if !transact!(&self.pool, Mode::Read, |transaction| alert_changes::is_any(&transaction))? {
            return Ok(Vec::new());
        }
        // Whose company was not counted yet is looked at when it was.
        self.count().await?;
        let rules = self.rules.now(&self.pool).await?;
        Ok(transact!(&self.pool, Mode::Read, |transaction| {
            alert_changes::changed(&transaction, &rules, limit, unsettled)
        })?)
    }

    async fn is_any_unsettled(&self, unsettled: Unsettled<'_>) -> Result<bool, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| {
            alert_changes::is_any_unsettled(&transaction, unsettled)
        })?)
    }

    async fn standing(&self, company: &CompanyId) -> Result<Standing, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| alert_tell::standing(&transaction, company))?)
    }

    async fn recent(&self, company: &CompanyId, since: i64, limit: u32) -> Result<Vec<Activity>, StoreError> {
        let company = ids::company_row(company.as_str());
        Ok(transact!(&self.pool, Mode::Read, |transaction| recent::of_company(
            &transaction,
            company,
            since,
            limit.into()
        ))?)
    }

    async fn turn(&self) -> Result<Option<Turn>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| async {
            let ((), turn, ()) = together!(transaction.begin(), alert_tell::turn(&transaction), transaction.commit())?;
            Ok(turn)
        })?)
    }

    async fn is_counted(&self) -> Result<bool, StoreError> {
        // The day's turn waits for it, and where it is a function nobody else counts.
        let begun = Instant::now();
        loop {
            self.count().await?;
            let is_counted = !points::is_any_stale(&self.pool, &self.rules, &self.excludes).await?;
            if is_counted || begun.elapsed() > COUNT_FOR_A_TURN {
                return Ok(is_counted);
            }
        }
    }

    async fn is_told(&self, alert: &str, occasion: &str) -> Result<bool, StoreError> {
        let told =
            transact!(&self.pool, Mode::Read, |transaction| alert_messages::is_told(&transaction, alert, occasion));
        Ok(told?)
    }

    async fn tell(&self, evaluated: Evaluated) -> Result<bool, StoreError> {
        if evaluated == Evaluated::default() {
            return Ok(true);
        }
        let told = transact!(&self.pool, Mode::Write, |transaction| alert_tell::tell(&transaction, &evaluated))?;
        if told && !evaluated.messages.is_empty() {
            self.have_pages_look_again();
        }
        Ok(told)
    }

    async fn due_targets(&self, now: i64) -> Result<Vec<String>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| alert_messages::due_targets(&transaction, now))?)
    }

    async fn claim(&self, claim: MessageClaim<'_>) -> Result<Vec<Claimed>, StoreError> {
        let holder = row_ids::next();
        Ok(transact!(&self.pool, Mode::Write, |transaction| alert_messages::claim(&transaction, claim, holder))?)
    }

    async fn recover(&self, now: i64) -> Result<u64, StoreError> {
        // Nearly always there is nothing.
        let any_left = transact!(&self.pool, Mode::Read, |transaction| alert_messages::is_any_left(&transaction, now))?;
        Ok(if any_left { alert_messages::recover(&self.pool, now).await? } else { 0 })
    }

    async fn settle(
        &self,
        target: &str,
        ids: &[String],
        settled: Settled,
        rest: Option<Rest>,
    ) -> Result<(), StoreError> {
        transact!(&self.pool, Mode::Write, |transaction| {
            alert_messages::settle(&transaction, target, ids, &settled, rest)
        })?;
        self.have_pages_look_again();
        Ok(())
    }

    async fn messages(&self, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| alert_messages::messages(&transaction, limit))?)
    }

    async fn redrive_messages(&self, now: i64) -> Result<u64, StoreError> {
        Ok(alert_messages::redrive(&self.pool, now).await?)
    }

    async fn forget_messages(&self, before: i64, limit: u32) -> Result<u64, StoreError> {
        Ok(alert_messages::forget_ended(&self.pool, before, limit).await?)
    }
}
