//! A file that an earlier version wrote is brought over with all that it has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use koala_collector::intent::IntentRule;
use koala_collector::protocol::batch;
use koala_collector::store::Store;
use koala_collector::store::decision::Decision;
use koala_collector::store::filter::Filter;
use koala_collector::store::sqlite::SqliteStore;
use koala_collector::store::visitor::{Visitor, VisitorId};
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use rusqlite::Connection;
use serde_json::{Value, json};

const ADA: &str = "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a01";
const GRACE: &str = "0b6f0f0e-1a4e-4a1b-8a2f-0d7c9b1e4f02";
/// 2026-01-01T00:00:00Z and the day of it.
const THEN: i64 = 1_767_225_600_000;
const THAT_DAY: i64 = 20_454;
/// The year 9999.
const FAR: i64 = 253_402_300_799_000;

/// A file as the version before wrote it, with its schema and with what it kept.
fn old_file(path: &Path) {
    let file = Connection::open(path).unwrap();
    for sql in [
        include_str!("../src/store/sqlite/migrations/1.sql"),
        include_str!("../src/store/sqlite/migrations/2.sql"),
        include_str!("../src/store/sqlite/migrations/3.sql"),
    ] {
        file.execute_batch(sql).unwrap();
    }
    file.execute_batch(&format!(
        r#"PRAGMA foreign_keys = ON;
        INSERT INTO account (key, domain, name) VALUES ('acme.com', 'acme.com', 'Acme');
        INSERT INTO visitor (id, first_seen, last_seen, account)
            VALUES (3, {THEN}, {THEN} + 60000, 'acme.com'), (7, {THEN}, {FAR}, NULL), (9, {THEN}, {THEN}, NULL);
        INSERT INTO identity (kind, value, visitor_id) VALUES
            ('email', 'ada@acme.com', 3), ('email', 'lovelace@acme.com', 3), ('profile_id', '{ADA}', 3),
            ('profile_id', '{GRACE}', 7), ('email', 'edsger@gmail.com', 9);
        INSERT INTO entry (id, visitor_id, kind, name, message_id, at, json) VALUES
            (1, 3, 'event', 'Viewed Pricing', 'm-1', {THEN}, '{{"type":"track","event":"Viewed Pricing"}}'),
            (4, 3, 'identify', NULL, 'm-1', {THEN} + 60000, '{{"type":"identify"}}'),
            (5, 3, 'event', 'A', NULL, {THEN}, '{{"type":"track","event":"A"}}'),
            (6, 7, 'event', 'A', 'm-2', {FAR}, '{{"type":"track","event":"A"}}'),
            (8, 9, 'page_view', NULL, 'm-3', {THEN}, '{{"path":"/pricing"}}');
        INSERT INTO trait (visitor_id, name, value, at) VALUES (3, 'plan', '"team"', {THEN}), (7, 'plan', '"forged"', {FAR});
        INSERT INTO intent_rule (id, name, looked_for, unseen_below) VALUES (1, 'pricing', 'event = "Viewed Pricing"', 0);
        INSERT INTO intent (visitor_id, rule_id, day) VALUES (3, 1, {THAT_DAY});
        INSERT INTO message (queue, body, visible_at) VALUES ('track', '{{}}', 0);
        PRAGMA user_version = 3;"#
    ))
    .unwrap();
}

async fn visitors(store: &SqliteStore) -> Vec<Visitor> {
    let mut visitors = store.list_visitors(Filter::default(), 0, 100).await.unwrap().0;
    visitors.sort_by_key(|visitor| visitor.id.as_str().to_owned());
    visitors
}

async fn ingest(store: &SqliteStore, body: Value) {
    store.ingest(batch::read(body.to_string().as_bytes()).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_version_before_is_brought_over_each_visitor_under_its_strongest_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    old_file(&path);
    let store = SqliteStore::open(&path).unwrap();
    let shown = visitors(&store).await;
    let ids: Vec<_> =
        shown.iter().map(|visitor| (visitor.id.as_str(), &visitor.emails[..], &visitor.anonymous_ids[..])).collect();
    let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        ids,
        [
            // Their numbers stay, since people keep their addresses.
            ("3", &text(&["ada@acme.com", "lovelace@acme.com"])[..], &text(&[ADA])[..]),
            ("7", &[], &text(&[GRACE])),
            ("9", &text(&["edsger@gmail.com"]), &[]),
        ]
    );
    let [ada, grace, edsger] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((ada.events, ada.identifies, edsger.page_views), (2, 1, 1));
    assert_eq!((ada.traits["plan"].as_str(), ada.account.as_deref()), (Some("team"), Some("acme.com")));
    assert_eq!(
        (ada.first_seen.as_str(), ada.last_seen.as_str()),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.000Z")
    );
    // What was said to be in the future happened by now.
    assert!(grace.last_seen <= clock::now(), "{grace:?}");
    let (_, timeline) = store.show_visitor(&ada.id, 10).await.unwrap().unwrap();
    let kinds: Vec<_> = timeline.iter().map(|entry| (entry.kind.as_str(), entry.message_id.as_deref())).collect();
    assert_eq!(kinds, [("identify", Some("m-1")), ("event", None), ("event", Some("m-1"))]);

    let rule = IntentRule::parse("pricing", r#"{"trigger":"event = \"Viewed Pricing\"","score":8}"#).unwrap().unwrap();
    store.follow_intent_rules(&[rule]).await.unwrap();
    let acme = store.show_company("acme.com", 10).await.unwrap().unwrap();
    assert_eq!((acme.company.name.as_deref(), acme.people.len(), acme.reasons.len()), (Some("Acme"), 1, 1));
    let file = Connection::open(&path).unwrap();
    let problems: i64 = file.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    let messages: i64 = file.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap();
    assert_eq!((problems, messages), (0, 1));
}

#[tokio::test]
async fn what_was_brought_over_goes_on_by_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    old_file(&path);
    let store = SqliteStore::open(&path).unwrap();
    let event = |id: &str| json!([{"event": "A", "message_id": id, "sent_at": "2026-02-01T00:00:00Z"}]);
    let count = async |id: &str| store.show_visitor(&VisitorId::new(id), 10).await.unwrap().unwrap().0.events;
    // A repeat of what was there, new things under each of its ids, and a user id at last.
    ingest(&store, json!({"email": "ada@acme.com", "events": [{"event": "Viewed Pricing", "message_id": "m-1"}]}))
        .await;
    assert_eq!(count("3").await, 2);
    for (n, ids) in
        [json!({"email": "ada@acme.com"}), json!({"email": "lovelace@acme.com"}), json!({"profile_id": ADA})]
            .into_iter()
            .enumerate()
    {
        let mut body = ids;
        body["events"] = event(&format!("n-{n}"));
        ingest(&store, body).await;
    }
    ingest(&store, json!({"profile_id": GRACE, "user_id": "u7", "events": event("n-7")})).await;
    assert_eq!((count("3").await, count("7").await, visitors(&store).await.len()), (5, 2, 3));
    // The decision that holds two addresses together can be undone.
    let second = Id::parse(IdKind::Email, "lovelace@acme.com").unwrap();
    let split = store.decide(&Decision::Detach { id: second }).await.unwrap().unwrap();
    assert_eq!((count("3").await, count(split.as_str()).await), (4, 1));
    drop(store);
    // A second start changes nothing.
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(visitors(&store).await.len(), 4);
}

#[tokio::test]
async fn a_file_that_cannot_be_brought_over_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("koala.db");
    old_file(&path);
    // Something that stands in the way of the new tables.
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE decision (x)").unwrap();
    assert!(SqliteStore::open(&path).is_err());
    let file = Connection::open(&path).unwrap();
    let version: i64 = file.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let entries: i64 =
        file.query_row("SELECT count(*) FROM entry WHERE visitor_id IN (3, 7, 9)", [], |row| row.get(0)).unwrap();
    assert_eq!((version, entries), (3, 5));
    file.execute_batch("DROP TABLE decision").unwrap();
    drop(file);
    assert_eq!(visitors(&SqliteStore::open(&path).unwrap()).await.len(), 3);
}
