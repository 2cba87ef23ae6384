//! What alerts keep: what changed, and how they stand with companies.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::intent::StoredRule;
use super::{alert_messages, ids};
use crate::intent::Trend;
use crate::store::alerts::{Changed, Evaluated, Fired, Look, Standing, Stood, Turn};
use crate::store::company::CompanyId;
use crate::store::visitor::VisitorId;

/// What is unsettled, of a row with its visitor and its rule; the rules' names are JSON.
const UNSETTLED: &str =
    "(visitor.company_id IS NULL OR visitor.is_guess) AND alert_changed.noted_at >= ?1 AND alert_changed.noted_at < ?2
     AND intent_rule.name IS NOT NULL AND intent_rule.name IN (SELECT value FROM json_each(?3))";

/// Whether something changed that is unsettled.
pub(super) fn is_any_unsettled(
    connection: &Connection,
    (since, before): (i64, i64),
    rules: &str,
) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM alert_changed JOIN identity ON identity.id = alert_changed.identity_id
             JOIN visitor ON visitor.id = identity.visitor_id JOIN intent_rule ON intent_rule.id = alert_changed.rule_id
             WHERE {UNSETTLED})"
    ))?;
    select.query_row(params![since, before, rules], |row| row.get(0))
}

/// What changed and was not looked at yet. Of a rule that counts a row says it only where the day counts by now.
pub(super) fn changed(
    connection: &Connection,
    rules: &[StoredRule],
    limit: u32,
    (since, before): (i64, i64),
    unsettled: &str,
) -> rusqlite::Result<Vec<Changed>> {
    let mut counts = connection.prepare_cached(
        "SELECT intent.day, sum(intent.count) FROM identity CROSS JOIN intent ON intent.identity_id = identity.id
         WHERE identity.visitor_id = ?1 AND intent.rule_id = ?2 AND intent.day > ?3 - ?4 AND intent.day <= ?3 GROUP BY intent.day",
    )?;
    let mut select = connection.prepare_cached(&format!(
        "SELECT alert_changed.identity_id, alert_changed.rule_id, alert_changed.day, alert_changed.at,
                visitor.id, visitor.company_id, intent_rule.name
         FROM alert_changed JOIN identity ON identity.id = alert_changed.identity_id
         JOIN visitor ON visitor.id = identity.visitor_id
         LEFT JOIN intent_rule ON intent_rule.id = alert_changed.rule_id
         WHERE NOT ({UNSETTLED}) LIMIT ?4"
    ))?;
    let changed = select.query_map(params![since, before, unsettled, limit], |row| {
        let (identity_id, rule_id, day, at): (i64, i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let visitor_id: i64 = row.get(4)?;
        let count = rules.iter().find(|stored| stored.id == rule_id).and_then(|stored| stored.rule.count);
        let counts = match count {
            None => true,
            Some(count) => {
                let of = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
                let days = counts.query_map([visitor_id, rule_id, day, i64::from(count.within_days)], of)?;
                count.days(&days.collect::<rusqlite::Result<_>>()?).contains(&day)
            }
        };
        Ok(Changed {
            token: format!("{identity_id}/{rule_id}/{day}/{at}"),
            visitor: VisitorId::new(visitor_id.to_string()),
            company: row.get::<_, Option<i64>>(5)?.map(ids::company_id),
            rule: row.get::<_, Option<String>>(6)?.filter(|_| counts),
            day,
            at,
        })
    })?;
    changed.collect()
}

/// How alerts stand with a company, of whose identities each may have been a company by itself before.
pub(super) fn standing(connection: &Connection, company: &CompanyId) -> rusqlite::Result<Standing> {
    let mut select = connection.prepare_cached(
        "SELECT points, trend, fired FROM alert_standing
         WHERE company_id IN (SELECT ?2 || id FROM company_key WHERE company_id = ?1)",
    )?;
    let before = select.query_map(params![ids::company_row(company.as_str()), ids::PREFIX], |row| {
        let trend = Trend::parse(row.get_ref(1)?.as_str()?).unwrap_or(Trend::Neutral);
        let fired: Vec<(String, String, f64)> = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
        Ok(Standing {
            look: Some(Look { points: row.get(0)?, trend }),
            fired: fired.into_iter().map(|(alert, condition, points)| Fired { alert, condition, points }).collect(),
        })
    })?;
    Ok(Standing::of_one(before.collect::<rusqlite::Result<Vec<_>>>()?))
}

/// When all companies were looked at last.
pub(super) fn turn(connection: &Connection) -> rusqlite::Result<Option<Turn>> {
    let mut select = connection.prepare_cached("SELECT day, made_of FROM alert_turn")?;
    select.query_row([], |row| Ok(Turn { day: row.get(0)?, made_of: row.get(1)? })).optional()
}

/// Writes what came of an evaluation. Gives back whether it was written: nothing is where something is not as it was looked at.
pub(super) fn tell(connection: &Connection, evaluated: &Evaluated) -> rusqlite::Result<bool> {
    if let Some((before, _)) = &evaluated.turn
        && turn(connection)? != *before
    {
        return Ok(false);
    }
    let tokens: Vec<Option<[i64; 4]>> = evaluated.changed.iter().map(|token| numbers(token)).collect();
    let mut is_there = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM alert_changed WHERE identity_id = ?1 AND rule_id = ?2 AND day = ?3 AND at = ?4)",
    )?;
    for token in &tokens {
        let Some(row) = token else { return Ok(false) };
        if !is_there.query_row(*row, |row| row.get(0))? {
            return Ok(false);
        }
    }
    for stood in &evaluated.standings {
        if standing(connection, &stood.company)? != stood.before {
            return Ok(false);
        }
    }
    // Who was deleted since they were looked at is in no message.
    let mut is_known =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM identity WHERE id = ?1 AND kind <> 'taken')")?;
    for one in evaluated.messages.iter().flat_map(|message| message.named.iter().chain(&message.visitor)) {
        if !is_known.query_row([ids::visitor_row(one)], |row| row.get(0))? {
            return Ok(false);
        }
    }
    if let Some((_, next)) = &evaluated.turn {
        connection.execute("DELETE FROM alert_turn", [])?;
        connection.execute("INSERT INTO alert_turn (day, made_of) VALUES (?1, ?2)", params![next.day, next.made_of])?;
    }
    let mut take = connection
        .prepare_cached("DELETE FROM alert_changed WHERE identity_id = ?1 AND rule_id = ?2 AND day = ?3 AND at = ?4")?;
    for row in tokens.into_iter().flatten() {
        take.execute(row)?;
    }
    let mut stand = connection.prepare_cached(
        "INSERT INTO alert_standing (company_id, points, trend, fired) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (company_id) DO UPDATE SET points = excluded.points, trend = excluded.trend, fired = excluded.fired",
    )?;
    let mut forget = connection.prepare_cached(
        "DELETE FROM alert_standing
         WHERE company_id IN (SELECT ?2 || id FROM company_key WHERE company_id = ?1 AND id <> company_id)",
    )?;
    for Stood { company, after, .. } in &evaluated.standings {
        let Some(look) = after.look else { continue };
        forget.execute(params![ids::company_row(company.as_str()), ids::PREFIX])?;
        let fired: Vec<_> = after.fired.iter().map(|it| (&it.alert, &it.condition, it.points)).collect();
        let fired = serde_json::to_string(&fired).unwrap_or_default();
        stand.execute(params![company.as_str(), look.points, look.trend.as_str(), fired])?;
    }
    evaluated.messages.iter().try_for_each(|message| alert_messages::insert(connection, message))?;
    Ok(true)
}

fn numbers(token: &str) -> Option<[i64; 4]> {
    let numbers: Vec<i64> = token.split('/').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}
