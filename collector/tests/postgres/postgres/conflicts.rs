//! The engine for PostgreSQL beside what only a database that several write to does: conflicts, lost answers, cut connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use koala_collector::identity::memory::Memory;
use koala_collector::protocol::batch;
use koala_collector::received::Batch;
use koala_collector::store::Store;
use koala_collector::store::filter::Filter;
use koala_collector::store::postgres::{DatabaseUrl, PostgresStore};
use koala_destination::clock;
use koala_destination::ids::{EventIds, Id, IdKind, WrittenIds};
use serde_json::{Value, json};

use crate::postgres_server::Database;
use crate::relay::{Faults, Relay};

fn batch(body: &Value) -> Batch {
    batch::read(body.to_string().as_bytes()).expect("a batch")
}

/// A store behind a relay.
async fn behind_a_relay(database: &Database) -> (PostgresStore, Relay) {
    let address = database.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let relay = Relay::start(address.parse().unwrap()).await;
    let url = database.url.replace(address, &relay.address.to_string());
    (PostgresStore::open(&DatabaseUrl::parse(&url).unwrap()).await.unwrap(), relay)
}

fn events(prefix: &str, count: usize) -> Vec<Value> {
    let event = |n: usize| {
        json!({"type": "track", "event": format!("Viewed {}", n % 7), "message_id": format!("{prefix}-{n}"), "sent_at": clock::now(),
               "properties": {"path": format!("/docs/{}", n % 5)}, "context": {"campaign": {"name": "autumn"}}})
    };
    (0..count).map(event).collect()
}

/// How many events there are of all visitors, and how many visitors.
async fn counted(store: &dyn Store) -> (usize, i64) {
    let (visitors, _) = store.list_visitors(Filter::default(), 0, 1000).await.unwrap();
    (visitors.len(), visitors.iter().map(|visitor| visitor.events).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_is_at_most_eight_round_trips_whatever_the_number_of_its_entries() {
    let database = Database::new().await;
    let (store, relay) = behind_a_relay(&database).await;
    store.ingest(batch(&json!({"email": "warm@acme.com", "events": events("warm", 1)}))).await.unwrap();
    let bodies = [
        (
            "of a new visitor",
            json!({"user_id": "u1", "email": "ada@acme.com", "anonymous_id": "d1", "events": events("a", 30)}),
        ),
        (
            "of one who is known",
            json!({"user_id": "u1", "email": "ada@acme.com", "anonymous_id": "d1", "events": events("b", 30)}),
        ),
        ("of one event", json!({"user_id": "u1", "events": events("c", 1)})),
        ("said twice", json!({"user_id": "u1", "events": events("c", 1)})),
        ("of a device alone", json!({"anonymous_id": "d2", "events": events("d", 30)})),
        (
            "of a login",
            json!({"anonymous_id": "d2", "user_id": "u2", "email": "bob@acme.com", "profile_id": "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a01",
            "identifies": [{"type": "identify", "message_id": "i-1", "sent_at": clock::now(), "traits": {"name": "Bob", "company": "Acme", "domain": "acme.com"}}],
            "groups": [{"type": "group", "message_id": "g-1", "sent_at": clock::now(), "domain": "acme.com", "group_id": "g1", "traits": {"plan": "paid"}}],
            "events": events("e", 30)}),
        ),
        (
            "of two who become one",
            json!({"user_id": "u3", "email": "bob@acme.com", "anonymous_id": "d1", "events": events("f", 30)}),
        ),
    ];
    for (what, body) in bodies {
        relay.set(Faults { delay: Duration::from_millis(20), ..Faults::default() });
        store.ingest(batch(&body)).await.unwrap();
        let taken = relay.faults.lock().unwrap().round_trips;
        assert!((1..=8).contains(&taken), "{what}: {taken} round trips");
        assert!(what != "of one who is known" || taken <= 4, "{what}: {taken} round trips");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_conflicts_is_tried_again_and_then_the_sender_is_told_to_come_again() {
    let database = Database::new().await;
    let (store, relay) = behind_a_relay(&database).await;
    let body = |n: usize| batch(&json!({"email": "ada@acme.com", "events": events(&format!("e{n}"), 3)}));
    for (n, schema_changed) in [(1, false), (2, true)] {
        relay.set(Faults { fail_commits: 5, schema_changed, ..Faults::default() });
        store.ingest(body(n)).await.unwrap();
        relay.set(Faults { fail_commits: 6, schema_changed, ..Faults::default() });
        let why = store.ingest(body(n + 2)).await.expect_err("it gives up").to_string();
        assert!(why.contains("40001") && why.contains("(OC001)") == schema_changed, "{why}");
    }
    relay.set(Faults::default());
    assert_eq!(counted(&store).await, (1, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_and_not_answered_is_there_once() {
    let database = Database::new().await;
    let (store, relay) = behind_a_relay(&database).await;
    relay.set(Faults { drop_answers: 3, ..Faults::default() });
    // Without a message id as well: what is tried again is the same.
    let said = json!([{"event": "A"}, {"event": "A"}, {"event": "B", "message_id": "m-1"}]);
    store.ingest(batch(&json!({"email": "ada@acme.com", "events": said}))).await.unwrap();
    assert_eq!(relay.faults.lock().unwrap().drop_answers, 0);
    assert_eq!(counted(&store).await, (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_refused_or_cut_lose_nothing_and_double_nothing() {
    let database = Database::new().await;
    let (store, relay) = behind_a_relay(&database).await;
    relay.set(Faults { refuse: 4, cut_one_of: 2000, fail_commits: 5, drop_answers: 5, ..Faults::default() });
    let store = &store;
    // A sender that is told to come again comes again, as a delivery does.
    let senders = (0..8).map(|sender| async move {
        for n in 0..12 {
            let body = json!({"user_id": format!("u{}", sender % 4), "anonymous_id": format!("d{}", n % 3), "events": events(&format!("{sender}-{n}"), 5)});
            while store.ingest(batch(&body)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    join_all(senders).await;
    relay.set(Faults::default());
    let (_, events) = counted(store).await;
    assert_eq!(events, 8 * 12 * 5);
    orphans(&database).await;
}

/// Nothing hangs on rows that are not there, and each pointer and number is what the others say.
async fn orphans(database: &Database) {
    let client = database.client().await;
    for (what, sql) in [
        ("entries of no id", "SELECT count(*) FROM entry WHERE identity_id NOT IN (SELECT id FROM identity)"),
        (
            "claims of no id",
            "SELECT count(*) FROM claim WHERE identity_id NOT IN (SELECT id FROM identity) OR owner_id NOT IN (SELECT id FROM identity)",
        ),
        (
            "pointers to no id",
            "SELECT count(*) FROM identity WHERE into_id IS NOT NULL AND into_id NOT IN (SELECT id FROM identity)",
        ),
        (
            "ids of another visitor than their owner",
            "SELECT count(*) FROM identity JOIN identity AS owner ON owner.id = identity.into_id WHERE owner.visitor_id <> identity.visitor_id",
        ),
        (
            "entries that are not counted",
            "SELECT count(*) FROM identity WHERE events <> (SELECT count(*) FROM entry WHERE identity_id = identity.id AND kind = 'event') AND kind <> 'taken'",
        ),
        (
            "visitors without a row",
            "SELECT count(*) FROM identity WHERE first_seen IS NOT NULL AND kind <> 'taken' AND visitor_id NOT IN (SELECT id FROM visitor)",
        ),
    ] {
        let count: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(count, 0, "{what}");
    }
}

/// Aurora DSQL's quota of rows of a transaction.
const MOST_ROWS: u32 = 3000;

/// Has the database refuse a transaction's 3,001st row.
async fn refuse_more_rows(database: &Database) {
    let client = database.client().await;
    client
        .batch_execute(&format!(
            "CREATE FUNCTION count_row() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE rows int := coalesce(nullif(current_setting('koala.rows', true), ''), '0')::int + 1;
             BEGIN
                 PERFORM set_config('koala.rows', rows::text, true);
                 IF rows > {MOST_ROWS} THEN RAISE EXCEPTION 'transaction row limit exceeded' USING ERRCODE = '54000'; END IF;
                 RETURN NULL;
             END $$"
        ))
        .await
        .unwrap();
    let tables = client
        .query("SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()", &[]);
    for row in tables.await.unwrap() {
        let table: String = row.get(0);
        let trigger = format!(
            "CREATE TRIGGER count_row AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION count_row()"
        );
        client.batch_execute(&trigger).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_has_more_rows_than_aurora_dsql_takes() {
    use koala_collector::intent::IntentRule;
    use koala_collector::store::deletion::{Forgotten, Person, Retention};
    let database = Database::new().await;
    let store = PostgresStore::open(&database.address()).await.unwrap();
    refuse_more_rows(&database).await;
    // One visitor with many ids and entries, each of them about something else; and many others.
    for n in 0..150 {
        let events: Vec<Value> = (0..30)
            .map(|m| json!({"event": format!("E {n} {m}"), "message_id": format!("{n}-{m}"), "sent_at": clock::now()}))
            .collect();
        let body = json!({"user_id": "u1", "anonymous_id": format!("d{n}"), "events": events});
        store.ingest(batch(&body)).await.unwrap();
        store.ingest(batch(&json!({"email": format!("ada@acme-{n}.com"), "events": events}))).await.unwrap();
    }
    let rules: Vec<IntentRule> = (0..20)
        .map(|n| {
            let rule = json!({"trigger": "type = \"track\"", "score": 1, "half_life_days": 7}).to_string();
            IntentRule::parse(&format!("r{n}"), &rule).unwrap().unwrap()
        })
        .collect();
    store.follow_intent_rules(&rules).await.unwrap();
    while store.look_back().await.unwrap() {}
    let user = Id::parse(IdKind::User, "u1").unwrap();
    let id = store.request_deletion(&[Person::Id(user)]).await.unwrap().unwrap();
    let ids = store.departed().await.unwrap().unwrap().ids.len();
    store.forgotten(&id, Forgotten { messages: 0, is_all: true, ids }).await.unwrap();
    while store.sweep(Retention::of_days(36_500)).await.unwrap() {}
    assert_eq!(store.deletion(&id).await.unwrap().unwrap().entries, 150 * 30);
    // And what is older than it may be, which a process looks for once an hour.
    let store = PostgresStore::open(&database.address()).await.unwrap();
    while store.sweep(Retention::of_days(0)).await.unwrap() {}
    assert_eq!(counted(&store).await.1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_of_more_ids_than_go_at_once_is_put_together_in_pieces() {
    use koala_collector::store::deletion::{Person, Retention};
    let database = Database::new().await;
    let store = PostgresStore::open(&database.address()).await.unwrap();
    let client = database.client().await;
    // The oldest id of all, a browser that is known alone, which the others are joined with at last.
    store.ingest(batch(&json!({"anonymous_id": "first", "events": events("first", 1)}))).await.unwrap();
    for n in 0..7 {
        let body = json!({"user_id": "u1", "email": format!("p{n}@acme.com"), "events": events(&format!("p{n}"), 1)});
        store.ingest(batch(&body)).await.unwrap();
    }
    // Seven addresses with 490 devices each, as if each had come with an event.
    let devices = "INSERT INTO identity (id, kind, value, into_id, visitor_id, first_at, first_seen, last_seen)
                   SELECT email.id + n, 'device', email.value || n, email.id, email.visitor_id, 1, 1, 1
                   FROM identity AS email, generate_series(1, 490) AS n WHERE email.kind = 'email' AND email.value LIKE 'p%'";
    assert_eq!(client.execute(devices, &[]).await.unwrap(), 7 * 490);
    refuse_more_rows(&database).await;
    let joined = json!({"user_id": "u1", "anonymous_id": "first", "events": events("last", 1)});
    store.ingest(batch(&joined)).await.unwrap();
    while store.sweep(Retention::of_days(36_500_000)).await.unwrap() {}
    let (visitors, _) = store.list_visitors(Filter::default(), 0, 10).await.unwrap();
    assert_eq!(visitors.iter().map(|visitor| visitor.identities.len()).collect::<Vec<_>>(), [9 + 7 * 490]);
    orphans(&database).await;
    // And goes as a whole, also where it is not put together yet.
    for email in 0..7 {
        let apart = format!("UPDATE identity SET visitor_id = id WHERE kind = 'device' AND value LIKE 'p{email}@%'");
        client.batch_execute(&apart).await.unwrap();
    }
    let sql = "INSERT INTO regroup (id, identity_id) SELECT 1, id FROM identity WHERE kind = 'user'";
    client.batch_execute(sql).await.unwrap();
    let user = Id::parse(IdKind::User, "u1").unwrap();
    store.request_deletion(&[Person::Id(user)]).await.unwrap().unwrap();
    while store.sweep(Retention::of_days(36_500_000)).await.unwrap() {}
    let left: i64 = client.query_one("SELECT count(*) FROM identity", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

/// What a random writer says: its ids, and when.
fn random_ids(random: &mut fastrand::Rng) -> WrittenIds {
    let some = |random: &mut fastrand::Rng, kind: &str, of: usize| {
        (random.u8(..10) < 6).then(|| format!("{kind}{}", random.usize(..of)))
    };
    WrittenIds {
        user_id: some(random, "u", 6),
        anonymous_id: some(random, "d", 8),
        email: some(random, "p", 6).map(|name| format!("{name}@acme.com")),
        ..WrittenIds::default()
    }
}

/// Writers beside each other, each message told twice and in another order: in the end who is who is what one writer makes of the
/// same set of events.
#[tokio::test(flavor = "multi_thread")]
async fn random_writers_beside_each_other_make_of_a_set_of_events_what_one_makes() {
    let base = clock::now_milliseconds() - 60_000;
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut said: Vec<(WrittenIds, i64, String)> = Vec::new();
        while said.len() < 120 {
            let ids = random_ids(&mut random);
            if EventIds::from(&ids).name_a_visitor() {
                let number = i64::try_from(said.len()).unwrap();
                said.push((ids, base + number, format!("m-{number}")));
            }
        }
        let mut model = Memory::default();
        for (ids, at, _) in &said {
            model.ingest(&EventIds::from(ids), *at);
        }
        let database = Database::new().await;
        let stores = [
            PostgresStore::open(&database.address()).await.unwrap(),
            PostgresStore::open(&database.address()).await.unwrap(),
        ];
        let mut told: Vec<_> = said.iter().chain(&said).collect();
        random.shuffle(&mut told);
        let stores = &stores;
        let writers = told.chunks(20).enumerate().map(|(writer, told)| async move {
            for (ids, at, message) in told {
                let body = json!({"user_id": ids.user_id, "anonymous_id": ids.anonymous_id, "email": ids.email,
                                  "events": [{"event": "E", "message_id": message, "sent_at": clock::from_milliseconds(*at)}]});
                while stores[writer % 2].ingest(batch(&body)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
        join_all(writers).await;
        let mut expected: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
        for id in model.ids() {
            expected.entry(model.visitor_of(id)).or_default().insert(id.clone());
        }
        let filed: BTreeSet<Id> = said.iter().filter_map(|(ids, ..)| model.filed_under(&EventIds::from(ids))).collect();
        let expected: BTreeSet<BTreeSet<Id>> =
            expected.into_values().filter(|ids| ids.iter().any(|id| filed.contains(id))).collect();
        let (visitors, _) = stores[0].list_visitors(Filter::default(), 0, 1000).await.unwrap();
        let found: BTreeSet<BTreeSet<Id>> =
            visitors.iter().map(|visitor| visitor.identities.iter().map(|one| one.id.clone()).collect()).collect();
        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(counted(&stores[0]).await.1, 120, "seed {seed}");
        orphans(&database).await;
    }
}
