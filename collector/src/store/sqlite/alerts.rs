//! What alerts keep: what changed, how they stand with companies, and messages on their way.

use koala_destination::clock::{self};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ids;
use super::intent::StoredRule;
use crate::intent::Trend;
use crate::store::alerts::{
    Changed, Claimed, Evaluated, Fired, Look, MessageState, NewMessage, Settled, Standing, Stood, StoredMessage, Turn,
    alone_or_new,
};
use crate::store::company::CompanyId;
use crate::store::visitor::VisitorId;

/// What changed and was not looked at yet. Of a rule that counts a row says it only where the day counts by now.
pub(super) fn changed(connection: &Connection, rules: &[StoredRule], limit: u32) -> rusqlite::Result<Vec<Changed>> {
    let mut counts = connection.prepare_cached(
        "SELECT intent.day, sum(intent.count) FROM identity CROSS JOIN intent ON intent.identity_id = identity.id
         WHERE identity.visitor_id = ?1 AND intent.rule_id = ?2 AND intent.day > ?3 - ?4 AND intent.day <= ?3 GROUP BY intent.day",
    )?;
    let mut select = connection.prepare_cached(
        "SELECT alert_changed.identity_id, alert_changed.rule_id, alert_changed.day, alert_changed.at,
                visitor.id, visitor.company_id, intent_rule.name
         FROM alert_changed JOIN identity ON identity.id = alert_changed.identity_id
         JOIN visitor ON visitor.id = identity.visitor_id
         LEFT JOIN intent_rule ON intent_rule.id = alert_changed.rule_id
         LIMIT ?1",
    )?;
    let changed = select.query_map([limit], |row| {
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
            at,
        })
    })?;
    changed.collect()
}

/// How alerts stand with a company.
pub(super) fn standing(connection: &Connection, company: &CompanyId) -> rusqlite::Result<Standing> {
    let mut select =
        connection.prepare_cached("SELECT points, trend, fired FROM alert_standing WHERE company_id = ?1")?;
    let standing = select.query_row([company.as_str()], |row| {
        let trend = Trend::parse(row.get_ref(1)?.as_str()?).unwrap_or(Trend::Neutral);
        let fired: Vec<(String, String, f64)> = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
        Ok(Standing {
            look: Some(Look { points: row.get(0)?, trend }),
            fired: fired.into_iter().map(|(alert, condition, points)| Fired { alert, condition, points }).collect(),
        })
    });
    Ok(standing.optional()?.unwrap_or_default())
}

/// When all companies were looked at last.
pub(super) fn turn(connection: &Connection) -> rusqlite::Result<Option<Turn>> {
    let mut select = connection.prepare_cached("SELECT day, made_of FROM alert_turn")?;
    select.query_row([], |row| Ok(Turn { day: row.get(0)?, made_of: row.get(1)? })).optional()
}

/// Whether there is a message of an alert for an occasion.
pub(super) fn is_told(connection: &Connection, alert: &str, occasion: &str) -> rusqlite::Result<bool> {
    let mut select =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_message WHERE alert = ?1 AND occasion = ?2)")?;
    select.query_row([alert, occasion], |row| row.get(0))
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
    for Stood { company, after, .. } in &evaluated.standings {
        let Some(look) = after.look else { continue };
        let fired: Vec<_> = after.fired.iter().map(|it| (&it.alert, &it.condition, it.points)).collect();
        let fired = serde_json::to_string(&fired).unwrap_or_default();
        stand.execute(params![company.as_str(), look.points, look.trend.as_str(), fired])?;
    }
    evaluated.messages.iter().try_for_each(|message| insert(connection, message))?;
    Ok(true)
}

fn numbers(token: &str) -> Option<[i64; 4]> {
    let numbers: Vec<i64> = token.split('/').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

fn insert(connection: &Connection, message: &NewMessage) -> rusqlite::Result<()> {
    let NewMessage { id, alert, target, occasion, visitor, company, named, headline, told, at } = message;
    let identity_id = visitor.as_ref().map(ids::visitor_row);
    if let Some(identity_id) = identity_id {
        // By whatever ids: those who were two when the first was told may be one now.
        let mut is_told = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM identity CROSS JOIN alert_message ON alert_message.identity_id = identity.id
             WHERE identity.visitor_id = (SELECT visitor_id FROM identity WHERE id = ?1)
                 AND alert = ?2 AND target = ?3 AND occasion = ?4)",
        )?;
        if is_told.query_row(params![identity_id, alert, target, occasion], |row| row.get(0))? {
            return Ok(());
        }
    }
    let subject = match (visitor, company) {
        (Some(visitor), _) => format!("visitor {visitor}"),
        (None, Some(company)) => format!("company {company}"),
        (None, None) => String::new(),
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO alert_message (id, alert, target, occasion, subject, identity_id, company_id, headline, told, at, state, next_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'due', ?10)
         ON CONFLICT (alert, target, occasion, subject) DO NOTHING",
    )?;
    let company = company.as_ref().map(CompanyId::as_str);
    let inserted =
        insert.execute(params![id, alert, target, occasion, subject, identity_id, company, headline, told, at])?;
    let mut name = connection.prepare_cached(
        "INSERT INTO alert_message_visitor (identity_id, message_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for visitor in named.iter().filter(|_| inserted > 0) {
        name.execute(params![ids::visitor_row(visitor), id])?;
    }
    Ok(())
}

/// The targets that have messages due.
pub(super) fn due_targets(connection: &Connection, now: i64) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT target FROM alert_message WHERE state = 'due' AND next_at <= ?1
             AND NOT EXISTS (SELECT 1 FROM alert_message AS put_off WHERE put_off.target = alert_message.target
                                 AND put_off.state = 'due' AND put_off.tries > 0 AND put_off.next_at > ?1)
         ORDER BY target",
    )?;
    select.query_map([now], |row| row.get(0))?.collect()
}

/// Takes messages that are due into one's hands. One that was tried already goes by itself: with others it was refused for the sake of
/// one of them, or is not known to be fine.
pub(super) fn claim(
    connection: &Connection,
    (target, most): (&str, u32),
    (now, until): (i64, i64),
    once: bool,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut select = connection.prepare_cached(
        "SELECT id, told, at, tries + 1 FROM alert_message WHERE target = ?1 AND state = 'due' AND next_at <= ?2
         ORDER BY at, id LIMIT ?3",
    )?;
    let claimed = select.query_map(params![target, now, most], |row| {
        Ok(Claimed { id: row.get(0)?, told: row.get(1)?, at: row.get(2)?, tries: row.get(3)? })
    })?;
    let mut claimed = claimed.collect::<rusqlite::Result<Vec<_>>>()?;
    alone_or_new(&mut claimed);
    let mut take = connection.prepare_cached(
        "UPDATE alert_message SET state = 'sending', tries = tries + 1, next_at = ?2, once = ?3 WHERE id = ?1",
    )?;
    for one in &claimed {
        take.execute(params![one.id, until, once])?;
    }
    Ok(claimed)
}

/// What a process that is gone had in its hands: due again, or, where it may arrive only once, nobody knows.
pub(super) fn recover(connection: &Connection, now: i64) -> rusqlite::Result<usize> {
    let mut update = connection.prepare_cached(
        "UPDATE alert_message SET state = CASE WHEN once THEN 'unknown' ELSE 'due' END,
             reason = CASE WHEN once THEN 'the process ended while it was sent' ELSE reason END
         WHERE state = 'sending' AND next_at < ?1",
    )?;
    update.execute([now])
}

/// Whether a process that is gone may have had something in its hands.
pub(super) fn is_any_left(connection: &Connection, now: i64) -> rusqlite::Result<bool> {
    let mut select = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_message WHERE state = 'sending' AND next_at < ?1)")?;
    select.query_row([now], |row| row.get(0))
}

/// Writes what came of messages in one's hands.
pub(super) fn settle(connection: &Connection, target: &str, ids: &[String], settled: &Settled) -> rusqlite::Result<()> {
    let (state, reason, at) = match settled {
        Settled::Sent { at } => (MessageState::Sent, None, Some(*at)),
        Settled::Unknown { reason } => (MessageState::Unknown, Some(reason), None),
        Settled::Later { reason, at } => (MessageState::Due, Some(reason), Some(*at)),
        Settled::Dead { reason } => (MessageState::Dead, Some(reason), None),
    };
    // One that was given up for lost is heard of late: what is known now is better.
    let mut update = connection.prepare_cached(
        "UPDATE alert_message SET state = ?2, reason = ?3, next_at = coalesce(?4, next_at)
         WHERE id = ?1 AND state IN ('sending', 'unknown')",
    )?;
    for id in ids {
        update.execute(params![id, state.name(), reason, at])?;
    }
    if let Settled::Later { at, .. } = settled {
        let mut pause = connection.prepare_cached(
            "UPDATE alert_message SET next_at = ?2 WHERE target = ?1 AND state = 'due' AND next_at < ?2",
        )?;
        pause.execute(params![target, at])?;
    }
    Ok(())
}

/// The newest messages.
pub(super) fn messages(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut select = connection.prepare_cached(
        "SELECT id, alert, target, headline, company_id, at, state, tries, reason, next_at FROM alert_message
         ORDER BY at DESC, id LIMIT ?1",
    )?;
    select.query_map([limit], stored)?.collect()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    // Only names of states are written.
    let state = MessageState::of(row.get_ref(6)?.as_str()?).unwrap_or(MessageState::Dead);
    let when = matches!(state, MessageState::Due | MessageState::Sent).then(|| row.get(9)).transpose()?;
    Ok(StoredMessage {
        id: row.get(0)?,
        alert: row.get(1)?,
        target: row.get(2)?,
        headline: row.get(3)?,
        company: row.get::<_, Option<String>>(4)?.map(CompanyId::new),
        at: clock::from_milliseconds(row.get(5)?),
        state,
        tries: row.get(7)?,
        reason: row.get(8)?,
        when: when.map(clock::from_milliseconds),
    })
}

/// Dead messages are due again.
pub(super) fn redrive(connection: &Connection, now: i64) -> rusqlite::Result<usize> {
    connection.execute("UPDATE alert_message SET state = 'due', next_at = ?1, tries = 0 WHERE state = 'dead'", [now])
}

/// Forgets messages that came to an end.
pub(super) fn forget_messages(connection: &Connection, before: i64, limit: u32) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM alert_message WHERE at < ?1 AND state IN ('sent', 'unknown', 'dead') ORDER BY at LIMIT ?2",
    )?;
    let ids = select.query_map([before, i64::from(limit)], |row| row.get(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut names = connection.prepare_cached("DELETE FROM alert_message_visitor WHERE message_id = ?1")?;
    let mut message = connection.prepare_cached("DELETE FROM alert_message WHERE id = ?1")?;
    for id in &ids {
        names.execute([id])?;
        message.execute([id])?;
    }
    Ok(ids.len())
}
