//! The port over the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use koala_destination::clock::now_milliseconds;
use koala_destination::ids::Id;
use tokio::sync::{Mutex, watch};

use super::address::DatabaseUrl;
use super::arrived::Arrived;
use super::error::PostgresError;
use super::excludes::Excludes;
use super::intent::IntentRules;
use super::options::PostgresOptions;
use super::pool::Pool;
use super::retention::RetentionSearch;
use super::search::Conditions;
use super::tombstones::Sifted;
use super::transaction::{Mode, together, transact};
use super::turns::Turns;
use super::visitor_points::PointsOfVisitors;
use super::{
    accounts, administration, all_statements, clusters, companies, decisions, deletion, deletion_progress, excluded,
    history, ids, ingest, learned, look_back, migrations, points, taken, visitors,
};
use crate::exclude::Exclude;
use crate::identity::Wants;
use crate::intent::IntentRule;
use crate::received::{Batch, ReceivedAccount};
use crate::store::company::{Company, CompanyId, CompanyPage, DaysOfActivity, Excluded, Reason};
use crate::store::decision::{Decision, Undone};
use crate::store::deletion::{Deletion, DeletionId, Departed, Forgotten, Person, Retention};
use crate::store::filter::{CompanyFilter, Filter};
use crate::store::history::{Actor, HistoryCursor, HistoryEntry};
use crate::store::visitor::{EntryCursor, TimelineEntry, Visitor, VisitorId};
use crate::store::{Store, StoreError};
use crate::tombstone::TombstoneKey;

/// How long who looks at the companies waits for what changed to be counted; what is left is counted by who looks next.
const COUNT_AT_MOST: Duration = Duration::from_millis(300);

/// A store in a database; clones share the connections.
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) pool: Pool,
    pub(super) rules: IntentRules,
    pub(super) excludes: Excludes,
    pub(super) points: PointsOfVisitors,
    pub(super) turns: Turns,
    pub(super) key: TombstoneKey,
    pub(super) retention: RetentionSearch,
    pub(super) changes: watch::Sender<()>,
    /// One counts at a time; another one waits for it.
    pub(super) counting: Arc<Mutex<()>>,
    /// The number of the newest entry that was noticed.
    pub(super) newest: Arc<AtomicI64>,
}

impl PostgresStore {
    /// Connects, and makes the tables that are not there.
    ///
    /// # Errors
    /// When the database cannot be reached, or refuses the tables.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, PostgresError> {
        Self::open_with(PostgresOptions::new(url.clone())).await
    }

    /// The same, with a choice of how it is connected to.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(options: PostgresOptions) -> Result<Self, PostgresError> {
        let key = migrations::migrate(&options).await?;
        Ok(Self::of(Pool::new(options, all_statements::prepared()), key))
    }

    /// Connects to a database that has its tables: for who may not make them, and does not wait for them.
    ///
    /// # Errors
    /// When the database cannot be reached, or an older release made its tables.
    pub async fn attach(options: PostgresOptions) -> Result<Self, PostgresError> {
        let pool = Pool::new(options, all_statements::prepared());
        let lent = pool.take().await?;
        let key = migrations::made(lent.connection().client()).await?;
        // The first request finds this connection.
        lent.give_back();
        Ok(Self::of(pool, key))
    }

    fn of(pool: Pool, key: TombstoneKey) -> Self {
        Self {
            pool,
            rules: IntentRules::default(),
            excludes: Excludes::default(),
            points: PointsOfVisitors::default(),
            turns: Turns::default(),
            key,
            retention: RetentionSearch::default(),
            changes: watch::Sender::new(()),
            counting: Arc::default(),
            newest: Arc::default(),
        }
    }

    /// The indexes that Aurora DSQL could not make beside the work that goes on; elsewhere there are none.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn failed_index_jobs(&self) -> Result<Vec<String>, StoreError> {
        let lent = self.pool.take().await?;
        let jobs = administration::failed_index_jobs(lent.connection().client(), self.pool.is_dsql()).await?;
        lent.give_back();
        Ok(jobs)
    }

    /// Has the pages look again, since something that they show beside what the store has is another.
    pub fn have_pages_look_again(&self) {
        self.changed();
    }

    /// Has the pages look again when another process has kept something.
    async fn notice_others(&self) -> Result<(), PostgresError> {
        let newest: Option<i64> =
            transact!(&self.pool, Mode::Read, |transaction| visitors::newest_entry(&transaction))?;
        let before = self.newest.swap(newest.unwrap_or_default(), Ordering::Relaxed);
        if before != newest.unwrap_or_default() {
            self.changed();
        }
        Ok(())
    }

    async fn keep<'b>(&self, arrived: &Arrived<'b>) -> Result<Option<Sifted<'b>>, PostgresError> {
        transact!(&self.pool, Mode::Write, |transaction| {
            ingest::keep(&transaction, &self.rules, &self.key, arrived)
        })
    }

    fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Counts all companies of which something changed.
    pub(super) async fn count_all(&self) -> Result<(), PostgresError> {
        let _one = self.counting.lock().await;
        while points::count(&self.pool, &self.rules, &self.excludes).await? {}
        Ok(())
    }

    /// Counts the companies of which something changed, as far as it goes quickly.
    pub(super) async fn count(&self) -> Result<(), PostgresError> {
        let _one = self.counting.lock().await;
        let since = Instant::now();
        while excluded::look_back(&self.excludes, &self.pool).await? && since.elapsed() < COUNT_AT_MOST {}
        while points::count(&self.pool, &self.rules, &self.excludes).await? && since.elapsed() < COUNT_AT_MOST {}
        Ok(())
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn ingest(&self, batch: Batch) -> Result<(), StoreError> {
        let _turn = self.turns.wait(&Wants::of(&batch.ids).ids).await;
        if let Some(Sifted { parts, accounts, devices, .. }) = Box::pin(self.keep(&Arrived::new(&batch))).await? {
            // Before the batch is answered: if all ends here, it comes again.
            Box::pin(learned::request_late(&self.pool, &self.key, accounts, devices)).await?;
            for part in parts {
                Box::pin(self.keep(&Arrived::sifted(part))).await?;
            }
        }
        self.changed();
        Ok(())
    }

    async fn ingest_accounts(&self, accounts: Vec<ReceivedAccount>) -> Result<(), StoreError> {
        transact!(&self.pool, Mode::Write, |transaction| accounts::keep(&transaction, &accounts))?;
        self.changed();
        Ok(())
    }

    async fn list_visitors_counting(
        &self,
        filter: Filter,
        offset: u32,
        limit: u32,
        most_counted: u32,
    ) -> Result<(Vec<Visitor>, u64), StoreError> {
        self.count().await?;
        let rules = self.rules.now(&self.pool).await?;
        let points = self.points.asked_by(&filter, &self.pool, &rules).await?;
        let conditions = Conditions::of(&filter).among(points.as_ref().map(|points| points.rows(&filter)));
        // Without a filter there is a quick way to count all.
        let most_counted = if filter == Filter::default() { u32::MAX } else { most_counted };
        Ok(transact!(&self.pool, Mode::Read, |transaction| async {
            transaction.begin().await?;
            let (ids, total) = conditions.found(&transaction, (offset, limit), most_counted).await?;
            let visitors = visitors::of_ids(&transaction, &rules, points.as_deref(), &ids).await?;
            transaction.commit().await?;
            Ok((visitors, total))
        })?)
    }

    async fn export_visitors(
        &self,
        filter: &Filter,
        after: Option<&VisitorId>,
        limit: u32,
    ) -> Result<Vec<Visitor>, StoreError> {
        let rules = self.rules.now(&self.pool).await?;
        let points = self.points.asked_by(filter, &self.pool, &rules).await?;
        let conditions = Conditions::of(filter).among(points.as_ref().map(|points| points.rows(filter)));
        let page = conditions.behind(after.map_or(0, ids::visitor_row), limit);
        Ok(transact!(&self.pool, Mode::Read, |transaction| async {
            transaction.begin().await?;
            let ids = conditions.numbers(&transaction, &page).await?;
            let visitors = visitors::of_ids(&transaction, &rules, points.as_deref(), &ids).await?;
            transaction.commit().await?;
            Ok(visitors)
        })?)
    }

    async fn show_visitor(
        &self,
        id: &VisitorId,
        limit: u32,
    ) -> Result<Option<(Visitor, Vec<TimelineEntry>)>, StoreError> {
        self.count().await?;
        let rules = self.rules.now(&self.pool).await?;
        Ok(transact!(&self.pool, Mode::Read, |transaction| visitors::show(&transaction, &rules, id, limit))?)
    }

    async fn list_companies(
        &self,
        filter: CompanyFilter,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Company>, u64), StoreError> {
        self.count().await?;
        Ok(transact!(&self.pool, Mode::Read, |transaction| companies::list(&transaction, &filter, offset, limit))?)
    }

    async fn show_company(&self, key: &str, limit: u32) -> Result<Option<CompanyPage>, StoreError> {
        self.count().await?;
        let rules = self.rules.now(&self.pool).await?;
        Ok(transact!(&self.pool, Mode::Read, |transaction| companies::show(&transaction, &rules, key, limit))?)
    }

    async fn activity(&self, companies: Vec<CompanyId>) -> Result<Vec<DaysOfActivity>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| companies::activity(&transaction, &companies))?)
    }

    async fn top_reasons(&self, companies: Vec<CompanyId>) -> Result<Vec<Option<Reason>>, StoreError> {
        let rules = self.rules.now(&self.pool).await?;
        Ok(transact!(&self.pool, Mode::Read, |transaction| {
            companies::top_reasons(&transaction, &rules, &companies)
        })?)
    }

    async fn follow_exclude(&self, exclude: &Exclude) -> Result<(), StoreError> {
        self.excludes.follow(&self.pool, exclude);
        Ok(())
    }

    async fn excluded(&self) -> Result<Excluded, StoreError> {
        self.count().await?;
        let [companies, visitors] = transact!(&self.pool, Mode::Read, |transaction| excluded::count(&transaction))?;
        Ok(Excluded { companies, visitors })
    }

    fn note_each_of(&self, rules: &[String]) {
        self.rules.note_each_of(rules);
    }

    async fn follow_intent_rules(&self, rules: &[IntentRule]) -> Result<(), StoreError> {
        Ok(self.rules.follow(&self.pool, rules).await?)
    }

    async fn intent_rules(&self) -> Result<Arc<[IntentRule]>, StoreError> {
        let rules = self.rules.now(&self.pool).await?;
        Ok(rules.rules.iter().map(|stored| stored.rule.clone()).collect())
    }

    async fn look_back(&self) -> Result<bool, StoreError> {
        self.count().await?;
        self.notice_others().await?;
        let more_rules = look_back::look_back(&self.pool, &self.rules).await?;
        Ok(excluded::look_back(&self.excludes, &self.pool).await? || more_rules)
    }

    async fn looked_back(&self) -> Result<f64, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| async {
            let ((), progress, ()) =
                together!(transaction.begin(), look_back::progress(&transaction), transaction.commit())?;
            Ok(progress)
        })?)
    }

    async fn decide_by(&self, decision: &Decision, by: Option<Actor>) -> Result<Result<VisitorId, Undone>, StoreError> {
        let note = history::Note::of_decision(by, decision, &self.key);
        let decided = decisions::decide(&self.pool, decision, note.as_ref()).await?;
        self.changed();
        Ok(decided)
    }

    async fn export_entries(
        &self,
        id: &VisitorId,
        after: Option<&EntryCursor>,
        limit: u32,
    ) -> Result<(Vec<TimelineEntry>, Option<EntryCursor>), StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| visitors::entries(&transaction, id, after, limit))?)
    }

    async fn request_deletion_by(
        &self,
        people: &[Person],
        by: Option<Actor>,
    ) -> Result<Option<DeletionId>, StoreError> {
        let requested = deletion::request(&self.pool, &self.key, people, by).await?;
        self.changed();
        Ok(requested)
    }

    async fn history(&self, behind: Option<HistoryCursor>, limit: u32) -> Result<Vec<HistoryEntry>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| history::list(&transaction, behind, limit))?)
    }

    async fn deletion(&self, id: &DeletionId) -> Result<Option<Deletion>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| deletion_progress::show(&transaction, id))?)
    }

    async fn departed(&self) -> Result<Option<Departed>, StoreError> {
        Ok(transact!(&self.pool, Mode::Read, |transaction| deletion_progress::departed(&transaction))?)
    }

    async fn learn(&self, id: &DeletionId, ids: &[Id]) -> Result<Vec<Id>, StoreError> {
        Ok(Box::pin(learned::learn(&self.pool, &self.key, id, ids)).await?)
    }

    async fn forgotten(&self, id: &DeletionId, forgotten: Forgotten) -> Result<(), StoreError> {
        Ok(transact!(&self.pool, Mode::Write, |transaction| deletion_progress::forgotten(&transaction, id, forgotten))?)
    }

    async fn sweep(&self, retention: Retention) -> Result<bool, StoreError> {
        let is_more = clusters::regroup_some(&self.pool).await?
            || taken::purge(&self.pool).await?
            || transact!(&self.pool, Mode::Write, |transaction| deletion_progress::complete(&transaction))?;
        Ok(is_more || self.retention.go_on(&self.pool, retention.cutoff(now_milliseconds())).await?)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}
