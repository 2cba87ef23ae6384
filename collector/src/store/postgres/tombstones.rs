//! The tombstones of ids, and what they say of a batch that comes in.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::ids::{EventIds, Id, IdKind};
use tokio_postgres::Client;

use super::error::PostgresError;
use super::identities::Ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::received::{Batch, ReceivedEntry};
use crate::tombstone::{KEY_BYTES, Tombstone, TombstoneKey, Whose, account, beside, whose};

statements! {
    FIND = "SELECT hash, at, is_whole FROM tombstone WHERE hash = ANY($1::bytea[])";
    PUT = "INSERT INTO tombstone (hash, at, is_whole) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::boolean[])
           ON CONFLICT (hash) DO UPDATE SET at = greatest(tombstone.at, excluded.at),
               is_whole = tombstone.is_whole OR excluded.is_whole";
    // Of an id that there is no tombstone of: whoever puts one beside this is met, and nothing stays.
    MEET = "INSERT INTO tombstone (hash, at, is_whole) SELECT hash, 0, FALSE FROM unnest($1::bytea[]) AS new (hash)";
    PART = "DELETE FROM tombstone WHERE hash = ANY($1::bytea[])";
    MEET_AGAIN = "UPDATE tombstone SET at = tombstone.at WHERE hash = ANY($1::bytea[])";
}

/// How an installation gets its key; the first one counts.
pub(super) const INSTALL: &str = "INSERT INTO installation (id, tombstone_key) VALUES (1, $1) ON CONFLICT DO NOTHING";
/// Its key.
pub(super) const KEY: &str = "SELECT tombstone_key FROM installation WHERE id = 1";

/// The key of the installation, which is made where there is none.
pub(super) async fn key(client: &Client) -> Result<TombstoneKey, PostgresError> {
    let new = TombstoneKey::random().map_err(|_| PostgresError::Row("there are no random numbers"))?;
    client.execute(INSTALL, &[&new.as_slice()]).await?;
    kept_key(client).await
}

/// The key that was made.
pub(super) async fn kept_key(client: &Client) -> Result<TombstoneKey, PostgresError> {
    let row = client.query_one(KEY, &[]).await?;
    let key: &[u8] = row.try_get(0)?;
    let key: &[u8; KEY_BYTES] = key.try_into().map_err(|_| PostgresError::Row("the key of the tombstones"))?;
    Ok(TombstoneKey::new(key))
}

/// Puts tombstones; of two of an id the later one counts.
pub(super) async fn put(
    transaction: &Transaction,
    key: &TombstoneKey,
    tombstones: &BTreeMap<Id, Tombstone>,
) -> Result<(), PostgresError> {
    let hashes: Vec<[u8; 32]> = tombstones.keys().map(|id| key.hash(id)).collect();
    let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    let times: Vec<i64> = tombstones.values().map(|tombstone| tombstone.at).collect();
    let whole: Vec<bool> = tombstones.values().map(|tombstone| tombstone.is_whole).collect();
    transaction.execute_if(!hashes.is_empty(), PUT, &[&hashes, &times, &whole]).await
}

/// The tombstones of some ids.
pub(super) async fn of(
    transaction: &Transaction,
    key: &TombstoneKey,
    ids: impl Iterator<Item = Id>,
) -> Result<HashMap<Id, Tombstone>, PostgresError> {
    let ids: HashMap<[u8; 32], Id> = ids.map(|id| (key.hash(&id), id)).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let hashes: Vec<&[u8]> = ids.keys().map(<[u8; 32]>::as_slice).collect();
    let mut found = HashMap::new();
    for row in transaction.query(FIND, &[&hashes]).await? {
        let hash: &[u8] = row.try_get(0)?;
        let tombstone = Tombstone { at: row.try_get(1)?, is_whole: row.try_get(2)? };
        found.extend(<[u8; 32]>::try_from(hash).ok().and_then(|hash| Some((ids.get(&hash)?.clone(), tombstone))));
    }
    Ok(found)
}

/// The tombstones that a deletion beside this may put: those of ids that are not there yet. A row that is there both write anyway.
#[derive(Default)]
pub(super) struct Meeting {
    without: Vec<[u8; 32]>,
    with: Vec<[u8; 32]>,
}

impl Meeting {
    /// With those of some new ids, of which these tombstones were found.
    pub(super) fn of(key: &TombstoneKey, new: impl Iterator<Item = Id>, found: &HashMap<Id, Tombstone>) -> Self {
        let mut meeting = Self::default();
        for id in new {
            let side = if found.contains_key(&id) { &mut meeting.with } else { &mut meeting.without };
            side.push(key.hash(&id));
        }
        // In one order, so that two do not wait for each other.
        meeting.without.sort_unstable();
        meeting.without.dedup();
        meeting
    }

    /// Writes them, so that this and a deletion that has not seen the new ids do not both go through.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let [without, with] =
            [&self.without, &self.with].map(|hashes| hashes.iter().map(<[u8; 32]>::as_slice).collect::<Vec<&[u8]>>());
        together!(
            transaction.execute_if(!without.is_empty(), MEET, &[&without]),
            transaction.execute_if(!without.is_empty(), PART, &[&without]),
            transaction.execute_if(!with.is_empty(), MEET_AGAIN, &[&with]),
        )?;
        Ok(())
    }
}

/// Whether a batch says when its events were received. What comes without a word is of now, and no tombstone is later.
pub(super) fn says_when(batch: &Batch) -> bool {
    batch.received_at.is_some() || batch.entries.iter().any(|entry| entry.received_at.is_some())
}

/// Entries of a batch that are kept, with the ids that they are kept under.
pub(super) struct Part<'b> {
    pub(super) ids: EventIds,
    pub(super) received_at: Option<i64>,
    pub(super) entries: Vec<&'b ReceivedEntry>,
    /// The traits at the top of the request, where it has them.
    pub(super) traits: Option<&'b serde_json::Map<String, serde_json::Value>>,
}

impl<'b> Part<'b> {
    /// All of a batch.
    pub(super) fn whole(batch: &'b Batch) -> Self {
        let entries = batch.entries.iter().collect();
        Self { ids: batch.ids.clone(), received_at: batch.received_at, entries, traits: batch.traits.as_ref() }
    }
}

/// What of a batch is kept of which some ids are those of a person who was deleted, and which tombstones come of it.
pub(super) struct Sifted<'b> {
    pub(super) parts: Vec<Part<'b>>,
    pub(super) learned: BTreeMap<Id, Tombstone>,
    /// The ids that had one.
    pub(super) gone: BTreeSet<Id>,
    /// Accounts of the person that were known before: what was filed under them goes as well.
    pub(super) accounts: BTreeSet<Id>,
    /// Devices beside theirs that were known before: the same, where they are no known visitor's.
    pub(super) devices: BTreeSet<Id>,
}

/// Sifts a part, of which all ids were loaded; nothing where all of it is kept as it is.
pub(super) fn sift<'b>(part: &Part<'b>, ids: &Ids<'_>, tombstones: &HashMap<Id, Tombstone>) -> Option<Sifted<'b>> {
    if tombstones.is_empty() {
        return None;
    }
    let learned: RefCell<BTreeMap<Id, Tombstone>> = RefCell::default();
    let (accounts, devices): (RefCell<BTreeSet<Id>>, RefCell<BTreeSet<Id>>) = Default::default();
    let learn = |tombstone: Tombstone| {
        let has_none = |id: &Id| tombstones.get(id).is_none_or(|before| before.at < tombstone.at);
        for id in beside(&part.ids) {
            if !ids.is_known_before(&id, tombstone.at) {
                if has_none(&id) {
                    learned.borrow_mut().insert(id, Tombstone { is_whole: false, ..tombstone });
                }
            } else if id.kind() == IdKind::Device {
                devices.borrow_mut().insert(id);
            }
        }
    };
    let without = |received_at: Option<i64>| {
        let Some(received_at) = received_at else { return Some(BTreeSet::new()) };
        match whose(&part.ids, received_at, |id| tombstones.get(id).copied(), |id| ids.is_blocked(id)) {
            Whose::Another(without) => Some(without),
            Whose::Theirs(tombstone) => {
                learn(tombstone);
                let known = account(&part.ids, &tombstone).filter(|id| ids.is_known_before(id, tombstone.at));
                accounts.borrow_mut().extend(known.filter(|id| !ids.is_blocked(id)));
                None
            }
            Whose::TheirsUnlessKnown(id, tombstone, without) => {
                if ids.is_known_before(&id, tombstone.at) {
                    return Some(without);
                }
                if !part.ids.email_is_loose() {
                    learn(tombstone);
                }
                None
            }
        }
    };
    let mut parts: BTreeMap<BTreeSet<Id>, Vec<&'b ReceivedEntry>> = BTreeMap::new();
    if part.entries.is_empty() {
        parts.extend(without(part.received_at).map(|without| (without, Vec::new())));
    }
    let mut is_whole = true;
    for entry in &part.entries {
        match without(entry.received_at.or(part.received_at)) {
            Some(without) => parts.entry(without).or_default().push(entry),
            None => is_whole = false,
        }
    }
    if is_whole && parts.len() == 1 && parts.keys().all(BTreeSet::is_empty) {
        return None;
    }
    // The first is the one with the most ids.
    let parts = parts.into_iter().enumerate().map(|(at, (without, entries))| Part {
        ids: part.ids.without(|id| without.contains(id)),
        received_at: part.received_at,
        entries,
        traits: part.traits.filter(|_| at == 0),
    });
    Some(Sifted {
        parts: parts.collect(),
        learned: learned.into_inner(),
        gone: tombstones.keys().cloned().collect(),
        accounts: accounts.into_inner(),
        devices: devices.into_inner(),
    })
}
