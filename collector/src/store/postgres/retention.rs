//! What is older than it may be: first entries, then visitors of whom nothing else is left, then what deletions left behind.
//!
//! The store is looked through once an hour, by the ids, some at a time, and written only where something is to go. A visitor whose
//! claims still say to whom others belong stays: retention says of nobody else anew who they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use koala_destination::clock::MILLISECONDS_OF_A_DAY;
use tokio_postgres::Row;

use super::accounts::ChangedCompanies;
use super::error::PostgresError;
use super::identities::Ids;
use super::pool::Pool;
use super::sql::statements;
use super::taken::{self, ROWS_AT_ONCE};
use super::transaction::{Mode, Transaction, together, transact};
use crate::identity::{Wants, recompute};
use crate::store::deletion::RETENTION_EVERY;

statements! {
    OF_OLD_ENTRIES = "SELECT id, EXISTS (SELECT 1 FROM entry WHERE identity_id = identity.id AND at < $1)
                      FROM identity WHERE id > $2 ORDER BY id LIMIT $3";
    OLD_ENTRIES = "DELETE FROM entry WHERE id IN
                       (SELECT id FROM entry WHERE identity_id = ANY($1::bigint[]) AND at < $2 LIMIT $3)
                   RETURNING identity_id, kind, topic_id";
    OLD_INTENT = "DELETE FROM intent WHERE (identity_id, rule_id, day) IN
                      (SELECT identity_id, rule_id, day FROM intent WHERE identity_id = ANY($1::bigint[]) AND day < $2 LIMIT $3)";
    COUNT_LESS = "UPDATE identity SET events = identity.events - less.events,
                      identifies = identity.identifies - less.identifies, page_views = identity.page_views - less.page_views
                  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS less (id, events, identifies, page_views)
                  WHERE identity.id = less.id";
    COMPANIES = "SELECT DISTINCT visitor.company_key FROM identity JOIN visitor ON visitor.id = identity.visitor_id
                 WHERE identity.id = ANY($1::bigint[]) AND visitor.company_key IS NOT NULL";
    DONE_LESS = "UPDATE done SET times = done.times - less.times
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS less (identity_id, topic_id, times)
                 WHERE done.topic_id = less.topic_id AND done.identity_id = less.identity_id";
    NOTHING_DONE = "DELETE FROM done WHERE identity_id = ANY($1::bigint[]) AND times < 1 RETURNING topic_id";
    CAME_LONG_AGO = "DELETE FROM came_from WHERE (source_id, identity_id) IN
                         (SELECT source_id, identity_id FROM came_from WHERE identity_id = ANY($1::bigint[]) AND last_at < $2 LIMIT $3)
                     RETURNING source_id";
    TOPICS = "DELETE FROM topic WHERE id = ANY($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM done WHERE topic_id = topic.id)";
    SOURCES = "DELETE FROM source WHERE id = ANY($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM came_from WHERE source_id = source.id)";
    // The number of a visitor is that of its first id. Nothing else is left of it, and it was not seen since.
    OLD_VISITORS = "SELECT one.id, NOT EXISTS (
                        SELECT 1 FROM identity WHERE visitor_id = one.id AND (
                            decision IS NOT NULL OR last_seen >= $1
                            OR EXISTS (SELECT 1 FROM entry WHERE identity_id = identity.id)
                            OR EXISTS (SELECT 1 FROM claim WHERE identity_id = identity.id AND at >= $1)
                            OR EXISTS (SELECT 1 FROM decision WHERE identity_id = identity.id)
                            OR EXISTS (SELECT 1 FROM decision WHERE to_id = identity.id)))
                    FROM identity AS one WHERE one.visitor_id = one.id AND one.kind <> 'taken' AND one.id > $2
                    ORDER BY one.id LIMIT $3";
    IDS = "SELECT id FROM identity WHERE visitor_id = $1 AND kind <> 'taken'";
    OLD_HISTORY = "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE at < $1 LIMIT $2)";
    OLD_TOMBSTONES = "DELETE FROM tombstone WHERE hash IN (SELECT hash FROM tombstone WHERE at < $1 LIMIT $2)";
    OLD_DELETIONS = "DELETE FROM deletion WHERE id IN
                         (SELECT id FROM deletion WHERE requested_at < $1 AND completed_at IS NOT NULL LIMIT $2)";
}

/// Ids that are looked at in one piece.
const IDS_AT_ONCE: i64 = 1000;

/// Where the search is; clones share it.
#[derive(Clone, Default)]
pub(super) struct RetentionSearch(Arc<Mutex<Place>>);

/// Each with the row that it is behind.
#[derive(Debug, Clone, Copy)]
enum Place {
    Entries(i64),
    Visitors(i64),
    Deletions,
    Until(Instant),
}

impl Default for Place {
    fn default() -> Self {
        Self::Entries(0)
    }
}

impl RetentionSearch {
    /// Looks at the next ids, and deletes a piece of what is older than `cutoff`. Gives back whether there is more to look at.
    pub(super) async fn go_on(&self, pool: &Pool, cutoff: i64) -> Result<bool, PostgresError> {
        let place = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match place {
            Place::Until(then) if Instant::now() < then => return Ok(false),
            Place::Until(_) => Place::Entries(0),
            Place::Entries(after) => {
                let (old, last) =
                    transact!(pool, Mode::Read, |transaction| find(&transaction, OF_OLD_ENTRIES, after, cutoff))?;
                let is_all = old.is_empty()
                    || transact!(pool, Mode::Write, |transaction| delete_old(&transaction, &old, cutoff))?;
                match last {
                    None => Place::Visitors(0),
                    Some(last) => Place::Entries(if is_all { last } else { after }),
                }
            }
            Place::Visitors(after) => {
                let (old, last) =
                    transact!(pool, Mode::Read, |transaction| find(&transaction, OLD_VISITORS, after, cutoff))?;
                for visitor_id in old {
                    transact!(pool, Mode::Write, |transaction| take_old(&transaction, visitor_id, cutoff))?;
                }
                last.map_or(Place::Deletions, Place::Visitors)
            }
            Place::Deletions => {
                let is_all = transact!(pool, Mode::Write, |transaction| delete_deletions(&transaction, cutoff))?;
                if is_all { Place::Until(Instant::now() + RETENTION_EVERY) } else { Place::Deletions }
            }
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(!matches!(next, Place::Until(_)))
    }
}

/// The ids of those that are found, and the last one that was looked at.
type Found = (Vec<i64>, Option<i64>);

async fn find(
    transaction: &Transaction,
    sql: super::sql::Sql,
    after: i64,
    cutoff: i64,
) -> Result<Found, PostgresError> {
    let ((), rows, ()) = together!(
        transaction.begin(),
        transaction.query(sql, &[&cutoff, &after, &IDS_AT_ONCE]),
        transaction.commit(),
    )?;
    let last = rows.last().map(|row| row.try_get(0)).transpose()?;
    let is_old = |row: &&Row| row.try_get::<_, bool>(1).unwrap_or_default();
    let old = rows.iter().filter(is_old).map(|row| Ok(row.try_get(0)?)).collect::<Result<_, PostgresError>>()?;
    Ok((old, last))
}

/// Deletes entries of these ids, and what intent was noted of the days before. Tells whether that was all.
async fn delete_old(transaction: &Transaction, ids: &[i64], cutoff: i64) -> Result<bool, PostgresError> {
    let day = cutoff.div_euclid(MILLISECONDS_OF_A_DAY);
    let ((), entries, intent, companies) = together!(
        transaction.begin(),
        transaction.query(OLD_ENTRIES, &[&ids, &cutoff, &ROWS_AT_ONCE]),
        transaction.execute(OLD_INTENT, &[&ids, &day, &ROWS_AT_ONCE]),
        transaction.query(COMPANIES, &[&ids]),
    )?;
    let mut less: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
    let mut topics: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for row in &entries {
        if let Some(topic_id) = row.try_get::<_, Option<i64>>(2)? {
            *topics.entry((row.try_get(0)?, topic_id)).or_default() += 1;
        }
        let [events, identifies, page_views] = less.entry(row.try_get(0)?).or_default();
        match row.try_get::<_, &str>(1)? {
            "event" => *events += 1,
            "identify" => *identifies += 1,
            _ => *page_views += 1,
        }
    }
    let column = |place: usize| -> Vec<i64> { less.values().filter_map(|less| less.get(place)).copied().collect() };
    let (rows, events, identifies, page_views): (Vec<i64>, _, _, _) =
        (less.keys().copied().collect(), column(0), column(1), column(2));
    let mut changed = ChangedCompanies::default();
    for row in &companies {
        changed.count(row.try_get::<_, String>(0)?);
    }
    let gone: Vec<i64> = less.keys().copied().collect();
    let (of, topics, times) = columns_of(&topics);
    let (_, done, came_from) = together!(
        transaction.execute(DONE_LESS, &[&of, &topics, &times]),
        transaction.query(NOTHING_DONE, &[&gone]),
        transaction.query(CAME_LONG_AGO, &[&ids, &cutoff, &ROWS_AT_ONCE]),
    )?;
    let first = |rows: &[Row]| rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>();
    let (topics, sources) = (first(&done)?, first(&came_from)?);
    together!(
        transaction.execute_if(!topics.is_empty(), TOPICS, &[&topics]),
        transaction.execute_if(!sources.is_empty(), SOURCES, &[&sources]),
    )?;
    together!(
        transaction.execute_if(!rows.is_empty(), COUNT_LESS, &[&rows, &events, &identifies, &page_views]),
        changed.write(transaction),
        transaction.commit(),
    )?;
    let is_less = |rows: usize| i64::try_from(rows).is_ok_and(|rows| rows < ROWS_AT_ONCE);
    Ok(is_less(entries.len()) && is_less(usize::try_from(intent).unwrap_or(usize::MAX)))
}

/// Ids, topics and how often.
fn columns_of(topics: &BTreeMap<(i64, i64), i64>) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let (mut of, mut all, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for ((id, topic), count) in topics {
        of.push(*id);
        all.push(*topic);
        times.push(*count);
    }
    (of, all, times)
}

/// Takes out a visitor that nobody else hangs on.
async fn take_old(transaction: &Transaction, visitor_id: i64, cutoff: i64) -> Result<(), PostgresError> {
    let before = visitor_id - 1;
    let ((), rows, ids) = together!(
        transaction.begin(),
        transaction.query(OLD_VISITORS, &[&cutoff, &before, &1_i64]),
        transaction.query(IDS, &[&visitor_id]),
    )?;
    // Something may have come in since it was found.
    let is_old = rows.first().is_some_and(|row| {
        row.try_get::<_, i64>(0).is_ok_and(|id| id == visitor_id) && row.try_get::<_, bool>(1).unwrap_or_default()
    });
    let ids = ids.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>()?;
    if is_old && take_unless_needed(transaction, visitor_id, &ids).await? {
        transaction.commit().await
    } else {
        transaction.roll_back().await
    }
}

/// Takes a visitor out, and tells whether all others belong to whom they belonged to before.
async fn take_unless_needed(transaction: &Transaction, visitor_id: i64, rows: &[i64]) -> Result<bool, PostgresError> {
    let taken = taken::take(transaction, &[visitor_id], None, |_| false).await?;
    if taken.is_more || !taken.of_others.is_empty() {
        return Ok(false);
    }
    let others = taken::others(transaction, rows).await?;
    let mut ids = Ids::new(transaction);
    ids.load(&Wants { ids: others.iter().cloned().collect(), ..Wants::default() }).await?;
    let change = ids.ask(|known| recompute(&others, known)).await?;
    Ok(change.identities.values().all(|change| change.into.is_none()))
}

/// Deletes tombstones, deletions and the history. Tells whether that was all.
async fn delete_deletions(transaction: &Transaction, cutoff: i64) -> Result<bool, PostgresError> {
    let ((), tombstones, deletions, history, ()) = together!(
        transaction.begin(),
        transaction.execute(OLD_TOMBSTONES, &[&cutoff, &ROWS_AT_ONCE]),
        transaction.execute(OLD_DELETIONS, &[&cutoff, &ROWS_AT_ONCE]),
        transaction.execute(OLD_HISTORY, &[&cutoff, &ROWS_AT_ONCE]),
        transaction.commit(),
    )?;
    Ok([tombstones, deletions, history]
        .into_iter()
        .all(|rows| i64::try_from(rows).is_ok_and(|rows| rows < ROWS_AT_ONCE)))
}
