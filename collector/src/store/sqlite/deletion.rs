//! Requests to delete people: whom they are about, and how far they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::clock::{self, now_milliseconds};
use koala_destination::ids::{Id, IdKind};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::ids;
use super::{identities, taken, tombstones, visitors};
use crate::identity::{Decided, Rank};
use crate::store::deletion::{
    Deletion, DeletionId, DeletionStatus, Departed, Forgotten, MOST_ACCOUNTS, Person, is_address,
};
use crate::tombstone::Tombstone;

/// Takes out all that the people are known by; what is kept of them goes piece by piece.
pub(super) fn request(connection: &Connection, people: &[Person], now: i64) -> rusqlite::Result<Option<DeletionId>> {
    let (mut visitor_ids, mut others, mut asked) = (BTreeSet::new(), BTreeSet::new(), HashMap::new());
    for person in people {
        match person {
            Person::Visitor(id) => {
                let visitor_id = identities::visitor_of_row(connection, ids::visitor_row(id))?;
                let visitor_id = visitor_id.filter(|id| visitors::is_there(connection, *id).unwrap_or(false));
                visitor_ids.extend(visitor_id);
            }
            Person::Id(id) => {
                let of_id = whom(connection, id)?;
                visitor_ids.extend(of_id.visitor_ids);
                others.extend(of_id.others);
                asked.insert(id.clone(), of_id.is_whole);
            }
        }
    }
    if visitor_ids.is_empty() && asked.is_empty() {
        return Ok(None);
    }
    let id = note(connection, (visitor_ids.len(), others.difference(&visitor_ids).count()), now)?;
    let mut ids: BTreeSet<Id> = asked.keys().cloned().collect();
    for visitor_id in visitor_ids {
        ids.extend(taken::take(connection, visitor_id, Some(id.as_str()), |id| asked.contains_key(id))?.ids);
    }
    for one in &ids {
        let is_whole = asked.get(one).copied().unwrap_or(false);
        bury(connection, &id, one, Tombstone { at: now, is_whole })?;
    }
    Ok(Some(id))
}

/// A new deletion.
fn note(connection: &Connection, (visitors, others): (usize, usize), at: i64) -> rusqlite::Result<DeletionId> {
    let id = DeletionId::random();
    let [visitors, others] = [visitors, others].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    connection
        .prepare_cached("INSERT INTO deletion (id, requested_at, visitors, others) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.as_str(), at, visitors, others])?;
    Ok(id)
}

/// Whom an id leads to.
#[derive(Default)]
struct Whom {
    visitor_ids: BTreeSet<i64>,
    /// Whether whoever says it as their own is the same person.
    is_whole: bool,
    /// Who says it and stays.
    others: BTreeSet<i64>,
}

fn whom(connection: &Connection, id: &Id) -> rusqlite::Result<Whom> {
    let row = identities::row_of(connection, id)?;
    let mut whom = Whom::default();
    if let Some(row) = row {
        whom.visitor_ids.extend(identities::visitor_of_row(connection, row)?);
    }
    if id.kind() != IdKind::Email {
        return Ok(whom);
    }
    if !id.is_role_mailbox() {
        let accounts = row.map(|row| accounts_of(connection, row)).transpose()?.unwrap_or_default();
        let is_free = identities::decision_of(connection, id)?.is_none_or(|it| it == Decided::Attached);
        whom.is_whole = is_free && accounts.len() <= MOST_ACCOUNTS;
        if whom.is_whole {
            whom.visitor_ids.extend(accounts);
        } else {
            whom.others.extend(accounts);
        }
    }
    let who_say = visitors_who_say(connection, id)?;
    let are_found = (whom.is_whole || id.is_role_mailbox()) && who_say.len() <= MOST_ACCOUNTS;
    if are_found {
        whom.visitor_ids.extend(who_say);
    } else {
        whom.others.extend(who_say);
    }
    Ok(whom)
}

/// The visitors whose user ids said an address as their own.
fn accounts_of(connection: &Connection, email_row: i64) -> rusqlite::Result<Vec<i64>> {
    let mut accounts = connection.prepare_cached(
        "SELECT owner.visitor_id FROM claim CROSS JOIN identity AS owner ON owner.id = claim.owner_id
         WHERE claim.identity_id = ?1 AND claim.rank = ?2 AND owner.kind = 'user' AND owner.decision IS NOT 'blocked'",
    )?;
    accounts.query_map([email_row, Rank::ToUser.number()], |row| row.get(0))?.collect()
}

/// The visitors of whom an address is said as a trait, though they are known by another one. What may be the same address in other letters or with white space around it is read as an event's is.
fn visitors_who_say(connection: &Connection, email: &Id) -> rusqlite::Result<BTreeSet<i64>> {
    let mut select = connection.prepare_cached(
        "SELECT identity.visitor_id, trait.value FROM trait JOIN identity ON identity.id = trait.identity_id
         WHERE lower(trait.name) = 'email' AND lower(trait.value) = lower(?1) AND identity.kind <> 'taken'
         UNION
         SELECT identity.visitor_id, trait.value FROM trait JOIN identity ON identity.id = trait.identity_id
         WHERE lower(trait.name) = 'email' AND lower(trait.value) GLOB '*[^!-~]*' AND identity.kind <> 'taken'
         UNION
         SELECT identity.visitor_id, trait.value FROM trait JOIN identity ON identity.id = trait.identity_id
         WHERE lower(trait.name) = 'email' AND lower(trait.value) GLOB '*\\*' AND identity.kind <> 'taken'",
    )?;
    let mut rows = select.query([serde_json::Value::from(email.value()).to_string()])?;
    let mut visitors = BTreeSet::new();
    while let Some(row) = rows.next()? {
        if is_address(row.get_ref(1)?.as_str()?, email) {
            visitors.insert(row.get(0)?);
        }
    }
    Ok(visitors)
}

/// An id of a deletion gets its tombstone, and is known to whoever holds messages.
fn bury(connection: &Connection, deletion: &DeletionId, id: &Id, tombstone: Tombstone) -> rusqlite::Result<()> {
    tombstones::put(connection, &tombstones::key(connection)?, id, tombstone)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO departed (deletion_id, kind, value, at, is_whole) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    let Tombstone { at, is_whole } = tombstone;
    insert.execute(params![deletion.as_str(), id.kind().name(), id.value(), at, is_whole]).map(drop)
}

/// How far a deletion is.
pub(super) fn show(connection: &Connection, id: &DeletionId) -> rusqlite::Result<Option<Deletion>> {
    let mut select = connection.prepare_cached(
        "SELECT requested_at, completed_at, visitors, entries, messages, others FROM deletion WHERE id = ?1",
    )?;
    let deletion = select.query_row([id.as_str()], |row| {
        let completed_at: Option<i64> = row.get(1)?;
        let count = |column| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default());
        let status = if completed_at.is_some() { DeletionStatus::Completed } else { DeletionStatus::InProgress };
        Ok(Deletion {
            id: id.clone(),
            status,
            requested_at: clock::from_milliseconds(row.get(0)?),
            completed_at: completed_at.map(clock::from_milliseconds),
            visitors: count(2)?,
            entries: count(3)?,
            messages: count(4)?,
            others: count(5)?,
        })
    });
    deletion.optional()
}

/// A deletion whose people may still stand in queues.
pub(super) fn departed(connection: &Connection) -> rusqlite::Result<Option<Departed>> {
    let mut next = connection.prepare_cached(
        "SELECT id FROM deletion WHERE completed_at IS NULL AND forgotten_at IS NULL ORDER BY requested_at LIMIT 1",
    )?;
    let Some(id) = next.query_row([], |row| row.get::<_, String>(0)).optional()? else { return Ok(None) };
    let mut ids = connection.prepare_cached("SELECT kind, value, at, is_whole FROM departed WHERE deletion_id = ?1")?;
    let ids = ids.query_map([&id], |row| {
        Ok((identities::id_of(row, 0, 1)?, Tombstone { at: row.get(2)?, is_whole: row.get(3)? }))
    })?;
    let ids = ids.collect::<rusqlite::Result<_>>()?;
    Ok(Some(Departed { id: DeletionId::new(id), ids }))
}

/// Of ids that stand beside those of a deletion, the ones of which nothing was known before it: they are of the same people. A device
/// that is no known visitor's is as well, with what was filed under it.
pub(super) fn learn(connection: &Connection, deletion: &DeletionId, ids: &[Id]) -> rusqlite::Result<Vec<Id>> {
    let mut at = connection.prepare_cached("SELECT requested_at FROM deletion WHERE id = ?1")?;
    let Some(at) = at.query_row([deletion.as_str()], |row| row.get(0)).optional()? else { return Ok(Vec::new()) };
    let (mut learned, mut devices) = (Vec::new(), Vec::new());
    for id in ids {
        let is_known = tombstones::is_known_before(connection, id, at)?;
        if is_known && !is_lone_device(connection, id)? {
            continue;
        }
        if is_known {
            devices.push(Person::Id(id.clone()));
        }
        bury(connection, deletion, id, Tombstone { at, is_whole: false })?;
        learned.push(id.clone());
    }
    request(connection, &devices, now_milliseconds())?;
    Ok(learned)
}

/// Ids of a person's that an entry which came late has taught: the deletion that has the others looks for them in the queues as
/// well, or a new one, where that one is completed.
pub(super) fn learn_late(
    connection: &Connection,
    known: &BTreeSet<Id>,
    learned: &BTreeMap<Id, Tombstone>,
) -> rusqlite::Result<()> {
    let Some(at) = learned.values().map(|tombstone| tombstone.at).max() else { return Ok(()) };
    let mut of_id = connection.prepare_cached(
        "SELECT id FROM deletion WHERE completed_at IS NULL AND (requested_at = ?3 OR EXISTS (
             SELECT 1 FROM departed WHERE deletion_id = deletion.id AND kind = ?1 AND value = ?2))
         ORDER BY requested_at DESC LIMIT 1",
    )?;
    let mut open = None;
    for id in known {
        if open.is_none() {
            let found = of_id.query_row(params![id.kind().name(), id.value(), at], |row| row.get::<_, String>(0));
            open = found.optional()?.map(DeletionId::new);
        }
    }
    let deletion = if let Some(deletion) = open {
        let again = "UPDATE deletion SET forgotten_at = NULL, purged_at = NULL WHERE id = ?1";
        connection.prepare_cached(again)?.execute([deletion.as_str()])?;
        deletion
    } else {
        note(connection, (0, 0), at)?
    };
    learned.iter().try_for_each(|(id, tombstone)| bury(connection, &deletion, id, *tombstone))
}

/// Whether an id is a device of a visitor that is known by devices alone, and of nobody else: not of a crowd.
pub(super) fn is_lone_device(connection: &Connection, id: &Id) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM identity WHERE kind = 'device' AND kind = ?1 AND value = ?2 AND decision IS NULL
             AND NOT EXISTS (SELECT 1 FROM identity AS other
                             WHERE other.visitor_id = identity.visitor_id AND other.kind IN ('user', 'email'))
             AND NOT EXISTS (SELECT 1 FROM identity AS one JOIN claim ON claim.identity_id = one.id
                             JOIN identity AS owner ON owner.id = claim.owner_id
                             WHERE one.visitor_id = identity.visitor_id AND owner.kind IN ('user', 'email')))",
    )?;
    select.query_row(params![id.kind().name(), id.value()], |row| row.get(0))
}

/// Messages of a deletion's people were deleted, up to the last one or not.
pub(super) fn forgotten(
    connection: &Connection,
    id: &DeletionId,
    forgotten: Forgotten,
    now: i64,
) -> rusqlite::Result<()> {
    let messages = i64::try_from(forgotten.messages).unwrap_or(i64::MAX);
    let ids = i64::try_from(forgotten.ids).unwrap_or(i64::MAX);
    let mut note = connection.prepare_cached(
        "UPDATE deletion SET messages = messages + ?3,
             forgotten_at = CASE WHEN (SELECT count(*) FROM departed WHERE deletion_id = ?1) <= ?4 THEN ?2 END
         WHERE id = ?1 AND forgotten_at IS NULL",
    )?;
    note.execute(params![id.as_str(), forgotten.is_all.then_some(now), messages, ids]).map(drop)
}

/// What of deletions is to be done.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Rows of taken ids are there.
    pub(super) has_taken: bool,
    /// All rows of a deletion are gone, and those of its ids may go.
    pub(super) has_departed: bool,
    /// Of these nothing is left but what was deleted, in the file.
    pub(super) purged: Vec<String>,
}

pub(super) fn open(connection: &Connection) -> rusqlite::Result<Open> {
    let exists = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get(0));
    let mut purged =
        connection.prepare_cached("SELECT id FROM deletion WHERE completed_at IS NULL AND purged_at IS NOT NULL")?;
    Ok(Open {
        has_taken: exists("SELECT EXISTS (SELECT 1 FROM taken)")?,
        has_departed: exists(&format!("SELECT EXISTS ({DONE_WITH})"))?,
        purged: purged.query_map([], |row: &Row<'_>| row.get(0))?.collect::<rusqlite::Result<_>>()?,
    })
}

/// Deletions of which no row is left, and nothing in the queues.
const DONE_WITH: &str = "SELECT id FROM deletion
     WHERE completed_at IS NULL AND purged_at IS NULL AND forgotten_at IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM taken WHERE deletion_id = deletion.id)";

/// Deletes a piece of the ids of deletions that are done with them.
pub(super) fn forget_departed(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let mut done = connection.prepare_cached(DONE_WITH)?;
    let done = done.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    for id in done {
        let most = i64::try_from(taken::ROWS_OF_A_PIECE).unwrap_or(i64::MAX);
        let mut delete = connection.prepare_cached(
            "DELETE FROM departed WHERE deletion_id = ?1
             AND (kind, value) IN (SELECT kind, value FROM departed WHERE deletion_id = ?1 LIMIT ?2)",
        )?;
        if delete.execute(params![id, most])? < taken::ROWS_OF_A_PIECE {
            connection.prepare_cached("UPDATE deletion SET purged_at = ?2 WHERE id = ?1")?.execute(params![id, now])?;
        }
    }
    Ok(())
}

/// Nothing is left of these deletions' people.
pub(super) fn complete(connection: &Connection, ids: &[String], now: i64) -> rusqlite::Result<()> {
    let mut complete =
        connection.prepare_cached("UPDATE deletion SET completed_at = ?2 WHERE id = ?1 AND purged_at IS NOT NULL")?;
    ids.iter().try_for_each(|id| complete.execute(params![id, now]).map(drop))
}
