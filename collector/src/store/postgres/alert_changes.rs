//! What changed that alerts have not looked at yet. Whoever keeps an entry inserts rows and touches none that is there; whoever
//! evaluates takes them away with what comes of them (`alert_tell`).

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use tokio_postgres::Row;

use super::days::{Days, day_of};
use super::error::PostgresError;
use super::ids;
use super::intent::RuleSet;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::intent::Count;
use crate::store::alerts::{Changed, Unsettled};

statements! {
    NOTE = "INSERT INTO alert_changed (id, identity_id, rule_id, day, at)
            SELECT id, $1, rule_id, day, at FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS new (id, rule_id, day, at)";
    ANY = "SELECT EXISTS (SELECT 1 FROM alert_changed)";
    // A row's number says when it was noted.
    ANY_UNSETTLED = "SELECT EXISTS (
                         SELECT 1 FROM alert_changed JOIN identity ON identity.id = alert_changed.identity_id AND identity.kind <> 'taken'
                         JOIN visitor ON visitor.id = identity.visitor_id JOIN intent_rule ON intent_rule.id = alert_changed.rule_id
                         WHERE alert_changed.id >= $1 AND alert_changed.id < $2 AND (visitor.company_key IS NULL OR visitor.is_guess)
                             AND intent_rule.name = ANY($3::text[]))";
    // Whose company is yet to be counted, also one that was said since, or who is yet to be looked at whether they are kept out, is
    // looked at when that is done.
    CHANGED = "SELECT alert_changed.id, visitor.id, company_key.company_id, intent_rule.id, intent_rule.name, alert_changed.day, alert_changed.at
               FROM alert_changed
               JOIN identity ON identity.id = alert_changed.identity_id AND identity.kind <> 'taken'
               JOIN visitor ON visitor.id = identity.visitor_id
               LEFT JOIN company_key ON company_key.key = visitor.company_key
               LEFT JOIN intent_rule ON intent_rule.id = alert_changed.rule_id
               WHERE visitor.excluded_for = $2
                   AND NOT ((visitor.company_key IS NULL OR visitor.is_guess) AND alert_changed.id >= $3 AND alert_changed.id < $4
                            AND coalesce(intent_rule.name = ANY($5::text[]), FALSE))
                   AND NOT EXISTS (SELECT 1 FROM changed WHERE changed.key = visitor.company_key
                                       AND (changed.id <= alert_changed.id OR company_key.company_id IS NULL))
               ORDER BY alert_changed.id LIMIT $1";
    COUNTS = "SELECT asked.visitor_id, asked.rule_id, intent.day, sum(intent.count)::bigint
              FROM (SELECT DISTINCT * FROM unnest($1::bigint[], $2::bigint[]) AS one (visitor_id, rule_id)) AS asked
              JOIN identity ON identity.visitor_id = asked.visitor_id
              JOIN intent ON intent.identity_id = identity.id AND intent.rule_id = asked.rule_id
              GROUP BY asked.visitor_id, asked.rule_id, intent.day";
    FORGET = "DELETE FROM alert_changed WHERE id IN (SELECT id FROM alert_changed WHERE identity_id = ANY($1::bigint[]) LIMIT $2)";
}

/// The rule of a row that says that points may be others, and that nothing happened.
const NO_RULE: i64 = 0;

/// Something was said by which what was there already may be another company's now, or another visitor's.
pub(super) struct Reassigned {
    /// When.
    pub(super) at: i64,
    /// The rules that count, where visitors were put together: what one did and what the other one did may be enough now.
    pub(super) counting: Vec<i64>,
}

impl Reassigned {
    fn rows(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        let of_rule = |rule: &i64| (*rule, day_of(self.at), self.at);
        [(NO_RULE, 0, self.at)].into_iter().chain(self.counting.iter().map(of_rule))
    }
}

/// Notes days on which intent rules took something of an id that changes points. What happened long ago changes points alone.
/// What was there already may be another company's now, or another visitor's: `moved`.
pub(super) async fn note(
    transaction: &Transaction,
    identity_id: i64,
    days: &Days,
    moved: Option<&Reassigned>,
) -> Result<(), PostgresError> {
    let now = now_milliseconds();
    let mut rows = BTreeMap::new();
    // What was done yesterday and comes late may be what makes today enough.
    let of_today = days.new_ones_that_count().map(|(rule, at)| (rule, day_of(now), at));
    for (rule, day, at) in days.new_ones().chain(of_today).chain(moved.into_iter().flat_map(Reassigned::rows)) {
        let (rule, day) = if at > now - MILLISECONDS_OF_A_DAY { (rule, day) } else { (NO_RULE, 0) };
        let latest = rows.entry((rule, day)).or_insert(at);
        *latest = at.max(*latest);
    }
    if rows.is_empty() {
        return Ok(());
    }
    // Behind the numbers of the rows that say that the company is to be counted.
    let ids: Vec<i64> = (row_ids::behind()..).take(rows.len()).collect();
    let (rules, days): (Vec<i64>, Vec<i64>) = rows.keys().copied().unzip();
    let times: Vec<i64> = rows.values().copied().collect();
    transaction.execute(NOTE, &[&identity_id, &ids, &rules, &days, &times]).await.map(drop)
}

/// Whether something changed.
pub(super) async fn is_any(transaction: &Transaction) -> Result<bool, PostgresError> {
    let ((), row, ()) = together!(transaction.begin(), transaction.query_opt(ANY, &[]), transaction.commit())?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// The numbers of rows that were noted in a time.
fn noted(Unsettled { since, before, .. }: Unsettled<'_>) -> (i64, i64) {
    (row_ids::at(since), row_ids::at(before))
}

/// Whether something changed that is unsettled.
pub(super) async fn is_any_unsettled(
    transaction: &Transaction,
    unsettled: Unsettled<'_>,
) -> Result<bool, PostgresError> {
    let (since, before) = noted(unsettled);
    let ((), row, ()) = together!(
        transaction.begin(),
        transaction.query_opt(ANY_UNSETTLED, &[&since, &before, &unsettled.rules]),
        transaction.commit(),
    )?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// What changed and was not looked at yet. Of a rule that counts a row says it only where the day counts by now.
pub(super) async fn changed(
    transaction: &Transaction,
    rules: &RuleSet,
    limit: u32,
    unsettled: Unsettled<'_>,
) -> Result<Vec<Changed>, PostgresError> {
    let limit = i64::from(limit);
    let (since, before) = noted(unsettled);
    let ((), rows) = together!(
        transaction.begin(),
        transaction.query(CHANGED, &[&limit, &transaction.excludes(), &since, &before, &unsettled.rules]),
    )?;
    let rows = rows.iter().map(Found::of).collect::<Result<Vec<_>, _>>()?;
    let of_rule = |found: &Found| {
        let rule = rules.rules.iter().find(|stored| Some(stored.id) == found.rule_id)?;
        Some((found.visitor_id, rule.id, rule.rule.count?))
    };
    let counting: Vec<(i64, i64, Count)> = rows.iter().filter_map(of_rule).collect();
    let enough = days_that_count(transaction, &counting).await?;
    transaction.commit().await?;
    let counts =
        |found: &Found| of_rule(found).is_none_or(|(visitor, rule, _)| enough.contains(&(visitor, rule, found.day)));
    let changed = rows.iter().map(|found| Changed {
        token: found.id.to_string(),
        visitor: ids::visitor_id(found.visitor_id),
        company: found.company_id.map(ids::company_id),
        rule: found.rule.clone().filter(|_| counts(found)),
        day: found.day,
        at: found.at,
    });
    Ok(changed.collect())
}

struct Found {
    id: i64,
    visitor_id: i64,
    company_id: Option<i64>,
    rule_id: Option<i64>,
    rule: Option<String>,
    day: i64,
    at: i64,
}

impl Found {
    fn of(row: &Row) -> Result<Self, PostgresError> {
        Ok(Self {
            id: row.try_get(0)?,
            visitor_id: row.try_get(1)?,
            company_id: row.try_get(2)?,
            rule_id: row.try_get(3)?,
            rule: row.try_get(4)?,
            day: row.try_get(5)?,
            at: row.try_get(6)?,
        })
    }
}

/// The days that count of some visitors under rules that count: the visitor, the rule, the day.
async fn days_that_count(
    transaction: &Transaction,
    asked: &[(i64, i64, Count)],
) -> Result<BTreeSet<(i64, i64, i64)>, PostgresError> {
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (visitors, rules): (Vec<i64>, Vec<i64>) = asked.iter().map(|(visitor, rule, _)| (*visitor, *rule)).unzip();
    let mut entries: BTreeMap<(i64, i64), BTreeMap<i64, u32>> = BTreeMap::new();
    for row in transaction.query(COUNTS, &[&visitors, &rules]).await? {
        let count = u32::try_from(row.try_get::<_, i64>(3)?).unwrap_or(u32::MAX);
        entries.entry((row.try_get(0)?, row.try_get(1)?)).or_default().insert(row.try_get(2)?, count);
    }
    let mut enough = BTreeSet::new();
    for (visitor, rule, count) in asked {
        let days = entries.get(&(*visitor, *rule)).map(|entries| count.days(entries)).unwrap_or_default();
        enough.extend(days.into_iter().map(|day| (*visitor, *rule, day)));
    }
    Ok(enough)
}
