//! What visitors say of companies, and what comes of it by their votes.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::company_keys;
use super::company_names::IS_KNOWN;
use crate::company::{self, CompanyKey, CompanyKind, MOST_STATEMENTS, MOST_VOTES, Said, Vote};

/// Who says what a request about companies alone says.
pub(super) const NO_VISITOR: i64 = 0;

/// Keeps a statement. `given` is the domain of the visitor's first address that is a company's.
pub(super) fn note(
    connection: &Connection,
    voter_id: i64,
    given: Option<&str>,
    said: &Said,
    at: i64,
) -> rusqlite::Result<()> {
    let text = |key: &Option<CompanyKey>| key.as_ref().map_or_else(String::new, |key| key.value.clone());
    let (domain, group_id, name) = (text(&said.domain), text(&said.group), text(&said.name));
    let written = said.written.as_deref().unwrap_or_default();
    let given = if domain.is_empty() { given.unwrap_or_default() } else { &domain };
    if voter_id != NO_VISITOR && !is_there(connection, voter_id, [&domain, &group_id, &name])? {
        let mut count = connection.prepare_cached("SELECT count(*) FROM company_said WHERE voter_id = ?1")?;
        if count.query_row([voter_id], |row| row.get::<_, u32>(0))? >= MOST_STATEMENTS {
            return Ok(());
        }
    }
    // Of what is said again the earliest counts, and a group call beside it.
    let mut put = connection.prepare_cached(
        "INSERT INTO company_said (voter_id, domain, group_id, name, written, by_group_call, at, given)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (voter_id, domain, group_id, name) DO UPDATE SET
             by_group_call = max(by_group_call, excluded.by_group_call), at = min(at, excluded.at),
             written = CASE WHEN (excluded.at, excluded.written) < (at, written) THEN excluded.written ELSE written END
         WHERE excluded.by_group_call > by_group_call OR (excluded.at, excluded.written) < (at, written)",
    )?;
    if put.execute(params![voter_id, domain, group_id, name, written, said.by_group_call, at, given])? == 0 {
        return Ok(()); // it was said before
    }
    decide(connection, said.group.iter().chain(&said.name).cloned())?;
    if said.name.is_some() {
        let of = said.domain.iter().chain(&said.group).cloned();
        let by_address = CompanyKey::domain(given);
        for key in of.chain(by_address).chain(said.name.clone()) {
            rename(connection, &key, written)?;
        }
    }
    Ok(())
}

fn is_there(connection: &Connection, voter_id: i64, [domain, group_id, name]: [&str; 3]) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM company_said WHERE voter_id = ?1 AND domain = ?2 AND group_id = ?3 AND name = ?4)",
    )?;
    select.query_row(params![voter_id, domain, group_id, name], |row| row.get(0))
}

/// Says anew what a company is called, unless it is called so already: one more who says so changes nothing.
fn rename(connection: &Connection, key: &CompanyKey, written: &str) -> rusqlite::Result<()> {
    let Some(row) = company_keys::find(connection, key)? else { return Ok(()) };
    let mut name = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM company WHERE id = ?1 AND name = ?2)")?;
    if name.query_row(params![row.company_id, written], |row| row.get(0))? {
        return Ok(());
    }
    company_keys::refresh(connection, row.company_id)
}

/// The first address of a visitor that is a company's has another domain now: what the visitor said without one was given with it.
pub(super) fn give(connection: &Connection, visitor_id: i64, domain: Option<&str>) -> rusqlite::Result<()> {
    let others = "voter_id IN (SELECT id FROM identity WHERE visitor_id = ?1) AND domain = '' AND given <> ?2";
    let domain = domain.unwrap_or_default();
    let mut before = connection.prepare_cached(&format!("SELECT DISTINCT given FROM company_said WHERE {others}"))?;
    let before = before.query_map(params![visitor_id, domain], |row| row.get(0))?;
    let before = before.collect::<rusqlite::Result<Vec<String>>>()?;
    if before.is_empty() {
        return Ok(());
    }
    let update = format!("UPDATE company_said SET given = ?2 WHERE {others}");
    connection.prepare_cached(&update)?.execute(params![visitor_id, domain])?;
    look_again(connection, visitor_id)?;
    rename_all(connection, &before.into_iter().map(|domain| CompanyKey::stored(CompanyKind::Domain, domain)).collect())
}

/// Decides anew what a visitor's statements are about: of two visitors who become one, one vote is left.
pub(super) fn look_again(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let keys = keys_said(connection, "SELECT id FROM identity WHERE visitor_id = ?1", visitor_id)?;
    decide(connection, keys.iter().cloned())?;
    rename_all(connection, &keys)
}

/// The same of what was said under one id.
pub(super) fn look_again_at(connection: &Connection, identity_id: i64) -> rusqlite::Result<()> {
    let keys = keys_said(connection, "SELECT ?1", identity_id)?;
    decide(connection, keys.iter().cloned())?;
    rename_all(connection, &keys)
}

/// Nothing was said under the ids of a visitor.
pub(super) fn forget(connection: &Connection, visitor_id: i64) -> rusqlite::Result<()> {
    let of_visitor = "SELECT id FROM identity WHERE visitor_id = ?1";
    let keys = keys_said(connection, of_visitor, visitor_id)?;
    connection.execute(&format!("DELETE FROM company_said WHERE voter_id IN ({of_visitor})"), [visitor_id])?;
    decide(connection, keys.iter().cloned())?;
    rename_all(connection, &keys)?;
    for key in keys {
        if let Some(row) = company_keys::find(connection, &key)? {
            company_keys::leave(connection, row.id)?;
        }
    }
    Ok(())
}

/// All that is named in what was said under some ids.
fn keys_said(connection: &Connection, ids: &str, of: i64) -> rusqlite::Result<BTreeSet<CompanyKey>> {
    let mut select = connection
        .prepare_cached(&format!("SELECT given, group_id, name FROM company_said WHERE voter_id IN ({ids})"))?;
    let mut rows = select.query([of])?;
    let mut keys = BTreeSet::new();
    while let Some(row) = rows.next()? {
        for (column, kind) in CompanyKind::ALL.into_iter().enumerate() {
            let value = row.get_ref(column)?.as_str()?;
            if !value.is_empty() {
                keys.insert(CompanyKey::stored(kind, value));
            }
        }
    }
    Ok(keys)
}

fn rename_all(connection: &Connection, keys: &BTreeSet<CompanyKey>) -> rusqlite::Result<()> {
    let mut companies = BTreeSet::new();
    for key in keys {
        companies.extend(company_keys::find(connection, key)?.map(|row| row.company_id));
    }
    companies.into_iter().try_for_each(|company_id| company_keys::refresh(connection, company_id))
}

/// Decides what group ids and names belong to: group ids first, since a name may be given with one.
fn decide(connection: &Connection, keys: impl IntoIterator<Item = CompanyKey>) -> rusqlite::Result<()> {
    let mut all: BTreeSet<CompanyKey> = keys.into_iter().filter(|key| key.kind != CompanyKind::Domain).collect();
    while let Some(key) = all.pop_first() {
        let target = company::joins(&key, votes(connection, &key)?);
        let row = match (company_keys::find(connection, &key)?, &target) {
            (Some(row), _) => row,
            (None, None) => continue,
            (None, Some(_)) => company_keys::find_or_insert(connection, &key)?,
        };
        let into = target.map(|target| company_keys::find_or_insert(connection, &target)).transpose()?;
        let into = into.map(|into| into.id);
        if into != row.into_id {
            company_keys::point(connection, row, into)?;
            if key.kind == CompanyKind::Group {
                all.extend(names_given_with(connection, &key.value)?);
            } else {
                // Others whom somebody called so are called so no longer, or again.
                rename_all(connection, &given_with(connection, &key.value)?)?;
            }
        }
    }
    Ok(())
}

/// The votes for what an identity belongs to: the domain given with it; of a name that was given with a group's id alone, what
/// that one belongs to.
fn votes(connection: &Connection, key: &CompanyKey) -> rusqlite::Result<Vec<Vote>> {
    let column = if key.kind == CompanyKind::Group { "group_id" } else { "name" };
    let mut select = connection.prepare_cached(&format!(
        "SELECT coalesce(identity.visitor_id, 0), domain, group_id, given, by_group_call, at, {IS_KNOWN}
         FROM company_said LEFT JOIN identity ON identity.id = voter_id
         WHERE {column} = ?1 AND {column} <> '' AND identity.decision IS NOT 'blocked'
         ORDER BY at, voter_id LIMIT ?2"
    ))?;
    let rows = select.query_map(params![key.value, MOST_VOTES], |row| {
        let text = |column| row.get::<_, String>(column);
        let visitor: (i64, bool) = (row.get(0)?, row.get(6)?);
        Ok((visitor, [text(1)?, text(2)?, text(3)?], row.get::<_, bool>(4)?, row.get::<_, i64>(5)?))
    })?;
    let mut votes = Vec::new();
    for row in rows {
        let ((visitor_id, is_known), [domain, group_id, given], by_group_call, at) = row?;
        let (kind, value) = if key.kind == CompanyKind::Group || !domain.is_empty() || group_id.is_empty() {
            (CompanyKind::Domain, given)
        } else {
            match company_keys::domain_of_group(connection, &group_id)? {
                Some(domain) => (CompanyKind::Domain, domain),
                None => (CompanyKind::Group, group_id),
            }
        };
        if !value.is_empty() {
            let target = CompanyKey::stored(kind, value);
            votes.push(Vote { voter: visitor_id, is_known, target, by_group_call, at });
        }
    }
    Ok(votes)
}

fn names_given_with(connection: &Connection, group_id: &str) -> rusqlite::Result<BTreeSet<CompanyKey>> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT name FROM (SELECT name FROM company_said WHERE group_id = ?1 AND group_id <> '' ORDER BY at LIMIT ?2)
         WHERE name <> ''",
    )?;
    let names = select.query_map(params![group_id, MOST_VOTES], |row| {
        Ok(CompanyKey::stored(CompanyKind::Name, row.get::<_, String>(0)?))
    })?;
    names.collect()
}

/// What a name was given with.
fn given_with(connection: &Connection, name: &str) -> rusqlite::Result<BTreeSet<CompanyKey>> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT given, group_id FROM
             (SELECT given, group_id FROM company_said WHERE name = ?1 AND name <> '' ORDER BY at LIMIT ?2)",
    )?;
    let mut rows = select.query(params![name, MOST_VOTES])?;
    let mut keys = BTreeSet::new();
    while let Some(row) = rows.next()? {
        for (column, kind) in [CompanyKind::Domain, CompanyKind::Group].into_iter().enumerate() {
            keys.insert(CompanyKey::stored(kind, row.get::<_, String>(column)?));
        }
    }
    Ok(keys)
}
