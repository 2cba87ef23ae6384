//! The same random things in both engines give the same answers.

use std::sync::Arc;

use koala_collector::store::postgres::PostgresStore;
use koala_destination::clock;

use crate::answers::{self, assert_equal};
use crate::happenings::{happen, random, settle};
use crate::postgres_server::Database;
use crate::site::Site;

/// How many things happen; `KOALA_ENGINES_EVENTS=10000` has more.
const EVENTS: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_things_give_the_same_answers_in_both_engines() {
    let events = std::env::var("KOALA_ENGINES_EVENTS").ok().and_then(|it| it.parse().ok()).unwrap_or(EVENTS);
    let database = Database::new().await;
    let sqlite = Site::new();
    let postgres = Site::over(Arc::new(PostgresStore::open(&database.address()).await.unwrap()));
    for site in [&sqlite, &postgres] {
        site.follow_presets().await;
    }
    for happening in random(events as u64, events, clock::now_milliseconds()) {
        let (one, other) = (happen(&sqlite, &happening).await, happen(&postgres, &happening).await);
        assert_eq!(one, other, "{happening:?}");
        if happening.path.ends_with("deletion-requests") {
            settle(&sqlite).await;
            settle(&postgres).await;
        }
    }
    settle(&sqlite).await;
    settle(&postgres).await;
    let (one, other) = (answers::all(&sqlite).await, answers::all(&postgres).await);
    println!("{events} happenings, {} answers", one.len());
    assert_equal(&one, &other);
}
