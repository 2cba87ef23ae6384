//! Messages of alerts on their way: due, in somebody's hands, and what came of them.

use koala_destination::clock::{self, now_milliseconds};
use rusqlite::{Connection, Row, params};

use super::ids;
use crate::store::alerts::{
    Claimed, LONGEST_REST, MessageClaim, MessageState, NewMessage, Rest, Settled, StoredMessage, alone_or_together,
};
use crate::store::company::CompanyId;

/// Whether there is a message of an alert for an occasion.
pub(super) fn is_told(connection: &Connection, alert: &str, occasion: &str) -> rusqlite::Result<bool> {
    let mut select =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_message WHERE alert = ?1 AND occasion = ?2)")?;
    select.query_row([alert, occasion], |row| row.get(0))
}

/// Writes a message that is due; one that is there stays as it is.
pub(super) fn insert(connection: &Connection, message: &NewMessage) -> rusqlite::Result<()> {
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
             AND NOT EXISTS (SELECT 1 FROM alert_target WHERE alert_target.target = alert_message.target
                                 AND alert_target.next_at > ?1 AND alert_target.next_at <= ?2)
         ORDER BY target",
    )?;
    select.query_map([now, now + LONGEST_REST], |row| row.get(0))?.collect()
}

/// Takes messages that are due into one's hands. Where it is sent until it arrives, what is retried goes behind what waits; else in the order
/// of what happened.
pub(super) fn claim(
    connection: &Connection,
    MessageClaim { target, most, now, until, once, turn_until }: MessageClaim<'_>,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut rests = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM alert_target WHERE target = ?1 AND next_at > ?2 AND next_at <= ?3)",
    )?;
    if rests.query_row(params![target, now, now + LONGEST_REST], |row| row.get(0))? {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare_cached(
        "SELECT id, told, at, tries + 1, identity_id, alone FROM alert_message WHERE target = ?1 AND state = 'due' AND next_at <= ?2
         ORDER BY CASE WHEN ?4 THEN at ELSE next_at END, at, id LIMIT ?3",
    )?;
    let claimed = select.query_map(params![target, now, most, once], |row| {
        Ok(Claimed {
            id: row.get(0)?,
            told: row.get(1)?,
            at: row.get(2)?,
            tries: row.get(3)?,
            visitor: row.get::<_, Option<i64>>(4)?.map(ids::visitor_id),
            alone: row.get(5)?,
        })
    })?;
    let mut claimed = claimed.collect::<rusqlite::Result<Vec<_>>>()?;
    alone_or_together(&mut claimed);
    let mut take = connection.prepare_cached(
        "UPDATE alert_message SET state = 'sending', tries = tries + 1, next_at = ?2, once = ?3 WHERE id = ?1",
    )?;
    for one in &claimed {
        take.execute(params![one.id, until, once])?;
    }
    if let Some(until) = turn_until.filter(|_| !claimed.is_empty()) {
        leave_alone(connection, target, Rest { turn_until: None, until })?;
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
pub(super) fn settle(
    connection: &Connection,
    target: &str,
    ids: &[String],
    settled: &Settled,
    rest: Option<Rest>,
) -> rusqlite::Result<()> {
    let (state, reason, at) = match settled {
        Settled::Sent { at } => (MessageState::Sent, None, Some(*at)),
        Settled::Unknown { reason } => (MessageState::Unknown, Some(reason), None),
        Settled::Later { reason, at, .. } => (MessageState::Due, Some(reason), Some(*at)),
        Settled::Skipped { reason } => (MessageState::Skipped, Some(reason), None),
        Settled::Dead { reason } => (MessageState::Dead, Some(reason), None),
    };
    // One that was given up for lost is heard of late: what is known now is better.
    let mut update = connection.prepare_cached(
        "UPDATE alert_message SET state = ?2, reason = ?3, next_at = coalesce(?4, next_at), alone = alone OR ?5
         WHERE id = ?1 AND state IN ('sending', 'unknown')",
    )?;
    for id in ids {
        update.execute(params![id, state.name(), reason, at, settled.is_alone()])?;
    }
    match Rest::with(rest, settled) {
        Some(rest) => leave_alone(connection, target, rest),
        None => Ok(()),
    }
}

/// A turn of one's own ends as it is said; what somebody else said meanwhile is not made shorter.
fn leave_alone(connection: &Connection, target: &str, Rest { turn_until, until }: Rest) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO alert_target (target, next_at) VALUES (?1, ?3) ON CONFLICT (target) DO UPDATE
         SET next_at = CASE WHEN next_at = ?2 THEN excluded.next_at ELSE max(min(next_at, excluded.next_at + ?4), excluded.next_at) END",
    )?;
    put.execute(params![target, turn_until, until, LONGEST_REST]).map(drop)
}

/// The newest messages.
pub(super) fn newest(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut select = connection.prepare_cached(
        "SELECT id, alert, target, headline, company_id, at, state, tries, reason,
                CASE state WHEN 'due' THEN max(next_at, coalesce(
                    (SELECT alert_target.next_at FROM alert_target
                     WHERE alert_target.target = alert_message.target AND alert_target.next_at <= ?2), 0)) ELSE next_at END
         FROM alert_message ORDER BY at DESC, id LIMIT ?1",
    )?;
    select.query_map(params![limit, now_milliseconds() + LONGEST_REST], stored)?.collect()
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

/// Dead letters are due again.
pub(super) fn redrive(connection: &Connection, now: i64) -> rusqlite::Result<usize> {
    connection.execute("UPDATE alert_message SET state = 'due', next_at = ?1, tries = 0 WHERE state = 'dead'", [now])
}

/// Forgets messages that came to an end.
pub(super) fn forget_messages(connection: &Connection, before: i64, limit: u32) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM alert_message WHERE at < ?1 AND state IN ('sent', 'unknown', 'skipped', 'dead') ORDER BY at LIMIT ?2",
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
