//! What a file of an earlier version needs beside its new tables.

use koala_destination::clock::now_milliseconds;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use super::topics::{self, Counted};
use super::{accounts, company_keys, identities, ingest, statements};
use crate::company::{self, Account, Said};
use crate::received::{EntryKind, ReceivedEntry};

/// Entries that are read at once.
const ENTRIES_AT_ONCE: u32 = 2000;

/// Counts what was done under each id, has companies be what their visitors say, and visitors be of them.
pub(super) fn to_version_6(connection: &Connection) -> rusqlite::Result<()> {
    let mut behind = -1;
    while let Some(last) = count_some(connection, behind)? {
        behind = last;
    }
    read_traits(connection)?;
    read_accounts(connection)?;
    let mut ids = connection.prepare("SELECT id FROM visitor")?;
    let ids = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.into_iter().try_for_each(|id| accounts::assign_by_what_is_said(connection, id))?;
    company_keys::tidy_up(connection)?;
    connection.execute_batch(
        "UPDATE visitor SET excluded = 0; UPDATE company SET excluded = 0;
         DROP TABLE account; ALTER TABLE visitor DROP COLUMN account;",
    )
}

/// Counts some entries behind a row, and reads what they say of companies. Gives back the last row.
fn count_some(connection: &Connection, behind: i64) -> rusqlite::Result<Option<i64>> {
    let mut select = connection
        .prepare_cached("SELECT id, identity_id, kind, name, at, json FROM entry WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = select.query_map(params![behind, ENTRIES_AT_ONCE], |row| {
        let kind = EntryKind::of(row.get_ref(2)?.as_str()?);
        Ok((row.get(0)?, row.get(1)?, kind, row.get::<_, Option<String>>(3)?, row.get(4)?, row.get::<_, String>(5)?))
    })?;
    let mut last = None;
    for row in rows.collect::<rusqlite::Result<Vec<(i64, i64, _, _, i64, _)>>>()? {
        let (id, identity_id, kind, name, at, json) = row;
        last = Some(id);
        let Some(kind) = kind else { continue };
        let counted = Counted { identity_id, kind, name: name.as_deref(), at, json: &json };
        ingest::set_topic(connection, id, topics::count(connection, counted)?)?;
        if let Some(entry) = ReceivedEntry::of_stored_identify(kind, &json) {
            let said = entry.said();
            if let (Some(traits), Some(said)) = (&entry.traits_of_company, said.first()) {
                accounts::keep_traits(connection, None, said, traits, at)?;
            }
            for said in said {
                note(connection, identity_id, &said, at)?;
            }
        }
    }
    Ok(last)
}

/// What was said at the top of requests stands in no entry, but among the traits.
fn read_traits(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare(
        "SELECT identity_id, name, value, at FROM trait WHERE name IN ('$account', 'company', 'domain') ORDER BY identity_id",
    )?;
    let rows = select.query_map([], |row| {
        let value: Value = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
        Ok((row.get(0)?, row.get::<_, String>(1)?, value, row.get(3)?))
    })?;
    for row in rows.collect::<rusqlite::Result<Vec<(i64, _, _, i64)>>>()? {
        let (identity_id, name, value, at) = row;
        for said in Said::of_traits(&Map::from_iter([(name, value)])) {
            note(connection, identity_id, &said, at)?;
        }
    }
    Ok(())
}

fn note(connection: &Connection, identity_id: i64, said: &Said, at: i64) -> rusqlite::Result<()> {
    let Some(visitor_id) = identities::visitor_of_row(connection, identity_id)? else { return Ok(()) };
    let emails = identities::emails(connection, visitor_id)?;
    let given = emails.iter().find_map(|email| company::of_address(email));
    statements::note(connection, identity_id, given.as_deref(), said, at)
}

/// What requests about companies alone have said of them. A name of which it is not known who said it is one visitor's word.
fn read_accounts(connection: &Connection) -> rusqlite::Result<()> {
    let now = now_milliseconds();
    let mut select =
        connection.prepare("SELECT domain, name, traits FROM account WHERE domain IS NOT NULL OR traits <> '{}'")?;
    let rows = select.query_map([], |row| {
        let traits: Map<String, Value> = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?, traits))
    })?;
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        let (domain, name, traits) = row;
        let account = Account { domain, group_id: None, name };
        let said = Said { by_group_call: false, ..Said::of_account(&account) };
        if !traits.is_empty() {
            accounts::keep(connection, &[(account, traits)])?;
        } else if said.name.is_some() {
            statements::note(connection, statements::NO_VISITOR, None, &said, now)?;
        }
    }
    Ok(())
}
