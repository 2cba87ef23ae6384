//! The rows of traits: what was said of each last. They hang on the id that it was said under, and are put together for a visitor
//! when they are read, so that a split takes each with its id.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use crate::company::{TRAITS_OF_COMPANY, WhatIsSaid};
use crate::store::traits::{Kept, Latest, MOST_BYTES, MOST_TRAITS};

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
    let mut kept = Kept::default();
    let mut select = connection.prepare_cached(&format!("SELECT name, value, at FROM {table} WHERE {of} = ?1"))?;
    let mut rows = select.query([identity_id])?;
    while let Some(row) = rows.next()? {
        kept.put(row.get(0)?, row.get(1)?, row.get(2)?);
    }
    let mut put = connection.prepare_cached(&format!(
        "INSERT INTO {table} ({of}, name, value, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT ({of}, name) DO UPDATE SET value = excluded.value, at = excluded.at"
    ))?;
    let changed = kept.merge(traits, at);
    for (name, (value, at)) in changed.iter().filter_map(|name| Some((name, kept.get(name)?))) {
        put.execute(params![identity_id, name, value, at])?;
    }
    if kept.too_many > 0 {
        tracing::warn!(
            table,
            of = identity_id,
            traits = kept.too_many,
            "traits are not kept: an id has at most {MOST_TRAITS} of them, in {MOST_BYTES} bytes"
        );
    }
    Ok(!changed.is_empty())
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
    let mut latest = Latest::default();
    let mut rows = select.query([of])?;
    while let Some(row) = rows.next()? {
        latest.put(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, row.get(2)?);
    }
    Ok(latest.into_map())
}
