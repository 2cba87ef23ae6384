//! What the tombstones of people who were deleted say of a batch that comes in late.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::clock::now_milliseconds;
use koala_destination::ids::{EventIds, Id};
use rusqlite::Connection;

use super::{deletion, identities, tombstones};
use crate::identity::Decided;
use crate::received::{Batch, ReceivedEntry};
use crate::store::deletion::Person;
use crate::tombstone::{Tombstone, Whose, account, beside, whose};

/// Entries of a batch that are kept, with the ids that they are kept under.
pub(super) struct Part<'b> {
    pub(super) ids: EventIds,
    pub(super) entries: Vec<&'b ReceivedEntry>,
    /// Whether it has the traits at the top of the request.
    pub(super) has_traits: bool,
}

/// What of a batch is kept: all of it, unless some of its ids are those of a person who was deleted. It was received before that
/// only where our own handlers say so; what comes now without a word is of now.
pub(super) fn sift<'b>(connection: &Connection, batch: &'b Batch) -> rusqlite::Result<Vec<Part<'b>>> {
    let whole = || Part { ids: batch.ids.clone(), entries: batch.entries.iter().collect(), has_traits: true };
    let says_when = batch.received_at.is_some() || batch.entries.iter().any(|entry| entry.received_at.is_some());
    let tombstones = if says_when { tombstones::of(connection, batch.ids.all())? } else { HashMap::new() };
    if tombstones.is_empty() {
        return Ok(vec![whole()]);
    }
    let mut blocked = BTreeSet::new();
    for id in batch.ids.all() {
        if identities::decision_of(connection, &id)? == Some(Decided::Blocked) {
            blocked.insert(id);
        }
    }
    let late = RefCell::new(Late::default());
    let without = |received_at: Option<i64>| {
        let Some(received_at) = received_at else { return Ok(Some(BTreeSet::new())) };
        let of = |id: &Id| tombstones.get(id).copied();
        match whose(&batch.ids, received_at, of, |id| blocked.contains(id)) {
            Whose::Another(without) => Ok(Some(without)),
            Whose::Theirs(tombstone) => {
                let mut late = late.borrow_mut();
                late.learn(connection, &batch.ids, tombstone)?;
                if let Some(account) = account(&batch.ids, &tombstone).filter(|id| !blocked.contains(id))
                    && tombstones::is_known_before(connection, &account, tombstone.at)?
                {
                    late.known.insert(account);
                }
                Ok(None)
            }
            Whose::TheirsUnlessKnown(id, tombstone, without) => {
                if tombstones::is_known_before(connection, &id, tombstone.at)? {
                    return Ok(Some(without));
                }
                if !batch.ids.email_is_loose() {
                    late.borrow_mut().learn(connection, &batch.ids, tombstone)?;
                }
                Ok::<_, rusqlite::Error>(None)
            }
        }
    };
    let mut parts: BTreeMap<BTreeSet<Id>, Vec<&ReceivedEntry>> = BTreeMap::new();
    if batch.entries.is_empty() {
        parts.extend(without(batch.received_at)?.map(|without| (without, Vec::new())));
    }
    for entry in &batch.entries {
        if let Some(without) = without(entry.received_at.or(batch.received_at))? {
            parts.entry(without).or_default().push(entry);
        }
    }
    let Late { mut learned, known } = late.into_inner();
    learned.retain(|id, tombstone| tombstones.get(id).is_none_or(|before| before.at < tombstone.at));
    deletion::learn_late(connection, &tombstones.into_keys().collect(), &learned)?;
    let known: Vec<Person> = known.into_iter().map(Person::Id).collect();
    deletion::request(connection, &known, now_milliseconds())?;
    // The first is the one with the most ids.
    let parts = parts.into_iter().enumerate();
    Ok(parts
        .map(|(at, (without, entries))| Part {
            ids: batch.ids.without(|id| without.contains(id)),
            entries,
            has_traits: at == 0,
        })
        .collect())
}

/// What is learned of the ids of a person's entries that came late.
#[derive(Default)]
struct Late {
    /// Nothing was known of them: they get the tombstone.
    learned: BTreeMap<Id, Tombstone>,
    /// Accounts, and devices that are no known visitor's: what was filed under them goes as well.
    known: BTreeSet<Id>,
}

impl Late {
    fn learn(&mut self, connection: &Connection, ids: &EventIds, tombstone: Tombstone) -> rusqlite::Result<()> {
        for id in beside(ids) {
            if !tombstones::is_known_before(connection, &id, tombstone.at)? {
                self.learned.insert(id, Tombstone { is_whole: false, ..tombstone });
            } else if deletion::is_lone_device(connection, &id)? {
                self.known.insert(id);
            }
        }
        Ok(())
    }
}
