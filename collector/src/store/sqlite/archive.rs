//! The ports of an archive over the file.

use async_trait::async_trait;
use rusqlite::Connection;

use super::store::SqliteStore;
use super::{dump, restore};
use crate::store::StoreError;
use crate::store::archive::{Dump, Record, Restore, Section};

#[async_trait]
impl Dump for SqliteStore {
    async fn page(&self, section: Section, after: i64) -> Result<(Vec<Record>, Option<i64>), StoreError> {
        Ok(self.file.read_long(move |connection| dump::page(connection, section, after)).await?)
    }
}

#[async_trait]
impl Restore for SqliteStore {
    async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.file.read(restore::is_empty).await?)
    }

    async fn restore(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let write = move |connection: &Connection| records.iter().try_for_each(|it| restore::restore(connection, it));
        Ok(self.file.write(write).await?)
    }

    async fn put_together(&self, after: i64) -> Result<Option<i64>, StoreError> {
        Ok(self.file.write(move |connection: &Connection| restore::put_together(connection, after)).await?)
    }
}
