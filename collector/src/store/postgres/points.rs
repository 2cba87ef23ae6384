//! What is shown of companies, decided and counted: what belongs together, what each is called, its points, how many visitors and
//! events it has, when they were seen.
//!
//! Whoever keeps an entry notes the company in `changed`, in the same transaction. Whoever counts takes rows of `changed` and writes
//! the companies' rows in one transaction, so that no change is lost; and counts those anew whose points are of another day or of
//! other rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use serde_json::{Map, Value};
use tokio_postgres::Row;

use super::accounts::text_of;
use super::company_keys::{KeyRow, Keys};
use super::company_names;
use super::error::PostgresError;
use super::excludes::Excludes;
use super::intent::{IntentRules, RuleSet};
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use crate::company::{CompanyKey, CompanyKind};
use crate::exclude::Exclude;
use crate::intent::worth::{EntriesByDay, Worth, days_that_count, share};
use crate::intent::{IntentRule, Strength, Trend};
use crate::store::traits::Latest;

statements! {
    TAKE = "DELETE FROM changed WHERE id IN (SELECT id FROM changed ORDER BY id LIMIT $1) RETURNING key, is_said, is_told";
    STALE = "SELECT id FROM company WHERE counted_for < $1 OR counted_for > $1 LIMIT $2";
    ANY_LEFT = "SELECT EXISTS (SELECT 1 FROM changed) OR EXISTS (SELECT 1 FROM company WHERE counted_for < $1 OR counted_for > $1)";
    THERE = "SELECT id, name FROM company WHERE id = ANY($1::bigint[])";
    COUNTS = "SELECT asked.company_id, count(*), count(*) FILTER (WHERE visitor.excluded), min(visitor.first_seen), max(visitor.last_seen),
                     bool_and(visitor.is_guess)
              FROM unnest($1::text[], $2::bigint[]) AS asked (key, company_id) JOIN visitor ON visitor.company_key = asked.key
              GROUP BY asked.company_id";
    EVENTS = "SELECT asked.company_id, sum(identity.events + identity.page_views)::bigint
              FROM unnest($1::text[], $2::bigint[]) AS asked (key, company_id) JOIN visitor ON visitor.company_key = asked.key
              JOIN identity ON identity.visitor_id = visitor.id GROUP BY asked.company_id";
    DAYS = "SELECT asked.company_id, intent.rule_id, intent.day, count(DISTINCT visitor.id), visitor.is_guess
            FROM unnest($1::text[], $2::bigint[]) AS asked (key, company_id) JOIN visitor ON visitor.company_key = asked.key
            JOIN identity ON identity.visitor_id = visitor.id JOIN intent ON intent.identity_id = identity.id
            WHERE NOT visitor.excluded AND intent.rule_id <> ALL($3::bigint[])
            GROUP BY asked.company_id, intent.rule_id, intent.day, visitor.is_guess
            ORDER BY asked.company_id, intent.rule_id, intent.day, visitor.is_guess";
    // Of rules that count the entries of a visitor.
    COUNTED_DAYS = "SELECT asked.company_id, intent.rule_id, intent.day, sum(intent.count)::bigint, visitor.is_guess, visitor.id
                    FROM unnest($1::text[], $2::bigint[]) AS asked (key, company_id) JOIN visitor ON visitor.company_key = asked.key
                    JOIN identity ON identity.visitor_id = visitor.id
                    JOIN intent ON intent.identity_id = identity.id AND intent.rule_id = ANY($3::bigint[])
                    WHERE NOT visitor.excluded
                    GROUP BY asked.company_id, intent.rule_id, intent.day, visitor.is_guess, visitor.id
                    ORDER BY asked.company_id, intent.rule_id, visitor.id, intent.day";
    TRAITS = "SELECT asked.company_id, company_trait.name, company_trait.value, company_trait.at
              FROM unnest($1::text[], $2::bigint[]) AS asked (key, company_id)
              JOIN company_trait ON company_trait.company_key = asked.key
              ORDER BY asked.key LIKE 'domain:%' DESC, asked.key";
    PUT = "INSERT INTO company (id, key, domain, name, group_ids, traits, points, visitors, events, first_seen, last_seen, excluded,
                                is_shown, counted_for, points_week_ago, strength, trend, is_guess)
           SELECT id, key, domain, name, group_ids, traits, points, visitors, events, first_seen, last_seen, excluded, is_shown, $14,
                  points_week_ago, strength, trend, is_guess
           FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::double precision[], $8::bigint[],
                       $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[], $13::boolean[], $15::double precision[], $16::text[], $17::text[], $18::boolean[])
               AS new (id, key, domain, name, group_ids, traits, points, visitors, events, first_seen, last_seen, excluded, is_shown,
                       points_week_ago, strength, trend, is_guess)
           ON CONFLICT (id) DO UPDATE SET key = excluded.key, domain = excluded.domain, name = excluded.name,
               group_ids = excluded.group_ids, traits = excluded.traits, points = excluded.points, visitors = excluded.visitors,
               events = excluded.events, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
               excluded = excluded.excluded, is_shown = excluded.is_shown, counted_for = excluded.counted_for,
               points_week_ago = excluded.points_week_ago, strength = excluded.strength, trend = excluded.trend,
               is_guess = excluded.is_guess";
    FORGET = "DELETE FROM company WHERE id = ANY($1::bigint[])";
}

/// Rows of `changed`, and companies of another day, that are taken at once.
const AT_ONCE: i64 = 300;

/// The UTC day, counted from 1970.
pub(super) fn today() -> i64 {
    now_milliseconds().div_euclid(MILLISECONDS_OF_A_DAY)
}

/// What counts are of.
fn counted_for(rules: &RuleSet, excludes: i64) -> String {
    format!("{} {} {excludes}", today(), rules.version)
}

/// Counts some of the companies of which something changed. Gives back whether there may be more.
pub(super) async fn count(pool: &Pool, rules: &IntentRules, excludes: &Excludes) -> Result<bool, PostgresError> {
    let rules = rules.now(pool).await?;
    let (exclude, version) = excludes.now();
    let counted_for = counted_for(&rules, version);
    let any_left = transact!(pool, Mode::Read, |transaction| async {
        let ((), rows, ()) =
            together!(transaction.begin(), transaction.query(ANY_LEFT, &[&counted_for]), transaction.commit(),)?;
        Ok(rows.first().map(|row| row.try_get::<_, bool>(0)).transpose()?.unwrap_or_default())
    });
    if !any_left? {
        return Ok(false);
    }
    transact!(pool, Mode::Write, |transaction| count_some(&transaction, &rules, &exclude, &counted_for))?;
    Ok(true)
}

/// Whether there is a company that was counted on another day, or by other rules.
pub(super) async fn is_any_stale(pool: &Pool, rules: &IntentRules, excludes: &Excludes) -> Result<bool, PostgresError> {
    let rules = rules.now(pool).await?;
    let counted_for = counted_for(&rules, excludes.now().1);
    transact!(pool, Mode::Read, |transaction| async {
        let ((), stale, ()) = together!(
            transaction.begin(),
            transaction.query_opt(STALE, &[&counted_for, &1_i64]),
            transaction.commit()
        )?;
        Ok(stale.is_some())
    })
}

async fn count_some(
    transaction: &Transaction,
    rules: &RuleSet,
    exclude: &Exclude,
    counted_for: &str,
) -> Result<(), PostgresError> {
    let ((), taken, stale) = together!(
        transaction.begin(),
        transaction.query(TAKE, &[&AT_ONCE]),
        transaction.query(STALE, &[&counted_for, &AT_ONCE]),
    )?;
    let mut keys = Keys::new(transaction);
    let mut companies = decide(&mut keys, &taken).await?;
    keys.write().await?;
    for row in &stale {
        companies.entry(row.try_get(0)?).or_insert(false);
    }
    let ids: Vec<i64> = companies.keys().copied().collect();
    let of = keys.of_companies(&ids).await?;
    let mut counted = counts(transaction, rules, &of).await?;
    let there = transaction.query(THERE, &[&ids]).await?;
    let mut names: HashMap<i64, Option<String>> = HashMap::new();
    for row in &there {
        names.insert(row.try_get(0)?, row.try_get(1)?);
    }
    for (id, company) in &mut counted {
        let of = of.get(id).map(Vec::as_slice).unwrap_or_default();
        let is_said = companies.get(id).copied().unwrap_or(true) || !names.contains_key(id);
        company.name = match names.remove(id) {
            Some(name) if !is_said => name,
            _ => company_names::of(transaction, *id, of).await?,
        };
        company.describe(of, exclude);
    }
    let gone: Vec<i64> = ids.into_iter().filter(|id| !counted.contains_key(id)).collect();
    together!(
        write(transaction, &counted, counted_for),
        transaction.execute_if(!gone.is_empty(), FORGET, &[&gone]),
        transaction.commit(),
    )?;
    Ok(())
}

/// Decides what belongs together of what has changed. Gives back the companies, and whether more than counts may have changed.
async fn decide(keys: &mut Keys<'_>, taken: &[Row]) -> Result<BTreeMap<i64, bool>, PostgresError> {
    let (mut all, mut said) = (BTreeSet::new(), BTreeSet::new());
    for row in taken {
        let key: String = row.try_get(0)?;
        if row.try_get(2)? {
            keys.tell(&key).await?;
        }
        if row.try_get(1)? {
            said.insert(key.clone());
        }
        all.insert(key);
    }
    keys.load(&all).await?;
    for key in keys.named(&all).await? {
        keys.find_or_new(&key).await?;
    }
    let others = keys.decide(&said).await?;
    keys.tidy(&all).await?;
    keys.regroup().await?;
    let mut companies: BTreeMap<i64, bool> = keys.companies.iter().map(|id| (*id, true)).collect();
    for key in all.iter().chain(&others) {
        if let Some(row) = keys.find(key).await? {
            let is_said = said.contains(key) || others.contains(key);
            *companies.entry(row.company_id).or_default() |= is_said;
        }
    }
    Ok(companies)
}

pub(super) fn entries_of(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A company as it was counted.
#[derive(Default)]
struct Counted {
    key: String,
    domain: Option<String>,
    name: Option<String>,
    group_ids: Vec<String>,
    traits: Map<String, Value>,
    worth: Worth,
    visitors: i64,
    of_staff: i64,
    events: i64,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
    excluded: bool,
    is_told: bool,
    is_guess: bool,
}

impl Counted {
    /// Adds what a day under a rule is worth, so many times.
    fn add(&mut self, rule: &IntentRule, day: i64, times: f64) {
        self.worth.add(Worth::of(rule, day, today()), times);
    }

    /// What its identities say.
    fn describe(&mut self, keys: &[(CompanyKey, KeyRow)], exclude: &Exclude) {
        let of_kind = |kind| keys.iter().map(|(key, _)| key).filter(move |key| key.kind == kind);
        self.key = keys.first().map(|(key, _)| key.value.clone()).unwrap_or_default();
        self.domain = of_kind(CompanyKind::Domain).next().map(|key| key.value.clone());
        self.group_ids = of_kind(CompanyKind::Group).map(|key| key.value.clone()).collect();
        self.group_ids.sort();
        self.is_told = keys.iter().any(|(_, row)| row.is_told);
        let all_of_staff = self.visitors > 0 && self.of_staff == self.visitors;
        self.excluded = all_of_staff
            || (!exclude.is_empty()
                && exclude.takes_company(self.domain.as_deref(), &self.group_ids, self.name.as_deref(), &self.traits));
    }
}

async fn counts(
    transaction: &Transaction,
    rules: &RuleSet,
    companies: &BTreeMap<i64, Vec<(CompanyKey, KeyRow)>>,
) -> Result<BTreeMap<i64, Counted>, PostgresError> {
    let all = || companies.iter().flat_map(|(id, keys)| keys.iter().map(|(key, _)| (text_of(key), *id)));
    let (keys, ids): (Vec<String>, Vec<i64>) = all().unzip();
    let mut counted: BTreeMap<i64, Counted> = companies.keys().map(|id| (*id, Counted::default())).collect();
    let counting: Vec<i64> =
        rules.rules.iter().filter(|stored| stored.rule.count.is_some()).map(|stored| stored.id).collect();
    let counted_days = async {
        if counting.is_empty() {
            return Ok(Vec::new());
        }
        transaction.query(COUNTED_DAYS, &[&keys, &ids, &counting]).await
    };
    let (visitors, events, days, counted_days, traits) = together!(
        transaction.query(COUNTS, &[&keys, &ids]),
        transaction.query(EVENTS, &[&keys, &ids]),
        transaction.query(DAYS, &[&keys, &ids, &counting]),
        counted_days,
        transaction.query(TRAITS, &[&keys, &ids]),
    )?;
    for row in &visitors {
        if let Some(company) = counted.get_mut(&row.try_get(0)?) {
            (company.visitors, company.of_staff) = (row.try_get(1)?, row.try_get(2)?);
            (company.first_seen, company.last_seen) = (row.try_get(3)?, row.try_get(4)?);
            company.is_guess = row.try_get(5)?;
        }
    }
    for row in &events {
        if let Some(company) = counted.get_mut(&row.try_get(0)?) {
            company.events = row.try_get(1)?;
        }
    }
    let of_rule: HashMap<i64, &_> = rules.rules.iter().map(|stored| (stored.id, &stored.rule)).collect();
    for row in &days {
        let (rule, day, visitors): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        if let (Some(company), Some(rule)) = (counted.get_mut(&row.try_get(0)?), of_rule.get(&rule)) {
            #[allow(clippy::cast_precision_loss)] // visitors
            company.add(rule, day, visitors as f64 * share(row.try_get(4)?));
        }
    }
    // Of each visitor the days with their entries.
    let mut entries: BTreeMap<(i64, i64, i64), (f64, EntriesByDay)> = BTreeMap::new();
    for row in &counted_days {
        let (company, rule, visitor) = (row.try_get(0)?, row.try_get(1)?, row.try_get(5)?);
        let is_guess = row.try_get(4)?;
        let (_, of_visitor) =
            entries.entry((company, rule, visitor)).or_insert_with(|| (share(is_guess), EntriesByDay::new()));
        of_visitor.insert(row.try_get(2)?, entries_of(row.try_get(3)?));
    }
    for ((company, rule, _), (share, entries)) in entries {
        let (Some(company), Some(rule)) = (counted.get_mut(&company), of_rule.get(&rule)) else { continue };
        for day in days_that_count(rule, &entries) {
            company.add(rule, day, share);
        }
    }
    let mut latest: HashMap<i64, Latest> = HashMap::new();
    for row in &traits {
        latest.entry(row.try_get(0)?).or_default().put(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    }
    for (id, latest) in latest {
        if let Some(company) = counted.get_mut(&id) {
            company.traits = latest.into_map();
        }
    }
    Ok(counted)
}

async fn write(
    transaction: &Transaction,
    companies: &BTreeMap<i64, Counted>,
    counted_for: &str,
) -> Result<(), PostgresError> {
    let all = || companies.values();
    let ids: Vec<i64> = companies.keys().copied().collect();
    let keys: Vec<&str> = all().map(|company| company.key.as_str()).collect();
    let domains: Vec<Option<&str>> = all().map(|company| company.domain.as_deref()).collect();
    let names: Vec<Option<&str>> = all().map(|company| company.name.as_deref()).collect();
    let groups: Vec<String> = all().map(|company| Value::from(company.group_ids.clone()).to_string()).collect();
    let traits: Vec<String> = all().map(|company| Value::Object(company.traits.clone()).to_string()).collect();
    let points: Vec<f64> = all().map(|company| company.worth.now).collect();
    let visitors: Vec<i64> = all().map(|company| company.visitors).collect();
    let events: Vec<i64> = all().map(|company| company.events).collect();
    let first: Vec<Option<i64>> = all().map(|company| company.first_seen).collect();
    let last: Vec<Option<i64>> = all().map(|company| company.last_seen).collect();
    let excluded: Vec<bool> = all().map(|company| company.excluded).collect();
    let week_ago: Vec<f64> = all().map(|company| company.worth.week_ago).collect();
    let strengths: Vec<String> = all().map(|company| in_words(Strength::of(company.worth.now).label())).collect();
    let trends: Vec<String> =
        all().map(|company| in_words(Trend::of(company.worth.now, company.worth.week_ago))).collect();
    let guessed: Vec<bool> = all().map(|company| company.is_guess).collect();
    let shown: Vec<bool> = all().map(|company| company.visitors > 0 || company.is_told).collect();
    transaction
        .execute_if(
            !ids.is_empty(),
            PUT,
            &[
                &ids,
                &keys,
                &domains,
                &names,
                &groups,
                &traits,
                &points,
                &visitors,
                &events,
                &first,
                &last,
                &excluded,
                &shown,
                &counted_for,
                &week_ago,
                &strengths,
                &trends,
                &guessed,
            ],
        )
        .await
}

/// A strength or a trend as it is kept.
pub(super) fn in_words(of: impl std::fmt::Debug) -> String {
    format!("{of:?}")
}
