//! All that a database has, written out. Its statements are not prepared: they run once in a long time.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::body;
use super::error::PostgresError;
use super::sql::{Sql, statements};
use super::transaction::Transaction;
use crate::store::archive::{
    AboutRecord, CompanyRecord, DeletionRecord, EntryRecord, IdName, IdentityRecord, Record, SaidRecord, Section,
};

statements! {
    KEY = "SELECT tombstone_key FROM installation WHERE id = 1";
    IDENTITIES = "SELECT id, kind, value, first_at, decision, first_seen, last_seen FROM identity
                  WHERE kind <> 'taken' AND id > $1 ORDER BY id LIMIT $2";
    POINTERS = "SELECT identity.id, identity.kind, identity.value, owner.kind, owner.value
                FROM identity LEFT JOIN identity AS owner ON owner.id = identity.into_id
                WHERE identity.kind <> 'taken' AND identity.id > $1 ORDER BY identity.id LIMIT $2";
    CLAIMS = "SELECT identity_id, owner.kind, owner.value, rank, at FROM claim
              JOIN identity AS owner ON owner.id = claim.owner_id AND owner.kind <> 'taken'
              WHERE identity_id = ANY($1::bigint[])";
    DECISIONS = "SELECT identity_id, other.kind, other.value, at, what FROM decision
                 LEFT JOIN identity AS other ON other.id = decision.to_id
                 WHERE identity_id = ANY($1::bigint[]) AND coalesce(other.kind, '') <> 'taken' ORDER BY decision.id";
    TRAITS = "SELECT identity_id, name, value, at FROM trait WHERE identity_id = ANY($1::bigint[])";
    STATEMENTS = "SELECT voter_id, domain, group_id, name, written, by_group_call, at FROM company_said
                  WHERE voter_id = ANY($1::bigint[])";
    GUESSES = "SELECT identity_id, domain, at FROM network_guess WHERE identity_id = ANY($1::bigint[])";
    COMPANIES = "SELECT key, is_told FROM company_key
                 WHERE is_told OR EXISTS (SELECT 1 FROM company_trait WHERE company_trait.company_key = company_key.key)
                 ORDER BY key LIMIT $1 OFFSET $2";
    COMPANY_TRAITS = "SELECT company_key, name, value, at FROM company_trait WHERE company_key = ANY($1::text[])";
    SAID = "SELECT voter_id, domain, group_id, name, written, by_group_call, at FROM company_said WHERE voter_id = 0
            ORDER BY domain, group_id, name LIMIT $1 OFFSET $2";
    ENTRIES = "SELECT entry.id, identity.kind, identity.value, entry.kind, entry.name, message_id, message_key, at, body
               FROM entry JOIN identity ON identity.id = entry.identity_id AND identity.kind <> 'taken'
               WHERE entry.id > $1 ORDER BY entry.id LIMIT $2";
    TOMBSTONES = "SELECT hash, at, is_whole FROM tombstone ORDER BY hash LIMIT $1 OFFSET $2";
    DELETIONS = "SELECT id, requested_at, forgotten_at, completed_at, visitors, entries, messages, coalesce(others, 0) FROM deletion
                 ORDER BY id LIMIT $1 OFFSET $2";
    DEPARTED = "SELECT kind, value, at, is_whole, deletion_id FROM departed WHERE deletion_id = ANY($1::text[])
                ORDER BY kind, value";
}

/// Rows of a page; of what is known of ids, ids of one.
const ROWS: i64 = 500;
const IDS: i64 = 50;

/// A page of a section, and the cursor behind it.
pub(super) async fn page(
    transaction: &Transaction,
    section: Section,
    after: i64,
) -> Result<(Vec<Record>, Option<i64>), PostgresError> {
    transaction.begin().await?;
    let place = after.max(0);
    let page = match section {
        Section::Installation => {
            let row = transaction.query_rare(KEY, &[]).await?;
            let keys = row.iter().map(|row| Ok(Record::TombstoneKey(hex::encode(row.try_get::<_, &[u8]>(0)?))));
            (keys.collect::<Result<_, PostgresError>>()?, None)
        }
        Section::Identities => by_id(&transaction.query_rare(IDENTITIES, &[&after, &ROWS]).await?, identity)?,
        Section::About => about(transaction, after).await?,
        Section::Companies => companies(transaction, place).await?,
        Section::Said => by_place(transaction, SAID, place, |row| Ok(Record::Said(said(row)?))).await?,
        Section::Entries => by_id(&transaction.query_rare(ENTRIES, &[&after, &ROWS]).await?, entry)?,
        Section::Tombstones => {
            by_place(transaction, TOMBSTONES, place, |row| {
                Ok(Record::Tombstone(hex::encode(row.try_get::<_, &[u8]>(0)?), row.try_get(1)?, row.try_get(2)?))
            })
            .await?
        }
        Section::Deletions => deletions(transaction, place).await?,
    };
    transaction.commit().await?;
    Ok(page)
}

type Page = (Vec<Record>, Option<i64>);

/// A page in the order of the first column.
fn by_id(rows: &[Row], record: impl Fn(&Row) -> Result<Record, PostgresError>) -> Result<Page, PostgresError> {
    let last = rows.last().map(|row| row.try_get(0)).transpose()?;
    Ok((rows.iter().map(record).collect::<Result<_, _>>()?, last))
}

/// A page of what is little.
async fn by_place(
    transaction: &Transaction,
    sql: Sql,
    place: i64,
    record: impl Fn(&Row) -> Result<Record, PostgresError>,
) -> Result<Page, PostgresError> {
    let rows = transaction.query_rare(sql, &[&ROWS, &place]).await?;
    let next = (!rows.is_empty()).then_some(place + ROWS);
    Ok((rows.iter().map(record).collect::<Result<_, _>>()?, next))
}

fn identity(row: &Row) -> Result<Record, PostgresError> {
    let seen = row.try_get::<_, Option<i64>>(5)?.zip(row.try_get(6)?);
    let (first_at, decision) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Record::Identity(IdentityRecord { id: name_of(row, 1)?, first_at, decision, seen }))
}

fn entry(row: &Row) -> Result<Record, PostgresError> {
    // What stands for the message id is it, unless it is long.
    let message_id: Option<String> = row.try_get(5)?;
    Ok(Record::Entry(EntryRecord {
        of: name_of(row, 1)?,
        kind: row.try_get(3)?,
        name: row.try_get(4)?,
        message_id: message_id.map_or_else(|| row.try_get(6), |id| Ok(Some(id)))?,
        at: row.try_get(7)?,
        json: body::unpack(row.try_get(8)?)?.into_owned(),
    }))
}

async fn about(transaction: &Transaction, after: i64) -> Result<Page, PostgresError> {
    let rows = transaction.query_rare(POINTERS, &[&after, &IDS]).await?;
    let mut all: BTreeMap<i64, AboutRecord> = BTreeMap::new();
    for row in &rows {
        let into = other_of(row, 3)?;
        all.insert(row.try_get(0)?, AboutRecord { id: name_of(row, 1)?, into, ..AboutRecord::default() });
    }
    let ids: Vec<i64> = all.keys().copied().collect();
    for row in &transaction.query_rare(CLAIMS, &[&ids]).await? {
        let claim = (name_of(row, 1)?, row.try_get(3)?, row.try_get(4)?);
        of(&mut all, row)?.claims.push(claim);
    }
    for row in &transaction.query_rare(DECISIONS, &[&ids]).await? {
        let decision = (row.try_get(3)?, row.try_get(4)?, other_of(row, 1)?);
        of(&mut all, row)?.decisions.push(decision);
    }
    for row in &transaction.query_rare(TRAITS, &[&ids]).await? {
        of(&mut all, row)?.traits.insert(row.try_get(1)?, (row.try_get(2)?, row.try_get(3)?));
    }
    for row in &transaction.query_rare(STATEMENTS, &[&ids]).await? {
        let statement = said(row)?;
        of(&mut all, row)?.said.push(statement);
    }
    for row in &transaction.query_rare(GUESSES, &[&ids]).await? {
        of(&mut all, row)?.guess = Some((row.try_get(1)?, row.try_get(2)?));
    }
    let last = ids.last().copied();
    let sorted = all.into_values().filter(|about| !about.is_empty()).map(|mut about| {
        about.claims.sort();
        about.said.sort();
        Record::About(Box::new(about))
    });
    Ok((sorted.collect(), last))
}

/// The id that a row is of, by its first column.
fn of<'a>(all: &'a mut BTreeMap<i64, AboutRecord>, row: &Row) -> Result<&'a mut AboutRecord, PostgresError> {
    let id: i64 = row.try_get(0)?;
    all.get_mut(&id).ok_or(PostgresError::Row("an id that was not asked for"))
}

/// Identities of companies of which more is known than that visitors name them.
async fn companies(transaction: &Transaction, place: i64) -> Result<Page, PostgresError> {
    let rows = transaction.query_rare(COMPANIES, &[&IDS, &place]).await?;
    let mut all: BTreeMap<String, CompanyRecord> = BTreeMap::new();
    for row in &rows {
        let key: String = row.try_get(0)?;
        let Some((kind, value)) = key.split_once(':') else { continue };
        let id = (kind.to_owned(), value.to_owned());
        all.insert(key, CompanyRecord { id, is_told: row.try_get(1)?, traits: BTreeMap::new() });
    }
    let keys: Vec<&str> = all.keys().map(String::as_str).collect();
    let traits = transaction.query_rare(COMPANY_TRAITS, &[&keys]).await?;
    for row in &traits {
        let company = all.get_mut(row.try_get::<_, &str>(0)?).ok_or(PostgresError::Row("a company's trait"))?;
        company.traits.insert(row.try_get(1)?, (row.try_get(2)?, row.try_get(3)?));
    }
    let next = (!rows.is_empty()).then_some(place + IDS);
    Ok((all.into_values().map(Record::Company).collect(), next))
}

async fn deletions(transaction: &Transaction, place: i64) -> Result<Page, PostgresError> {
    let rows = transaction.query_rare(DELETIONS, &[&ROWS, &place]).await?;
    let mut all: BTreeMap<String, DeletionRecord> = BTreeMap::new();
    for row in &rows {
        let id: String = row.try_get(0)?;
        let counts = [row.try_get(4)?, row.try_get(5)?, row.try_get(6)?];
        let (forgotten_at, completed_at) = (row.try_get(2)?, row.try_get(3)?);
        let (requested_at, others, departed) = (row.try_get(1)?, row.try_get(7)?, Vec::new());
        let record = DeletionRecord { id, requested_at, forgotten_at, completed_at, counts, others, departed };
        all.insert(record.id.clone(), record);
    }
    let ids: Vec<&str> = all.keys().map(String::as_str).collect();
    let departed = transaction.query_rare(DEPARTED, &[&ids]).await?;
    for row in &departed {
        let deletion = all.get_mut(row.try_get::<_, &str>(4)?).ok_or(PostgresError::Row("a deletion's id"))?;
        deletion.departed.push((name_of(row, 0)?, row.try_get(2)?, row.try_get(3)?));
    }
    let next = (!rows.is_empty()).then_some(place + ROWS);
    Ok((all.into_values().map(|deletion| Record::Deletion(Box::new(deletion))).collect(), next))
}

fn name_of(row: &Row, column: usize) -> Result<IdName, PostgresError> {
    Ok((row.try_get(column)?, row.try_get(column + 1)?))
}

fn other_of(row: &Row, column: usize) -> Result<Option<IdName>, PostgresError> {
    Ok(row.try_get::<_, Option<String>>(column)?.zip(row.try_get(column + 1)?))
}

/// A statement, behind whose it is.
fn said(row: &Row) -> Result<SaidRecord, PostgresError> {
    Ok(SaidRecord {
        domain: row.try_get(1)?,
        group: row.try_get(2)?,
        name: row.try_get(3)?,
        written: row.try_get(4)?,
        by_group_call: row.try_get(5)?,
        at: row.try_get(6)?,
    })
}
