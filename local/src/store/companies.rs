//! The companies of the visitors.

use koala_destination::clock;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::{Map, Value};

use super::intent::IntentRules;
use super::ranking::{Ranked, Ranking, Reason};
use super::visitors::{self, Visitor};
use super::{Store, StoreError};
use crate::MILLISECONDS_OF_A_DAY;
use crate::accounts::Account;
use crate::collector::ReceivedAccount;

/// How many days of activity are shown.
const DAYS: usize = 14;
/// How many of a company's newest entries are shown.
const LATEST: u32 = 20;

/// A company as the API lists it.
#[derive(Debug, Serialize)]
pub struct Company {
    /// What it is known by: its domain, or its name in lower case.
    pub key: String,
    /// Its domain.
    pub domain: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// How much it means to buy, in points of the intent rules.
    pub intent: f64,
    /// What was said of it.
    pub traits: Map<String, Value>,
    /// How many visitors are of it.
    pub visitors: i64,
    /// How many events they have.
    pub events: i64,
    /// The time of their newest entry.
    pub last_seen: Option<String>,
}

/// A company with its people.
#[derive(Debug, Serialize)]
pub struct CompanyPage {
    /// The company.
    #[serde(flatten)]
    pub company: Company,
    /// What its points come from.
    pub reasons: Vec<Reason>,
    /// Its visitors, the one seen last first.
    pub people: Vec<Visitor>,
    /// What they did last, the newest first.
    pub activity: Vec<Activity>,
}

/// One entry of a company's visitor.
#[derive(Debug, Serialize)]
pub struct Activity {
    /// Whose.
    pub visitor_id: i64,
    /// `event`, `identify` or `page_view`.
    pub kind: String,
    /// The event's name.
    pub name: Option<String>,
    /// When it happened.
    pub at: String,
}

/// What the collector knows of companies; clones share the store.
#[derive(Clone)]
pub struct Companies {
    store: Store,
    ranking: Ranking,
}

impl Companies {
    /// The companies of `store`, ranked by these rules.
    pub fn new(store: Store, rules: IntentRules) -> Self {
        Self { ranking: Ranking::new(store.clone(), rules), store }
    }

    /// Companies, the one with the most intent first, and how many there are in all.
    pub async fn list(&self, offset: u32, limit: u32) -> Result<(Vec<Company>, usize), StoreError> {
        let ranked = self.ranking.companies().await?;
        let total = ranked.len();
        let of_page = ranked.iter().skip(offset as usize).take(limit as usize).cloned().collect::<Vec<Ranked>>();
        let list = move |connection: &Connection| {
            let mut companies = Vec::with_capacity(of_page.len());
            for Ranked { key, points } in &of_page {
                // One that is gone since it was ranked is left out.
                companies.extend(company(connection, key, *points)?);
            }
            Ok(companies)
        };
        Ok((self.store.read(list).await?, total))
    }

    /// How far new intent rules have come through what was there before them, from 0 to 1.
    pub async fn rules_looked_back(&self) -> Result<f64, StoreError> {
        self.ranking.progress().await
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

    /// One company with its visitors and what they did.
    pub async fn show(&self, key: String, limit: u32) -> Result<Option<CompanyPage>, StoreError> {
        let reasons = self.ranking.reasons(key.clone()).await?;
        let show = move |connection: &Connection| {
            let points = reasons.iter().map(|reason| reason.points).sum();
            let Some(company) = company(connection, &key, points)? else { return Ok(None) };
            let mut ids = connection
                .prepare_cached("SELECT id FROM visitor WHERE account = ?1 ORDER BY last_seen DESC LIMIT ?2")?;
            let ids = ids.query_map(params![key, limit], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let people = ids.into_iter().filter_map(|id| visitors::visitor(connection, id).transpose());
            let people = people.collect::<rusqlite::Result<_>>()?;
            let activity = latest_activity(connection, &key)?;
            Ok(Some(CompanyPage { company, reasons, people, activity }))
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

/// The newest entries of a company's visitors: they are of those that were seen last.
fn latest_activity(connection: &Connection, key: &str) -> rusqlite::Result<Vec<Activity>> {
    let mut select = connection.prepare_cached(
        "SELECT visitor_id, kind, name, at FROM (SELECT id FROM visitor WHERE account = ?1 ORDER BY last_seen DESC LIMIT ?2) AS one
         CROSS JOIN entry ON entry.visitor_id = one.id ORDER BY at DESC, entry.id DESC LIMIT ?2",
    )?;
    let activity = select.query_map(params![key, LATEST], |row| {
        let at = clock::from_milliseconds(row.get(3)?);
        Ok(Activity { visitor_id: row.get(0)?, kind: row.get(1)?, name: row.get(2)?, at })
    })?;
    activity.collect()
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

fn company(connection: &Connection, key: &str, points: f64) -> rusqlite::Result<Option<Company>> {
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
            intent: (points * 100.0).round() / 100.0,
            traits: serde_json::from_str(&traits).unwrap_or_default(),
            visitors: row.get(3)?,
            events: row.get(4)?,
            last_seen: row.get::<_, Option<i64>>(5)?.map(clock::from_milliseconds),
        })
    });
    company.optional()
}
