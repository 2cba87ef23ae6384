//! The companies in the order of their intent.
//!
//! A visitor's day under an intent rule is worth the rule's points, of which half are left after each half-life; a company has
//! the points of its visitors. However often a visitor does the same on one day, it counts once: many people weigh more
//! than one busy one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::file::{FileError, SqliteFile};
use super::ids;
use super::intent::{IntentRules, StoredRule, progress};
use super::reasons;
use super::remade::{Remade, today};
use crate::intent::worth::{EntriesByDay, Worth, days_that_count, share};
use crate::store::company::{CompanyId, Reason};

/// A company's place.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The company's row.
    pub company_id: i64,
    /// Its points now.
    pub points: f64,
    /// Its points seven days ago, by the same rules.
    pub points_week_ago: f64,
    /// Whether it is kept out of the ranking: itself, or each of its visitors.
    pub excluded: bool,
}

impl Ranked {
    /// Its points, now and a week ago.
    pub fn worth(&self) -> Worth {
        Worth { now: self.points, week_ago: self.points_week_ago }
    }
}

/// The ranking; clones share what was made last.
#[derive(Clone)]
pub struct Ranking {
    file: SqliteFile,
    rules: IntentRules,
    ranked: Remade<Vec<Ranked>>,
}

impl Ranking {
    /// The ranking of the companies of a file.
    pub fn new(file: SqliteFile, rules: IntentRules) -> Self {
        Self { ranked: Remade::new(file.clone(), rules.clone(), rank), file, rules }
    }

    /// All companies, the one with the most intent first. Of a large store they may be some seconds old.
    pub async fn companies(&self) -> Result<Arc<Vec<Ranked>>, FileError> {
        self.ranked.now().await
    }

    /// What a company's points come from, the most first.
    pub async fn reasons(&self, company_id: i64) -> Result<Vec<Reason>, FileError> {
        let rules = self.rules.now();
        self.file.read(move |connection| reasons::of_company(connection, &rules, company_id, today())).await
    }

    /// What each of some companies has most of its points from.
    pub async fn top_reasons(&self, companies: Vec<CompanyId>) -> Result<Vec<Option<Reason>>, FileError> {
        let rules = self.rules.now();
        let top = move |connection: &Connection| {
            let of = |id: &CompanyId| {
                Ok(reasons::of_company(connection, &rules, ids::company_row(id.as_str()), today())?.into_iter().next())
            };
            companies.iter().map(of).collect()
        };
        self.file.read(top).await
    }

    /// How far new rules have come through what was there before them, from 0 to 1.
    pub async fn progress(&self) -> Result<f64, FileError> {
        self.file.read(progress).await
    }
}

fn rank(connection: &Connection, rules: &[StoredRule]) -> rusqlite::Result<Vec<Ranked>> {
    // One without visitors is shown where a request about companies alone told of it.
    let mut shown = connection.prepare_cached(
        "SELECT id, last_seen, excluded = 1, key FROM
             (SELECT id, excluded, key, (SELECT max(last_seen) FROM visitor WHERE company_id = company.id) AS last_seen FROM company)
                 AS one
         WHERE last_seen IS NOT NULL OR EXISTS (SELECT 1 FROM company_key WHERE company_id = one.id AND is_told)",
    )?;
    let shown = shown.query_map([], |row| {
        let excluded = row.get::<_, Option<bool>>(2)?.unwrap_or_default();
        let company = Ranked { company_id: row.get(0)?, points: 0.0, points_week_ago: 0.0, excluded };
        Ok((company, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(3)?))
    })?;
    let mut companies = shown.collect::<rusqlite::Result<Vec<_>>>()?;
    let place: HashMap<i64, usize> =
        companies.iter().enumerate().map(|(at, (company, ..))| (company.company_id, at)).collect();
    keep_out(connection, &mut companies, &place)?;

    let mut visitors = connection.prepare_cached(
        "SELECT identity.id, visitor.id, company_id, is_guess FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
         WHERE company_id IS NOT NULL AND visitor.excluded IS NOT 1",
    )?;
    let (mut company_of, mut of_several_ids) = (HashMap::new(), HashSet::new());
    let mut rows = visitors.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(at) = place.get(&row.get(2)?) {
            let (identity_id, visitor_id): (i64, i64) = (row.get(0)?, row.get(1)?);
            company_of.insert(identity_id, (Share::of(*at, row.get(3)?), visitor_id));
            if identity_id != visitor_id {
                of_several_ids.insert(visitor_id);
            }
        }
    }

    let today = today();
    let rules: HashMap<i64, &StoredRule> = rules.iter().map(|stored| (stored.id, stored)).collect();
    let mut worth: HashMap<(i64, i64), Worth> = HashMap::new();
    let mut add = |Share { at, share }: Share, stored: &StoredRule, day: i64| {
        let worth = worth.entry((stored.id, day)).or_insert_with(|| Worth::of(&stored.rule, day, today));
        if let Some((company, ..)) = companies.get_mut(at) {
            company.points += share * worth.now;
            company.points_week_ago += share * worth.week_ago;
        }
    };
    // A day of a visitor counts once, whatever ids it was done under.
    let mut counted = HashSet::new();
    let mut entries: HashMap<(i64, i64), (Share, EntriesByDay)> = HashMap::new();
    let mut noted = connection.prepare_cached("SELECT identity_id, rule_id, day, count FROM intent")?;
    let mut rows = noted.query([])?;
    while let Some(row) = rows.next()? {
        let Some((at, visitor_id)) = company_of.get(&row.get(0)?) else { continue };
        let (rule_id, day): (i64, i64) = (row.get(1)?, row.get(2)?);
        let Some(stored) = rules.get(&rule_id) else { continue };
        if stored.rule.count.is_some() {
            let (_, of_rule) = entries.entry((*visitor_id, rule_id)).or_insert_with(|| (*at, EntriesByDay::new()));
            let count: u32 = row.get(3)?;
            of_rule.entry(day).and_modify(|sum| *sum = sum.saturating_add(count)).or_insert(count);
        } else if !of_several_ids.contains(visitor_id) || counted.insert((*visitor_id, rule_id, day)) {
            add(*at, stored, day);
        }
    }
    for ((_, rule_id), (at, entries)) in entries {
        let Some(stored) = rules.get(&rule_id) else { continue };
        for day in days_that_count(&stored.rule, &entries) {
            add(at, stored, day);
        }
    }
    companies.sort_by(|(a, a_seen, a_key), (b, b_seen, b_key)| {
        b.points.total_cmp(&a.points).then_with(|| b_seen.cmp(a_seen)).then_with(|| a_key.cmp(b_key))
    });
    Ok(companies.into_iter().map(|(company, ..)| company).collect())
}

/// The place of a visitor's company, and how much of the visitor's points it has.
#[derive(Clone, Copy)]
struct Share {
    at: usize,
    share: f64,
}

impl Share {
    fn of(at: usize, is_guess: bool) -> Self {
        Self { at, share: share(is_guess) }
    }
}

/// Marks companies of which each visitor is kept out.
fn keep_out(
    connection: &Connection,
    companies: &mut [(Ranked, Option<i64>, String)],
    place: &HashMap<i64, usize>,
) -> rusqlite::Result<()> {
    let mut of_staff = connection.prepare_cached(
        "SELECT DISTINCT company_id FROM visitor AS one WHERE excluded = 1 AND excluded IS NOT 0 AND company_id IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM visitor WHERE company_id = one.company_id AND excluded IS NOT 1)",
    )?;
    let mut rows = of_staff.query([])?;
    while let Some(row) = rows.next()? {
        if let Some((company, ..)) = place.get(&row.get(0)?).and_then(|at| companies.get_mut(*at)) {
            company.excluded = true;
        }
    }
    Ok(())
}
