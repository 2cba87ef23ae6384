//! Ids of people who are deleted that are learned after the request: from queues, and from what comes late.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::ids::{Id, IdKind};

use super::deletion;
use super::error::PostgresError;
use super::identities::{self, Ids};
use super::pool::Pool;
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use crate::identity::Wants;
use crate::store::deletion::{DeletionId, Person};
use crate::tombstone::{Tombstone, TombstoneKey};

statements! {
    REQUESTED_AT = "SELECT requested_at FROM deletion WHERE id = $1";
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
                        WHERE other.visitor_id = identity.visitor_id AND other.kind IN ('user', 'email'))
                    AND NOT EXISTS (
                        SELECT 1 FROM identity AS one JOIN claim ON claim.identity_id = one.id
                        JOIN identity AS owner ON owner.id = claim.owner_id
                        WHERE one.visitor_id = identity.visitor_id AND owner.kind IN ('user', 'email'))";
}

/// Of ids that stand beside those of a deletion, the ones of which nothing was known before it: they are of the same people. A device
/// that is no known visitor's is as well, with what was filed under it.
pub(super) async fn learn(
    pool: &Pool,
    key: &TombstoneKey,
    id: &DeletionId,
    asked: &[Id],
) -> Result<Vec<Id>, PostgresError> {
    let (learned, devices) = transact!(pool, Mode::Write, |transaction| learn_of(&transaction, key, id, asked))?;
    request_late(pool, key, BTreeSet::new(), devices.into_iter().collect()).await?;
    Ok(learned)
}

/// The ids that are learned, and those of them that are devices of which something was known.
async fn learn_of(
    transaction: &Transaction,
    key: &TombstoneKey,
    id: &DeletionId,
    asked: &[Id],
) -> Result<(Vec<Id>, Vec<Id>), PostgresError> {
    let mut ids = Ids::new(transaction);
    let wants = Wants { ids: asked.iter().cloned().collect(), ..Wants::default() };
    let ((), row, ()) =
        together!(transaction.begin(), transaction.query_opt(REQUESTED_AT, &[&id.as_str()]), ids.load(&wants))?;
    let Some(row) = row else {
        transaction.commit().await?;
        return Ok((Vec::new(), Vec::new()));
    };
    let at: i64 = row.try_get(0)?;
    let (known, mut learned): (Vec<Id>, Vec<Id>) = asked.iter().cloned().partition(|one| ids.is_known_before(one, at));
    let devices = lone_devices(transaction, &known).await?;
    learned.extend(devices.iter().cloned());
    let tombstones = learned.iter().map(|one| (one.clone(), Tombstone { at, is_whole: false })).collect();
    if !learned.is_empty() {
        together!(
            transaction.execute(FORGET_AGAIN, &[&id.as_str()]),
            deletion::bury(transaction, key, id, &tombstones)
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
    let found = if let Some(row) = open {
        let id: String = row.try_get(0)?;
        transaction.execute(FORGET_AGAIN, &[&id]).await?;
        DeletionId::new(id)
    } else {
        let id = DeletionId::random();
        deletion::begin(transaction, &id, at).await?;
        id
    };
    deletion::bury(transaction, key, &found, learned).await
}

/// Of some ids the devices of visitors that are known by devices alone, and of nobody else: not of a crowd.
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
        transact!(pool, Mode::Read, |transaction| async {
            transaction.begin().await?;
            let devices = lone_devices(&transaction, &devices).await?;
            transaction.commit().await?;
            Ok(devices)
        })?
    };
    let people: Vec<Person> = accounts.into_iter().chain(devices).map(Person::Id).collect();
    if people.is_empty() { Ok(()) } else { deletion::request(pool, key, &people, None).await.map(drop) }
}
