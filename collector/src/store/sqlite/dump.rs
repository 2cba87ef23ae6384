//! All that a file has, written out.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::archive::{
    AboutRecord, CompanyRecord, DeletionRecord, EntryRecord, IdName, IdentityRecord, Record, SaidRecord, Section,
};

/// Rows of a page; of what is known of ids, ids of one.
const ROWS: i64 = 500;
const IDS: i64 = 50;

/// A page of a section, and the cursor behind it.
pub(super) fn page(
    connection: &Connection,
    section: Section,
    after: i64,
) -> rusqlite::Result<(Vec<Record>, Option<i64>)> {
    match section {
        Section::Installation => {
            let key: Vec<u8> = connection.query_row("SELECT tombstone_key FROM installation", [], |row| row.get(0))?;
            Ok((vec![Record::TombstoneKey(hex::encode(&key))], None))
        }
        Section::Identities => by_id(
            connection,
            "SELECT id, kind, value, first_at, decision, first_seen, last_seen FROM identity
             WHERE kind <> 'taken' AND id > ?1 ORDER BY id LIMIT ?2",
            after,
            |row| {
                let seen = row.get::<_, Option<i64>>(5)?.zip(row.get(6)?);
                let (first_at, decision) = (row.get(3)?, row.get(4)?);
                Ok(Record::Identity(IdentityRecord { id: name_of(row, 1)?, first_at, decision, seen }))
            },
        ),
        Section::About => about_some(connection, after),
        Section::Companies => companies(connection, after.max(0)),
        Section::Said => by_place(
            connection,
            "SELECT domain, group_id, name, written, by_group_call, at FROM company_said WHERE voter_id = 0
             ORDER BY domain, group_id, name LIMIT ?1 OFFSET ?2",
            after,
            |row| Ok(Record::Said(said(row)?)),
        ),
        Section::Entries => by_id(
            connection,
            "SELECT entry.id, identity.kind, identity.value, entry.kind, name, message_id, at, json
             FROM entry CROSS JOIN identity ON identity.id = identity_id AND identity.kind <> 'taken'
             WHERE entry.id > ?1 ORDER BY entry.id LIMIT ?2",
            after,
            |row| {
                Ok(Record::Entry(EntryRecord {
                    of: name_of(row, 1)?,
                    kind: row.get(3)?,
                    name: row.get(4)?,
                    message_id: row.get(5)?,
                    at: row.get(6)?,
                    json: row.get(7)?,
                }))
            },
        ),
        Section::Tombstones => by_place(
            connection,
            "SELECT hash, at, is_whole FROM tombstone ORDER BY hash LIMIT ?1 OFFSET ?2",
            after,
            |row| Ok(Record::Tombstone(hex::encode(row.get_ref(0)?.as_blob()?), row.get(1)?, row.get(2)?)),
        ),
        Section::Deletions => deletions(connection, after.max(0)),
    }
}

/// A page in the order of the first column.
fn by_id(
    connection: &Connection,
    sql: &str,
    after: i64,
    record: impl Fn(&Row<'_>) -> rusqlite::Result<Record>,
) -> rusqlite::Result<(Vec<Record>, Option<i64>)> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([after, ROWS], |row| Ok((row.get::<_, i64>(0)?, record(row)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let last = rows.last().map(|(id, _)| *id);
    Ok((rows.into_iter().map(|(_, record)| record).collect(), last))
}

/// A page of what is little.
fn by_place(
    connection: &Connection,
    sql: &str,
    after: i64,
    record: impl Fn(&Row<'_>) -> rusqlite::Result<Record>,
) -> rusqlite::Result<(Vec<Record>, Option<i64>)> {
    let place = after.max(0);
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map([ROWS, place], record)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let next = (!rows.is_empty()).then_some(place + ROWS);
    Ok((rows, next))
}

fn about_some(connection: &Connection, after: i64) -> rusqlite::Result<(Vec<Record>, Option<i64>)> {
    let mut select = connection.prepare_cached(
        "SELECT identity.id, identity.kind, identity.value, owner.kind, owner.value
         FROM identity LEFT JOIN identity AS owner ON owner.id = identity.into_id
         WHERE identity.kind <> 'taken' AND identity.id > ?1 ORDER BY identity.id LIMIT ?2",
    )?;
    let rows = select.query_map([after, IDS], |row| {
        let into = row.get::<_, Option<String>>(3)?.zip(row.get(4)?);
        Ok((row.get(0)?, AboutRecord { id: name_of(row, 1)?, into, ..AboutRecord::default() }))
    })?;
    let (mut records, mut last) = (Vec::new(), None);
    for row in rows.collect::<rusqlite::Result<Vec<(i64, AboutRecord)>>>()? {
        let (id, about) = row;
        last = Some(id);
        let about = about_one(connection, id, about)?;
        if !about.is_empty() {
            records.push(Record::About(Box::new(about)));
        }
    }
    Ok((records, last))
}

fn about_one(connection: &Connection, id: i64, mut about: AboutRecord) -> rusqlite::Result<AboutRecord> {
    let mut claims = connection.prepare_cached(
        "SELECT owner.kind, owner.value, rank, at FROM claim CROSS JOIN identity AS owner ON owner.id = owner_id
         WHERE identity_id = ?1 AND owner.kind <> 'taken'",
    )?;
    let rows = claims.query_map([id], |row| Ok((name_of(row, 0)?, row.get(2)?, row.get(3)?)))?;
    about.claims = rows.collect::<rusqlite::Result<_>>()?;
    about.claims.sort();
    let mut decisions = connection.prepare_cached(
        "SELECT at, what, other.kind, other.value FROM decision LEFT JOIN identity AS other ON other.id = to_id
         WHERE identity_id = ?1 AND other.kind IS NOT 'taken' ORDER BY decision.id",
    )?;
    let rows = decisions.query_map([id], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?.zip(row.get::<_, Option<String>>(3)?)))
    })?;
    about.decisions = rows.collect::<rusqlite::Result<_>>()?;
    let mut traits = connection.prepare_cached("SELECT name, value, at FROM trait WHERE identity_id = ?1")?;
    let rows = traits.query_map([id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    about.traits = rows.collect::<rusqlite::Result<_>>()?;
    let mut statements = connection.prepare_cached(
        "SELECT domain, group_id, name, written, by_group_call, at FROM company_said WHERE voter_id = ?1",
    )?;
    about.said = statements.query_map([id], said)?.collect::<rusqlite::Result<_>>()?;
    about.said.sort();
    let mut guess = connection.prepare_cached("SELECT domain, at FROM network_guess WHERE identity_id = ?1")?;
    about.guess = guess.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(about)
}

/// Identities of companies of which more is known than that visitors name them.
fn companies(connection: &Connection, place: i64) -> rusqlite::Result<(Vec<Record>, Option<i64>)> {
    let mut select = connection.prepare_cached(
        "SELECT id, kind, value, is_told FROM company_key
         WHERE is_told OR EXISTS (SELECT 1 FROM company_trait WHERE company_key_id = company_key.id)
         ORDER BY kind, value LIMIT ?1 OFFSET ?2",
    )?;
    let rows = select.query_map([IDS, place], |row| {
        let company =
            CompanyRecord { id: name_of(row, 1)?, is_told: row.get(3)?, traits: std::collections::BTreeMap::new() };
        Ok((row.get::<_, i64>(0)?, company))
    })?;
    let mut traits =
        connection.prepare_cached("SELECT name, value, at FROM company_trait WHERE company_key_id = ?1")?;
    let mut records = Vec::new();
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        let (id, mut company) = row;
        let rows = traits.query_map([id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        company.traits = rows.collect::<rusqlite::Result<_>>()?;
        records.push(Record::Company(company));
    }
    let next = (!records.is_empty()).then_some(place + IDS);
    Ok((records, next))
}

fn deletions(connection: &Connection, place: i64) -> rusqlite::Result<(Vec<Record>, Option<i64>)> {
    let mut select = connection.prepare_cached(
        "SELECT id, requested_at, forgotten_at, completed_at, visitors, entries, messages, others FROM deletion
         ORDER BY id LIMIT ?1 OFFSET ?2",
    )?;
    let rows = select.query_map([ROWS, place], |row| {
        Ok(DeletionRecord {
            id: row.get(0)?,
            requested_at: row.get(1)?,
            forgotten_at: row.get(2)?,
            completed_at: row.get(3)?,
            counts: [row.get(4)?, row.get(5)?, row.get(6)?],
            others: row.get(7)?,
            departed: Vec::new(),
        })
    })?;
    let mut departed = connection
        .prepare_cached("SELECT kind, value, at, is_whole FROM departed WHERE deletion_id = ?1 ORDER BY kind, value")?;
    let mut records = Vec::new();
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        let mut deletion = row;
        let rows = departed.query_map(params![deletion.id], |row| Ok((name_of(row, 0)?, row.get(2)?, row.get(3)?)))?;
        deletion.departed = rows.collect::<rusqlite::Result<_>>()?;
        records.push(Record::Deletion(Box::new(deletion)));
    }
    let next = (!records.is_empty()).then_some(place + ROWS);
    Ok((records, next))
}

fn name_of(row: &Row<'_>, column: usize) -> rusqlite::Result<IdName> {
    Ok((row.get(column)?, row.get(column + 1)?))
}

fn said(row: &Row<'_>) -> rusqlite::Result<SaidRecord> {
    Ok(SaidRecord {
        domain: row.get(0)?,
        group: row.get(1)?,
        name: row.get(2)?,
        written: row.get(3)?,
        by_group_call: row.get(4)?,
        at: row.get(5)?,
    })
}
