//! The points of all visitors, counted by the database: what comes back is a row a visitor. What took a while to count serves for as
//! long as it costs a tenth of the database's time at most, and never longer than a minute.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use koala_destination::clock::now_milliseconds;
use tokio::sync::Mutex;

use super::error::PostgresError;
use super::intent::{RuleSet, StoredRule};
use super::points::{entries_of, today};
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Mode, Transaction, transact};
use crate::intent::worth::{EntriesByDay, Worth, days_that_count};
use crate::store::filter::Filter;
use crate::store::visitor_points::VisitorPoints;

statements! {
    // A visitor's day counts once, whatever ids it was done under. Next to nothing is nothing: the database refuses what is smaller
    // than a number can be.
    POINTS = "SELECT done.visitor_id,
                     sum(CASE WHEN done.age > 60 * rule.half_life THEN 0 ELSE rule.score * power(2, -done.age / rule.half_life) END),
                     sum(CASE WHEN done.age < 7 OR done.age - 7 > 60 * rule.half_life THEN 0
                              ELSE rule.score * power(2, -(done.age - 7) / rule.half_life) END)
              FROM (SELECT DISTINCT identity.visitor_id, intent.rule_id, greatest($4 - intent.day, 0)::double precision AS age
                    FROM intent JOIN identity ON identity.id = intent.identity_id WHERE intent.rule_id = ANY($1::bigint[])) AS done
              JOIN unnest($1::bigint[], $2::double precision[], $3::double precision[]) AS rule (id, score, half_life) ON rule.id = done.rule_id
              GROUP BY done.visitor_id";
    // Of rules that count, the visitors who ever did enough.
    COUNTED = "SELECT enough.visitor_id, enough.rule_id, enough.day, enough.entries::bigint
               FROM (SELECT identity.visitor_id, intent.rule_id, intent.day, sum(intent.count) AS entries,
                            sum(sum(intent.count)) OVER (PARTITION BY identity.visitor_id, intent.rule_id) AS all_entries
                     FROM intent JOIN identity ON identity.id = intent.identity_id WHERE intent.rule_id = ANY($1::bigint[])
                     GROUP BY identity.visitor_id, intent.rule_id, intent.day) AS enough
               JOIN unnest($1::bigint[], $2::bigint[]) AS rule (id, at_least) ON rule.id = enough.rule_id
               WHERE enough.all_entries >= rule.at_least";
}

/// What was counted in less is counted anew each time, in milliseconds; a database may be far away.
const QUICK: i64 = 200;
/// The points of so few visitors are, too, however long it took: then it is the machine that is slow.
const FEW_VISITORS: usize = 2000;
/// What took longer serves as many times that …
const SERVES_TIMES: i64 = 10;
/// … and at most so long, in milliseconds.
const SERVES_AT_MOST: i64 = 60_000;

/// The points as they were counted last; clones share them.
#[derive(Clone, Default)]
pub(super) struct PointsOfVisitors(Arc<Mutex<Option<Counted>>>);

struct Counted {
    points: Arc<VisitorPoints>,
    of_day: i64,
    of_rules: i64,
    /// Until then they serve, in milliseconds since 1970: a clock that goes on while a function is frozen.
    until: i64,
}

impl PointsOfVisitors {
    /// The points, where a filter asks for them; those of a large store may be some seconds old.
    pub(super) async fn asked_by(
        &self,
        filter: &Filter,
        pool: &Pool,
        rules: &RuleSet,
    ) -> Result<Option<Arc<VisitorPoints>>, PostgresError> {
        if !filter.asks_for_points() {
            return Ok(None);
        }
        // One counts at a time, and another one waits for it.
        let mut last = self.0.lock().await;
        let begun = now_milliseconds();
        let serves = |counted: &&Counted| {
            // A clock that was set back says nothing of how old they are.
            let serves = begun < counted.until && counted.until - begun <= SERVES_AT_MOST;
            serves && counted.of_day == today() && counted.of_rules == rules.version
        };
        if let Some(counted) = last.as_ref().filter(serves) {
            return Ok(Some(Arc::clone(&counted.points)));
        }
        let of_day = today();
        let points = Arc::new(transact!(pool, Mode::Read, |transaction| of_all(&transaction, rules, of_day))?);
        let ended = now_milliseconds();
        let took = ended - begun;
        let serves_for = if took > QUICK && points.visitors() > FEW_VISITORS {
            (took * SERVES_TIMES).min(SERVES_AT_MOST)
        } else {
            0
        };
        let counted = Counted { points, of_day, of_rules: rules.version, until: ended + serves_for };
        Ok(Some(Arc::clone(&last.insert(counted).points)))
    }
}

async fn of_all(transaction: &Transaction, rules: &RuleSet, today: i64) -> Result<VisitorPoints, PostgresError> {
    let (counting, once): (Vec<&StoredRule>, Vec<&StoredRule>) =
        rules.rules.iter().partition(|stored| stored.rule.count.is_some());
    let ids: Vec<i64> = once.iter().map(|stored| stored.id).collect();
    let scores: Vec<f64> = once.iter().map(|stored| stored.rule.score).collect();
    let half_lives: Vec<f64> = once.iter().map(|stored| stored.rule.half_life_days).collect();
    let counting_ids: Vec<i64> = counting.iter().map(|stored| stored.id).collect();
    let at_least: Vec<i64> =
        counting.iter().map(|stored| stored.rule.count.map_or(1, |count| i64::from(count.at_least))).collect();
    // One after the other: what is not prepared takes two round trips.
    transaction.begin().await?;
    let points = transaction.query_rare(POINTS, &[&ids, &scores, &half_lives, &today]).await?;
    let counted = if counting.is_empty() {
        Vec::new()
    } else {
        transaction.query_rare(COUNTED, &[&counting_ids, &at_least]).await?
    };
    transaction.commit().await?;
    let mut all = VisitorPoints::default();
    for row in &points {
        all.add(row.try_get(0)?, Worth { now: row.try_get(1)?, week_ago: row.try_get(2)? });
    }
    let mut entries: BTreeMap<(i64, i64), EntriesByDay> = BTreeMap::new();
    for row in &counted {
        let of_visitor = entries.entry((row.try_get(0)?, row.try_get(1)?)).or_default();
        of_visitor.insert(row.try_get(2)?, entries_of(row.try_get(3)?));
    }
    let of_rule: HashMap<i64, _> = counting.iter().map(|stored| (stored.id, &stored.rule)).collect();
    for ((visitor, rule), entries) in entries {
        let Some(rule) = of_rule.get(&rule) else { continue };
        for day in days_that_count(rule, &entries) {
            all.add(visitor, Worth::of(rule, day, today));
        }
    }
    Ok(all)
}
