//! An archive read into a file.

use rusqlite::{Connection, OptionalExtension, params};

use super::clusters::{self, Moved};
use super::topics::{self, Counted};
use super::{company_keys, ingest, statements};
use crate::company::{CompanyKey, CompanyKind};
use crate::received::EntryKind;
use crate::store::archive::{
    AboutRecord, CompanyRecord, DeletionRecord, EntryRecord, IdName, IdentityRecord, Record, SaidRecord,
};

/// Ids that are put together in one piece.
const IDS: i64 = 200;

/// Whether nothing is in the file yet.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let any = "SELECT EXISTS (SELECT 1 FROM identity) OR EXISTS (SELECT 1 FROM company_key)
                   OR EXISTS (SELECT 1 FROM tombstone) OR EXISTS (SELECT 1 FROM deletion)";
    Ok(!connection.query_row(any, [], |row| row.get::<_, bool>(0))?)
}

/// Writes a record.
pub(super) fn restore(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::TombstoneKey(key) => {
            connection.execute("UPDATE installation SET tombstone_key = unhex(?1)", [key]).map(drop)
        }
        Record::Identity(identity) => put_identity(connection, identity),
        Record::About(about) => put_about(connection, about),
        Record::Company(company) => put_company(connection, company),
        Record::Said(said) => put_said(connection, statements::NO_VISITOR, said),
        Record::Entry(entry) => put_entry(connection, entry),
        Record::Tombstone(hash, at, is_whole) => connection
            .prepare_cached("INSERT INTO tombstone (hash, at, is_whole) VALUES (unhex(?1), ?2, ?3)")?
            .execute(params![hash, at, is_whole])
            .map(drop),
        Record::Deletion(deletion) => put_deletion(connection, deletion),
    }
}

/// Puts a piece of the visitors together: who belongs to whom, and which company each is of.
pub(super) fn put_together(connection: &Connection, after: i64) -> rusqlite::Result<Option<i64>> {
    let mut tops = connection.prepare_cached(
        "SELECT id FROM identity WHERE into_id IS NULL AND kind <> 'taken' AND id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let tops = tops.query_map([after, IDS], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let Some(last) = tops.last().copied() else {
        statements::look_again_at(connection, statements::NO_VISITOR)?;
        company_keys::tidy_up(connection)?;
        // All of it stands as it is when it is first looked at: nothing of it goes off.
        connection.execute("DELETE FROM alert_turn", [])?;
        return Ok(None);
    };
    clusters::regroup(connection, &Moved::of(tops))?;
    Ok(Some(last))
}

fn put_identity(connection: &Connection, identity: &IdentityRecord) -> rusqlite::Result<()> {
    let IdentityRecord { id: (kind, value), first_at, decision, seen } = identity;
    let mut insert = connection.prepare_cached(
        "INSERT INTO identity (id, kind, value, visitor_id, first_at, decision, first_seen, last_seen)
         SELECT next, ?1, ?2, next, ?3, ?4, ?5, ?6 FROM (
             SELECT max(coalesce((SELECT max(id) FROM identity), 0), highest_id) + 1 AS next FROM installation)",
    )?;
    let (first_seen, last_seen) = seen.unzip();
    insert.execute(params![kind, value, first_at, decision, first_seen, last_seen]).map(drop)
}

fn row_of(connection: &Connection, (kind, value): &IdName) -> rusqlite::Result<i64> {
    let mut find = connection.prepare_cached("SELECT id FROM identity WHERE kind = ?1 AND value = ?2")?;
    let row = find.query_row([kind, value], |row| row.get(0)).optional()?;
    row.ok_or_else(|| {
        rusqlite::Error::InvalidParameterName(format!("an id that the archive does not have: {kind} {value}"))
    })
}

fn put_about(connection: &Connection, about: &AboutRecord) -> rusqlite::Result<()> {
    let row = row_of(connection, &about.id)?;
    if let Some(into) = &about.into {
        let into = row_of(connection, into)?;
        connection.prepare_cached("UPDATE identity SET into_id = ?2 WHERE id = ?1")?.execute([row, into])?;
    }
    for (owner, rank, at) in &about.claims {
        let owner = row_of(connection, owner)?;
        connection
            .prepare_cached("INSERT INTO claim (identity_id, owner_id, kind, rank, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![row, owner, about.id.0, rank, at])?;
    }
    for (at, what, to) in &about.decisions {
        let to = to.as_ref().map(|to| row_of(connection, to)).transpose()?;
        connection
            .prepare_cached("INSERT INTO decision (at, what, identity_id, to_id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at, what, row, to])?;
    }
    for (name, (value, at)) in &about.traits {
        connection
            .prepare_cached("INSERT INTO trait (identity_id, name, value, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![row, name, value, at])?;
    }
    about.said.iter().try_for_each(|said| put_said(connection, row, said))?;
    if let Some((domain, at)) = &about.guess {
        connection
            .prepare_cached("INSERT INTO network_guess (identity_id, domain, at) VALUES (?1, ?2, ?3)")?
            .execute(params![row, domain, at])?;
    }
    Ok(())
}

/// The domain that it was given with is that of an address, where it names none: that is written when visitors are put together.
fn put_said(connection: &Connection, voter: i64, said: &SaidRecord) -> rusqlite::Result<()> {
    let SaidRecord { domain, group, name, written, by_group_call, at } = said;
    connection
        .prepare_cached(
            "INSERT INTO company_said (voter_id, domain, group_id, name, written, by_group_call, at, given)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?2)",
        )?
        .execute(params![voter, domain, group, name, written, by_group_call, at])
        .map(drop)
}

fn put_company(connection: &Connection, company: &CompanyRecord) -> rusqlite::Result<()> {
    let (kind, value) = &company.id;
    let Some(kind) = CompanyKind::of(kind) else { return Ok(()) };
    let row = company_keys::find_or_insert(connection, &CompanyKey::stored(kind, value.clone()))?;
    connection
        .prepare_cached("UPDATE company_key SET is_told = ?2 WHERE id = ?1")?
        .execute(params![row.id, company.is_told])?;
    for (name, (value, at)) in &company.traits {
        connection
            .prepare_cached("INSERT INTO company_trait (company_key_id, name, value, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![row.id, name, value, at])?;
    }
    Ok(())
}

fn put_entry(connection: &Connection, entry: &EntryRecord) -> rusqlite::Result<()> {
    let EntryRecord { of, kind, name, message_id, at, json } = entry;
    let identity_id = row_of(connection, of)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO entry (identity_id, kind, name, message_id, at, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![identity_id, kind, name, message_id, at, json])?;
    let row = connection.last_insert_rowid();
    let Some(kind) = EntryKind::of(kind) else { return Ok(()) };
    let counted = Counted { identity_id, kind, name: name.as_deref(), at: *at, json };
    ingest::set_topic(connection, row, topics::count(connection, counted)?)
}

fn put_deletion(connection: &Connection, deletion: &DeletionRecord) -> rusqlite::Result<()> {
    let DeletionRecord {
        id,
        requested_at,
        forgotten_at,
        completed_at,
        counts: [visitors, entries, messages],
        others,
        departed,
    } = deletion;
    connection
        .prepare_cached(
            "INSERT INTO deletion (id, requested_at, forgotten_at, purged_at, completed_at, visitors, entries, messages, others)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![id, requested_at, forgotten_at, completed_at, visitors, entries, messages, others])?;
    for ((kind, value), at, is_whole) in departed {
        connection
            .prepare_cached(
                "INSERT INTO departed (deletion_id, kind, value, at, is_whole) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![id, kind, value, at, is_whole])?;
    }
    Ok(())
}
