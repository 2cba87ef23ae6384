//! A person's data, taken out of the store.

use rusqlite::{Connection, OptionalExtension};

use super::{accounts, identities, intent, traits, visitors};
use crate::store::deletion::{Deleted, Person};

/// All that a person is known by; nothing where no such visitor is known.
pub(super) fn names_of(connection: &Connection, person: &Person) -> rusqlite::Result<Option<Vec<String>>> {
    let Some(id) = find(connection, person)? else { return Ok(None) };
    Ok(Some(identities::of(connection, id)?.into_iter().map(|(_, value)| value).collect()))
}

/// Deletes a person's visitor with all identities, traits and entries.
pub(super) fn delete(connection: &Connection, person: &Person) -> rusqlite::Result<Deleted> {
    let Some(id) = find(connection, person)? else { return Ok(Deleted::default()) };
    traits::forget(connection, id)?;
    let entries = connection.execute("DELETE FROM entry WHERE visitor_id = ?1", [id])?;
    identities::forget(connection, id)?;
    intent::forget(connection, id)?;
    accounts::leave(connection, id)?;
    let deleted = connection.execute("DELETE FROM visitor WHERE id = ?1", [id])?;
    Ok(Deleted { visitors: deleted, entries })
}

fn find(connection: &Connection, person: &Person) -> rusqlite::Result<Option<i64>> {
    match person {
        Person::Email(email) => identities::find(connection, identities::EMAIL, &email.as_str().to_lowercase()),
        Person::Visitor(id) => {
            let mut find = connection.prepare_cached("SELECT id FROM visitor WHERE id = ?1")?;
            find.query_row([visitors::row_of(id)], |row| row.get(0)).optional()
        }
    }
}
