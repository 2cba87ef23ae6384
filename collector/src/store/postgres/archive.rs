//! The ports of an archive over the database.

use async_trait::async_trait;

use super::store::PostgresStore;
use super::transaction::{Mode, transact};
use super::{dump, restore};
use crate::store::StoreError;
use crate::store::archive::{Dump, Record, Restore, Section};

#[async_trait]
impl Dump for PostgresStore {
    async fn page(&self, section: Section, after: i64) -> Result<(Vec<Record>, Option<i64>), StoreError> {
        if section == Section::Companies {
            // Companies get their rows when they are counted.
            self.count_all().await?;
        }
        Ok(transact!(&self.pool, Mode::Read, |transaction| dump::page(&transaction, section, after))?)
    }
}

#[async_trait]
impl Restore for PostgresStore {
    async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| restore::is_empty(&transaction))?)
    }

    async fn restore(&self, records: Vec<Record>) -> Result<(), StoreError> {
        Ok(transact!(&self.pool, Mode::Write, |transaction| restore::restore(&transaction, &records))?)
    }

    async fn put_together(&self, after: i64) -> Result<Option<i64>, StoreError> {
        let next = transact!(&self.pool, Mode::Write, |transaction| restore::put_together(&transaction, after))?;
        if next.is_none() {
            self.count_all().await?;
        }
        Ok(next)
    }
}
