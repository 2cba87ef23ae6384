//! The rows of companies, and which of them a visitor is of.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{identities, traits};
use crate::company::Account;
use crate::protocol::accounts::ReceivedAccount;

/// Keeps what is said of companies, each by its domain.
pub(super) fn keep(connection: &Connection, accounts: &[ReceivedAccount]) -> rusqlite::Result<()> {
    for (account, traits) in accounts {
        put(connection, account)?;
        let mut update =
            connection.prepare_cached("UPDATE account SET traits = json_patch(traits, ?2) WHERE key = ?1")?;
        update.execute(params![account.key(), Value::Object(traits.clone()).to_string()])?;
    }
    Ok(())
}

/// Says of which company a visitor is, by what is known of the visitor now. A company without any is gone, unless something
/// was said of it.
pub(super) fn assign(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let emails = identities::emails(connection, visitor_id)?;
    let account = Account::of(&traits::of(connection, visitor_id)?, &emails);
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

/// Takes a visitor out of the company, if there is one.
pub(super) fn leave(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let mut before = connection.prepare_cached("SELECT account FROM visitor WHERE id = ?1")?;
    let before: Option<Option<String>> = before.query_row([visitor_id], |row| row.get(0)).optional()?;
    let Some(Some(before)) = before else { return Ok(()) };
    connection.prepare_cached("UPDATE visitor SET account = NULL WHERE id = ?1")?.execute([visitor_id])?;
    forget_if_empty(connection, Some(&before))
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

/// Keeps a company: what is not said now stays as it was.
fn put(connection: &Connection, account: &Account) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO account (key, domain, name) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET domain = coalesce(excluded.domain, domain), name = coalesce(excluded.name, name)",
    )?;
    put.execute(params![account.key(), account.domain, account.name])?;
    Ok(())
}
