//! What the points of visitors and of companies come from, when somebody looks.

use std::collections::{BTreeMap, HashMap};

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use rusqlite::{Connection, params};

use super::ids;
use super::intent::StoredRule;
use crate::intent::Intent;
use crate::intent::worth::{EntriesByDay, Total, Worth, days_that_count, share};
use crate::store::company::Reason;
use crate::store::visitor::Visitor;
use crate::store::visitor_points::VisitorPoints;

/// Says how much each of these visitors means to buy; where they were found by their points, what these say.
pub(super) fn fill_by(
    connection: &Connection,
    rules: &[StoredRule],
    points: Option<&VisitorPoints>,
    visitors: &mut [Visitor],
) -> rusqlite::Result<()> {
    let Some(points) = points else { return fill(connection, rules, visitors) };
    for visitor in visitors {
        visitor.intent = points.intent_of(ids::visitor_row(&visitor.id));
    }
    Ok(())
}

/// Says how much each of these visitors means to buy.
pub(super) fn fill<'v>(
    connection: &Connection,
    rules: &[StoredRule],
    visitors: impl IntoIterator<Item = &'v mut Visitor>,
) -> rusqlite::Result<()> {
    let today = now_milliseconds().div_euclid(MILLISECONDS_OF_A_DAY);
    let mut select = connection.prepare_cached(
        "SELECT rule_id, day, sum(count) FROM identity CROSS JOIN intent ON intent.identity_id = identity.id
         WHERE visitor_id = ?1 GROUP BY rule_id, day",
    )?;
    for visitor in visitors {
        let mut of_rules: HashMap<i64, EntriesByDay> = HashMap::new();
        let mut rows = select.query([ids::visitor_row(&visitor.id)])?;
        while let Some(row) = rows.next()? {
            of_rules.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
        }
        let mut points = Worth::default();
        for stored in rules {
            let Some(entries) = of_rules.get(&stored.id) else { continue };
            for day in days_that_count(&stored.rule, entries) {
                points.add(Worth::of(&stored.rule, day, today), 1.0);
            }
        }
        visitor.intent = Intent::of(points.now, points.week_ago);
    }
    Ok(())
}

/// What a company's points come from, the most first.
pub(super) fn of_company(
    connection: &Connection,
    rules: &[StoredRule],
    company_id: i64,
    today: i64,
) -> rusqlite::Result<Vec<Reason>> {
    let mut select = connection.prepare_cached(
        "SELECT visitor.id, intent.day, intent.count, is_guess FROM visitor CROSS JOIN identity ON identity.visitor_id = visitor.id
         CROSS JOIN intent ON intent.identity_id = identity.id AND intent.rule_id = ?2
         WHERE visitor.company_id = ?1 AND visitor.excluded IS NOT 1",
    )?;
    let mut reasons = Vec::new();
    for stored in rules {
        let mut visitors: BTreeMap<i64, (f64, EntriesByDay)> = BTreeMap::new();
        let mut rows = select.query(params![company_id, stored.id])?;
        while let Some(row) = rows.next()? {
            let count: u32 = row.get(2)?;
            let is_guess = row.get(3)?;
            let (_, entries) = visitors.entry(row.get(0)?).or_insert_with(|| (share(is_guess), EntriesByDay::new()));
            entries.entry(row.get(1)?).and_modify(|sum| *sum = sum.saturating_add(count)).or_insert(count);
        }
        reasons.extend(Total::of(&stored.rule, visitors.values(), today).map(|total| Reason::of(&stored.rule, total)));
    }
    reasons.sort_by(|a, b| b.points.total_cmp(&a.points));
    Ok(reasons)
}
