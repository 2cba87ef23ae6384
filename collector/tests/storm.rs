//! A storm of writers on few visitors of one database: entries, merges and deletions at once, while others look. In the end who is who
//! is what the sequential model makes of the entries that are left, and nothing is lost or left behind.
//!
//! `KOALA_STORM_SECONDS` is how long it lasts.

#![allow(clippy::similar_names)] // store and storm, name and named
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "helpers/postgres.rs"]
mod postgres_server;
#[path = "helpers/relay.rs"]
mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use koala_collector::identity::memory::Memory;
use koala_collector::protocol::batch;
use koala_collector::store::Store;
use koala_collector::store::deletion::{Forgotten, Person, Retention};
use koala_collector::store::filter::{CompanyFilter, Filter};
use koala_collector::store::postgres::{DatabaseUrl, PostgresStore};
use koala_destination::clock;
use koala_destination::ids::{EventIds, Id, IdKind, WrittenIds};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use self::postgres_server::Database;
use self::relay::{Faults, Relay};

const VISITORS: usize = 10;
/// Of these nobody is deleted: all that is said of them holds.
const SPARED: usize = 4;
const WRITERS: usize = 32;
/// Much longer than any transaction may take.
const STUCK: Duration = Duration::from_mins(2);

fn seconds() -> u64 {
    std::env::var("KOALA_STORM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// What was sent and answered.
struct Sent {
    visitor: usize,
    ids: WrittenIds,
    at: i64,
    begun: Instant,
}

/// A deletion of an id of a visitor that was answered.
struct Deleted {
    visitor: usize,
    answered: Instant,
}

#[derive(Default)]
struct Told {
    entries: BTreeMap<String, Sent>,
    deleted: Vec<Deleted>,
}

impl Told {
    /// Whether an entry was begun after each deletion of an id of its visitor was answered. What came before stays where it is filed
    /// under an id that was not deleted, without those that were: a device of two owners goes with one of them, and what was under way
    /// beside a deletion is kept so.
    fn is_later(&self, sent: &Sent) -> bool {
        self.deleted.iter().filter(|one| one.visitor == sent.visitor).all(|one| one.answered < sent.begun)
    }
}

/// Which of the storm's visitors an id is of.
fn visitor_of(id: &Id) -> usize {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    digits(&id.value()[1..]).parse().expect("an id of the storm")
}

/// An id as an event says it alone.
fn alone(id: &Id) -> EventIds {
    let value = Some(id.value().to_owned());
    EventIds::from(&match id.kind() {
        IdKind::User => WrittenIds { user_id: value, ..WrittenIds::default() },
        IdKind::Email => WrittenIds { email: value, ..WrittenIds::default() },
        IdKind::Device => WrittenIds { anonymous_id: value, ..WrittenIds::default() },
    })
}

/// An entry that is left: its ids, the one that it is filed under, its time, and whether it is later than all deletions.
struct Left {
    ids: EventIds,
    filed: Id,
    at: i64,
    is_later: bool,
}

/// The visitors that come of entries, of which some are read with the id that they are filed under alone.
fn visitors_of(entries: &[Left], is_read_alone: impl Fn(&Left) -> bool) -> BTreeSet<BTreeSet<Id>> {
    let mut model = Memory::default();
    for entry in entries {
        model.ingest(&if is_read_alone(entry) { alone(&entry.filed) } else { entry.ids.clone() }, entry.at);
    }
    let mut visitors: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    for id in model.ids() {
        visitors.entry(model.visitor_of(id)).or_default().insert(id.clone());
    }
    let is_filed = |ids: &BTreeSet<Id>| entries.iter().any(|entry| ids.contains(&entry.filed));
    visitors.into_values().filter(is_filed).collect()
}

/// The visitors that come of entries, where one that may have lost an id to a deletion is read whole if what was found has its ids
/// together, else alone: read whole it says nothing that was not found, and read alone it says nothing at all.
fn nearest_to(found: &BTreeSet<BTreeSet<Id>>, entries: &[Left]) -> BTreeSet<BTreeSet<Id>> {
    let are_together = |entry: &Left| found.iter().any(|ids| entry.ids.all().all(|id| ids.contains(&id)));
    visitors_of(entries, |entry| !entry.is_later && !are_together(entry))
}

struct Storm {
    stores: [PostgresStore; 2],
    told: Mutex<Told>,
    next: AtomicI64,
    refused: AtomicUsize,
    deletions: AtomicUsize,
    base: i64,
    /// What is sent after it is later than all deletions.
    last_deletion: Instant,
    end: Instant,
}

fn device(visitor: usize, number: usize) -> String {
    format!("d{visitor}-{number}")
}

impl Storm {
    async fn write(&self, writer: usize) {
        let mut random = fastrand::Rng::with_seed(writer as u64);
        let store = &self.stores[writer % 2];
        while Instant::now() < self.end {
            let visitor = random.usize(..VISITORS);
            match random.u8(..40) {
                0..4 if visitor >= SPARED && Instant::now() < self.last_deletion => {
                    self.delete(store, visitor, &mut random).await;
                }
                kind => self.ingest(store, visitor, kind < 14, &mut random).await,
            }
        }
    }

    /// A quarter says two or three ids at once, the others one.
    async fn ingest(&self, store: &PostgresStore, visitor: usize, merges: bool, random: &mut fastrand::Rng) {
        let mut ids = WrittenIds::default();
        let first = random.usize(..3);
        for kind in [first, (first + 1 + random.usize(..2)) % 3].into_iter().take(if merges { 2 } else { 1 }) {
            match kind {
                0 => ids.user_id = Some(format!("u{visitor}")),
                1 => ids.email = Some(format!("p{visitor}@acme-{visitor}.com")),
                _ => ids.anonymous_id = Some(device(visitor, random.usize(..3))),
            }
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (at, message) = (self.base + number, format!("m-{number}"));
        let body = json!({"user_id": ids.user_id, "anonymous_id": ids.anonymous_id, "email": ids.email, "events": [
            {"event": "Viewed Pricing", "message_id": message, "sent_at": clock::from_milliseconds(at)}]});
        let begun = Instant::now();
        loop {
            let batch = batch::read(body.to_string().as_bytes()).unwrap();
            let answer = timeout(STUCK, store.ingest(batch)).await.expect("a writer is stuck");
            match answer {
                Ok(()) => break,
                // As whoever sends it does.
                Err(_) => self.refused.fetch_add(1, Ordering::Relaxed),
            };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.told.lock().await.entries.insert(message, Sent { visitor, ids, at, begun });
    }

    async fn delete(&self, store: &PostgresStore, visitor: usize, random: &mut fastrand::Rng) {
        let id = match random.usize(..3) {
            0 => Id::parse(IdKind::User, &format!("u{visitor}")),
            1 => Id::parse(IdKind::Email, &format!("p{visitor}@acme-{visitor}.com")),
            _ => Id::parse(IdKind::Device, &device(visitor, random.usize(..3))),
        };
        let people = [Person::Id(id.unwrap())];
        while timeout(STUCK, store.request_deletion(&people)).await.expect("a deletion is stuck").is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.deletions.fetch_add(1, Ordering::Relaxed);
        self.told.lock().await.deleted.push(Deleted { visitor, answered: Instant::now() });
    }

    /// Whoever keeps the store up, and whoever looks.
    async fn keep_up(&self, store: &PostgresStore) {
        while Instant::now() < self.end {
            // An error is tried again in the next round.
            drop(sweep(store).await);
            drop(store.list_companies(CompanyFilter::default(), 0, 50).await);
            drop(store.list_visitors(Filter::default(), 0, 50).await);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// A store behind a relay.
async fn behind_a_relay(database: &Database) -> (PostgresStore, Relay) {
    let address = database.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let relay = Relay::start(address.parse().unwrap()).await;
    let url = database.url.replace(address, &relay.address.to_string());
    (PostgresStore::open(&DatabaseUrl::parse(&url).unwrap()).await.unwrap(), relay)
}

async fn sweep(store: &PostgresStore) -> Result<bool, koala_collector::store::StoreError> {
    let mut more = false;
    while let Some(departed) = store.departed().await? {
        let ids = departed.ids.len();
        store.forgotten(&departed.id, Forgotten { messages: 0, is_all: true, ids }).await?;
        more = true;
    }
    Ok(store.sweep(Retention::of_days(36_500)).await? || more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_writers_merges_and_deletions_leaves_what_one_after_the_other_leaves() {
    let database = Database::new().await;
    let stores = [
        PostgresStore::open(&database.address()).await.unwrap(),
        PostgresStore::open(&database.address()).await.unwrap(),
    ];
    let (begin, lasts) = (Instant::now(), Duration::from_secs(seconds()));
    let storm = Arc::new(Storm {
        stores,
        told: Mutex::default(),
        next: AtomicI64::new(0),
        refused: AtomicUsize::new(0),
        deletions: AtomicUsize::new(0),
        base: clock::now_milliseconds() - 24 * 60 * 60 * 1000,
        last_deletion: begin + lasts * 3 / 4,
        end: begin + lasts,
    });
    let mut all = Vec::new();
    for writer in 0..WRITERS {
        let storm = Arc::clone(&storm);
        all.push(tokio::spawn(async move { storm.write(writer).await }));
    }
    for store in 0..2 {
        let storm = Arc::clone(&storm);
        all.push(tokio::spawn(async move { storm.keep_up(&storm.stores[store]).await }));
    }
    for ended in join_all(all).await {
        ended.expect("nobody fails");
    }
    let store = &storm.stores[0];
    while sweep(store).await.unwrap() {}
    let told = storm.told.lock().await;
    println!(
        "{} entries answered, {} deletions, {} told to come again",
        told.entries.len(),
        storm.deletions.load(Ordering::Relaxed),
        storm.refused.load(Ordering::Relaxed)
    );

    let client = database.client().await;
    let sql = "SELECT entry.message_key, identity.kind, identity.value FROM entry JOIN identity ON identity.id = entry.identity_id";
    let (mut model, mut left) = (Memory::default(), BTreeSet::new());
    let mut of_visitors: BTreeMap<usize, Vec<Left>> = BTreeMap::new();
    for row in client.query(sql, &[]).await.unwrap() {
        let message: String = row.get(0);
        let sent = told.entries.get(&message).expect("an entry that was answered");
        assert!(left.insert(message.clone()), "{message} is there twice");
        let ids = EventIds::from(&sent.ids);
        model.ingest(&ids, sent.at);
        let filed = model.filed_under(&ids).expect("an id");
        assert_eq!((filed.kind().name(), filed.value()), (row.get(1), row.get(2)), "{message}");
        of_visitors.entry(sent.visitor).or_default().push(Left {
            ids,
            filed,
            at: sent.at,
            is_later: told.is_later(sent),
        });
    }
    for (message, sent) in &told.entries {
        assert!(!told.is_later(sent) || left.contains(message), "{message} is lost");
    }
    let (visitors, _) = store.list_visitors(Filter::default(), 0, 1000).await.unwrap();
    let mut found: BTreeMap<usize, BTreeSet<BTreeSet<Id>>> = BTreeMap::new();
    for visitor in &visitors {
        let ids: BTreeSet<Id> = visitor.identities.iter().map(|one| one.id.clone()).collect();
        found.entry(visitor_of(ids.first().expect("an id"))).or_default().insert(ids);
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), of_visitors.keys().collect::<Vec<_>>());
    for (visitor, entries) in &of_visitors {
        assert_eq!(found[visitor], nearest_to(&found[visitor], entries));
    }
    let events: i64 = visitors.iter().map(|visitor| visitor.events).sum();
    assert_eq!(usize::try_from(events).unwrap(), left.len());
    nothing_is_left_behind(&client).await;
}

/// What was received before a deletion and comes in beside it, under ids that nobody had, while what is deleted is completed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_before_a_deletion_and_comes_in_beside_it_does_not_stay() {
    let database = Database::new().await;
    let (behind, relay) = behind_a_relay(&database).await;
    let direct = PostgresStore::open(&database.address()).await.unwrap();
    let wait = Duration::from_millis(60);
    // Whichever of both is slow, and wherever the other one comes in between.
    for (round, slow_is_deletion) in (0..10).map(|round| (round, round % 2 == 0)) {
        let email = format!("late-{round}@acme.com");
        let received = clock::from_milliseconds(clock::now_milliseconds() - 60_000);
        let body = json!({"email": email, "user_id": format!("late-{round}"), "received_at": received,
                          "events": [{"event": "A", "message_id": format!("late-{round}"), "sent_at": received}]});
        let body = body.to_string();
        let people = [Person::Id(Id::parse(IdKind::Email, &email).unwrap())];
        relay.set(Faults { delay: wait, ..Faults::default() });
        let between = wait * (round / 2 + 1) + wait / 2;
        let (slow, quick) = if slow_is_deletion { (&behind, &direct) } else { (&direct, &behind) };
        let deletes = async {
            if !slow_is_deletion {
                tokio::time::sleep(between).await;
            }
            slow.request_deletion(&people).await.unwrap();
        };
        let ingests = async {
            if slow_is_deletion {
                tokio::time::sleep(between).await;
            }
            while quick.ingest(batch::read(body.as_bytes()).unwrap()).await.is_err() {}
        };
        let completes = async {
            loop {
                drop(sweep(&direct).await);
                tokio::time::sleep(wait / 4).await;
            }
        };
        tokio::select! {
            _ = futures_util::future::join(deletes, ingests) => {}
            () = completes => {}
        }
        relay.set(Faults::default());
        while sweep(&direct).await.unwrap() {}
        let left: i64 = database.client().await.query_one("SELECT count(*) FROM entry", &[]).await.unwrap().get(0);
        assert_eq!(left, 0, "round {round}, the {} is slow", if slow_is_deletion { "deletion" } else { "entry" });
        nothing_is_left_behind(&database.client().await).await;
    }
}

/// Nothing hangs on ids that are not there, and no deletion is left in the middle.
async fn nothing_is_left_behind(client: &tokio_postgres::Client) {
    for table in [
        "entry",
        "claim",
        "trait",
        "intent",
        "done",
        "came_from",
        "alert_changed",
        "network_guess",
        "alert_message_visitor",
    ] {
        let sql = format!("SELECT count(*) FROM {table} WHERE identity_id NOT IN (SELECT id FROM identity)");
        let count: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(count, 0, "rows of {table} of no id");
    }
    for (what, sql) in [
        ("ids that were taken", "SELECT count(*) FROM identity WHERE kind = 'taken'"),
        ("taken", "SELECT count(*) FROM taken"),
        ("departed", "SELECT count(*) FROM departed"),
        ("deletions", "SELECT count(*) FROM deletion WHERE completed_at IS NULL"),
        ("claims on no id", "SELECT count(*) FROM claim WHERE owner_id NOT IN (SELECT id FROM identity)"),
        ("visitors of nobody", "SELECT count(*) FROM visitor WHERE id NOT IN (SELECT visitor_id FROM identity)"),
        (
            "ids of another visitor than their owner",
            "SELECT count(*) FROM identity JOIN identity AS owner ON owner.id = identity.into_id
             WHERE owner.visitor_id <> identity.visitor_id",
        ),
        (
            "entries that are not counted",
            "SELECT count(*) FROM identity
             WHERE events <> (SELECT count(*) FROM entry WHERE identity_id = identity.id AND kind = 'event')",
        ),
    ] {
        let count: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(count, 0, "{what}");
    }
}
