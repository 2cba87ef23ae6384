//! Companies that are guessed by the networks of addresses, for visitors of whom nothing else is known.

use rusqlite::{Connection, OptionalExtension, params};

use crate::company::CompanyKey;
use crate::company::Guess;

/// Keeps what an entry is guessed to be of. Tells whether that is another company than before.
pub(super) fn note(connection: &Connection, identity_id: i64, guess: &Guess, at: i64) -> rusqlite::Result<bool> {
    let mut before = connection.prepare_cached("SELECT domain FROM network_guess WHERE identity_id = ?1")?;
    let before: Option<String> = before.query_row([identity_id], |row| row.get(0)).optional()?;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO network_guess (identity_id, domain, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (identity_id) DO UPDATE SET domain = excluded.domain, at = excluded.at WHERE excluded.at >= at",
    )?;
    Ok(upsert.execute(params![identity_id, guess.domain, at])? > 0 && before.as_ref() != Some(&guess.domain))
}

/// The company that a visitor is guessed to be of; nothing where the visitor said who they are, by a user id or an address.
pub(super) fn of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Option<CompanyKey>> {
    let mut select = connection.prepare_cached(
        "SELECT domain FROM identity CROSS JOIN network_guess ON network_guess.identity_id = identity.id
         WHERE visitor_id = ?1
             AND NOT EXISTS (SELECT 1 FROM identity WHERE visitor_id = ?1 AND kind IN ('user', 'email'))
         ORDER BY at DESC, identity.id LIMIT 1",
    )?;
    let domain: Option<String> = select.query_row([visitor_id], |row| row.get(0)).optional()?;
    Ok(domain.as_deref().and_then(CompanyKey::domain))
}

/// What was guessed under an id is not kept.
pub(super) fn forget(connection: &Connection, identity_id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM network_guess WHERE identity_id = ?1")?.execute([identity_id]).map(drop)
}
