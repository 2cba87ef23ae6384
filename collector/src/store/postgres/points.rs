//! What is shown of companies, counted: their points, how many visitors and events they have, when they were seen.
//!
//! Whoever keeps an entry notes the company in `changed`, in the same transaction. Whoever counts takes rows of `changed` and writes
//! the companies' rows in one transaction, so that no change is lost; and counts those anew whose points are of another day or of
//! other rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use tokio_postgres::Row;

use super::error::PostgresError;
use super::intent::{IntentRules, RuleSet};
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Access, Transaction, together, transact};
use crate::store::company::Reason;

statements! {
    TAKE = "DELETE FROM changed WHERE id IN (SELECT id FROM changed ORDER BY id LIMIT $1) RETURNING id, account, domain, name";
    STALE = "SELECT key FROM account WHERE counted_for < $1 ORDER BY counted_for LIMIT $2";
    ANY_LEFT = "SELECT EXISTS (SELECT 1 FROM changed) OR EXISTS (SELECT 1 FROM account WHERE counted_for < $1)";
    VISITORS = "SELECT account, count(*), max(last_seen) FROM visitor WHERE account = ANY($1::text[]) GROUP BY account";
    EVENTS = "SELECT visitor.account, sum(identity.events + identity.page_views)::bigint
              FROM visitor JOIN identity ON identity.visitor_id = visitor.id
              WHERE visitor.account = ANY($1::text[]) GROUP BY visitor.account";
    DAYS = "SELECT visitor.account, intent.rule_id, intent.day, count(DISTINCT visitor.id)
            FROM visitor JOIN identity ON identity.visitor_id = visitor.id JOIN intent ON intent.identity_id = identity.id
            WHERE visitor.account = ANY($1::text[]) GROUP BY visitor.account, intent.rule_id, intent.day
            ORDER BY intent.rule_id, intent.day";
    THERE = "SELECT key, traits <> '{}' FROM account WHERE key = ANY($1::text[])";
    PUT = "INSERT INTO account (key, domain, name, points, visitors, events, last_seen, counted_for)
           SELECT key, domain, name, points, visitors, events, last_seen, $8
           FROM unnest($1::text[], $2::text[], $3::text[], $4::double precision[], $5::bigint[], $6::bigint[], $7::bigint[])
               AS new (key, domain, name, points, visitors, events, last_seen)
           ON CONFLICT (key) DO UPDATE SET domain = coalesce(excluded.domain, account.domain),
               name = coalesce(excluded.name, account.name), points = excluded.points, visitors = excluded.visitors,
               events = excluded.events, last_seen = excluded.last_seen, counted_for = excluded.counted_for";
    FORGET = "DELETE FROM account WHERE key = ANY($1::text[])";
    VISITOR_DAYS = "SELECT DISTINCT intent.rule_id, intent.day, visitor.id
                    FROM visitor JOIN identity ON identity.visitor_id = visitor.id JOIN intent ON intent.identity_id = identity.id
                    WHERE visitor.account = $1";
}

/// Rows of `changed`, and companies of another day, that are taken at once.
const AT_ONCE: i64 = 500;

fn today() -> i64 {
    now_milliseconds().div_euclid(MILLISECONDS_OF_A_DAY)
}

/// What points are of: a later day or later rules are greater.
fn counted_for(rules: &RuleSet) -> i64 {
    const VERSIONS: i64 = 1_000_000;
    today() * VERSIONS + rules.version % VERSIONS
}

/// Counts some of the companies of which something changed. Gives back whether there may be more.
pub(super) async fn count(pool: &Pool, rules: &IntentRules) -> Result<bool, PostgresError> {
    let rules = rules.now(pool).await?;
    let counted_for = counted_for(&rules);
    let any_left = transact!(pool, Access::Read, |transaction| async {
        let ((), rows, ()) =
            together!(transaction.begin(), transaction.query(ANY_LEFT, &[&counted_for]), transaction.commit())?;
        Ok(rows.first().map(|row| row.try_get::<_, bool>(0)).transpose()?.unwrap_or_default())
    });
    if !any_left? {
        return Ok(false);
    }
    transact!(pool, Access::Write, |transaction| count_some(&transaction, &rules, counted_for))?;
    Ok(true)
}

async fn count_some(transaction: &Transaction, rules: &RuleSet, counted_for: i64) -> Result<(), PostgresError> {
    let ((), taken, stale) = together!(
        transaction.begin(),
        transaction.query(TAKE, &[&AT_ONCE]),
        transaction.query(STALE, &[&counted_for, &AT_ONCE]),
    )?;
    let mut companies: BTreeMap<String, Counted> = BTreeMap::new();
    for row in &stale {
        companies.entry(row.try_get(0)?).or_default();
    }
    // How it was named last counts.
    let mut taken: Vec<&Row> = taken.iter().collect();
    taken.sort_by_key(|row| row.try_get::<_, i64>(0).unwrap_or_default());
    for row in taken {
        let company = companies.entry(row.try_get(1)?).or_default();
        company.domain = row.try_get::<_, Option<String>>(2)?.or(company.domain.take());
        company.name = row.try_get::<_, Option<String>>(3)?.or(company.name.take());
    }
    let keys: Vec<&str> = companies.keys().map(String::as_str).collect();
    let (visitors, events, days, there) = together!(
        transaction.query(VISITORS, &[&keys]),
        transaction.query(EVENTS, &[&keys]),
        transaction.query(DAYS, &[&keys]),
        transaction.query(THERE, &[&keys]),
    )?;
    for row in &visitors {
        if let Some(company) = companies.get_mut(row.try_get::<_, &str>(0)?) {
            (company.visitors, company.last_seen) = (row.try_get(1)?, row.try_get(2)?);
        }
    }
    for row in &events {
        if let Some(company) = companies.get_mut(row.try_get::<_, &str>(0)?) {
            company.events = row.try_get(1)?;
        }
    }
    let of_rule: HashMap<i64, &_> = rules.rules.iter().map(|stored| (stored.id, &stored.rule)).collect();
    for row in &days {
        let (rule, day, visitors): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        if let (Some(company), Some(rule)) = (companies.get_mut(row.try_get::<_, &str>(0)?), of_rule.get(&rule)) {
            #[allow(clippy::cast_precision_loss)] // visitors
            let times = visitors as f64;
            company.points += rule.points_after(today() - day) * times;
        }
    }
    for row in &there {
        if let Some(company) = companies.get_mut(row.try_get::<_, &str>(0)?) {
            company.is_told_of = row.try_get(1)?;
        }
    }
    write(transaction, &companies, counted_for).await
}

/// A company as it was counted.
#[derive(Default)]
struct Counted {
    domain: Option<String>,
    name: Option<String>,
    points: f64,
    visitors: i64,
    events: i64,
    last_seen: Option<i64>,
    /// Whether something was said of it itself.
    is_told_of: bool,
}

async fn write(
    transaction: &Transaction,
    companies: &BTreeMap<String, Counted>,
    counted_for: i64,
) -> Result<(), PostgresError> {
    let mut gone: Vec<&str> = Vec::new();
    let (mut keys, mut domains, mut names, mut points) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut visitors, mut events, mut last_seen) = (Vec::new(), Vec::new(), Vec::new());
    for (key, company) in companies {
        // One that nobody is of is gone, unless something was said of it.
        if company.visitors == 0 && !company.is_told_of {
            gone.push(key);
            continue;
        }
        keys.push(key.as_str());
        domains.push(company.domain.as_deref());
        names.push(company.name.as_deref());
        points.push(company.points);
        visitors.push(company.visitors);
        events.push(company.events);
        last_seen.push(company.last_seen);
    }
    together!(
        transaction.execute_if(
            !keys.is_empty(),
            PUT,
            &[&keys, &domains, &names, &points, &visitors, &events, &last_seen, &counted_for]
        ),
        transaction.execute_if(!gone.is_empty(), FORGET, &[&gone]),
        transaction.commit(),
    )?;
    Ok(())
}

/// What a company's points come from, the most first.
pub(super) async fn reasons(
    transaction: &Transaction,
    rules: &RuleSet,
    key: &str,
) -> Result<Vec<Reason>, PostgresError> {
    let rows = transaction.query(VISITOR_DAYS, &[&key]).await?;
    let mut of_rules: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    for row in &rows {
        of_rules.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, row.try_get(2)?));
    }
    let mut reasons = Vec::new();
    for stored in &rules.rules {
        let Some(days) = of_rules.get_mut(&stored.id) else { continue };
        days.sort_unstable();
        let visitors: BTreeSet<i64> = days.iter().map(|(_, visitor)| *visitor).collect();
        let points: f64 = days.iter().map(|(day, _)| stored.rule.points_after(today() - day)).sum();
        let last_day = days.last().map_or(0, |(day, _)| *day);
        let last_day = clock::from_milliseconds(last_day.saturating_mul(MILLISECONDS_OF_A_DAY));
        let rule = stored.rule.name.clone();
        reasons.push(Reason { rule, points, points_week_ago: points, visitors: visitors.len(), last_day });
    }
    reasons.sort_by(|a, b| b.points.total_cmp(&a.points));
    Ok(reasons)
}
