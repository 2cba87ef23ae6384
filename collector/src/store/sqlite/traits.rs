//! The rows of traits: what was said of each last. They hang on the id that it was said under, and are put together for a visitor
//! when they are read, so that a split takes each with its id.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use crate::company::{TRAITS_OF_COMPANY, WhatIsSaid};

/// The most traits of an id, and of a visitor: people have some tens, and who sends traits without end is no help.
const MOST_TRAITS: usize = 300;
/// The most bytes of their names and values together.
const MOST_BYTES: usize = 128 * 1024;

/// Traits that the pages show or that a company is told by, as Segment's spec names them
/// (<https://segment.com/docs/connections/spec/identify/#traits>).
const OF_PAGES: [&str; 16] = [
    "$account",
    "account",
    "company",
    "companyName",
    "domain",
    "email",
    "employees",
    "firstName",
    "first_name",
    "industry",
    "lastName",
    "last_name",
    "name",
    "phone",
    "plan",
    "title",
];
/// Such a trait is a name or a small object.
const LONGEST_OF_PAGES: usize = 4 * 1024;

fn is_of_pages(name: &str, value: &str) -> bool {
    value.len() <= LONGEST_OF_PAGES && OF_PAGES.contains(&name)
}

/// Where traits are kept, and the column of what they are of.
#[derive(Clone, Copy)]
pub(super) struct Table {
    name: &'static str,
    of: &'static str,
}

/// Those of visitors' ids.
pub(super) const OF_IDENTITY: Table = Table { name: "trait", of: "identity_id" };
/// Those of companies' identities.
pub(super) const OF_COMPANY: Table = Table { name: "company_trait", of: "company_key_id" };

/// What was said of a trait last counts, whatever order it comes in. Tells whether anything of it was: the same said anew may
/// outdo what was said in between under another id.
pub(super) fn merge(
    connection: &Connection,
    Table { name: table, of }: Table,
    identity_id: i64,
    traits: &Map<String, Value>,
    at: i64,
) -> rusqlite::Result<bool> {
    if traits.is_empty() {
        return Ok(false);
    }
    let mut size = connection.prepare_cached(&format!(
        "SELECT count(*), coalesce(sum(length(CAST(name AS BLOB)) + length(CAST(value AS BLOB))), 0) FROM {table}
         WHERE {of} = ?1"
    ))?;
    let (count, bytes): (u32, u32) = size.query_row([identity_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut count, mut bytes) = (count as usize, bytes as usize);
    let mut find =
        connection.prepare_cached(&format!("SELECT value, at FROM {table} WHERE {of} = ?1 AND name = ?2"))?;
    let mut put = connection.prepare_cached(&format!(
        "INSERT INTO {table} ({of}, name, value, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT ({of}, name) DO UPDATE SET value = excluded.value, at = excluded.at"
    ))?;
    let (mut is_changed, mut too_many) = (false, 0_usize);
    for (name, value) in traits {
        let value = value.to_string();
        let before: Option<(String, i64)> =
            find.query_row(params![identity_id, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if before.as_ref().is_some_and(|(before, said_at)| *said_at > at || (*said_at == at && *before == value)) {
            continue;
        }
        let bytes_after = match &before {
            Some((before, _)) => (bytes + value.len()).saturating_sub(before.len()),
            None => bytes + name.len() + value.len(),
        };
        let count_after = if before.is_none() { count + 1 } else { count };
        // Room is kept for what the pages are made of: whoever came first with junk does not shut it out.
        let (most_traits, most_bytes) =
            if is_of_pages(name, &value) { (2 * MOST_TRAITS, 2 * MOST_BYTES) } else { (MOST_TRAITS, MOST_BYTES) };
        if (count_after > count && count_after > most_traits) || (bytes_after > bytes && bytes_after > most_bytes) {
            too_many += 1;
            continue;
        }
        put.execute(params![identity_id, name, value, at])?;
        (count, bytes) = (count_after, bytes_after);
        is_changed = true;
    }
    if too_many > 0 {
        tracing::warn!(
            table,
            of = identity_id,
            traits = too_many,
            "traits are not kept: an id has at most {MOST_TRAITS} of them, in {MOST_BYTES} bytes"
        );
    }
    Ok(is_changed)
}

/// A visitor's latest traits, by name: of what was said under each of the ids, what was said last.
///
/// The strongest ids come first, so that what is said under many weak ones cannot push out what is said under the strong.
pub(super) fn of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Map<String, Value>> {
    latest(
        connection,
        "SELECT trait.name, trait.value, trait.at FROM identity CROSS JOIN trait ON trait.identity_id = identity.id
         WHERE identity.visitor_id = ?1 ORDER BY identity.kind = 'user' DESC, identity.kind = 'email' DESC, identity.id",
        visitor_id,
    )
}

/// The traits that say of which company a visitor is, each as it was said last.
pub(super) fn of_company_of(connection: &Connection, visitor_id: i64) -> rusqlite::Result<Vec<WhatIsSaid>> {
    let mut select = connection.prepare_cached(
        "SELECT trait.value, trait.at FROM identity CROSS JOIN trait ON trait.identity_id = identity.id AND trait.name = ?2
         WHERE identity.visitor_id = ?1 ORDER BY trait.at DESC, identity.kind = 'user' DESC, identity.kind = 'email' DESC, identity.id
         LIMIT 1",
    )?;
    let mut said = Vec::new();
    for name in TRAITS_OF_COMPANY {
        let latest = select.query_row(params![visitor_id, name], |row| {
            let value = serde_json::from_str(row.get_ref(0)?.as_str()?).unwrap_or_default();
            Ok(WhatIsSaid { of_trait: name.to_owned(), value, at: row.get(1)? })
        });
        said.extend(latest.optional()?);
    }
    Ok(said)
}

/// Of rows of name, value and time what was said of each last, of two that were said at once the first.
pub(super) fn latest(connection: &Connection, sql: &str, of: i64) -> rusqlite::Result<Map<String, Value>> {
    let mut select = connection.prepare_cached(sql)?;
    let mut latest: BTreeMap<String, (i64, String)> = BTreeMap::new();
    let (mut rows, mut bytes) = (select.query([of])?, 0);
    while let Some(row) = rows.next()? {
        let (name, value, at) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, row.get(2)?);
        let length = name.len() + value.len();
        if let Some((said_at, before)) = latest.get_mut(name) {
            if at > *said_at {
                (*said_at, *before) = (at, value.to_owned());
            }
        } else if (latest.len() < MOST_TRAITS && bytes + length <= MOST_BYTES) || is_of_pages(name, value) {
            latest.insert(name.to_owned(), (at, value.to_owned()));
            bytes += length;
        }
    }
    let traits = latest.into_iter().map(|(name, (_, value))| (name, serde_json::from_str(&value).unwrap_or_default()));
    Ok(traits.filter(|(_, value): &(String, Value)| !value.is_null()).collect())
}
