//! What the collector keeps: the port, and its engines.
//!
//! | module | what it does |
//! |---|---|
//! | [`visitor`], [`company`], [`filter`], [`decision`], [`deletion`] | what the port takes and gives |
//! | [`sqlite`] | the engine of one machine: one file, one writer |
//!
//! Every engine holds to `tests/store.rs`, which is written against the port alone.

pub mod company;
pub mod decision;
pub mod deletion;
pub mod filter;
pub mod sqlite;
pub mod visitor;

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::watch;

use self::company::{Company, CompanyId, CompanyPage, DaysOfActivity, Excluded};
use self::decision::{Decision, Undone};
use self::deletion::{Deleted, Person};
use self::filter::{CompanyFilter, Filter};
use self::visitor::{TimelineEntry, Visitor, VisitorId};
use crate::exclude::Exclude;
use crate::intent::IntentRule;
use crate::protocol::accounts::ReceivedAccount;
use crate::protocol::batch::Batch;

/// What keeps visitors, their companies and what they did.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a batch, once it is answered for good: an entry whose message id is known already under the id that it is filed
    /// under is not kept twice.
    async fn ingest(&self, batch: Batch) -> Result<(), StoreError>;

    /// Keeps what is said of companies, each by its domain.
    async fn ingest_accounts(&self, accounts: Vec<ReceivedAccount>) -> Result<(), StoreError>;

    /// Visitors, the one seen last first, and how many there are in all.
    async fn list_visitors(&self, filter: Filter, offset: u32, limit: u32) -> Result<(Vec<Visitor>, u64), StoreError>;

    /// At most `limit` visitors that a filter looks for, in the order of their ids, from behind `after` on: one page of many.
    async fn export_visitors(
        &self,
        filter: &Filter,
        after: Option<&VisitorId>,
        limit: u32,
    ) -> Result<Vec<Visitor>, StoreError>;

    /// One visitor with the newest entries of the timeline, newest first.
    async fn show_visitor(
        &self,
        id: &VisitorId,
        limit: u32,
    ) -> Result<Option<(Visitor, Vec<TimelineEntry>)>, StoreError>;

    /// Companies that a filter looks for, the one with the most intent first, and how many there are in all.
    async fn list_companies(
        &self,
        filter: CompanyFilter,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Company>, u64), StoreError>;

    /// One company, by its id, or by a domain, a group's id or a name that leads to it, with at most `limit` of its visitors, and
    /// what they did.
    async fn show_company(&self, key: &str, limit: u32) -> Result<Option<CompanyPage>, StoreError>;

    /// How many events each company had on each of the last fourteen days, today last.
    async fn activity(&self, companies: Vec<CompanyId>) -> Result<Vec<DaysOfActivity>, StoreError>;

    /// Keeps these companies and visitors out of the ranking from now on; those that are there already are looked at by
    /// [`look_back`](Self::look_back).
    async fn follow_exclude(&self, exclude: &Exclude) -> Result<(), StoreError>;

    /// How much is kept out of the ranking.
    async fn excluded(&self) -> Result<Excluded, StoreError>;

    /// Makes these the intent rules that count, from the next entry on.
    async fn follow_intent_rules(&self, rules: &[IntentRule]) -> Result<(), StoreError>;

    /// The intent rules that count.
    async fn intent_rules(&self) -> Result<Arc<[IntentRule]>, StoreError>;

    /// Looks at a piece of what was there before a new intent rule, or before the last change of what is kept out of the ranking.
    /// Gives back whether there is more.
    async fn look_back(&self) -> Result<bool, StoreError>;

    /// How far new intent rules have come through what was there before them, from 0 to 1.
    async fn looked_back(&self) -> Result<f64, StoreError>;

    /// Writes what a person decided of an id, with the time. Gives back the visitor that the id is of then, or why it cannot be.
    async fn decide(&self, decision: &Decision) -> Result<Result<VisitorId, Undone>, StoreError>;

    /// All that a person is known by, as it stands in messages; nothing where no such visitor is known.
    async fn names_of(&self, person: &Person) -> Result<Option<Vec<String>>, StoreError>;

    /// Deletes all that is kept of a person.
    async fn delete(&self, person: &Person) -> Result<Deleted, StoreError>;

    /// Changes whenever something is shown otherwise than before.
    fn changes(&self) -> watch::Receiver<()>;
}

/// The store cannot do what was asked, for now.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct StoreError(Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// What an engine says.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
