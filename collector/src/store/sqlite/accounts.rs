//! Which company a visitor is of, and what is said of companies.

use std::collections::BTreeSet;

use koala_destination::clock::now_milliseconds;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::{company_keys, guesses, identities, statements, traits};
use crate::company::{self, CompanyKey, CompanyKind, Said};
use crate::received::ReceivedAccount;

/// Keeps what requests about companies alone say of them, each by its domain.
pub(super) fn keep(connection: &Connection, accounts: &[ReceivedAccount]) -> rusqlite::Result<()> {
    let now = now_milliseconds();
    for (account, traits) in accounts {
        let said = Said::of_account(account);
        let Some(domain) = &said.domain else { continue };
        let row = company_keys::find_or_insert(connection, domain)?;
        connection.prepare_cached("UPDATE company_key SET is_told = 1 WHERE id = ?1")?.execute([row.id])?;
        if said.group.is_some() || said.name.is_some() {
            statements::note(connection, statements::NO_VISITOR, None, &said, now)?;
        }
        add_traits(connection, domain, traits, now)?;
    }
    Ok(())
}

/// Keeps what a group call under an id says of the company, besides what it is known by; where it is not told under which, it is
/// nobody's.
pub(super) fn keep_traits(
    connection: &Connection,
    said_by: Option<i64>,
    said: &Said,
    traits: &Map<String, Value>,
    at: i64,
) -> rusqlite::Result<()> {
    let key = said.group.as_ref().or(said.domain.as_ref()).or(said.name.as_ref());
    let Some(key) = key.filter(|_| !traits.is_empty()) else { return Ok(()) };
    let key_id = add_traits(connection, key, traits, at)?;
    let Some(said_by) = said_by else { return Ok(()) };
    let mut say = connection
        .prepare_cached("UPDATE company_trait SET said_by = ?3 WHERE company_key_id = ?1 AND name = ?2 AND at = ?4")?;
    traits.keys().try_for_each(|name| say.execute(params![key_id, name, said_by, at]).map(drop))
}

/// What was said of companies under an id is forgotten.
pub(super) fn forget_traits(connection: &Connection, identity_id: i64) -> rusqlite::Result<()> {
    let mut forget =
        connection.prepare_cached("DELETE FROM company_trait WHERE said_by = ?1 RETURNING company_key_id")?;
    let keys = forget.query_map([identity_id], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<i64>>>()?;
    let mut unseen = connection.prepare_cached(
        "UPDATE company SET excluded = NULL WHERE id = (SELECT company_id FROM company_key WHERE id = ?1)",
    )?;
    keys.into_iter().try_for_each(|key| unseen.execute([key]).map(drop))
}

/// Gives back the row of the identity that they are kept at.
fn add_traits(
    connection: &Connection,
    key: &CompanyKey,
    traits: &Map<String, Value>,
    at: i64,
) -> rusqlite::Result<i64> {
    let row = company_keys::find_or_insert(connection, key)?;
    if traits::merge(connection, traits::OF_COMPANY, row.id, traits, at)? {
        let unseen = "UPDATE company SET excluded = NULL WHERE id = ?1";
        connection.prepare_cached(unseen)?.execute([row.company_id])?;
    }
    Ok(row.id)
}

/// Says of which company a visitor is, by what is known of the visitor now, and has it looked at whether the visitor is kept out of
/// the ranking. A company without any is gone, unless something was said of it.
pub(super) fn assign(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let (key, is_guess) = match said_by(connection, visitor_id)? {
        Some(key) => (Some(key), false),
        None => (guesses::of(connection, visitor_id)?, true),
    };
    let mut mark = connection.prepare_cached("UPDATE visitor SET is_guess = ?2 WHERE id = ?1")?;
    mark.execute(params![visitor_id, is_guess && key.is_some()])?;
    put(connection, visitor_id, key.as_ref())
}

/// The same in a file of a version that knew no guesses.
pub(super) fn assign_by_what_is_said(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let key = said_by(connection, visitor_id)?;
    put(connection, visitor_id, key.as_ref())
}

fn said_by(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Option<CompanyKey>> {
    let emails = identities::emails(connection, visitor_id)?;
    let given = emails.iter().find_map(|email| company::of_address(email));
    statements::give(connection, visitor_id, given.as_deref())?;
    Ok(company::of_visitor(&traits::of_company_of(connection, visitor_id)?, &emails))
}

fn put(connection: &Connection, visitor_id: i64, key: Option<&CompanyKey>) -> rusqlite::Result<()> {
    let now = key.map(|key| company_keys::find_or_insert(connection, key)).transpose()?;
    let before = company_key_of(connection, visitor_id)?;
    let mut update = connection
        .prepare_cached("UPDATE visitor SET company_key_id = ?2, company_id = ?3, excluded = NULL WHERE id = ?1")?;
    update.execute(params![visitor_id, now.map(|row| row.id), now.map(|row| row.company_id)])?;
    match before {
        Some(before) if Some(before) != now.map(|row| row.id) => company_keys::leave(connection, before),
        _ => Ok(()),
    }
}

fn company_key_of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT company_key_id FROM visitor WHERE id = ?1")?;
    Ok(select.query_row([visitor_id], |row| row.get(0)).optional()?.flatten())
}

/// Takes a visitor out of the company, if there is one.
pub(super) fn leave(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let Some(before) = company_key_of(connection, visitor_id)? else { return Ok(()) };
    let mut update =
        connection.prepare_cached("UPDATE visitor SET company_key_id = NULL, company_id = NULL WHERE id = ?1")?;
    update.execute([visitor_id])?;
    company_keys::leave(connection, before)
}

/// A company's latest traits, of what was said of each of its identities.
pub(super) fn traits_of(connection: &Connection, company_id: i64) -> rusqlite::Result<Map<String, Value>> {
    traits::latest(
        connection,
        "SELECT company_trait.name, company_trait.value, company_trait.at
         FROM company_key CROSS JOIN company_trait ON company_trait.company_key_id = company_key.id
         WHERE company_key.company_id = ?1 ORDER BY company_key.kind = 'domain' DESC, company_key.id",
        company_id,
    )
}

/// A company's ids of one kind.
pub(super) fn values_of(connection: &Connection, company_id: i64, kind: CompanyKind) -> rusqlite::Result<Vec<String>> {
    let mut select = connection
        .prepare_cached("SELECT value FROM company_key WHERE company_id = ?1 AND kind = ?2 ORDER BY value")?;
    select.query_map(params![company_id, kind.name()], |row| row.get(0))?.collect()
}
