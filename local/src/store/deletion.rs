//! A person's data, taken out of the store.

use koala_destination::clock;
use koala_destination::koala::Email;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use uuid::Uuid;

use super::{Store, StoreError, companies, intent, visitors};

/// What a deletion did; it does not repeat the address.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// The receipt's own number.
    pub id: String,
    /// `completed`: what was found is gone when this is answered.
    pub status: &'static str,
    /// When.
    pub completed_at: String,
    /// Visitors that were known by the address.
    pub visitors: usize,
    /// Their entries.
    pub entries: usize,
    /// Messages on their way, dead letters and rejected events that named it.
    pub messages: usize,
}

/// Deletes everything that an address leads to: its visitor with all identities, traits and entries, and whatever stands in
/// the queues, dead or alive, and names it or one of the visitor's other names.
pub async fn delete(store: &Store, email: &Email) -> Result<Receipt, StoreError> {
    let email = email.as_str().to_lowercase();
    let delete = move |connection: &Connection| {
        let mut find =
            connection.prepare_cached("SELECT visitor_id FROM identity WHERE kind = 'email' AND value = ?1")?;
        let found = find.query_row([&email], |row| row.get(0)).optional()?;
        delete_now(connection, found, vec![email])
    };
    store.write(delete).await
}

/// Deletes one visitor in the same way, who may have no address; nothing where there is none.
pub async fn delete_visitor(store: &Store, id: i64) -> Result<Option<Receipt>, StoreError> {
    let delete = move |connection: &Connection| {
        let mut find = connection.prepare_cached("SELECT id FROM visitor WHERE id = ?1")?;
        let found: Option<i64> = find.query_row([id], |row| row.get(0)).optional()?;
        found.map(|id| delete_now(connection, Some(id), Vec::new())).transpose()
    };
    store.write(delete).await
}

fn delete_now(connection: &Connection, found: Option<i64>, mut names: Vec<String>) -> rusqlite::Result<Receipt> {
    let (mut entries, mut removed_visitors) = (0, 0);
    if let Some(id) = found {
        if let Some(visitor) = visitors::visitor(connection, id)? {
            names.extend(visitor.profile_ids.into_iter().chain(visitor.emails));
        }
        connection.execute("DELETE FROM trait WHERE visitor_id = ?1", [id])?;
        entries = connection.execute("DELETE FROM entry WHERE visitor_id = ?1", [id])?;
        connection.execute("DELETE FROM identity WHERE visitor_id = ?1", [id])?;
        intent::forget(connection, id)?;
        companies::leave(connection, id)?;
        removed_visitors = connection.execute("DELETE FROM visitor WHERE id = ?1", [id])?;
    }
    let mut messages = 0;
    for name in &names {
        let lower = name.to_lowercase();
        messages += connection.execute("DELETE FROM message WHERE instr(lower(body), ?1) > 0", [&lower])?;
        messages += connection.execute(
            "DELETE FROM dead_letter WHERE instr(lower(body), ?1) > 0 OR instr(lower(coalesce(koala_answer, '')), ?1) > 0",
            params![lower],
        )?;
    }
    Ok(Receipt {
        id: Uuid::from_u128(fastrand::u128(..)).to_string(),
        status: "completed",
        completed_at: clock::now(),
        visitors: removed_visitors,
        entries,
        messages,
    })
}
