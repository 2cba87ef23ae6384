//! What the points of visitors and of companies come from, when somebody looks.

use std::collections::{BTreeMap, HashMap};

use super::error::PostgresError;
use super::intent::{RuleSet, StoredRule};
use super::points::{entries_of, today};
use super::sql::statements;
use super::transaction::Transaction;
use crate::intent::worth::{EntriesByDay, Total, Worth, days_that_count, share};
use crate::intent::{Intent, IntentRule};
use crate::store::company::Reason;

statements! {
    VISITOR_DAYS = "SELECT company_key.company_id, intent.rule_id, intent.day, visitor.id, visitor.is_guess, sum(intent.count)::bigint
                    FROM company_key JOIN visitor ON visitor.company_key = company_key.key
                    JOIN identity ON identity.visitor_id = visitor.id JOIN intent ON intent.identity_id = identity.id
                    WHERE company_key.company_id = ANY($1::bigint[]) AND NOT visitor.excluded
                    GROUP BY company_key.company_id, intent.rule_id, intent.day, visitor.id, visitor.is_guess";
    DAYS_OF_VISITORS = "SELECT identity.visitor_id, intent.rule_id, intent.day, sum(intent.count)::bigint
                        FROM identity JOIN intent ON intent.identity_id = identity.id WHERE identity.visitor_id = ANY($1::bigint[])
                        GROUP BY identity.visitor_id, intent.rule_id, intent.day";
}

/// Of each visitor the share of the points, and the days.
type DaysOfVisitors = BTreeMap<i64, (f64, EntriesByDay)>;

/// How much each of these visitors means to buy; one that did nothing that a rule looks for is not among them.
pub(super) async fn of_visitors(
    transaction: &Transaction,
    rules: &RuleSet,
    visitor_ids: &[i64],
) -> Result<HashMap<i64, Intent>, PostgresError> {
    let of_rule: HashMap<i64, &IntentRule> = rules.rules.iter().map(|stored| (stored.id, &stored.rule)).collect();
    let mut entries: BTreeMap<(i64, i64), EntriesByDay> = BTreeMap::new();
    for row in &transaction.query(DAYS_OF_VISITORS, &[&visitor_ids]).await? {
        let of_visitor = entries.entry((row.try_get(0)?, row.try_get(1)?)).or_default();
        of_visitor.insert(row.try_get(2)?, entries_of(row.try_get(3)?));
    }
    let mut points: HashMap<i64, Worth> = HashMap::new();
    for ((visitor, rule), entries) in entries {
        let Some(rule) = of_rule.get(&rule) else { continue };
        for day in days_that_count(rule, &entries) {
            points.entry(visitor).or_default().add(Worth::of(rule, day, today()), 1.0);
        }
    }
    Ok(points.into_iter().map(|(visitor, worth)| (visitor, Intent::of(worth.now, worth.week_ago))).collect())
}

/// What a company's points come from, the most first.
pub(super) async fn reasons(
    transaction: &Transaction,
    rules: &RuleSet,
    company_id: i64,
) -> Result<Vec<Reason>, PostgresError> {
    Ok(reasons_of(transaction, rules, &[company_id]).await?.remove(&company_id).unwrap_or_default())
}

/// The same of several.
pub(super) async fn reasons_of(
    transaction: &Transaction,
    rules: &RuleSet,
    companies: &[i64],
) -> Result<HashMap<i64, Vec<Reason>>, PostgresError> {
    let mut days: HashMap<i64, HashMap<i64, DaysOfVisitors>> = HashMap::new();
    for row in &transaction.query(VISITOR_DAYS, &[&companies]).await? {
        let is_guess = row.try_get(4)?;
        let of_rule = days.entry(row.try_get(0)?).or_default().entry(row.try_get(1)?).or_default();
        let (_, entries) = of_rule.entry(row.try_get(3)?).or_insert_with(|| (share(is_guess), EntriesByDay::new()));
        entries.insert(row.try_get(2)?, entries_of(row.try_get(5)?));
    }
    Ok(days.into_iter().map(|(company_id, of_rules)| (company_id, reasons_by(rules, &of_rules))).collect())
}

/// What the days of visitors come to by rule, the most first.
fn reasons_by(rules: &RuleSet, of_rules: &HashMap<i64, DaysOfVisitors>) -> Vec<Reason> {
    let today = today();
    let of_rule = |StoredRule { id, rule, .. }: &StoredRule| {
        Some(Reason::of(rule, Total::of(rule, of_rules.get(id)?.values(), today)?))
    };
    let mut reasons: Vec<Reason> = rules.rules.iter().filter_map(of_rule).collect();
    reasons.sort_by(|a, b| b.points.total_cmp(&a.points));
    reasons
}
