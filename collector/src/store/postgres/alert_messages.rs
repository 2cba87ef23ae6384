//! Messages of alerts on their way: due, in somebody's hands, and what came of them.

use koala_destination::clock::{self, now_milliseconds};
use tokio_postgres::Row;

use super::error::PostgresError;
use super::ids;
use super::keys;
use super::pool::Pool;
use super::sql::{Sql, statements};
use super::transaction::{Mode, Transaction, Values, together, transact};
use crate::store::alerts::{
    Claimed, LONGEST_REST, MessageClaim, MessageState, NewMessage, Rest, Settled, StoredMessage, alone_or_together,
    without_deeds,
};

statements! {
    INSERT = "INSERT INTO alert_message (id, key, occasion_key, alert, target, identity_id, company_id, headline, told, at, state, next_at)
              SELECT id, key, occasion_key, alert, target, identity_id, company_id, headline, told, at, 'due', at
              FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::bigint[])
                  AS new (id, key, occasion_key, alert, target, identity_id, company_id, headline, told, at)
              ON CONFLICT (key) DO NOTHING";
    NAME = "INSERT INTO alert_message_visitor (identity_id, message_id)
            SELECT new.identity_id, new.message_id FROM unnest($1::bigint[], $2::text[]) AS new (identity_id, message_id)
            JOIN alert_message ON alert_message.id = new.message_id ON CONFLICT DO NOTHING";
    IS_TOLD = "SELECT EXISTS (SELECT 1 FROM alert_message WHERE occasion_key = $1)";
    DUE_TARGETS = "SELECT DISTINCT target FROM alert_message WHERE state = 'due' AND next_at <= $1
                       AND NOT EXISTS (SELECT 1 FROM alert_target WHERE alert_target.target = alert_message.target
                                           AND alert_target.next_at > $1 AND alert_target.next_at <= $2)
                   ORDER BY target";
    RESTS = "SELECT EXISTS (SELECT 1 FROM alert_target WHERE target = $1 AND next_at > $2 AND next_at <= $3)";
    // A turn of one's own ends as it is said; what somebody else said meanwhile is not made shorter. Of two who take a turn at once
    // one is retried, and finds it taken.
    LEAVE_ALONE = "INSERT INTO alert_target (target, next_at) VALUES ($1, $3) ON CONFLICT (target) DO UPDATE
                   SET next_at = CASE WHEN alert_target.next_at = $2 THEN excluded.next_at
                                      ELSE greatest(least(alert_target.next_at, excluded.next_at + $4), excluded.next_at) END";
    // One that names somebody who is deleted waits until it does so no more, or goes with them.
    FREE = "SELECT id, told, at, tries + 1, identity_id, coalesce(alone, false) FROM alert_message WHERE target = $1 AND state = 'due' AND next_at <= $2
                AND NOT EXISTS (SELECT 1 FROM alert_message_visitor JOIN taken ON taken.identity_id = alert_message_visitor.identity_id
                                WHERE alert_message_visitor.message_id = alert_message.id)
            ORDER BY CASE WHEN $4::boolean THEN at ELSE next_at END, at, id LIMIT $3";
    CLAIM = "UPDATE alert_message SET state = 'sending', tries = tries + 1, next_at = $2, once = $3, holder = $4
             WHERE id = ANY($1::text[])";
    HELD = "SELECT id, told, at, tries, identity_id, coalesce(alone, false) FROM alert_message WHERE state = 'sending' AND next_at = $1 AND holder = $2";
    IS_ANY_LEFT = "SELECT EXISTS (SELECT 1 FROM alert_message WHERE state = 'sending' AND next_at < $1)";
    RECOVER = "UPDATE alert_message SET state = CASE WHEN once THEN 'unknown' ELSE 'due' END,
                   reason = CASE WHEN once THEN 'the process ended while it was sent' ELSE reason END
               WHERE id IN (SELECT id FROM alert_message WHERE state = 'sending' AND next_at < $1 LIMIT $2)";
    // One that was given up for lost is heard of late: what is known now is better.
    SETTLE = "UPDATE alert_message SET state = $2, reason = $3, next_at = coalesce($4, next_at), alone = coalesce(alone, false) OR $5
              WHERE id = ANY($1::text[]) AND state IN ('sending', 'unknown')";
    MESSAGES = "SELECT id, alert, target, headline, company_id, at, state, tries, reason,
                       CASE state WHEN 'due' THEN greatest(next_at,
                           (SELECT alert_target.next_at FROM alert_target
                            WHERE alert_target.target = alert_message.target AND alert_target.next_at <= $2)) ELSE next_at END
                FROM alert_message
                WHERE NOT EXISTS (SELECT 1 FROM alert_message_visitor JOIN taken ON taken.identity_id = alert_message_visitor.identity_id
                                  WHERE alert_message_visitor.message_id = alert_message.id)
                ORDER BY at DESC, id LIMIT $1";
    REDRIVE = "UPDATE alert_message SET state = 'due', next_at = $1, tries = 0
               WHERE id IN (SELECT id FROM alert_message WHERE state = 'dead' LIMIT $2)";
    ENDED = "SELECT id FROM alert_message WHERE at < $1 AND state IN ('sent', 'unknown', 'skipped', 'dead') ORDER BY at LIMIT $2";
    ABOUT = "SELECT id FROM (
                 SELECT id FROM alert_message WHERE identity_id = ANY($1::bigint[])
                 UNION SELECT message_id FROM alert_message_visitor AS named WHERE identity_id = ANY($1::bigint[]) AND NOT EXISTS (
                     SELECT 1 FROM alert_message_visitor AS other
                     WHERE other.message_id = named.message_id AND other.identity_id <> ALL($1::bigint[]))) AS about
             LIMIT $2";
    NAMING = "SELECT DISTINCT named.message_id, alert_message.told
              FROM alert_message_visitor AS named LEFT JOIN alert_message ON alert_message.id = named.message_id
              WHERE named.identity_id = ANY($1::bigint[]) LIMIT $2";
    TELL_LESS = "UPDATE alert_message SET told = less.told FROM unnest($1::text[], $2::text[]) AS less (id, told)
                 WHERE alert_message.id = less.id";
    FORGET_NAMED = "DELETE FROM alert_message_visitor WHERE message_id = ANY($1::text[]) AND identity_id = ANY($2::bigint[])";
    FORGET_NAMES = "DELETE FROM alert_message_visitor WHERE message_id = ANY($1::text[])";
    FORGET = "DELETE FROM alert_message WHERE id = ANY($1::text[])";
}

/// Messages that are written at once: a row each.
const MESSAGES_AT_ONCE: i64 = 1000;
/// Messages that are forgotten at once, each with the rows of the few people who are named in it.
pub(super) const FORGOTTEN_AT_ONCE: i64 = 90;

/// A message with what it is known by.
pub(super) struct Keyed<'m> {
    pub(super) message: &'m NewMessage,
    key: String,
    pub(super) occasion_key: String,
}

impl<'m> Keyed<'m> {
    pub(super) fn of(message: &'m NewMessage) -> Self {
        let NewMessage { alert, target, occasion, visitor, company, .. } = message;
        let subject = match (visitor, company) {
            (Some(visitor), _) => format!("visitor {visitor}"),
            (None, Some(company)) => format!("company {company}"),
            (None, None) => String::new(),
        };
        let key = format!("{alert}\u{1f}{target}\u{1f}{occasion}\u{1f}{subject}");
        Self { message, key: keys::key(&key).into_owned(), occasion_key: occasion_key(alert, occasion) }
    }
}

fn occasion_key(alert: &str, occasion: &str) -> String {
    keys::key(&format!("{alert}\u{1f}{occasion}")).into_owned()
}

/// Writes messages that are due; one that is there stays as it is.
pub(super) async fn insert(transaction: &Transaction, messages: &[Keyed<'_>]) -> Result<(), PostgresError> {
    let all = || messages.iter().map(|keyed| keyed.message);
    let text =
        |of: fn(&NewMessage) -> &str| -> Vec<String> { all().map(|one| keys::text(of(one)).into_owned()).collect() };
    let (ids, alerts, targets) = (text(|one| &one.id), text(|one| &one.alert), text(|one| &one.target));
    let (headlines, told) = (text(|one| &one.headline), text(|one| &one.told));
    let unique: Vec<&str> = messages.iter().map(|keyed| keyed.key.as_str()).collect();
    let occasions: Vec<&str> = messages.iter().map(|keyed| keyed.occasion_key.as_str()).collect();
    let of_visitors: Vec<Option<i64>> = all().map(|one| one.visitor.as_ref().map(ids::visitor_row)).collect();
    let of_companies: Vec<Option<i64>> =
        all().map(|one| one.company.as_ref().map(|company| ids::company_row(company.as_str()))).collect();
    let times: Vec<i64> = all().map(|one| one.at).collect();
    let (mut named, mut named_in) = (Vec::new(), Vec::new());
    for (message, id) in all().zip(&ids) {
        for visitor in &message.named {
            named.push(ids::visitor_row(visitor));
            named_in.push(id.as_str());
        }
    }
    together!(
        transaction.execute_if(
            !ids.is_empty(),
            INSERT,
            &[&ids, &unique, &occasions, &alerts, &targets, &of_visitors, &of_companies, &headlines, &told, &times]
        ),
        transaction.execute_if(!named.is_empty(), NAME, &[&named, &named_in]),
    )?;
    Ok(())
}

/// Whether there is a message of an alert for an occasion.
pub(super) async fn is_told(transaction: &Transaction, alert: &str, occasion: &str) -> Result<bool, PostgresError> {
    let key = occasion_key(alert, occasion);
    let ((), row, ()) = together!(transaction.begin(), transaction.query_opt(IS_TOLD, &[&key]), transaction.commit())?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// The targets that have messages due.
pub(super) async fn due_targets(transaction: &Transaction, now: i64) -> Result<Vec<String>, PostgresError> {
    let ((), rows, ()) = together!(
        transaction.begin(),
        transaction.query(DUE_TARGETS, &[&now, &(now + LONGEST_REST)]),
        transaction.commit()
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Takes messages that are due into one's hands. `holder` is a number of this claim alone: where the answer to the commit was lost,
/// the next attempt finds what the one before has taken.
pub(super) async fn claim(
    transaction: &Transaction,
    MessageClaim { target, most, now, until, once, turn_until }: MessageClaim<'_>,
    holder: i64,
) -> Result<Vec<Claimed>, PostgresError> {
    let ((), held, rests) = together!(
        transaction.begin(),
        transaction.query(HELD, &[&until, &holder]),
        transaction.query(RESTS, &[&target, &now, &(now + LONGEST_REST)]),
    )?;
    if !held.is_empty() {
        transaction.commit().await?;
        let mut claimed = claimed(&held)?;
        claimed.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        return Ok(claimed);
    }
    if rests.first().map(|row| row.try_get::<_, bool>(0)).transpose()?.unwrap_or_default() {
        transaction.commit().await?;
        return Ok(Vec::new());
    }
    let mut claimed = claimed(&transaction.query(FREE, &[&target, &now, &i64::from(most), &once]).await?)?;
    alone_or_together(&mut claimed);
    let ids: Vec<&str> = claimed.iter().map(|one| one.id.as_str()).collect();
    let turn = turn_until.filter(|_| !ids.is_empty());
    together!(
        transaction.execute_if(!ids.is_empty(), CLAIM, &[&ids, &until, &once, &holder]),
        transaction.execute_if(
            turn.is_some(),
            LEAVE_ALONE,
            &[&target, &None::<i64>, &turn.unwrap_or_default(), &LONGEST_REST]
        ),
        transaction.commit(),
    )?;
    Ok(claimed)
}

fn claimed(rows: &[Row]) -> Result<Vec<Claimed>, PostgresError> {
    let one = |row: &Row| {
        let tries = u32::try_from(row.try_get::<_, i64>(3)?).unwrap_or(u32::MAX);
        Ok(Claimed {
            id: row.try_get(0)?,
            told: row.try_get(1)?,
            at: row.try_get(2)?,
            tries,
            visitor: row.try_get::<_, Option<i64>>(4)?.map(ids::visitor_id),
            alone: row.try_get(5)?,
        })
    };
    rows.iter().map(one).collect()
}

/// Whether a process that is gone may have had something in its hands.
pub(super) async fn is_any_left(transaction: &Transaction, now: i64) -> Result<bool, PostgresError> {
    let ((), row, ()) =
        together!(transaction.begin(), transaction.query_opt(IS_ANY_LEFT, &[&now]), transaction.commit())?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// What a process that is gone had in its hands: due again, or, where it may arrive only once, nobody knows.
pub(super) async fn recover(pool: &Pool, now: i64) -> Result<u64, PostgresError> {
    in_pieces(pool, RECOVER, &[&now, &MESSAGES_AT_ONCE]).await
}

/// Writes by a statement whose last value is [`MESSAGES_AT_ONCE`], in a transaction each, until it finds fewer rows. Gives back how
/// many there were.
async fn in_pieces(pool: &Pool, sql: Sql, values: Values<'_>) -> Result<u64, PostgresError> {
    let mut all = 0;
    loop {
        let some = transact!(pool, Mode::Write, |transaction| async {
            let ((), some, ()) =
                together!(transaction.begin(), transaction.execute(sql, values), transaction.commit())?;
            Ok(some)
        })?;
        all += some;
        if i64::try_from(some).is_ok_and(|some| some < MESSAGES_AT_ONCE) {
            return Ok(all);
        }
    }
}

/// Writes what came of messages in one's hands.
pub(super) async fn settle(
    transaction: &Transaction,
    target: &str,
    ids: &[String],
    settled: &Settled,
    rest: Option<Rest>,
) -> Result<(), PostgresError> {
    let (state, reason, at) = match settled {
        Settled::Sent { at } => (MessageState::Sent, None, Some(*at)),
        Settled::Unknown { reason } => (MessageState::Unknown, Some(reason), None),
        Settled::Later { reason, at, .. } => (MessageState::Due, Some(reason), Some(*at)),
        Settled::Skipped { reason } => (MessageState::Skipped, Some(reason), None),
        Settled::Dead { reason } => (MessageState::Dead, Some(reason), None),
    };
    let (state, reason) = (state.name(), reason.map(|reason| keys::text(reason).into_owned()));
    let rest = Rest::with(rest, settled);
    let (turn_until, until) = (rest.and_then(|rest| rest.turn_until), rest.map_or(0, |rest| rest.until));
    together!(
        transaction.begin(),
        transaction.execute(SETTLE, &[&ids, &state, &reason, &at, &settled.is_alone()]),
        transaction.execute_if(rest.is_some(), LEAVE_ALONE, &[&target, &turn_until, &until, &LONGEST_REST]),
        transaction.commit(),
    )
    .map(drop)
}

/// The newest messages.
pub(super) async fn messages(transaction: &Transaction, limit: u32) -> Result<Vec<StoredMessage>, PostgresError> {
    let (limit, latest) = (i64::from(limit), now_milliseconds() + LONGEST_REST);
    let ((), rows, ()) =
        together!(transaction.begin(), transaction.query(MESSAGES, &[&limit, &latest]), transaction.commit())?;
    rows.iter().map(stored).collect()
}

fn stored(row: &Row) -> Result<StoredMessage, PostgresError> {
    // Only names of states are written.
    let state = MessageState::of(row.try_get(6)?).unwrap_or(MessageState::Dead);
    let when: i64 = row.try_get(9)?;
    Ok(StoredMessage {
        id: row.try_get(0)?,
        alert: row.try_get(1)?,
        target: row.try_get(2)?,
        headline: row.try_get(3)?,
        company: row.try_get::<_, Option<i64>>(4)?.map(ids::company_id),
        at: clock::from_milliseconds(row.try_get(5)?),
        state,
        tries: u32::try_from(row.try_get::<_, i64>(7)?).unwrap_or(u32::MAX),
        reason: row.try_get(8)?,
        when: matches!(state, MessageState::Due | MessageState::Sent).then(|| clock::from_milliseconds(when)),
    })
}

/// Dead letters are due again.
pub(super) async fn redrive(pool: &Pool, now: i64) -> Result<u64, PostgresError> {
    in_pieces(pool, REDRIVE, &[&now, &MESSAGES_AT_ONCE]).await
}

/// Forgets messages that came to an end, in pieces.
pub(super) async fn forget_ended(pool: &Pool, before: i64, limit: u32) -> Result<u64, PostgresError> {
    let (mut all, limit) = (0, u64::from(limit));
    while all < limit {
        let most = i64::try_from(limit - all).unwrap_or(i64::MAX).min(FORGOTTEN_AT_ONCE);
        let some = transact!(pool, Mode::Write, |transaction| forget_some(&transaction, before, most))?;
        all += some;
        if i64::try_from(some).is_ok_and(|some| some < most) {
            break;
        }
    }
    Ok(all)
}

async fn forget_some(transaction: &Transaction, before: i64, most: i64) -> Result<u64, PostgresError> {
    let ((), rows) = together!(transaction.begin(), transaction.query(ENDED, &[&before, &most]))?;
    let gone = forget(transaction, &rows).await?;
    transaction.commit().await?;
    Ok(gone)
}

/// Forgets some messages about one of these ids, or that name nobody else, within a transaction; those that name one of them beside
/// others say no more who did what. Gives back how many.
pub(super) async fn forget_naming(transaction: &Transaction, ids: &[i64]) -> Result<u64, PostgresError> {
    let about = transaction.query(ABOUT, &[&ids, &FORGOTTEN_AT_ONCE]).await?;
    let gone = forget(transaction, &about).await?;
    if gone >= FORGOTTEN_AT_ONCE.unsigned_abs() {
        return Ok(gone); // those are first; the next piece has the rest
    }
    let (mut naming, mut told) = (Vec::new(), Vec::new());
    for row in &transaction.query(NAMING, &[&ids, &FORGOTTEN_AT_ONCE]).await? {
        let before: Option<String> = row.try_get(1)?;
        naming.push(row.try_get::<_, String>(0)?);
        told.push(before.and_then(|told| without_deeds(&told)).unwrap_or_default());
    }
    together!(
        transaction.execute_if(!naming.is_empty(), TELL_LESS, &[&naming, &told]),
        transaction.execute_if(!naming.is_empty(), FORGET_NAMED, &[&naming, &ids]),
    )?;
    Ok(gone + naming.len() as u64)
}

async fn forget(transaction: &Transaction, rows: &[Row]) -> Result<u64, PostgresError> {
    let ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<String>, PostgresError>>()?;
    together!(
        transaction.execute_if(!ids.is_empty(), FORGET_NAMES, &[&ids]),
        transaction.execute_if(!ids.is_empty(), FORGET, &[&ids]),
    )?;
    Ok(rows.len() as u64)
}
