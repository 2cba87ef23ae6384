//! New intent rules, looked for in what was there before them: from the newest entry down, a piece at a time.
//!
//! Whoever kept an entry while a rule came may not have known it, and have committed after that piece was looked at. Such entries
//! are of a short time around the rule's, since no transaction lasts longer; that time is looked at once more when it is over.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use tokio_postgres::types::ToSql;

use super::accounts::ChangedCompanies;
use super::error::PostgresError;
use super::intent::{self, IntentRules, RuleSet};
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{LONGEST_ATTEMPT, Mode, Transaction, together, transact};
use super::{body, days, row_ids};
use crate::received::EntryKind;

statements! {
    UNSEEN = "SELECT id, unseen_from, unseen_below FROM intent_rule WHERE unseen_below > unseen_from";
    ENTRIES = "SELECT id, identity_id, kind, at, body FROM entry WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3";
    SEEN_TO = "UPDATE intent_rule SET unseen_below = greatest($1, unseen_from) WHERE unseen_below > unseen_from AND unseen_below > $1";
    SETTLE = "UPDATE intent_rule SET is_settled = TRUE, unseen_from = new.unseen_from, unseen_below = new.unseen_below
              FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, unseen_from, unseen_below)
              WHERE intent_rule.id = new.id";
    UNSETTLED = "SELECT id, since FROM intent_rule WHERE NOT is_settled AND unseen_below <= unseen_from AND since < $1";
    // Of a day with more entries than these the newest are counted.
    ENTRIES_OF_DAYS = "SELECT asked.identity_id, asked.day, entry.kind, entry.body
                       FROM unnest($1::bigint[], $2::bigint[]) AS asked (identity_id, day)
                       CROSS JOIN LATERAL (SELECT kind, body FROM entry WHERE identity_id = asked.identity_id
                                               AND at >= asked.day * $3 AND at < (asked.day + 1) * $3
                                           ORDER BY at DESC LIMIT $4) AS entry";
    COMPANIES = "SELECT DISTINCT visitor.company_key FROM identity JOIN visitor ON visitor.id = identity.visitor_id
                 WHERE identity.id = ANY($1::bigint[]) AND visitor.company_key IS NOT NULL";
    PROGRESS = "SELECT max(unseen_below), (SELECT min(id) FROM entry), (SELECT max(id) FROM entry) FROM intent_rule
                WHERE unseen_below > unseen_from";
}

/// Days of ids whose entries are counted at once, and the most entries of each.
const DAYS_AT_ONCE: usize = 50;
const ENTRIES_OF_A_DAY: i64 = 5000;
/// Entries that are looked at in one piece.
const ENTRIES_OF_A_PIECE: i64 = 1000;
/// Rows that a piece may bring. Aurora DSQL takes 3,000 in a transaction; each entry may be of a company of its own.
const ROWS_OF_A_PIECE: usize = 1500;

/// How long what was under way when a rule came may last, on clocks that differ a little.
fn under_way() -> i64 {
    i64::try_from(LONGEST_ATTEMPT.as_millis()).unwrap_or_default() * 2
}

/// Looks at a piece of the entries that were there before a rule. Gives back whether there is more.
pub(super) async fn look_back(pool: &Pool, rules: &IntentRules) -> Result<bool, PostgresError> {
    transact!(pool, Mode::Write, |transaction| piece(&transaction, rules))
}

async fn piece(transaction: &Transaction, rules: &IntentRules) -> Result<bool, PostgresError> {
    let over = now_milliseconds() - under_way();
    let ((), version, unseen, unsettled) = together!(
        transaction.begin(),
        intent::version(transaction),
        transaction.query(UNSEEN, &[]),
        transaction.query(UNSETTLED, &[&over]),
    )?;
    let rules = rules.of_version(transaction, version).await?;
    if !unsettled.is_empty() {
        let (mut ids, mut from, mut below) = (Vec::new(), Vec::new(), Vec::new());
        for row in &unsettled {
            let since: i64 = row.try_get(1)?;
            ids.push(row.try_get::<_, i64>(0)?);
            from.push(row_ids::at(since - under_way()));
            below.push(row_ids::at(since + under_way()));
        }
        together!(transaction.execute(SETTLE, &[&ids, &from, &below]), transaction.commit())?;
        return Ok(true);
    }
    let unseen = unseen.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
    let unseen: Vec<(i64, i64, i64)> = unseen.collect::<Result<_, PostgresError>>()?;
    let Some(top) = unseen.iter().map(|(_, _, below)| *below).max() else {
        transaction.commit().await?;
        return Ok(false);
    };
    let bottom = unseen.iter().map(|(_, from, _)| *from).min().unwrap_or_default();
    let found = find(transaction, &rules, &unseen, top, bottom).await?;
    let counts = count(transaction, &rules, &found.counted).await?;
    let ids: Vec<i64> = found.days.iter().chain(&found.counted).map(|(id, _, _)| *id).collect();
    let companies = if ids.is_empty() { Vec::new() } else { transaction.query(COMPANIES, &[&ids]).await? };
    let mut changed = ChangedCompanies::default();
    for row in &companies {
        changed.count(row.try_get::<_, String>(0)?);
    }
    together!(
        days::put(transaction, found.days.iter().copied()),
        days::set_counts(transaction, &counts),
        changed.write(transaction),
        transaction.execute(SEEN_TO, &[&found.seen_to]),
        transaction.commit(),
    )?;
    Ok(true)
}

struct Found {
    /// Ids, rules and days.
    days: BTreeSet<(i64, i64, i64)>,
    /// The same of rules that count.
    counted: BTreeSet<(i64, i64, i64)>,
    seen_to: i64,
}

async fn find(
    transaction: &Transaction,
    rules: &RuleSet,
    unseen: &[(i64, i64, i64)],
    top: i64,
    bottom: i64,
) -> Result<Found, PostgresError> {
    let rows = transaction.query(ENTRIES, &[&top, &bottom, &ENTRIES_OF_A_PIECE]).await?;
    let mut found = Found { days: BTreeSet::new(), counted: BTreeSet::new(), seen_to: top };
    for row in &rows {
        if found.days.len() + found.counted.len() > ROWS_OF_A_PIECE {
            return Ok(found);
        }
        let id: i64 = row.try_get(0)?;
        found.seen_to = id;
        let Some(kind) = EntryKind::of(row.try_get(2)?) else { continue };
        let day = days::day_of(row.try_get(3)?);
        let (identity_id, json) = (row.try_get(1)?, body::unpack(row.try_get(4)?)?);
        let is_unseen = |rule: &i64| unseen.iter().any(|(of, from, below)| of == rule && (*from..*below).contains(&id));
        for rule in rules.matching(kind, &json).into_iter().filter(is_unseen) {
            let days = if rules.is_counting(rule) { &mut found.counted } else { &mut found.days };
            days.insert((identity_id, rule, day));
        }
    }
    if i64::try_from(rows.len()).is_ok_and(|read| read < ENTRIES_OF_A_PIECE) {
        found.seen_to = bottom;
    }
    Ok(found)
}

/// Counts the entries of days under rules that count, all of each day: some of them were counted when they came in, and which ones
/// nobody knows. Who keeps another one meanwhile writes the same row.
async fn count(
    transaction: &Transaction,
    rules: &RuleSet,
    asked: &BTreeSet<(i64, i64, i64)>,
) -> Result<BTreeMap<(i64, i64, i64), i64>, PostgresError> {
    let mut counts: BTreeMap<_, i64> = asked.iter().map(|key| (*key, 0)).collect();
    let of_ids: BTreeSet<(i64, i64)> = asked.iter().map(|(id, _, day)| (*id, *day)).collect();
    let of_ids: Vec<(i64, i64)> = of_ids.into_iter().collect();
    for some in of_ids.chunks(DAYS_AT_ONCE) {
        let (ids, days): (Vec<i64>, Vec<i64>) = some.iter().copied().unzip();
        let values: [&(dyn ToSql + Sync); 4] = [&ids, &days, &MILLISECONDS_OF_A_DAY, &ENTRIES_OF_A_DAY];
        for row in &transaction.query(ENTRIES_OF_DAYS, &values).await? {
            let Some(kind) = EntryKind::of(row.try_get(2)?) else { continue };
            let (id, day): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            for rule in rules.matching(kind, &body::unpack(row.try_get(3)?)?) {
                if let Some(count) = counts.get_mut(&(id, rule, day)) {
                    *count += 1;
                }
            }
        }
    }
    Ok(counts)
}

/// How far new rules have come through what was there before them, from 0 to 1; 1 where nothing is left.
pub(super) async fn progress(transaction: &Transaction) -> Result<f64, PostgresError> {
    let Some(row) = transaction.query_opt(PROGRESS, &[]).await? else { return Ok(1.0) };
    let (below, oldest, newest): (Option<i64>, Option<i64>, Option<i64>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Some(below), Some(oldest), Some(newest)) = (below, oldest, newest) else { return Ok(1.0) };
    #[allow(clippy::cast_precision_loss)] // a share
    let share = below.saturating_sub(oldest).max(0) as f64 / newest.saturating_sub(oldest).max(1) as f64;
    Ok((1.0 - share).clamp(0.0, 1.0))
}
