//! Connections of the engine for PostgreSQL: kept, replaced, and opened with a password of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::future::join_all;
use koala_collector::protocol::batch;
use koala_collector::store::Store;
use koala_collector::store::filter::{CompanyFilter, Filter};
use koala_collector::store::postgres::{DatabaseUrl, Passwords, PostgresError, PostgresOptions, PostgresStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::postgres_server::Database;

/// A clock of the wall that a test sets.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_794_006_000)))
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A password for each connection; it says when each was asked for.
#[derive(Debug, Clone, Default)]
struct Asked(Arc<Mutex<Vec<SystemTime>>>);

#[async_trait]
impl Passwords for Asked {
    async fn next(&self, now: SystemTime) -> Result<String, PostgresError> {
        let mut asked = self.0.lock().unwrap();
        asked.push(now);
        Ok(format!("token-{}", asked.len()))
    }
}

impl Asked {
    fn times(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn options(database: &Database, clock: &Clock, asked: &Asked) -> PostgresOptions {
    let clock = clock.clone();
    PostgresOptions::new(database.address()).connections(1).passwords(asked.clone()).clock(move || clock.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_kept_until_it_was_idle_for_a_minute_or_is_fifty_minutes_old() {
    let database = Database::new().await;
    let (clock, asked) = (Clock::new(), Asked::default());
    let store = PostgresStore::open_with(options(&database, &clock, &asked)).await.unwrap();
    let used = async || store.list_visitors(Filter::default(), 0, 1).await.unwrap();
    // The tables have one of their own.
    used().await;
    let kept = asked.times();
    used().await;
    clock.pass(Duration::from_secs(59));
    used().await;
    assert_eq!(asked.times(), kept);
    // As in a function that was frozen: no other clock went on.
    clock.pass(Duration::from_mins(1));
    used().await;
    assert_eq!(asked.times(), kept + 1, "idle");
    for _ in 0..59 {
        clock.pass(Duration::from_secs(50));
        used().await;
    }
    assert_eq!(asked.times(), kept + 1);
    clock.pass(Duration::from_secs(50));
    used().await;
    assert_eq!(asked.times(), kept + 2, "old");
    assert_eq!(asked.0.lock().unwrap().last(), Some(&clock.now()), "the password is of the time of the connection");
}

/// What is done at once waits for the one connection, and none waits for itself.
#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_enough_for_everything_at_once() {
    let database = Database::new().await;
    let (clock, asked) = (Clock::new(), Asked::default());
    let store = &PostgresStore::open_with(options(&database, &clock, &asked)).await.unwrap();
    let all = (0..16).map(|n| async move {
        let event = json!({"event": "Viewed", "message_id": format!("m-{n}")});
        let body =
            json!({"user_id": format!("u{}", n % 3), "email": format!("p{}@acme.com", n % 3), "events": [event]});
        store.ingest(batch::read(body.to_string().as_bytes()).unwrap()).await.unwrap();
        store.list_companies(CompanyFilter::default(), 0, 10).await.unwrap();
    });
    tokio::time::timeout(Duration::from_secs(30), join_all(all)).await.expect("none waits for itself");
    assert_eq!(store.list_visitors(Filter::default(), 0, 10).await.unwrap().1, 3);
    assert_eq!(asked.times(), 2, "one for the tables, and one that is kept");
}

/// A server that asks for a password, keeps what it is given, and refuses it.
async fn server_that_asks(listener: TcpListener, given: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let length = stream.read_u32().await.unwrap() as usize;
        stream.read_exact(&mut vec![0; length - 4]).await.unwrap();
        // AuthenticationCleartextPassword, as Aurora DSQL asks.
        stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'p');
        let length = stream.read_u32().await.unwrap() as usize;
        let mut password = vec![0; length - 4];
        stream.read_exact(&mut password).await.unwrap();
        given.lock().unwrap().push(String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned());
        let said = b"SFATAL\0VFATAL\0C28P01\0Mno\0\0";
        stream.write_u8(b'E').await.unwrap();
        stream.write_u32(u32::try_from(said.len()).unwrap() + 4).await.unwrap();
        stream.write_all(said).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_new_connection_is_the_one_that_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://koala:of-the-url@{}/postgres", listener.local_addr().unwrap());
    let given = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(server_that_asks(listener, Arc::clone(&given)));
    let url = DatabaseUrl::parse(&url).unwrap();
    let asked = Asked::default();
    for _ in 0..2 {
        let options = PostgresOptions::new(url.clone()).passwords(asked.clone());
        assert!(PostgresStore::open_with(options).await.is_err());
    }
    assert!(PostgresStore::open(&url).await.is_err());
    assert_eq!(*given.lock().unwrap(), ["token-1", "token-2", "of-the-url"]);
}
