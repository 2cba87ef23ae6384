//! The points of all visitors, counted in one go.

use std::collections::HashMap;

use rusqlite::Connection;

use super::intent::StoredRule;
use super::remade::today;
use crate::intent::worth::{EntriesByDay, Worth, days_that_count};
use crate::store::visitor_points::VisitorPoints;

/// Counts the points of all visitors: one after the other, so that no more than one's days stand in memory.
pub(super) fn of_all(connection: &Connection, rules: &[StoredRule]) -> rusqlite::Result<VisitorPoints> {
    let mut select = connection.prepare_cached(
        "SELECT visitor_id, rule_id, day, count FROM identity CROSS JOIN intent ON intent.identity_id = identity.id ORDER BY visitor_id",
    )?;
    let mut count = Count { rules, today: today(), worth: HashMap::new(), points: VisitorPoints::default() };
    let (mut one, mut days) = (0, HashMap::<i64, EntriesByDay>::new());
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (visitor_id, entries): (i64, u32) = (row.get(0)?, row.get(3)?);
        if visitor_id != one {
            count.add(one, &mut days);
            one = visitor_id;
        }
        let of_rule = days.entry(row.get(1)?).or_default();
        of_rule.entry(row.get(2)?).and_modify(|sum| *sum = sum.saturating_add(entries)).or_insert(entries);
    }
    count.add(one, &mut days);
    Ok(count.points)
}

struct Count<'r> {
    rules: &'r [StoredRule],
    today: i64,
    /// What a day under a rule is worth.
    worth: HashMap<(i64, i64), Worth>,
    points: VisitorPoints,
}

impl Count<'_> {
    /// Adds what the days of a visitor come to, by rule.
    fn add(&mut self, visitor_id: i64, days: &mut HashMap<i64, EntriesByDay>) {
        for StoredRule { id, rule, .. } in self.rules {
            let Some(entries) = days.get(id) else { continue };
            for day in days_that_count(rule, entries) {
                let worth = self.worth.entry((*id, day)).or_insert_with(|| Worth::of(rule, day, self.today));
                self.points.add(visitor_id, *worth);
            }
        }
        days.clear();
    }
}
