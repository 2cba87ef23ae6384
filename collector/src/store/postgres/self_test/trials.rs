//! What a database is tried with: each part by itself, on tables that are there.

use std::collections::BTreeSet;
use std::fmt::Display;

use koala_destination::clock;
use koala_destination::ids::{EventIds, WrittenIds};
use serde_json::json;
use serde_json::value::to_raw_value;

use super::super::PostgresStore;
use super::super::connection::connect;
use super::super::error::PostgresError;
use super::super::options::PostgresOptions;
use super::super::turns::Turns;
use super::error::SelfTestError;
use crate::received::{Batch, EntryKind, ReceivedEntry};
use crate::store::Store;
use crate::store::filter::Filter;
use crate::store::visitor::{Visitor, VisitorId};

/// The most rows that a transaction of Aurora DSQL writes
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/CHAP_quotas.html>).
const MOST_ROWS: i64 = 3000;
/// Visitors enough for more than one page.
const VISITORS: usize = 5;
const PAGE: u32 = 2;

async fn ingest(
    store: &PostgresStore,
    what: &'static str,
    who: &WrittenIds,
    message: &str,
) -> Result<(), SelfTestError> {
    let otherwise = |reason: &dyn Display| SelfTestError::Otherwise(format!("{what}: {reason}"));
    let event = json!({"event": "Self Test", "message_id": message, "sent_at": clock::now()});
    let event = to_raw_value(&event).map_err(|error| otherwise(&error))?;
    let entry = ReceivedEntry::read(EntryKind::Event, &event).map_err(|reason| otherwise(&reason))?;
    let batch = Batch { ids: EventIds::from(who), received_at: None, traits: None, entries: vec![entry] };
    store.ingest(batch).await.map_err(|error| SelfTestError::Store(what, error))
}

fn of_email(name: &str) -> WrittenIds {
    WrittenIds { email: Some(format!("{name}@self-test.example")), ..WrittenIds::default() }
}

async fn visitors(store: &PostgresStore, what: &'static str, search: &str) -> Result<Vec<Visitor>, SelfTestError> {
    let filter = Filter { text: Some(search.to_owned()), ..Filter::default() };
    let listed = store.list_visitors(filter, 0, 100).await.map_err(|error| SelfTestError::Store(what, error))?;
    Ok(listed.0)
}

async fn entries(store: &PostgresStore, what: &'static str, id: &VisitorId) -> Result<usize, SelfTestError> {
    let shown = store.show_visitor(id, 100).await.map_err(|error| SelfTestError::Store(what, error))?;
    Ok(shown.map_or(0, |(_, entries)| entries.len()))
}

/// The same entry, three times.
pub(super) async fn keeps_once(store: &PostgresStore, run: &str) -> Result<(), SelfTestError> {
    const WHAT: &str = "an entry that comes again";
    let name = format!("once-{run}");
    for _ in 0..3 {
        ingest(store, WHAT, &of_email(&name), &name).await?;
    }
    let found = visitors(store, WHAT, &format!("once-{run}")).await?;
    let kept = match &found[..] {
        [visitor] => entries(store, WHAT, &visitor.id).await?,
        _ => 0,
    };
    if (found.len(), kept) == (1, 1) {
        return Ok(());
    }
    Err(SelfTestError::Otherwise(format!("{WHAT} three times makes {} visitors with {kept} entries", found.len())))
}

/// A device first, then the person who turns out to use it.
pub(super) async fn makes_one(store: &PostgresStore, run: &str) -> Result<(), SelfTestError> {
    const WHAT: &str = "a device and its person";
    let device = format!("{:x}-{run}", u128::MAX);
    let on_device = WrittenIds { anonymous_id: Some(device), ..WrittenIds::default() };
    ingest(store, WHAT, &on_device, &format!("before-{run}")).await?;
    let both = WrittenIds { email: of_email(&format!("one-{run}")).email, ..on_device };
    ingest(store, WHAT, &both, &format!("with-{run}")).await?;
    let found = visitors(store, WHAT, &format!("one-{run}")).await?;
    let kept = match &found[..] {
        [visitor] => entries(store, WHAT, &visitor.id).await?,
        _ => 0,
    };
    if (found.len(), kept) == (1, 2) {
        return Ok(());
    }
    Err(SelfTestError::Otherwise(format!("{WHAT} are {} visitors with {kept} entries, not one with both", found.len())))
}

/// Page after page, every visitor once.
pub(super) async fn pages(store: &PostgresStore, run: &str) -> Result<(), SelfTestError> {
    const WHAT: &str = "pages of visitors";
    for n in 0..VISITORS {
        let name = format!("page-{n}-{run}");
        ingest(store, WHAT, &of_email(&name), &name).await?;
    }
    let filter = Filter { text: Some(run.to_owned()), ..Filter::default() };
    let (mut seen, mut count, mut after) = (BTreeSet::new(), 0, None);
    loop {
        let page = store.export_visitors(&filter, after.as_ref(), PAGE).await;
        let page = page.map_err(|error| SelfTestError::Store(WHAT, error))?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        count += page.len();
        seen.extend(page.into_iter().flat_map(|visitor| visitor.emails).filter(|email| email.starts_with("page-")));
        if count > 100 {
            break;
        }
    }
    if seen.len() == VISITORS {
        return Ok(());
    }
    Err(SelfTestError::Otherwise(format!("{WHAT} show {} of {VISITORS}", seen.len())))
}

/// Two requests of one person at once: whoever is in the other's way tries again.
pub(super) async fn both_are_kept(store: &PostgresStore, run: &str) -> Result<(), SelfTestError> {
    const WHAT: &str = "two requests at once";
    let who = of_email(&format!("both-{run}"));
    let (first, second) = (format!("first-{run}"), format!("second-{run}"));
    // Another process has turns of its own.
    let beside = PostgresStore { turns: Turns::default(), ..store.clone() };
    let (a, b) =
        futures_util::future::join(ingest(store, WHAT, &who, &first), ingest(&beside, WHAT, &who, &second)).await;
    a.and(b)?;
    let found = visitors(store, WHAT, &format!("both-{run}")).await?;
    let kept = match &found[..] {
        [visitor] => entries(store, WHAT, &visitor.id).await?,
        _ => 0,
    };
    if (found.len(), kept) == (1, 2) {
        return Ok(());
    }
    Err(SelfTestError::Otherwise(format!("of {WHAT} {kept} are kept, of {} visitors", found.len())))
}

/// Two transactions write one row: one of them is told that the other was in its way, by a code that has it try again.
pub(super) async fn of_two_one_is_told(options: &PostgresOptions, run: &str) -> Result<(), SelfTestError> {
    const WHAT: &str = "two writers of one row";
    let refused = |error: PostgresError| SelfTestError::Refused(WHAT, error);
    let (one, other) = (connect(options).await.map_err(refused)?, connect(options).await.map_err(refused)?);
    let name = format!("self-test-{run}");
    let put = "INSERT INTO number (name, value) VALUES ($1, 0)";
    one.execute(put, &[&name]).await.map_err(|error| refused(error.into()))?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    let (read, write) =
        ("SELECT value FROM number WHERE name = $1", "UPDATE number SET value = value + 1 WHERE name = $1");
    for client in [&one, &other] {
        client.batch_execute(begin).await.map_err(|error| refused(error.into()))?;
        client.query(read, &[&name]).await.map_err(|error| refused(error.into()))?;
    }
    one.execute(write, &[&name]).await.map_err(|error| refused(error.into()))?;
    one.batch_execute("COMMIT").await.map_err(|error| refused(error.into()))?;
    // Aurora DSQL says it at COMMIT, PostgreSQL before.
    let late = async {
        other.execute(write, &[&name]).await?;
        other.batch_execute("COMMIT").await
    };
    match late.await.map_err(PostgresError::from) {
        Err(error) if error.is_passing() => Ok(()),
        Err(error) => Err(refused(error)),
        Ok(()) => Err(SelfTestError::Otherwise(format!("{WHAT} both succeed, and what one wrote is lost"))),
    }
}

/// One transaction with as many rows as the largest piece of work may have.
pub(super) async fn takes_rows(options: &PostgresOptions, run: &str) -> Result<(), SelfTestError> {
    const WHAT: &str = "a transaction of 3,000 rows";
    let refused = |error: tokio_postgres::Error| SelfTestError::Refused(WHAT, error.into());
    let client = connect(options).await.map_err(|error| SelfTestError::Refused(WHAT, error))?;
    let names: Vec<String> = (0..MOST_ROWS).map(|n| format!("self-test-{run}-{n}")).collect();
    let put = "INSERT INTO number (name, value) SELECT name, 0 FROM unnest($1::text[]) AS new (name)";
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.map_err(refused)?;
    client.execute(put, &[&names]).await.map_err(refused)?;
    client.batch_execute("COMMIT").await.map_err(refused)?;
    let take = "DELETE FROM number WHERE name LIKE $1";
    client.execute(take, &[&format!("self-test-{run}%")]).await.map(drop).or(Ok(()))
}
