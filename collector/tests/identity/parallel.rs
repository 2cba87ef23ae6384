//! Writers beside each other, as a database with snapshot isolation has them: each reads a snapshot, and of two that write the
//! same row the first to commit wins, and the other begins again.

use std::collections::{BTreeMap, BTreeSet};

use koala_collector::identity::memory::Memory;
use koala_collector::identity::{Change, IdentityChange, Known, Reading};
use koala_destination::ids::Id;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::properties::stream;
use crate::world::{World, ids_of, shown, time_of};

/// A row of a table: of an id, or of a claim.
type Row = (Id, Option<Id>);

#[derive(Default)]
struct Database {
    memory: Memory,
    filed: BTreeSet<(Id, String)>,
    /// The commit at which each row was written last.
    written: BTreeMap<Row, usize>,
    commits: usize,
}

struct Transaction {
    event: Value,
    began: usize,
    change: Change,
    filed_under: Option<Id>,
}

impl Database {
    fn begin(&self, event: Value) -> Transaction {
        let (mut known, ids) = (Known::default(), ids_of(&event));
        let reading = loop {
            match Reading::of(&ids, &known) {
                Ok(reading) => break reading,
                Err(wants) => self.memory.load(&wants, &mut known),
            }
        };
        let mut rounds = 1;
        let change = loop {
            match reading.as_ref().map(|reading| reading.resolve(time_of(&event), &known)).transpose() {
                Ok(change) => break change.unwrap_or_default(),
                Err(wants) => self.memory.load(&wants, &mut known),
            }
            rounds += 1;
        };
        assert!(rounds <= 4, "an event loads in {rounds} rounds");
        Transaction {
            event,
            began: self.commits,
            change,
            filed_under: reading.map(|reading| reading.filed_under().clone()),
        }
    }

    /// Commits, or gives the event back.
    fn commit(&mut self, transaction: Transaction, write_what_was_looked_at: bool) -> Result<(), Value> {
        let Transaction { event, began, mut change, filed_under } = transaction;
        if !write_what_was_looked_at {
            change.identities.retain(|_, change| *change != IdentityChange::default());
        }
        let pairs = change.claims.keys().chain(&change.dropped).map(|(id, owner)| (id.clone(), Some(owner.clone())));
        let rows: Vec<Row> = change.identities.keys().map(|id| (id.clone(), None)).chain(pairs).collect();
        if rows.iter().any(|row| self.written.get(row).is_some_and(|at| *at > began)) {
            return Err(event);
        }
        self.commits += 1;
        self.written.extend(rows.into_iter().map(|row| (row, self.commits)));
        self.memory.apply(&change);
        let message = event["messageId"].as_str().unwrap().to_owned();
        self.filed.extend(filed_under.map(|id| (id, message)));
        Ok(())
    }
}

/// Up to `writers` transactions are open at once; which begins or commits next is by chance.
fn in_parallel(events: &[Value], writers: usize, seed: u64, write_what_was_looked_at: bool) -> World {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut waiting, mut open, mut database) = (events.to_vec(), Vec::new(), Database::default());
    while !(waiting.is_empty() && open.is_empty()) {
        if open.len() < writers && !waiting.is_empty() && random.bool() {
            open.push(database.begin(waiting.swap_remove(random.usize(..waiting.len()))));
        } else if !open.is_empty() {
            let transaction = open.swap_remove(random.usize(..open.len()));
            waiting.extend(database.commit(transaction, write_what_was_looked_at).err());
        }
    }
    World { memory: database.memory, filed: database.filed }
}

proptest! {
    #[test]
    fn writers_beside_each_other_come_to_what_one_comes_to(events in stream(30), seed: u64, writers in 2_usize..9) {
        let (found, expected) = (in_parallel(&events, writers, seed, true), World::of(&events));
        prop_assert_eq!(shown(&found.visitors()), shown(&expected.visitors()));
    }
}

#[test]
fn without_the_rows_that_were_looked_at_some_histories_come_out_otherwise() {
    let mut runner = TestRunner::deterministic();
    let differs = (0..2000).filter(|seed| {
        let events = stream(20).new_tree(&mut runner).unwrap().current();
        in_parallel(&events, 6, *seed, false).visitors() != World::of(&events).visitors()
    });
    assert!(differs.take(1).count() > 0, "the simulation finds the fault that these rows are written against");
}
