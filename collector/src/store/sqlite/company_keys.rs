//! The rows of companies' identities, and the companies that their pointers make of them.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::company_names;
use crate::company::{CompanyKey, CompanyKind};

/// A row: its number, what it belongs to, and its company.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRow {
    pub(super) id: i64,
    pub(super) into_id: Option<i64>,
    pub(super) company_id: i64,
}

pub(super) fn find(connection: &Connection, key: &CompanyKey) -> rusqlite::Result<Option<KeyRow>> {
    let mut find =
        connection.prepare_cached("SELECT id, into_id, company_id FROM company_key WHERE kind = ?1 AND value = ?2")?;
    let row = find.query_row(params![key.kind.name(), key.value], |row| {
        Ok(KeyRow { id: row.get(0)?, into_id: row.get(1)?, company_id: row.get(2)? })
    });
    row.optional()
}

/// The row of an identity; it is made where there is none, and then is a company of its own.
pub(super) fn find_or_insert(connection: &Connection, key: &CompanyKey) -> rusqlite::Result<KeyRow> {
    if let Some(row) = find(connection, key)? {
        return Ok(row);
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO company_key (kind, value, company_id) VALUES (?1, ?2, 0) RETURNING id")?;
    let id: i64 = insert.query_row(params![key.kind.name(), key.value], |row| row.get(0))?;
    connection.prepare_cached("UPDATE company_key SET company_id = id WHERE id = ?1")?.execute([id])?;
    refresh(connection, id)?;
    Ok(KeyRow { id, into_id: None, company_id: id })
}

/// The domain that a group's id belongs to, where it belongs to one.
pub(super) fn domain_of_group(connection: &Connection, group_id: &str) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached(
        "SELECT domain.value FROM company_key AS one JOIN company_key AS domain ON domain.id = one.into_id
         WHERE one.kind = 'group' AND one.value = ?1",
    )?;
    select.query_row([group_id], |row| row.get(0)).optional()
}

/// Has an identity belong to another one, or to none. What leads to it comes along, and its visitors.
pub(super) fn point(connection: &Connection, row: KeyRow, into: Option<i64>) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE company_key SET into_id = ?2 WHERE id = ?1")?.execute(params![row.id, into])?;
    let mut tops = BTreeSet::from([top_of(connection, row.id)?]);
    if let Some(before) = row.into_id {
        tops.insert(top_of(connection, before)?);
    }
    regroup(connection, &tops)?;
    if let Some(before) = row.into_id {
        leave(connection, before)?;
    }
    if into.is_none() { leave(connection, row.id) } else { Ok(()) }
}

/// Puts companies together anew: each identity has the number of its company, and each visitor of one.
fn regroup(connection: &Connection, tops: &BTreeSet<i64>) -> rusqlite::Result<()> {
    let mut assign = connection.prepare_cached("UPDATE company_key SET company_id = ?2 WHERE id = ?1")?;
    let mut move_visitors =
        connection.prepare_cached("UPDATE visitor SET company_id = ?2 WHERE company_key_id = ?1")?;
    let mut companies = BTreeSet::new();
    for top in tops {
        let members = members_of(connection, *top)?;
        let Some(company_id) = members.iter().map(|(id, _)| *id).min() else { continue };
        companies.insert(company_id);
        for (id, before) in members {
            if before != company_id {
                companies.insert(before);
                assign.execute([id, company_id])?;
                move_visitors.execute([id, company_id])?;
            }
        }
    }
    companies.into_iter().try_for_each(|company_id| refresh(connection, company_id))
}

/// A company with all that leads to it has one step from a name to a group's id at most, and one from there to a domain.
fn top_of(connection: &Connection, id: i64) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT into_id FROM company_key WHERE id = ?1")?;
    let mut top = id;
    for _ in CompanyKind::ALL {
        let Some(Some(into)) = select.query_row([top], |row| row.get(0)).optional()? else { break };
        top = into;
    }
    Ok(top)
}

fn members_of(connection: &Connection, top: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut select = connection.prepare_cached(
        "WITH RECURSIVE member (id) AS (
             SELECT ?1 UNION SELECT company_key.id FROM member CROSS JOIN company_key ON company_key.into_id = member.id)
         SELECT company_key.id, company_id FROM member CROSS JOIN company_key ON company_key.id = member.id",
    )?;
    select.query_map([top], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Says anew what a company is called and by which domain it is known. One that no identity leads to is gone.
pub(super) fn refresh(connection: &Connection, company_id: i64) -> rusqlite::Result<()> {
    let mut keys = connection.prepare_cached(
        "SELECT kind, value FROM company_key WHERE company_id = ?1 ORDER BY into_id IS NOT NULL, value",
    )?;
    let keys = keys.query_map([company_id], |row| {
        Ok((CompanyKind::of(row.get_ref(0)?.as_str()?).unwrap_or(CompanyKind::Name), row.get::<_, String>(1)?))
    })?;
    let keys = keys.collect::<rusqlite::Result<Vec<_>>>()?;
    let Some((_, key)) = keys.first() else {
        connection.prepare_cached("DELETE FROM company WHERE id = ?1")?.execute([company_id])?;
        return Ok(());
    };
    let domain = keys.iter().find(|(kind, _)| *kind == CompanyKind::Domain).map(|(_, value)| value.as_str());
    let name = company_names::name_of_company(connection, company_id, &keys)?;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO company (id, key, domain, name) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET key = excluded.key, domain = excluded.domain, name = excluded.name, excluded = NULL",
    )?;
    upsert.execute(params![company_id, key, domain, name]).map(drop)
}

/// A visitor or a pointer has left an identity. It is forgotten when all is done that is under way, if nothing is left of it then:
/// who goes may come back in the same piece of work, and a company keeps its number.
pub(super) fn leave(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE company_key SET is_left = 1 WHERE id = ?1")?.execute([id]).map(drop)
}

/// Forgets what was left and is used by nobody.
pub(super) fn tidy_up(connection: &Connection) -> rusqlite::Result<()> {
    let mut left = connection.prepare_cached("SELECT id FROM company_key WHERE is_left LIMIT 1")?;
    while let Some(id) = left.query_row([], |row| row.get::<_, i64>(0)).optional()? {
        connection.prepare_cached("UPDATE company_key SET is_left = 0 WHERE id = ?1")?.execute([id])?;
        tidy(connection, id)?;
    }
    Ok(())
}

/// Forgets an identity that no visitor is of, nothing leads to and nothing is said of.
fn tidy(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let mut used = connection.prepare_cached(
        "SELECT into_id, company_id,
                is_told OR EXISTS (SELECT 1 FROM visitor WHERE company_key_id = one.id)
                OR EXISTS (SELECT 1 FROM company_key AS other WHERE other.into_id = one.id)
                OR (kind = 'group' AND EXISTS (SELECT 1 FROM company_said WHERE group_id = one.value AND group_id <> ''))
                OR (kind = 'name' AND into_id IS NOT NULL AND EXISTS (SELECT 1 FROM company_said WHERE name = one.value AND name <> ''))
         FROM company_key AS one WHERE id = ?1",
    )?;
    let found = used
        .query_row([id], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?)))
        .optional()?;
    let Some((into, company_id, false)) = found else { return Ok(()) };
    connection.prepare_cached("DELETE FROM company_trait WHERE company_key_id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM company_key WHERE id = ?1")?.execute([id])?;
    match into {
        None => refresh(connection, company_id),
        Some(into) => {
            regroup(connection, &BTreeSet::from([top_of(connection, into)?]))?;
            refresh(connection, company_id)?;
            leave(connection, into)
        }
    }
}
