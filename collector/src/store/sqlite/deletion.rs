//! A person's data, taken out of the store.

use koala_destination::ids::{Id, IdKind};
use rusqlite::Connection;

use super::{clusters, decisions, identities, intent, traits, visitors};
use crate::store::deletion::{Deleted, Person};

/// All that a person is known by, as it stands in messages; nothing where no such visitor is known.
pub(super) fn names_of(connection: &Connection, person: &Person) -> rusqlite::Result<Option<Vec<String>>> {
    let Some(visitor_id) = find(connection, person)? else { return Ok(None) };
    let mut select = connection.prepare_cached("SELECT kind, value FROM identity WHERE visitor_id = ?1")?;
    let ids = select.query_map([visitor_id], |row| identities::id_of(row, 0, 1))?;
    let ids = ids.collect::<rusqlite::Result<Vec<Id>>>()?;
    Ok(Some(ids.iter().flat_map(names).collect()))
}

/// An id as it stands in a message. A short one would be found within anything: it has its key before it.
fn names(id: &Id) -> Vec<String> {
    let keys: &[&str] = match id.kind() {
        IdKind::User => &["userId", "user_id"],
        IdKind::Device if !id.is_uuid() => &["anonymousId", "anonymous_id"],
        IdKind::Email | IdKind::Device => return vec![id.value().to_owned()],
    };
    let value = serde_json::Value::from(id.value());
    keys.iter().flat_map(|key| [format!("\"{key}\":{value}"), format!("\"{key}\": {value}")]).collect()
}

/// Deletes a person's visitor with all ids, traits and entries. An id that somebody has blocked stays so: it is no one's.
pub(super) fn delete(connection: &Connection, person: &Person) -> rusqlite::Result<Deleted> {
    let Some(visitor_id) = find(connection, person)? else { return Ok(Deleted::default()) };
    let of_visitor = "(SELECT id FROM identity WHERE visitor_id = ?1)";
    let mut others = connection.prepare(&format!(
        "SELECT DISTINCT identity.kind, identity.value FROM claim JOIN identity ON identity.id = claim.identity_id
         WHERE claim.owner_id IN {of_visitor} AND identity.visitor_id <> ?1"
    ))?;
    let others = others.query_map([visitor_id], |row| identities::id_of(row, 0, 1))?;
    let others = others.collect::<rusqlite::Result<Vec<Id>>>()?;

    traits::forget(connection, visitor_id)?;
    intent::forget(connection, visitor_id)?;
    let delete = |sql: String| connection.execute(&sql, [visitor_id]);
    let entries = delete(format!("DELETE FROM entry WHERE identity_id IN {of_visitor}"))?;
    delete(format!("DELETE FROM claim WHERE identity_id IN {of_visitor} OR owner_id IN {of_visitor}"))?;
    let forgotten = clusters::forget(connection, visitor_id)?;
    let stays = match person {
        // Who asks by the address itself means it.
        Person::Email(_) => "FALSE",
        Person::Visitor(_) => "decision IS 'blocked'",
    };
    delete(format!(
        "UPDATE identity SET into_id = NULL, visitor_id = CASE WHEN {stays} THEN id ELSE ?1 END,
             first_at = NULL, first_seen = NULL, last_seen = NULL WHERE visitor_id = ?1"
    ))?;
    // One that stays and has the visitor's own number is told by its decision.
    let goes = format!("visitor_id = ?1 AND NOT ({stays})");
    let going = format!("(SELECT id FROM identity WHERE {goes})");
    delete(format!("DELETE FROM decision WHERE identity_id IN {going} OR to_id IN {going}"))?;
    delete(format!("DELETE FROM identity WHERE {goes}"))?;
    decisions::look_anew(connection, &others)?;
    Ok(Deleted { visitors: forgotten, entries })
}

fn find(connection: &Connection, person: &Person) -> rusqlite::Result<Option<i64>> {
    match person {
        Person::Email(email) => identities::visitor_of(connection, IdKind::Email, &email.as_str().to_lowercase()),
        Person::Visitor(id) => identities::visitor_of_row(connection, visitors::row_of(id)),
    }
}
