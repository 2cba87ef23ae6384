//! What the collector keeps: the port, and its engines.
//!
//! | module | what it does |
//! |---|---|
//! | [`visitor`], [`company`], [`company_id`], [`filter`], [`decision`], [`deletion`], [`history`] | what the port takes and gives |
//! | [`alerts`] | the port of alerts: what changed, and messages on their way |
//! | [`archive`] | the ports by which a store is written out and read into another one |
//! | [`sqlite`] | the engine of one machine: one file, one writer |
//! | [`postgres`] | the engine of a database that several write to: PostgreSQL, or Aurora DSQL |
//! | `traits`, `interests`, `noted_each`, [`visitor_points`] | what engines have in common |
//!
//! Every engine holds to `tests/store.rs`, which is written against the port alone.

pub mod alerts;
pub mod archive;
pub mod company;
pub mod company_id;
pub mod decision;
pub mod deletion;
pub mod filter;
pub mod history;
mod interests;
mod noted_each;
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod traits;
pub mod visitor;
pub mod visitor_points;

use std::sync::Arc;

use async_trait::async_trait;
use koala_destination::ids::Id;
use thiserror::Error;
use tokio::sync::watch;

use self::company::{Company, CompanyId, CompanyPage, DaysOfActivity, Excluded, Reason};
use self::decision::{Decision, Undone};
use self::deletion::{Deletion, DeletionId, Departed, Forgotten, Person, Retention};
use self::filter::{CompanyFilter, Filter};
use self::history::{Actor, HistoryCursor, HistoryEntry};
use self::visitor::{EntryCursor, TimelineEntry, Visitor, VisitorId};
use crate::exclude::Exclude;
use crate::intent::IntentRule;
use crate::received::{Batch, ReceivedAccount};

/// What keeps visitors, their companies and what they did.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a batch, durably by the time it is answered: an entry whose message id is known already under the id that it is filed
    /// under is not kept twice.
    async fn ingest(&self, batch: Batch) -> Result<(), StoreError>;

    /// Keeps what is said of companies, each by its domain.
    async fn ingest_accounts(&self, accounts: Vec<ReceivedAccount>) -> Result<(), StoreError>;

    /// Visitors, the one seen last first, and how many there are in all.
    async fn list_visitors(&self, filter: Filter, offset: u32, limit: u32) -> Result<(Vec<Visitor>, u64), StoreError> {
        self.list_visitors_counting(filter, offset, limit, u32::MAX).await
    }

    /// The same, of a filter that finds more than `most_counted` and more than are on the pages so far with one more of both in place
    /// of how many there are: to count all that a search finds takes as long as to look at each visitor.
    async fn list_visitors_counting(
        &self,
        filter: Filter,
        offset: u32,
        limit: u32,
        most_counted: u32,
    ) -> Result<(Vec<Visitor>, u64), StoreError>;

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

    /// What each of these companies has most of its points from, in their order; nothing for one without points.
    async fn top_reasons(&self, companies: Vec<CompanyId>) -> Result<Vec<Option<Reason>>, StoreError>;

    /// Has alerts look at each entry that one of these intent rules takes, and not at the first alone that it takes of a visitor on a
    /// day: whom an alert is about may change during it. What is kept from now on is noted so, by this process.
    fn note_each_of(&self, rules: &[String]);

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
    async fn decide(&self, decision: &Decision) -> Result<Result<VisitorId, Undone>, StoreError> {
        self.decide_by(decision, None).await
    }

    /// The same; who did it stands in the history with it, or neither does.
    async fn decide_by(&self, decision: &Decision, by: Option<Actor>) -> Result<Result<VisitorId, Undone>, StoreError>;

    /// A page of all that a visitor did, in an order of the engine's own, from behind `after` on; the cursor leads to the next
    /// one, and there is none behind the last. Of who is not there the page is empty.
    async fn export_entries(
        &self,
        id: &VisitorId,
        after: Option<&EntryCursor>,
        limit: u32,
    ) -> Result<(Vec<TimelineEntry>, Option<EntryCursor>), StoreError>;

    /// Deletes people. When this returns, nothing leads to them any more: whatever is received from now on under their ids is a
    /// new person's, and what was received before is dropped by their [tombstones](crate::tombstone). What is kept of them is
    /// deleted by [`sweep`](Self::sweep), also after a crash. Nothing is done where a visitor is meant that is not there.
    async fn request_deletion(&self, people: &[Person]) -> Result<Option<DeletionId>, StoreError> {
        self.request_deletion_by(people, None).await
    }

    /// The same; who did it stands in the history with it, or neither does.
    async fn request_deletion_by(&self, people: &[Person], by: Option<Actor>)
    -> Result<Option<DeletionId>, StoreError>;

    /// What people did, the latest first: at most `limit` deeds from behind a place on.
    async fn history(&self, behind: Option<HistoryCursor>, limit: u32) -> Result<Vec<HistoryEntry>, StoreError>;

    /// How far a deletion is.
    async fn deletion(&self, id: &DeletionId) -> Result<Option<Deletion>, StoreError>;

    /// A deletion whose people may still stand in queues, with their ids.
    async fn departed(&self) -> Result<Option<Departed>, StoreError>;

    /// Of ids that stand beside those of a deletion in messages of theirs, the ones of which nothing was known before it, and
    /// devices that are no known visitor's: they are theirs as well, and get tombstones.
    async fn learn(&self, id: &DeletionId, ids: &[Id]) -> Result<Vec<Id>, StoreError>;

    /// Messages of a deletion's people were deleted from the queues. Where ids of theirs were learned meanwhile, by entries that came
    /// late, they are [departed](Self::departed) still.
    async fn forgotten(&self, id: &DeletionId, forgotten: Forgotten) -> Result<(), StoreError>;

    /// Deletes a piece, of at most some 1,000 rows, of what is to go: of people who are deleted, and of what is older than it may
    /// be. Gives back whether there is more now.
    async fn sweep(&self, retention: Retention) -> Result<bool, StoreError>;

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
