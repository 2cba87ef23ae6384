//! The companies of the visitors.

use koala_destination::clock;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::{Map, Value};

use super::visitors::{self, Visitor};
use super::{Store, StoreError};
use crate::accounts::Account;
use crate::collector::ReceivedAccount;

/// How many days of activity are shown.
const DAYS: usize = 14;
const MILLISECONDS_OF_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// A company as the API lists it.
#[derive(Debug, Serialize)]
pub struct Company {
    /// What it is known by: its domain, or its name in lower case.
    pub key: String,
    /// Its domain.
    pub domain: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What was said of it.
    pub traits: Map<String, Value>,
    /// How many visitors are of it.
    pub visitors: i64,
    /// How many events they have.
    pub events: i64,
    /// The time of their newest entry.
    pub last_seen: Option<String>,
}

/// What the collector knows of companies; clones share the store.
#[derive(Clone)]
pub struct Companies {
    store: Store,
}

impl Companies {
    /// The companies of `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Companies, the one whose visitors were seen last first, and how many there are in all.
    pub async fn list(&self, offset: u32, limit: u32) -> Result<(Vec<Company>, i64), StoreError> {
        let list = move |connection: &Connection| {
            let total = connection.query_row("SELECT count(*) FROM account", [], |row| row.get(0))?;
            let mut keys = connection.prepare_cached(
                "SELECT key FROM account ORDER BY (SELECT max(last_seen) FROM visitor WHERE account = key) DESC, key
                 LIMIT ?1 OFFSET ?2",
            )?;
            let keys = keys.query_map([limit, offset], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            let companies = keys.iter().filter_map(|key| company(connection, key).transpose());
            Ok((companies.collect::<rusqlite::Result<_>>()?, total))
        };
        self.store.read(list).await
    }

    /// How many events each company had on each of the last fourteen days, today last.
    pub async fn activity(&self, keys: Vec<String>) -> Result<Vec<[i64; DAYS]>, StoreError> {
        let today = crate::now_milliseconds() / MILLISECONDS_OF_A_DAY;
        let activity = move |connection: &Connection| {
            let mut days = connection.prepare_cached(
                "SELECT entry.at / ?2, count(*) FROM visitor CROSS JOIN entry ON entry.visitor_id = visitor.id
                 WHERE visitor.account = ?1 AND entry.at >= ?3 GROUP BY 1",
            )?;
            let first = today - i64::try_from(DAYS).unwrap_or_default() + 1;
            let of = |key: &String| {
                let mut counts = [0; DAYS];
                let read = days
                    .query_map(params![key, MILLISECONDS_OF_A_DAY, first * MILLISECONDS_OF_A_DAY], |row| {
                        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
                    })?;
                for day in read {
                    let (day, count) = day?;
                    if let Some(counted) = usize::try_from(day - first).ok().and_then(|at| counts.get_mut(at)) {
                        *counted = count;
                    }
                }
                Ok(counts)
            };
            keys.iter().map(of).collect()
        };
        self.store.read(activity).await
    }

    /// One company with its visitors, the one seen last first.
    pub async fn show(&self, key: String, limit: u32) -> Result<Option<(Company, Vec<Visitor>)>, StoreError> {
        let show = move |connection: &Connection| {
            let Some(company) = company(connection, &key)? else { return Ok(None) };
            let mut ids = connection
                .prepare_cached("SELECT id FROM visitor WHERE account = ?1 ORDER BY last_seen DESC LIMIT ?2")?;
            let ids = ids.query_map(params![key, limit], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let people = ids.into_iter().filter_map(|id| visitors::visitor(connection, id).transpose());
            Ok(Some((company, people.collect::<rusqlite::Result<_>>()?)))
        };
        self.store.read(show).await
    }

    /// Keeps what is said of companies, each by its domain.
    pub async fn keep(&self, accounts: Vec<ReceivedAccount>) -> Result<(), StoreError> {
        let keep = move |connection: &Connection| {
            for (account, traits) in &accounts {
                put(connection, account)?;
                let mut update =
                    connection.prepare_cached("UPDATE account SET traits = json_patch(traits, ?2) WHERE key = ?1")?;
                update.execute(params![account.key(), Value::Object(traits.clone()).to_string()])?;
            }
            Ok(())
        };
        self.store.write(keep).await
    }
}

/// Says of which company a visitor is, by what is known of the visitor now. A company without any is gone, unless something
/// was said of it.
pub(super) fn assign(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let emails = visitors::emails(connection, visitor_id)?;
    let account = Account::of(&visitors::traits(connection, visitor_id)?, &emails);
    if let Some(account) = &account {
        put(connection, account)?;
    }
    let mut before = connection.prepare_cached("SELECT account FROM visitor WHERE id = ?1")?;
    let before: Option<String> = before.query_row([visitor_id], |row| row.get(0))?;
    let now = account.map(|account| account.key());
    if before == now {
        return Ok(());
    }
    connection.prepare_cached("UPDATE visitor SET account = ?2 WHERE id = ?1")?.execute(params![visitor_id, now])?;
    forget_if_empty(connection, before.as_deref())
}

/// Takes a visitor out of the company.
pub(super) fn leave(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let mut before = connection.prepare_cached("SELECT account FROM visitor WHERE id = ?1")?;
    let before: Option<String> = before.query_row([visitor_id], |row| row.get(0))?;
    connection.execute("UPDATE visitor SET account = NULL WHERE id = ?1", [visitor_id])?;
    forget_if_empty(connection, before.as_deref())
}

fn forget_if_empty(connection: &Connection, key: Option<&str>) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM account WHERE key = ?1 AND traits = '{}' AND NOT EXISTS (SELECT 1 FROM visitor WHERE account = ?1)",
        )?
        .execute([key])?;
    Ok(())
}

/// Says of which company each visitor is: for a file of the time before there were companies.
pub(super) fn assign_all(connection: &Connection) -> rusqlite::Result<()> {
    let mut ids = connection.prepare("SELECT id FROM visitor")?;
    let ids = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.into_iter().try_for_each(|id| assign(connection, id))
}

fn put(connection: &Connection, account: &Account) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO account (key, domain, name) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET domain = coalesce(excluded.domain, domain), name = coalesce(excluded.name, name)",
    )?;
    put.execute(params![account.key(), account.domain, account.name])?;
    Ok(())
}

fn company(connection: &Connection, key: &str) -> rusqlite::Result<Option<Company>> {
    // From the company to its visitors to their entries: the plus keeps SQLite from going through all entries of a kind.
    let mut select = connection.prepare_cached(
        "SELECT domain, name, traits,
                (SELECT count(*) FROM visitor WHERE account = key),
                (SELECT count(*) FROM visitor CROSS JOIN entry ON entry.visitor_id = visitor.id
                 WHERE visitor.account = key AND +entry.kind = 'event'),
                (SELECT max(last_seen) FROM visitor WHERE account = key)
         FROM account WHERE key = ?1",
    )?;
    let company = select.query_row([key], |row| {
        let traits: String = row.get(2)?;
        Ok(Company {
            key: key.to_owned(),
            domain: row.get(0)?,
            name: row.get(1)?,
            traits: serde_json::from_str(&traits).unwrap_or_default(),
            visitors: row.get(3)?,
            events: row.get(4)?,
            last_seen: row.get::<_, Option<i64>>(5)?.map(clock::from_milliseconds),
        })
    });
    company.optional()
}
