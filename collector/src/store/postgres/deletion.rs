//! Requests to delete people: whom they are about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::clock::now_milliseconds;
use koala_destination::ids::{Id, IdKind};
use serde_json::Value;

use super::error::PostgresError;
use super::history::Note;
use super::identities::{self, Ids};
use super::ids;
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use super::{clusters, decisions, taken, tombstones};
use crate::identity::{Decided, Rank, Wants};
use crate::store::deletion::{DeletionId, MOST_ACCOUNTS, Person, is_address};
use crate::store::history::Actor;
use crate::tombstone::{Tombstone, TombstoneKey};

statements! {
    VISITORS_OF_ROWS = "SELECT DISTINCT visitor.id FROM identity JOIN visitor ON visitor.id = identity.visitor_id
                        WHERE identity.id = ANY($1::bigint[])";
    ACCOUNTS = "SELECT identity.kind, identity.value, owner.visitor_id
                FROM unnest($1::text[]) AS asked (value)
                JOIN identity ON identity.kind = 'email' AND identity.value = asked.value
                    AND (identity.decision IS NULL OR identity.decision = 'attached')
                JOIN claim ON claim.identity_id = identity.id AND claim.rank = $2
                JOIN identity AS owner ON owner.id = claim.owner_id
                WHERE owner.kind = 'user' AND (owner.decision IS NULL OR owner.decision <> 'blocked')";
    // An address that is said as a trait of whom is known by another one. The rows are looked through: a deletion is rare. What may be
    // one of them in other letters, or with white space around it, is read as an event's is.
    WHO_SAY = "SELECT DISTINCT trait.value, identity.visitor_id
               FROM trait JOIN identity ON identity.id = trait.identity_id AND identity.kind <> 'taken'
               WHERE lower(trait.name) = 'email' AND (lower(trait.value) = ANY($1::text[])
                   OR (lower(trait.value) LIKE ANY($2::text[]) AND (trait.value ~ '[^!-~]' OR trait.value LIKE '%\\\\%')))";
    SEEN_BEFORE = "SELECT id FROM visitor WHERE id = ANY($1::bigint[]) AND last_seen <= $2";
    // A deletion that gets more ids is not completed any more, and it conflicts with whoever completes it beside that.
    NOTE = "INSERT INTO deletion (id, requested_at, visitors, others) VALUES ($1, $2, $3, $4)
            ON CONFLICT (id) DO UPDATE SET forgotten_at = NULL, completed_at = NULL";
    BURY = "INSERT INTO departed (deletion_id, kind, value, at, is_whole)
            SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::boolean[]) ON CONFLICT DO NOTHING";
}

/// How often a deletion is tried that others get in the way of, each time with the attempts of a transaction.
const TRIES: u32 = 5;

/// Whom a request is about.
struct Wanted {
    visitor_ids: Vec<i64>,
    /// Ids that nobody has.
    unknown: Vec<Id>,
    /// The ids that were asked for, and whether whoever says one as their own is the same person.
    ids: HashMap<Id, bool>,
    /// How many visitors say one of them, and stay.
    others: usize,
}

/// Takes out all that the people are known by; what is kept of them goes piece by piece.
pub(super) async fn request(
    pool: &Pool,
    key: &TombstoneKey,
    people: &[Person],
    by: Option<Actor>,
) -> Result<Option<DeletionId>, PostgresError> {
    // Whose ids are not all put together yet goes as a whole.
    while clusters::regroup_some(pool).await? {}
    let asked = transact!(pool, Mode::Read, |transaction| whom(&transaction, people))?;
    if asked.visitor_ids.is_empty() && asked.ids.is_empty() {
        return Ok(None);
    }
    let id = DeletionId::random();
    let note = Note::of_deletion(by, &id, asked.visitor_ids.len());
    let requested_at = now_milliseconds();
    take_all(pool, key, &id, &asked, note.as_ref()).await?;
    // What came in beside it under ids that nobody had is seen now, or meets their tombstones.
    let unknown: Vec<Person> = asked.unknown.into_iter().map(Person::Id).collect();
    if !unknown.is_empty() {
        let late = transact!(pool, Mode::Read, |transaction| whom(&transaction, &unknown))?;
        let late = transact!(pool, Mode::Read, |transaction| seen_before(&transaction, &late, requested_at))?;
        if !late.visitor_ids.is_empty() {
            take_all(pool, key, &id, &late, None).await?;
        }
    }
    Ok(Some(id))
}

async fn take_all(
    pool: &Pool,
    key: &TombstoneKey,
    id: &DeletionId,
    asked: &Wanted,
    note: Option<&Note>,
) -> Result<(), PostgresError> {
    let mut tries = 0;
    loop {
        let taken = match transact!(pool, Mode::Write, |transaction| take(&transaction, key, id, asked, note)) {
            // Somebody who is active at this moment: each of their events writes the same rows.
            Err(error) if error.is_passing() && tries < TRIES => {
                tries += 1;
                continue;
            }
            taken => taken?,
        };
        decisions::look_anew(pool, &taken.of_others).await?;
        if !taken.is_more {
            return Ok(());
        }
    }
}

/// Of those who are asked for the visitors who were not seen since.
async fn seen_before(transaction: &Transaction, asked: &Wanted, at: i64) -> Result<Wanted, PostgresError> {
    let ((), rows, ()) = together!(
        transaction.begin(),
        transaction.query(SEEN_BEFORE, &[&asked.visitor_ids, &at]),
        transaction.commit()
    )?;
    let visitor_ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_, PostgresError>>()?;
    Ok(Wanted { visitor_ids, unknown: Vec::new(), ids: asked.ids.clone(), others: 0 })
}

async fn whom(transaction: &Transaction, people: &[Person]) -> Result<Wanted, PostgresError> {
    let mut ids = Ids::new(transaction);
    let (mut rows, mut asked): (Vec<i64>, Vec<Id>) = (Vec::new(), Vec::new());
    for person in people {
        match person {
            Person::Visitor(id) => rows.push(ids::visitor_row(id)),
            Person::Id(id) => asked.push(id.clone()),
        }
    }
    let wants = Wants { ids: asked.iter().cloned().collect(), ..Wants::default() };
    together!(transaction.begin(), ids.load(&wants))?;
    let may_be_whole = |id: &Id| id.kind() == IdKind::Email && !id.is_role_mailbox();
    let emails: Vec<&str> = asked.iter().filter(|id| may_be_whole(id)).map(Id::value).collect();
    let rank = Rank::ToUser.number();
    let accounts = transaction.query(ACCOUNTS, &[&emails, &rank]).await?;
    let mut of_accounts: HashMap<Id, Vec<i64>> = HashMap::new();
    for row in &accounts {
        of_accounts.entry(identities::id_of(row, 0)?).or_default().push(row.try_get(2)?);
    }
    let (mut whole, mut others) = (HashMap::new(), BTreeSet::new());
    for id in asked {
        let is_free = ids.decision(&id).is_none_or(|decision| decision == Decided::Attached);
        let accounts = of_accounts.remove(&id).unwrap_or_default();
        let is_whole = may_be_whole(&id) && is_free && accounts.len() <= MOST_ACCOUNTS;
        rows.extend(ids.row(&id).map(|row| row.id));
        if is_whole {
            rows.extend(accounts);
        } else {
            others.extend(accounts);
        }
        whole.insert(id, is_whole);
    }
    let said: Vec<(&Id, bool)> = whole
        .iter()
        .filter(|(id, _)| id.kind() == IdKind::Email)
        .map(|(id, is_whole)| (id, *is_whole || id.is_role_mailbox()))
        .collect();
    let mut visitor_ids: BTreeSet<i64> = BTreeSet::new();
    if !said.is_empty() {
        let values: Vec<String> = said.iter().map(|(id, _)| Value::from(id.value()).to_string()).collect();
        let endings: Vec<String> = said.iter().map(|(id, _)| format!("%{}%", ending(id.value()))).collect();
        let who_say = transaction.query(WHO_SAY, &[&values, &endings]).await?;
        for (email, may_be_found) in said {
            let mut of_email = BTreeSet::new();
            for row in &who_say {
                if is_address(row.try_get(0)?, email) {
                    of_email.insert(row.try_get::<_, i64>(1)?);
                }
            }
            // As with accounts, not where it is said of many.
            if may_be_found && of_email.len() <= MOST_ACCOUNTS {
                visitor_ids.extend(of_email);
            } else {
                others.extend(of_email);
            }
        }
    }
    // Ids that are no visitor's by themselves go as well.
    visitor_ids.extend(whole.keys().filter_map(|id| ids.row(id)).map(|row| row.visitor_id));
    let unknown = whole.keys().filter(|id| ids.row(id).is_none()).cloned().collect();
    let (there, ()) = together!(transaction.query(VISITORS_OF_ROWS, &[&rows]), transaction.commit())?;
    for row in &there {
        visitor_ids.insert(row.try_get(0)?);
    }
    let others = others.difference(&visitor_ids).count();
    Ok(Wanted { visitor_ids: visitor_ids.into_iter().collect(), unknown, ids: whole, others })
}

/// How an address ends in whatever letters it is written: its domain, as far as that is ASCII.
fn ending(email: &str) -> &str {
    let domain = email.rfind('@').map_or(email, |at| &email[at..]);
    domain.rsplit(|letter: char| !letter.is_ascii()).next().unwrap_or_default()
}

async fn take(
    transaction: &Transaction,
    key: &TombstoneKey,
    id: &DeletionId,
    asked: &Wanted,
    note: Option<&Note>,
) -> Result<taken::Taken, PostgresError> {
    let now = now_milliseconds();
    let [visitors, others] =
        [asked.visitor_ids.len(), asked.others].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    together!(transaction.begin(), transaction.execute(NOTE, &[&id.as_str(), &now, &visitors, &others]))?;
    let is_asked_for = |id: &Id| asked.ids.contains_key(id);
    let taken = taken::take(transaction, &asked.visitor_ids, Some(id.as_str()), is_asked_for).await?;
    let all = taken.ids.iter().chain(asked.ids.keys());
    let tombstones = all.map(|one| {
        let is_whole = asked.ids.get(one).copied().unwrap_or(false);
        (one.clone(), Tombstone { at: now, is_whole })
    });
    bury(transaction, key, id, &tombstones.collect()).await?;
    if let Some(note) = note {
        note.write(transaction).await?;
    }
    transaction.commit().await?;
    Ok(taken)
}

/// A deletion of whom nothing is shown: of ids that came late.
pub(super) async fn begin(transaction: &Transaction, id: &DeletionId, at: i64) -> Result<(), PostgresError> {
    transaction.execute(NOTE, &[&id.as_str(), &at, &0_i64, &0_i64]).await.map(drop)
}

/// Ids of a deletion get their tombstones, and are known to whoever holds messages.
pub(super) async fn bury(
    transaction: &Transaction,
    key: &TombstoneKey,
    id: &DeletionId,
    tombstones: &BTreeMap<Id, Tombstone>,
) -> Result<(), PostgresError> {
    let (kinds, values) = identities::columns(tombstones.keys());
    let times: Vec<i64> = tombstones.values().map(|tombstone| tombstone.at).collect();
    let whole: Vec<bool> = tombstones.values().map(|tombstone| tombstone.is_whole).collect();
    together!(
        tombstones::put(transaction, key, tombstones),
        transaction.execute_if(!kinds.is_empty(), BURY, &[&id.as_str(), &kinds, &values, &times, &whole]),
    )?;
    Ok(())
}
