//! The engine of one machine: one SQLite file with one writer.
//!
//! | module | what it does |
//! |---|---|
//! | [`file`] | the file: one thread writes, others read |
//! | `ingest`, `decisions`, `deletion` | what is done with a visitor |
//! | `visitors`, `companies`, `ranking`, `search` | what is shown |
//! | `clusters` | who is who: pointers written, and the visitors that come of them |
//! | `identities`, `traits`, `accounts`, `intent` | the rows below them |

mod accounts;
mod clusters;
mod companies;
mod decisions;
mod deletion;
pub mod file;
mod identities;
mod ingest;
mod intent;
mod ranking;
mod readers;
mod search;
mod traits;
mod visitors;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use koala_destination::clock::now_milliseconds;
use rusqlite::Connection;
use tokio::sync::watch;

use self::file::{FileError, Migration, SqliteFile};
use self::intent::IntentRules;
use self::ranking::{Ranked, Ranking};
use super::company::{Company, CompanyId, CompanyPage, DaysOfActivity, Excluded};
use super::decision::{Decision, Undone};
use super::deletion::{Deleted, Person};
use super::filter::{CompanyFilter, Filter};
use super::visitor::{TimelineEntry, Visitor, VisitorId};
use super::{Store, StoreError};
use crate::exclude::Exclude;
use crate::intent::IntentRule;
use crate::protocol::accounts::ReceivedAccount;
use crate::protocol::batch::Batch;

/// The versions of the file. The queues of the local set stand in it as well.
pub const MIGRATIONS: [Migration; 4] = [
    Migration::sql(include_str!("migrations/1.sql")),
    Migration::sql(include_str!("migrations/2.sql")),
    Migration::sql(include_str!("migrations/3.sql")),
    // Visitors of the first version have no companies yet, and those of the others may be of others now.
    Migration { sql: include_str!("migrations/4.sql"), then: Some(accounts::assign_all) },
];

/// A store in a SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    file: SqliteFile,
    rules: IntentRules,
    ranking: Ranking,
}

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self::new(SqliteFile::open(path, &MIGRATIONS)?))
    }

    /// The store in a file that is open.
    #[must_use]
    pub fn new(file: SqliteFile) -> Self {
        let rules = IntentRules::default();
        Self { ranking: Ranking::new(file.clone(), rules.clone()), file, rules }
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::new(error)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ingest(&self, batch: Batch) -> Result<(), StoreError> {
        let rules = self.rules.clone();
        Ok(self.file.write(move |connection| ingest::keep(connection, &rules.now(), &batch)).await?)
    }

    async fn ingest_accounts(&self, accounts: Vec<ReceivedAccount>) -> Result<(), StoreError> {
        Ok(self.file.write(move |connection| accounts::keep(connection, &accounts)).await?)
    }

    async fn list_visitors(&self, filter: Filter, offset: u32, limit: u32) -> Result<(Vec<Visitor>, u64), StoreError> {
        let is_search = filter != Filter::default();
        let list = move |connection: &Connection| visitors::list(connection, &filter, offset, limit);
        // A search may go through all that there is.
        Ok(if is_search { self.file.read_long(list).await? } else { self.file.read(list).await? })
    }

    async fn export_visitors(
        &self,
        filter: &Filter,
        after: Option<&VisitorId>,
        limit: u32,
    ) -> Result<Vec<Visitor>, StoreError> {
        let (filter, after) = (filter.clone(), after.map_or(0, visitors::row_of));
        Ok(self.file.read_long(move |connection| visitors::export(connection, &filter, after, limit)).await?)
    }

    async fn show_visitor(
        &self,
        id: &VisitorId,
        limit: u32,
    ) -> Result<Option<(Visitor, Vec<TimelineEntry>)>, StoreError> {
        let row = visitors::row_of(id);
        Ok(self.file.read(move |connection| visitors::show(connection, row, limit)).await?)
    }

    async fn list_companies(
        &self,
        _filter: CompanyFilter,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Company>, u64), StoreError> {
        let ranked = self.ranking.companies().await?;
        let of_page: Vec<Ranked> = ranked.iter().skip(offset as usize).take(limit as usize).cloned().collect();
        let companies = self.file.read(move |connection| companies::list(connection, &of_page)).await?;
        Ok((companies, ranked.len() as u64))
    }

    async fn show_company(&self, key: &str, limit: u32) -> Result<Option<CompanyPage>, StoreError> {
        let reasons = self.ranking.reasons(key.to_owned()).await?;
        let key = key.to_owned();
        Ok(self.file.read(move |connection| companies::show(connection, &key, reasons, limit)).await?)
    }

    async fn activity(&self, companies: Vec<CompanyId>) -> Result<Vec<DaysOfActivity>, StoreError> {
        Ok(self.file.read(move |connection| companies::activity(connection, &companies)).await?)
    }

    async fn follow_exclude(&self, _exclude: &Exclude) -> Result<(), StoreError> {
        Ok(())
    }

    async fn excluded(&self) -> Result<Excluded, StoreError> {
        Ok(Excluded::default())
    }

    async fn follow_intent_rules(&self, rules: &[IntentRule]) -> Result<(), StoreError> {
        Ok(self.rules.follow(&self.file, rules).await?)
    }

    async fn intent_rules(&self) -> Result<Arc<[IntentRule]>, StoreError> {
        Ok(self.rules.now().iter().map(|stored| stored.rule.clone()).collect())
    }

    async fn look_back(&self) -> Result<bool, StoreError> {
        Ok(self.rules.look_back(&self.file).await?)
    }

    async fn looked_back(&self) -> Result<f64, StoreError> {
        Ok(self.ranking.progress().await?)
    }

    async fn decide(&self, decision: &Decision) -> Result<Result<VisitorId, Undone>, StoreError> {
        let (decision, now) = (decision.clone(), now_milliseconds());
        Ok(self.file.write(move |connection| decisions::decide(connection, &decision, now)).await?)
    }

    async fn names_of(&self, person: &Person) -> Result<Option<Vec<String>>, StoreError> {
        let person = person.clone();
        Ok(self.file.read(move |connection| deletion::names_of(connection, &person)).await?)
    }

    async fn delete(&self, person: &Person) -> Result<Deleted, StoreError> {
        let person = person.clone();
        Ok(self.file.write(move |connection| deletion::delete(connection, &person)).await?)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.file.changes()
    }
}
