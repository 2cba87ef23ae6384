//! Visitors taken out, and what hangs on their ids deleted piece by piece.
//!
//! The rows of the ids give up what they are called by (their kind is `taken`), and the visitor is gone: nothing leads to them, and
//! what comes in under the same ids makes new rows. Then the entries, traits, intent, claims and decisions go, and the rows
//! themselves, each piece in a transaction that is small enough for Aurora DSQL.

use std::collections::BTreeSet;

use koala_destination::ids::Id;
use tokio_postgres::Row;

use super::accounts::ChangedCompanies;
use super::error::PostgresError;
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use super::{alert_changes, alert_messages, decisions, guesses, identities, row_ids};
use crate::identity::{MOST_DEVICES, Rank};

statements! {
    // The strong ones last, so that no pointer leads nowhere for long.
    OF_VISITORS = "SELECT id, kind, value, decision, visitor_id FROM identity
                   WHERE visitor_id = ANY($1::bigint[]) AND kind <> 'taken'
                   ORDER BY kind = 'user', kind = 'email', id LIMIT $2";
    TAKE = "UPDATE identity SET kind = 'taken', value = CAST(id AS text), visitor_id = id, into_id = NULL, decision = NULL,
                first_at = NULL, first_seen = NULL, last_seen = NULL, events = 0, identifies = 0, page_views = 0
            WHERE id = ANY($1::bigint[])";
    NOTE = "INSERT INTO taken (identity_id, deletion_id) SELECT id, $2 FROM unnest($1::bigint[]) AS new (id)";
    FORGET = "DELETE FROM visitor WHERE id = ANY($1::bigint[]) RETURNING company_key";
    SAID = "SELECT DISTINCT domain, group_id, name FROM company_said WHERE voter_id = ANY($1::bigint[]) LIMIT $2";
    STATEMENTS = "DELETE FROM company_said WHERE (voter_id, domain, group_id, name) IN
                      (SELECT voter_id, domain, group_id, name FROM company_said WHERE voter_id = ANY($1::bigint[]) LIMIT $2)
                  RETURNING domain, group_id, name";
    COMPANY_TRAITS = "DELETE FROM company_trait WHERE (company_key, name_key) IN
                          (SELECT company_key, name_key FROM company_trait WHERE said_by = ANY($1::bigint[]) LIMIT $2)
                      RETURNING company_key";
    DONE = "DELETE FROM done WHERE (topic_id, identity_id) IN
                (SELECT topic_id, identity_id FROM done WHERE identity_id = ANY($1::bigint[]) LIMIT $2) RETURNING topic_id";
    TOPICS = "DELETE FROM topic WHERE id = ANY($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM done WHERE topic_id = topic.id)";
    CAME_FROM = "DELETE FROM came_from WHERE (source_id, identity_id) IN
                     (SELECT source_id, identity_id FROM came_from WHERE identity_id = ANY($1::bigint[]) LIMIT $2) RETURNING source_id";
    SOURCES = "DELETE FROM source WHERE id = ANY($1::bigint[]) AND NOT EXISTS (SELECT 1 FROM came_from WHERE source_id = source.id)";
    INSERT = "INSERT INTO identity (id, kind, value, visitor_id, decision)
              SELECT id, kind, value, id, decision
              FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS new (id, kind, value, decision)";
    BLOCKED_AGAIN = "UPDATE decision SET identity_id = new.id FROM unnest($1::bigint[], $2::bigint[]) AS new (before, id)
                     WHERE decision.identity_id = new.before AND decision.what = 'block'";
    // Of others, who say an address or have logged in on a device.
    OTHERS_CLAIMS = "SELECT DISTINCT claim.identity_id FROM claim JOIN identity AS owner ON owner.id = claim.owner_id
                     WHERE claim.identity_id = ANY($1::bigint[]) AND claim.rank <= $2 AND owner.kind <> 'taken'
                         AND owner.visitor_id <> ALL($3::bigint[])";
    MOVE_CLAIMS = "UPDATE claim SET identity_id = new.id
                   FROM unnest($1::bigint[], $2::bigint[]) AS new (before, id), identity AS owner
                   WHERE claim.identity_id = new.before AND claim.rank <= $3 AND owner.id = claim.owner_id
                       AND owner.kind <> 'taken' AND owner.visitor_id <> ALL($4::bigint[])";
    NEXT = "SELECT identity_id, deletion_id FROM taken ORDER BY deletion_id, identity_id LIMIT $1";
    CLAIMANTS = "SELECT DISTINCT identity.kind, identity.value FROM claim JOIN identity ON identity.id = claim.identity_id
                 WHERE claim.owner_id = ANY($1::bigint[]) AND identity.kind <> 'taken'";
    // Whose place in the line of an owner moves when claims go: an address may be the first one then, a device within the limit.
    LINES = "SELECT DISTINCT member.kind, member.value
             FROM (SELECT DISTINCT owner_id, kind FROM claim WHERE identity_id = ANY($1::bigint[])) AS line
             JOIN identity AS owner ON owner.id = line.owner_id AND owner.kind IN ('user', 'email')
             CROSS JOIN LATERAL (
                 SELECT identity.kind, identity.value FROM claim JOIN identity ON identity.id = claim.identity_id
                 WHERE claim.owner_id = owner.id AND claim.kind = line.kind AND identity.kind = line.kind
                 ORDER BY claim.rank, claim.at, identity.value
                 LIMIT 510 OFFSET CASE WHEN line.kind = 'device' THEN $2::bigint ELSE 0 END) AS member";
    ENTRIES = "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE identity_id = ANY($1::bigint[]) LIMIT $2)";
    INTENT = "DELETE FROM intent WHERE (identity_id, rule_id, day) IN
                  (SELECT identity_id, rule_id, day FROM intent WHERE identity_id = ANY($1::bigint[]) LIMIT $2)";
    TRAITS = "DELETE FROM trait WHERE (identity_id, name_key) IN
                  (SELECT identity_id, name_key FROM trait WHERE identity_id = ANY($1::bigint[]) LIMIT $2)";
    CLAIMS = "DELETE FROM claim WHERE (identity_id, owner_id) IN
                  (SELECT identity_id, owner_id FROM claim
                   WHERE identity_id = ANY($1::bigint[]) OR owner_id = ANY($1::bigint[]) LIMIT $2)";
    DECISIONS = "DELETE FROM decision WHERE id IN
                     (SELECT id FROM decision WHERE identity_id = ANY($1::bigint[]) OR to_id = ANY($1::bigint[]) LIMIT $2)";
    COUNT = "UPDATE deletion SET entries = entries + $2 WHERE id = $1";
    GONE = "DELETE FROM taken WHERE identity_id = ANY($1::bigint[])";
    IDS_GONE = "DELETE FROM identity WHERE id = ANY($1::bigint[])";
}

/// Ids that are taken in one transaction: of each a few rows are written.
const IDS_AT_ONCE: i64 = 300;
/// Ids whose rows are deleted at once.
const IDS_OF_A_PIECE: i64 = 50;
/// Rows of each of twelve kinds that are deleted at once.
pub(super) const ROWS_AT_ONCE: i64 = 120;
/// Rows that say that a company changed: of a statement three, of a trait one.
const ROWS_OF_COMPANIES: i64 = 4;
/// A message that goes and one that says less, each with who is named in it.
const ROWS_OF_A_MESSAGE: i64 = 10;
// Aurora DSQL takes 3,000 rows in a transaction.
const _: () = assert!(
    (12 + ROWS_OF_COMPANIES) * ROWS_AT_ONCE
        + 3 * IDS_OF_A_PIECE
        + ROWS_OF_A_MESSAGE * alert_messages::FORGOTTEN_AT_ONCE
        < 3000
        && 6 * IDS_AT_ONCE + 3 * ROWS_AT_ONCE < 3000
);

/// What was taken.
#[derive(Default)]
pub(super) struct Taken {
    /// The ids that went.
    pub(super) ids: Vec<Id>,
    /// Of these those that are others' now.
    pub(super) of_others: Vec<Id>,
    /// Whether there may be more.
    pub(super) is_more: bool,
}

/// Takes visitors out, as many of their ids as go at once; the transaction has begun, and is not committed. An id that a person has
/// blocked stays so, with nothing under it, unless it was asked for.
pub(super) async fn take(
    transaction: &Transaction,
    visitor_ids: &[i64],
    deletion: Option<&str>,
    is_asked_for: impl Fn(&Id) -> bool,
) -> Result<Taken, PostgresError> {
    let rows = transaction.query(OF_VISITORS, &[&visitor_ids, &IDS_AT_ONCE]).await?;
    let mut taken =
        Taken { is_more: i64::try_from(rows.len()).is_ok_and(|all| all == IDS_AT_ONCE), ..Taken::default() };
    let all = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>()?;
    let rank = Rank::ToEmail.number();
    let claimed = transaction.query(OTHERS_CLAIMS, &[&all, &rank, &visitor_ids]).await?;
    let claimed = claimed.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<i64>, PostgresError>>()?;
    let mut again = Again::default();
    for (number, row) in (row_ids::next()..).zip(&rows) {
        let (before, id): (i64, Id) = (row.try_get(0)?, identities::id_of(row, 1)?);
        let is_blocked = row.try_get::<_, Option<&str>>(3)? == Some("blocked");
        if is_blocked && !is_asked_for(&id) {
            again.add(before, number, &id, Some("blocked"));
            continue;
        }
        if !is_blocked && !is_asked_for(&id) && claimed.contains(&before) {
            again.add(before, number, &id, None);
            taken.of_others.push(id.clone());
        }
        taken.ids.push(id);
    }
    // A visitor with more ids than go at once is gone from all that is shown with the first of them.
    let (forgotten, said, _, _, ()) = together!(
        transaction.query(FORGET, &[&visitor_ids]),
        transaction.query(SAID, &[&all, &ROWS_AT_ONCE]),
        transaction.execute(TAKE, &[&all]),
        transaction.execute(NOTE, &[&all, &deletion]),
        again.write(transaction, rank, visitor_ids),
    )?;
    let mut changed = ChangedCompanies::default();
    changed.say_rows(&said, 0)?;
    for row in &forgotten {
        if let Some(key) = row.try_get::<_, Option<String>>(0)? {
            changed.say(key);
        }
    }
    changed.write(transaction).await?;
    Ok(taken)
}

/// Ids that get a row of their own again: those that somebody has blocked, and those that others claim as theirs, whose claims stay.
#[derive(Default)]
struct Again {
    before: Vec<i64>,
    ids: Vec<i64>,
    kinds: Vec<&'static str>,
    values: Vec<String>,
    decisions: Vec<Option<&'static str>>,
}

impl Again {
    fn add(&mut self, before: i64, number: i64, id: &Id, decision: Option<&'static str>) {
        self.before.push(before);
        self.ids.push(number);
        self.kinds.push(id.kind().name());
        self.values.push(id.value().to_owned());
        self.decisions.push(decision);
    }

    async fn write(&self, transaction: &Transaction, rank: i64, visitor_ids: &[i64]) -> Result<(), PostgresError> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let Self { before, ids, kinds, values, decisions } = self;
        let is_claimed = |place: &usize| decisions.get(*place).is_some_and(Option::is_none);
        let of = |numbers: &[i64]| -> Vec<i64> {
            numbers.iter().enumerate().filter(|(place, _)| is_claimed(place)).map(|(_, number)| *number).collect()
        };
        let (claimed_before, claimed) = (of(before), of(ids));
        together!(
            transaction.execute(INSERT, &[ids, kinds, values, decisions]),
            transaction.execute(BLOCKED_AGAIN, &[before, ids]),
            transaction.execute(MOVE_CLAIMS, &[&claimed_before, &claimed, &rank, &visitor_ids]),
        )?;
        Ok(())
    }
}

/// Deletes a piece of what hangs on taken ids. Tells whether there was any.
pub(super) async fn purge(pool: &Pool) -> Result<bool, PostgresError> {
    let next = transact!(pool, Mode::Read, |transaction| next(&transaction))?;
    let Some((ids, deletion)) = next else { return Ok(false) };
    // First whoever claims them, or moves up when they go, belongs to whom the other claims lead: those of taken ids count for
    // nothing already. If all ends here it is done again.
    let others = transact!(pool, Mode::Read, |transaction| affected(&transaction, &ids))?;
    decisions::look_anew(pool, &others).await?;
    transact!(pool, Mode::Write, |transaction| delete(&transaction, &ids, deletion.as_deref()))?;
    Ok(true)
}

async fn next(transaction: &Transaction) -> Result<Option<(Vec<i64>, Option<String>)>, PostgresError> {
    let ((), rows, ()) =
        together!(transaction.begin(), transaction.query(NEXT, &[&IDS_OF_A_PIECE]), transaction.commit())?;
    let mut ids = Vec::new();
    let mut of: Option<Option<String>> = None;
    for row in &rows {
        let deletion: Option<String> = row.try_get(1)?;
        // Those of one deletion, whose entries are counted.
        if of.get_or_insert_with(|| deletion.clone()) == &deletion {
            ids.push(row.try_get(0)?);
        }
    }
    Ok(of.map(|deletion| (ids, deletion)))
}

/// Who may belong to somebody else when the claims of taken ids go.
pub(super) async fn affected(transaction: &Transaction, ids: &[i64]) -> Result<Vec<Id>, PostgresError> {
    transaction.begin().await?;
    let others = others(transaction, ids).await?;
    transaction.commit().await?;
    Ok(others)
}

/// The same within a transaction.
pub(super) async fn others(transaction: &Transaction, ids: &[i64]) -> Result<Vec<Id>, PostgresError> {
    let within = i64::try_from(MOST_DEVICES).unwrap_or_default() - IDS_OF_A_PIECE;
    let (claimants, lines) =
        together!(transaction.query(CLAIMANTS, &[&ids]), transaction.query(LINES, &[&ids, &within]))?;
    let others = claimants.iter().chain(&lines).map(|row| identities::id_of(row, 0));
    Ok(others.collect::<Result<BTreeSet<Id>, _>>()?.into_iter().collect())
}

async fn delete(transaction: &Transaction, ids: &[i64], deletion: Option<&str>) -> Result<(), PostgresError> {
    let ((), entries, intent, traits, claims, decisions) = together!(
        transaction.begin(),
        transaction.execute(ENTRIES, &[&ids, &ROWS_AT_ONCE]),
        transaction.execute(INTENT, &[&ids, &ROWS_AT_ONCE]),
        transaction.execute(TRAITS, &[&ids, &ROWS_AT_ONCE]),
        transaction.execute(CLAIMS, &[&ids, &ROWS_AT_ONCE]),
        transaction.execute(DECISIONS, &[&ids, &ROWS_AT_ONCE]),
    )?;
    let (statements, alerts, messages, _, done, came_from) = together!(
        transaction.query(STATEMENTS, &[&ids, &ROWS_AT_ONCE]),
        transaction.execute(alert_changes::FORGET, &[&ids, &ROWS_AT_ONCE]),
        alert_messages::forget_naming(transaction, ids),
        transaction.execute(guesses::FORGET, &[&ids]),
        transaction.query(DONE, &[&ids, &ROWS_AT_ONCE]),
        transaction.query(CAME_FROM, &[&ids, &ROWS_AT_ONCE]),
    )?;
    // A path may name somebody: what nobody else did goes as well.
    let of = |rows: &[Row]| rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>, PostgresError>>();
    let (topics, sources) = (of(&done)?, of(&came_from)?);
    let of_companies = transaction.query(COMPANY_TRAITS, &[&ids, &ROWS_AT_ONCE]).await?;
    // A company of which nobody says anything any more goes as well.
    let mut changed = ChangedCompanies::default();
    changed.say_rows(&statements, 0)?;
    for row in &of_companies {
        changed.say(row.try_get::<_, String>(0)?);
    }
    together!(
        transaction.execute_if(!topics.is_empty(), TOPICS, &[&topics]),
        transaction.execute_if(!sources.is_empty(), SOURCES, &[&sources]),
        changed.write(transaction),
    )?;
    let [statements, of_companies, done, came_from] =
        [statements, of_companies, done, came_from].map(|rows| rows.len() as u64);
    let is_less = |rows: u64| i64::try_from(rows).is_ok_and(|rows| rows < ROWS_AT_ONCE);
    let all = [entries, intent, traits, claims, decisions, statements, of_companies, alerts, done, came_from];
    let is_all = all.into_iter().all(is_less)
        && i64::try_from(messages).is_ok_and(|messages| messages < alert_messages::FORGOTTEN_AT_ONCE);
    let entries = i64::try_from(entries).unwrap_or_default();
    together!(
        transaction.execute_if(entries > 0 && deletion.is_some(), COUNT, &[&deletion, &entries]),
        transaction.execute_if(is_all, GONE, &[&ids]),
        transaction.execute_if(is_all, IDS_GONE, &[&ids]),
        transaction.commit(),
    )?;
    Ok(())
}
