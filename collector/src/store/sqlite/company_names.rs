//! What companies are called, by those who say so.

use rusqlite::{Connection, params};

use crate::company::{self, CompanyKind, MOST_VOTES, Naming};

/// Whether a user id or an address of the visitor is known who says something. A request about companies alone is anyone's as well.
pub(super) const IS_KNOWN: &str = "EXISTS (SELECT 1 FROM identity AS known
     WHERE known.visitor_id = identity.visitor_id AND known.kind IN ('user', 'email'))";
/// The most group ids, and the most names, of one company of which it is asked who said them.
const MOST_KEYS: usize = 20;

/// What a company is called by those who say so of one of its identities. A name that belongs to another company does not count.
pub(super) fn name_of_company(
    connection: &Connection,
    company_id: i64,
    keys: &[(CompanyKind, String)],
) -> rusqlite::Result<Option<String>> {
    let of_kind = |kind| keys.iter().filter(move |key| key.0 == kind).map(|key| key.1.as_str());
    let groups: Vec<&str> = of_kind(CompanyKind::Group).take(MOST_KEYS).collect();
    let names = of_kind(CompanyKind::Name).take(MOST_KEYS).map(|name| ("name", name));
    let asked = of_kind(CompanyKind::Domain).map(|domain| ("given", domain));
    let asked = asked.chain(groups.iter().map(|group| ("group_id", *group))).chain(names);
    let mut given = Vec::new();
    for (column, value) in asked {
        let mut select = connection.prepare_cached(&format!(
            "SELECT coalesce(identity.visitor_id, 0), written, at, domain, group_id, {IS_KNOWN} FROM company_said
             LEFT JOIN identity ON identity.id = voter_id
             LEFT JOIN company_key AS named ON named.kind = 'name' AND named.value = name
             WHERE {column} = ?1 AND {column} <> '' AND name <> '' AND identity.decision IS NOT 'blocked'
                 AND (named.into_id IS NULL OR named.company_id = ?2)
             ORDER BY at, voter_id LIMIT ?3"
        ))?;
        let mut rows = select.query(params![value, company_id, MOST_VOTES])?;
        while let Some(row) = rows.next()? {
            let (domain, group_id) = (row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?);
            // With a domain it is the domain's, else the group's, whoever says it; a name that belongs here is one wherever it is said.
            let is_of_it = match column {
                "given" => !domain.is_empty() || group_id.is_empty() || groups.contains(&group_id),
                "group_id" => domain.is_empty(),
                _ => true,
            };
            if is_of_it {
                given.push(Naming { voter: row.get(0)?, is_known: row.get(5)?, written: row.get(1)?, at: row.get(2)? });
            }
        }
    }
    match company::called(given) {
        None if of_kind(CompanyKind::Domain).next().is_none() => name_of_groups(connection, &groups),
        name => Ok(name),
    }
}

/// The name that group calls gave groups, where it belongs to another company: two groups of one name have it both.
fn name_of_groups(connection: &Connection, groups: &[&str]) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT coalesce(identity.visitor_id, 0), {IS_KNOWN}, written, at FROM company_said
         LEFT JOIN identity ON identity.id = voter_id
         WHERE group_id = ?1 AND group_id <> '' AND domain = '' AND name <> '' AND by_group_call
             AND identity.decision IS NOT 'blocked'
         ORDER BY at, voter_id LIMIT ?2"
    ))?;
    let mut given = Vec::new();
    for group in groups {
        let namings = select.query_map(params![group, MOST_VOTES], |row| {
            Ok(Naming { voter: row.get(0)?, is_known: row.get(1)?, written: row.get(2)?, at: row.get(3)? })
        })?;
        for naming in namings {
            given.push(naming?);
        }
    }
    Ok(company::called(given))
}
