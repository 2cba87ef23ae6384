//! The port over the file.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use koala_destination::clock::now_milliseconds;
use koala_destination::ids::Id;
use rusqlite::Connection;
use tokio::sync::watch;

use super::excluded::Excludes;
use super::file::{FileError, SqliteFile};
use super::intent::IntentRules;
use super::ranking::{Ranked, Ranking};
use super::remade::Remade;
use super::retention::RetentionSearch;
use super::versions::MIGRATIONS;
use super::{
    accounts, companies, decisions, deletion, excluded, history, ids, ingest, reasons, search, taken, visitor_points,
    visitors,
};
use crate::exclude::Exclude;
use crate::intent::IntentRule;
use crate::received::{Batch, ReceivedAccount};
use crate::store::company::{Company, CompanyId, CompanyPage, DaysOfActivity, Excluded, Reason};
use crate::store::decision::{Decision, Undone};
use crate::store::deletion::{Deletion, DeletionId, Departed, Forgotten, Person, Retention};
use crate::store::filter::{CompanyFilter, Filter};
use crate::store::history::{Actor, HistoryCursor, HistoryEntry};
use crate::store::visitor::{EntryCursor, TimelineEntry, Visitor, VisitorId};
use crate::store::visitor_points::VisitorPoints;
use crate::store::{Store, StoreError};

/// A store in a SQLite file; clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) file: SqliteFile,
    pub(super) rules: IntentRules,
    pub(super) excludes: Excludes,
    pub(super) ranking: Ranking,
    pub(super) points: Remade<VisitorPoints>,
    pub(super) retention: RetentionSearch,
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
        Self {
            ranking: Ranking::new(file.clone(), rules.clone()),
            points: Remade::new(file.clone(), rules.clone(), visitor_points::of_all),
            file,
            rules,
            excludes: Excludes::default(),
            retention: RetentionSearch::default(),
        }
    }

    /// The points of all visitors, where a filter asks for them.
    async fn points_for(&self, filter: &Filter) -> Result<Option<Arc<VisitorPoints>>, FileError> {
        Ok(if filter.asks_for_points() { Some(self.points.now().await?) } else { None })
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
        let (rules, excludes) = (self.rules.clone(), self.excludes.clone());
        let keep = move |connection: &Connection| {
            ingest::keep(connection, &rules.now(), &batch)?;
            excluded::settle(connection, &excludes.now())
        };
        Ok(self.file.write(keep).await?)
    }

    async fn ingest_accounts(&self, accounts: Vec<ReceivedAccount>) -> Result<(), StoreError> {
        let excludes = self.excludes.clone();
        let keep = move |connection: &Connection| {
            accounts::keep(connection, &accounts)?;
            excluded::settle(connection, &excludes.now())
        };
        Ok(self.file.write(keep).await?)
    }

    async fn list_visitors_counting(
        &self,
        filter: Filter,
        offset: u32,
        limit: u32,
        most_counted: u32,
    ) -> Result<(Vec<Visitor>, u64), StoreError> {
        let is_search = filter != Filter::default();
        let (rules, points) = (self.rules.now(), self.points_for(&filter).await?);
        let list = move |connection: &Connection| {
            let (mut found, total) =
                visitors::list(connection, (&filter, points.as_deref()), (offset, limit), most_counted)?;
            reasons::fill_by(connection, &rules, points.as_deref(), &mut found)?;
            Ok((found, total))
        };
        // A search may go through all that there is.
        Ok(if is_search { self.file.read_long(list).await? } else { self.file.read(list).await? })
    }

    async fn export_visitors(
        &self,
        filter: &Filter,
        after: Option<&VisitorId>,
        limit: u32,
    ) -> Result<Vec<Visitor>, StoreError> {
        let (filter, after) = (filter.clone(), after.map_or(0, ids::visitor_row));
        let (rules, points) = (self.rules.now(), self.points_for(&filter).await?);
        let export = move |connection: &Connection| {
            let mut page = visitors::export(connection, (&filter, points.as_deref()), after, limit)?;
            reasons::fill_by(connection, &rules, points.as_deref(), &mut page)?;
            Ok(page)
        };
        Ok(self.file.read_long(export).await?)
    }

    async fn show_visitor(
        &self,
        id: &VisitorId,
        limit: u32,
    ) -> Result<Option<(Visitor, Vec<TimelineEntry>)>, StoreError> {
        let row = ids::visitor_row(id);
        let rules = self.rules.now();
        let show = move |connection: &Connection| {
            let mut shown = visitors::show(connection, row, limit)?;
            reasons::fill(connection, &rules, shown.iter_mut().map(|(visitor, _)| visitor))?;
            Ok(shown)
        };
        Ok(self.file.read(show).await?)
    }

    async fn list_companies(
        &self,
        filter: CompanyFilter,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Company>, u64), StoreError> {
        let ranked = self.ranking.companies().await?;
        let kept_out = filter.excluded;
        let asked = CompanyFilter { excluded: false, strength: None, trend: None, ..filter.clone() };
        let found = if asked == CompanyFilter::default() {
            None
        } else {
            self.file.read_long(move |connection| search::find_companies(connection, &asked)).await?
        };
        let is_found = |company: &&Ranked| {
            company.excluded == kept_out
                && filter.takes(company.worth())
                && found.as_ref().is_none_or(|found| found.contains(&company.company_id))
        };
        let of_all: Vec<&Ranked> = ranked.iter().filter(is_found).collect();
        let total = of_all.len() as u64;
        let of_page: Vec<Ranked> = of_all.into_iter().skip(offset as usize).take(limit as usize).cloned().collect();
        Ok((self.file.read(move |connection| companies::list(connection, &of_page)).await?, total))
    }

    async fn show_company(&self, key: &str, limit: u32) -> Result<Option<CompanyPage>, StoreError> {
        let key = key.to_owned();
        let found = self.file.read(move |connection| companies::find(connection, &key)).await?;
        let Some(company_id) = found else { return Ok(None) };
        let reasons = self.ranking.reasons(company_id).await?;
        let rules = self.rules.now();
        let show = move |connection: &Connection| {
            let mut page = companies::show(connection, company_id, reasons, limit)?;
            let people = page.iter_mut().flat_map(|page| &mut page.people);
            reasons::fill(connection, &rules, people.map(|member| &mut member.visitor))?;
            Ok(page)
        };
        Ok(self.file.read(show).await?)
    }

    async fn activity(&self, companies: Vec<CompanyId>) -> Result<Vec<DaysOfActivity>, StoreError> {
        Ok(self.file.read(move |connection| companies::activity(connection, &companies)).await?)
    }

    async fn top_reasons(&self, companies: Vec<CompanyId>) -> Result<Vec<Option<Reason>>, StoreError> {
        Ok(self.ranking.top_reasons(companies).await?)
    }

    async fn follow_exclude(&self, exclude: &Exclude) -> Result<(), StoreError> {
        Ok(self.excludes.follow(&self.file, exclude).await?)
    }

    async fn excluded(&self) -> Result<Excluded, StoreError> {
        let companies = self.ranking.companies().await?.iter().filter(|company| company.excluded).count() as u64;
        let visitors = self.file.read(excluded::count).await?;
        Ok(Excluded { companies, visitors: u64::try_from(visitors).unwrap_or_default() })
    }

    fn note_each_of(&self, rules: &[String]) {
        self.rules.note_each_of(rules);
    }

    async fn follow_intent_rules(&self, rules: &[IntentRule]) -> Result<(), StoreError> {
        Ok(self.rules.follow(&self.file, rules).await?)
    }

    async fn intent_rules(&self) -> Result<Arc<[IntentRule]>, StoreError> {
        Ok(self.rules.now().iter().map(|stored| stored.rule.clone()).collect())
    }

    async fn look_back(&self) -> Result<bool, StoreError> {
        let more_rules = self.rules.look_back(&self.file).await?;
        let more_excluded = self.excludes.look_back(&self.file).await?;
        Ok(more_rules || more_excluded)
    }

    async fn looked_back(&self) -> Result<f64, StoreError> {
        Ok(self.ranking.progress().await?)
    }

    async fn decide_by(&self, decision: &Decision, by: Option<Actor>) -> Result<Result<VisitorId, Undone>, StoreError> {
        let (decision, now, excludes) = (decision.clone(), now_milliseconds(), self.excludes.clone());
        let decide = move |connection: &Connection| {
            let decided = decisions::decide(connection, &decision, now)?;
            if decided.is_ok() {
                history::note_decision(connection, by, &decision, now)?;
            }
            excluded::settle(connection, &excludes.now()).map(|()| decided)
        };
        Ok(self.file.write(decide).await?)
    }

    async fn export_entries(
        &self,
        id: &VisitorId,
        after: Option<&EntryCursor>,
        limit: u32,
    ) -> Result<(Vec<TimelineEntry>, Option<EntryCursor>), StoreError> {
        let (row, after) = (ids::visitor_row(id), after.cloned());
        Ok(self.file.read_long(move |connection| visitors::entries(connection, row, after.as_ref(), limit)).await?)
    }

    async fn request_deletion_by(
        &self,
        people: &[Person],
        by: Option<Actor>,
    ) -> Result<Option<DeletionId>, StoreError> {
        let (people, now) = (people.to_vec(), now_milliseconds());
        let request = move |connection: &Connection| {
            let id = deletion::request(connection, &people, now)?;
            id.iter().try_for_each(|id| history::note_deletion(connection, by, id, now)).map(|()| id)
        };
        Ok(self.file.write(request).await?)
    }

    async fn history(&self, behind: Option<HistoryCursor>, limit: u32) -> Result<Vec<HistoryEntry>, StoreError> {
        Ok(self.file.read(move |connection| history::list(connection, behind, limit)).await?)
    }

    async fn deletion(&self, id: &DeletionId) -> Result<Option<Deletion>, StoreError> {
        let id = id.clone();
        Ok(self.file.read(move |connection| deletion::show(connection, &id)).await?)
    }

    async fn departed(&self) -> Result<Option<Departed>, StoreError> {
        Ok(self.file.read(deletion::departed).await?)
    }

    async fn learn(&self, id: &DeletionId, ids: &[Id]) -> Result<Vec<Id>, StoreError> {
        let (id, ids) = (id.clone(), ids.to_vec());
        Ok(self.file.write(move |connection| deletion::learn(connection, &id, &ids)).await?)
    }

    async fn forgotten(&self, id: &DeletionId, forgotten: Forgotten) -> Result<(), StoreError> {
        let (id, now) = (id.clone(), now_milliseconds());
        Ok(self.file.write(move |connection| deletion::forgotten(connection, &id, forgotten, now)).await?)
    }

    async fn sweep(&self, retention: Retention) -> Result<bool, StoreError> {
        let (open, now) = (self.file.read(deletion::open).await?, now_milliseconds());
        if open.has_taken {
            self.file.write(taken::purge).await?;
            return Ok(true);
        }
        if open.has_departed {
            self.file.write(move |connection| deletion::forget_departed(connection, now)).await?;
            return Ok(true);
        }
        if !open.purged.is_empty() && self.file.rewrite().await? {
            self.file.write(move |connection| deletion::complete(connection, &open.purged, now_milliseconds())).await?;
            return Ok(true);
        }
        Ok(self.retention.go_on(&self.file, retention.cutoff(now)).await?)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.file.changes()
    }
}
