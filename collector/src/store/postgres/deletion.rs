//! Requests to delete people: whom they are about, and how far they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::clock::{self, now_milliseconds};
use koala_destination::ids::{Id, IdKind};
use serde_json::Value;

use super::error::PostgresError;
use super::history::Note;
use super::identities::{self, Ids};
use super::ids;
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Access, Transaction, together, transact};
use super::{clusters, decisions, taken, tombstones};
use crate::identity::{Decided, Rank, Wants};
use crate::store::deletion::{Deletion, DeletionId, DeletionStatus, Departed, Forgotten, MOST_ACCOUNTS, Person};
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
    // An address that is said as a trait of whom is known by another one; as with accounts, not where it is said of many. The rows are
    // looked through: a deletion is rare.
    WHO_SAY = "SELECT value, id FROM (
                   SELECT lower(trait.value) AS value, min(identity.id) AS id,
                          row_number() OVER (PARTITION BY lower(trait.value) ORDER BY min(identity.id)) AS place
                   FROM trait JOIN identity ON identity.id = trait.identity_id AND identity.kind <> 'taken'
                   WHERE lower(trait.name) = 'email' AND lower(trait.value) = ANY($1::text[])
                   GROUP BY lower(trait.value), identity.visitor_id) AS said
               WHERE place <= $2";
    SEEN_BEFORE = "SELECT id FROM visitor WHERE id = ANY($1::bigint[]) AND last_seen <= $2";
    // A deletion that gets more ids is not completed any more, and it conflicts with whoever completes it beside that.
    NOTE = "INSERT INTO deletion (id, requested_at, visitors) VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET forgotten_at = NULL, completed_at = NULL";
    BURY = "INSERT INTO departed (deletion_id, kind, value, at, is_whole)
            SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::boolean[]) ON CONFLICT DO NOTHING";
    SHOW = "SELECT requested_at, completed_at, visitors, entries, messages FROM deletion WHERE id = $1";
    NEXT_DEPARTED = "SELECT id FROM deletion WHERE completed_at IS NULL AND forgotten_at IS NULL ORDER BY requested_at, id LIMIT 1";
    DEPARTED = "SELECT kind, value, at, is_whole FROM departed WHERE deletion_id = $1";
    FORGOTTEN = "UPDATE deletion SET messages = messages + $3,
                     forgotten_at = CASE WHEN (SELECT count(*) FROM departed WHERE deletion_id = $1) <= $4 THEN $2::bigint END
                 WHERE id = $1 AND forgotten_at IS NULL";
    OPEN_OF = "SELECT id FROM deletion WHERE completed_at IS NULL AND (requested_at = $1 OR EXISTS (
                   SELECT 1 FROM departed JOIN unnest($2::text[], $3::text[]) AS known (kind, value)
                       ON departed.kind = known.kind AND departed.value = known.value
                   WHERE departed.deletion_id = deletion.id))
               ORDER BY requested_at DESC, id LIMIT 1";
    FORGET_AGAIN = "UPDATE deletion SET forgotten_at = NULL, completed_at = NULL WHERE id = $1";
    LONE_DEVICES = "SELECT identity.kind, identity.value FROM identity JOIN unnest($1::text[]) AS asked (value)
                        ON identity.kind = 'device' AND identity.value = asked.value
                    WHERE identity.decision IS NULL AND NOT EXISTS (
                        SELECT 1 FROM identity AS other
                        WHERE other.visitor_id = identity.visitor_id AND other.kind IN ('user', 'email'))";
    DONE_WITH = "SELECT id FROM deletion WHERE completed_at IS NULL AND forgotten_at IS NOT NULL
                     AND NOT EXISTS (SELECT 1 FROM taken WHERE deletion_id = deletion.id) LIMIT 1";
    FORGET_IDS = "DELETE FROM departed WHERE (deletion_id, kind, value) IN
                      (SELECT deletion_id, kind, value FROM departed WHERE deletion_id = $1 LIMIT $2)";
    COMPLETE = "UPDATE deletion SET completed_at = $2 WHERE id = $1";
}

/// How often a deletion is tried that others get in the way of, each time with the attempts of a transaction.
const TRIES: u32 = 5;

/// Whom a request is about.
struct Asked {
    visitor_ids: Vec<i64>,
    /// Ids that nobody has.
    unknown: Vec<Id>,
    /// The ids that were asked for, and whether whoever says one as their own is the same person.
    ids: HashMap<Id, bool>,
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
    let asked = transact!(pool, Access::Read, |transaction| whom(&transaction, people))?;
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
        let late = transact!(pool, Access::Read, |transaction| whom(&transaction, &unknown))?;
        let late = transact!(pool, Access::Read, |transaction| seen_before(&transaction, &late, requested_at))?;
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
    asked: &Asked,
    note: Option<&Note>,
) -> Result<(), PostgresError> {
    let mut tries = 0;
    loop {
        let taken = match transact!(pool, Access::Write, |transaction| take(&transaction, key, id, asked, note)) {
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
async fn seen_before(transaction: &Transaction, asked: &Asked, at: i64) -> Result<Asked, PostgresError> {
    let ((), rows, ()) = together!(
        transaction.begin(),
        transaction.query(SEEN_BEFORE, &[&asked.visitor_ids, &at]),
        transaction.commit()
    )?;
    let visitor_ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_, PostgresError>>()?;
    Ok(Asked { visitor_ids, unknown: Vec::new(), ids: asked.ids.clone() })
}

async fn whom(transaction: &Transaction, people: &[Person]) -> Result<Asked, PostgresError> {
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
    let mut whole = HashMap::new();
    for id in asked {
        let is_free = ids.decision(&id).is_none_or(|decision| decision == Decided::Attached);
        let accounts = of_accounts.remove(&id).unwrap_or_default();
        let is_whole = may_be_whole(&id) && is_free && accounts.len() <= MOST_ACCOUNTS;
        rows.extend(ids.row(&id).map(|row| row.id));
        if is_whole {
            rows.extend(accounts);
        }
        whole.insert(id, is_whole);
    }
    let said = |(id, is_whole): (&Id, &bool)| is_whole.then(|| Value::from(id.value()).to_string());
    let said: Vec<String> = whole.iter().filter_map(said).collect();
    if !said.is_empty() {
        let most = i64::try_from(MOST_ACCOUNTS).unwrap_or(i64::MAX).saturating_add(1);
        let mut who_say: HashMap<String, Vec<i64>> = HashMap::new();
        for row in &transaction.query(WHO_SAY, &[&said, &most]).await? {
            who_say.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
        }
        rows.extend(who_say.into_values().filter(|who| who.len() <= MOST_ACCOUNTS).flatten());
    }
    // Ids that are no visitor's by themselves go as well.
    let mut visitor_ids: BTreeSet<i64> = whole.keys().filter_map(|id| ids.row(id)).map(|row| row.visitor_id).collect();
    let unknown = whole.keys().filter(|id| ids.row(id).is_none()).cloned().collect();
    let (there, ()) = together!(transaction.query(VISITORS_OF_ROWS, &[&rows]), transaction.commit())?;
    for row in &there {
        visitor_ids.insert(row.try_get(0)?);
    }
    Ok(Asked { visitor_ids: visitor_ids.into_iter().collect(), unknown, ids: whole })
}

async fn take(
    transaction: &Transaction,
    key: &TombstoneKey,
    id: &DeletionId,
    asked: &Asked,
    note: Option<&Note>,
) -> Result<taken::Taken, PostgresError> {
    let now = now_milliseconds();
    let visitors = i64::try_from(asked.visitor_ids.len()).unwrap_or(i64::MAX);
    together!(transaction.begin(), transaction.execute(NOTE, &[&id.as_str(), &now, &visitors]))?;
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

/// Ids of a deletion get their tombstones, and are known to whoever holds messages.
async fn bury(
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

/// How far a deletion is.
pub(super) async fn show(transaction: &Transaction, id: &DeletionId) -> Result<Option<Deletion>, PostgresError> {
    let ((), row, ()) =
        together!(transaction.begin(), transaction.query_opt(SHOW, &[&id.as_str()]), transaction.commit())?;
    let Some(row) = row else { return Ok(None) };
    let completed_at: Option<i64> = row.try_get(1)?;
    let count = |column| Ok::<_, PostgresError>(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or_default());
    Ok(Some(Deletion {
        id: id.clone(),
        status: if completed_at.is_some() { DeletionStatus::Completed } else { DeletionStatus::InProgress },
        requested_at: clock::from_milliseconds(row.try_get(0)?),
        completed_at: completed_at.map(clock::from_milliseconds),
        visitors: count(2)?,
        entries: count(3)?,
        messages: count(4)?,
    }))
}

/// A deletion whose people may still stand in queues.
pub(super) async fn departed(transaction: &Transaction) -> Result<Option<Departed>, PostgresError> {
    let ((), next) = together!(transaction.begin(), transaction.query_opt(NEXT_DEPARTED, &[]))?;
    let Some(next) = next else {
        transaction.commit().await?;
        return Ok(None);
    };
    let id: String = next.try_get(0)?;
    let (rows, ()) = together!(transaction.query(DEPARTED, &[&id]), transaction.commit())?;
    let ids = rows
        .iter()
        .map(|row| Ok((identities::id_of(row, 0)?, Tombstone { at: row.try_get(2)?, is_whole: row.try_get(3)? })));
    Ok(Some(Departed { id: DeletionId::new(id), ids: ids.collect::<Result<_, PostgresError>>()? }))
}

/// Of ids that stand beside those of a deletion, the ones of which nothing was known before it: they are of the same people. A device
/// that is no known visitor's is as well, with what was filed under it.
pub(super) async fn learn(
    pool: &Pool,
    key: &TombstoneKey,
    deletion: &DeletionId,
    asked: &[Id],
) -> Result<Vec<Id>, PostgresError> {
    let (learned, devices) =
        transact!(pool, Access::Write, |transaction| learn_of(&transaction, key, deletion, asked))?;
    request_late(pool, key, BTreeSet::new(), devices.into_iter().collect()).await?;
    Ok(learned)
}

/// The ids that are learned, and those of them that are devices of which something was known.
async fn learn_of(
    transaction: &Transaction,
    key: &TombstoneKey,
    deletion: &DeletionId,
    asked: &[Id],
) -> Result<(Vec<Id>, Vec<Id>), PostgresError> {
    let mut ids = Ids::new(transaction);
    let wants = Wants { ids: asked.iter().cloned().collect(), ..Wants::default() };
    let ((), row, ()) =
        together!(transaction.begin(), transaction.query_opt(SHOW, &[&deletion.as_str()]), ids.load(&wants))?;
    let Some(row) = row else {
        transaction.commit().await?;
        return Ok((Vec::new(), Vec::new()));
    };
    let at: i64 = row.try_get(0)?;
    let (known, mut learned): (Vec<Id>, Vec<Id>) = asked.iter().cloned().partition(|id| ids.is_known_before(id, at));
    let devices = lone_devices(transaction, &known).await?;
    learned.extend(devices.iter().cloned());
    let tombstones = learned.iter().map(|id| (id.clone(), Tombstone { at, is_whole: false })).collect();
    if !learned.is_empty() {
        together!(
            transaction.execute(FORGET_AGAIN, &[&deletion.as_str()]),
            bury(transaction, key, deletion, &tombstones)
        )?;
    }
    transaction.commit().await?;
    Ok((learned, devices))
}

/// Ids of a person's that an entry which came late has taught: the deletion that has the others looks for them in the queues as
/// well, or a new one, where that one is completed.
pub(super) async fn learn_late(
    transaction: &Transaction,
    key: &TombstoneKey,
    known: &BTreeSet<Id>,
    learned: &BTreeMap<Id, Tombstone>,
) -> Result<(), PostgresError> {
    let Some(at) = learned.values().map(|tombstone| tombstone.at).max() else { return Ok(()) };
    let (kinds, values) = identities::columns(known);
    let open = transaction.query_opt(OPEN_OF, &[&at, &kinds, &values]).await?;
    let deletion = if let Some(row) = open {
        let id: String = row.try_get(0)?;
        transaction.execute(FORGET_AGAIN, &[&id]).await?;
        DeletionId::new(id)
    } else {
        let id = DeletionId::random();
        transaction.execute(NOTE, &[&id.as_str(), &at, &0_i64]).await?;
        id
    };
    bury(transaction, key, &deletion, learned).await
}

/// Of some ids the devices of visitors that are known by devices alone.
async fn lone_devices(transaction: &Transaction, ids: &[Id]) -> Result<Vec<Id>, PostgresError> {
    let devices: Vec<&str> = ids.iter().filter(|id| id.kind() == IdKind::Device).map(Id::value).collect();
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let rows = transaction.query(LONE_DEVICES, &[&devices]).await?;
    rows.iter().map(|row| identities::id_of(row, 0)).collect()
}

/// Deletes what was filed under ids that an entry which came late says are a person's: accounts, and devices that are no known
/// visitor's.
pub(super) async fn request_late(
    pool: &Pool,
    key: &TombstoneKey,
    accounts: BTreeSet<Id>,
    devices: BTreeSet<Id>,
) -> Result<(), PostgresError> {
    let devices: Vec<Id> = devices.into_iter().collect();
    let devices = if devices.is_empty() {
        devices
    } else {
        transact!(pool, Access::Read, |transaction| async {
            transaction.begin().await?;
            let devices = lone_devices(&transaction, &devices).await?;
            transaction.commit().await?;
            Ok(devices)
        })?
    };
    let people: Vec<Person> = accounts.into_iter().chain(devices).map(Person::Id).collect();
    if people.is_empty() { Ok(()) } else { request(pool, key, &people, None).await.map(drop) }
}

/// Messages of a deletion's people were deleted, up to the last one or not.
pub(super) async fn forgotten(
    transaction: &Transaction,
    id: &DeletionId,
    forgotten: Forgotten,
) -> Result<(), PostgresError> {
    let messages = i64::try_from(forgotten.messages).unwrap_or(i64::MAX);
    let at = forgotten.is_all.then(now_milliseconds);
    let ids = i64::try_from(forgotten.ids).unwrap_or(i64::MAX);
    together!(
        transaction.begin(),
        transaction.execute(FORGOTTEN, &[&id.as_str(), &at, &messages, &ids]),
        transaction.commit(),
    )?;
    Ok(())
}

/// Completes a piece of a deletion of which nothing is left here and in the queues. Tells whether there was one.
pub(super) async fn complete(transaction: &Transaction) -> Result<bool, PostgresError> {
    let ((), done) = together!(transaction.begin(), transaction.query_opt(DONE_WITH, &[]))?;
    let Some(done) = done else {
        transaction.commit().await?;
        return Ok(false);
    };
    let id: String = done.try_get(0)?;
    let forgotten = transaction.execute(FORGET_IDS, &[&id, &taken::ROWS_AT_ONCE]).await?;
    let is_all = i64::try_from(forgotten).is_ok_and(|rows| rows < taken::ROWS_AT_ONCE);
    together!(transaction.execute_if(is_all, COMPLETE, &[&id, &now_milliseconds()]), transaction.commit())?;
    Ok(true)
}
