//! A batch is kept: it is read whom it is of, its entries are filed under the strongest id, and what is new of it is noted.

use koala_destination::clock::now_milliseconds;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::identities::Ids;
use super::intent::{self, Kept, StoredRule};
use super::late::{self, Part};
use super::topics::{self, Counted};
use super::{accounts, alert_changes, clusters, guesses, identities, statements, traits};
use crate::company::{self, Said};
use crate::identity::{Reading, claim_time};
use crate::received::{Batch, EntryKind, ReceivedEntry};

/// Keeps a batch: an entry whose message id is known already under the same id is not kept twice, and a batch that says nothing
/// new writes nothing. What is of a person who was deleted since it was received is dropped.
pub(super) fn keep(connection: &Connection, rules: &[StoredRule], batch: &Batch) -> rusqlite::Result<()> {
    for part in late::sift(connection, batch)? {
        keep_part(connection, rules, batch, &part)?;
    }
    Ok(())
}

fn keep_part(connection: &Connection, rules: &[StoredRule], batch: &Batch, part: &Part<'_>) -> rusqlite::Result<()> {
    let now = now_milliseconds();
    let arrival = batch.received_at.map_or(now, |at| at.min(now));
    let mut ids = Ids::new(connection);
    let Some(reading) = ids.ask(|known| Reading::of(&part.ids, known))? else {
        return Ok(()); // a person said that these ids are nobody's
    };
    let identity_id = ids.row_or_insert(reading.filed_under())?;
    let mut noted = Noted::default();
    for entry in &part.entries {
        // Nothing happens after it has arrived.
        let arrival = entry.received_at.map_or(arrival, |at| at.min(now));
        let at = entry.at.map_or(arrival, |at| at.min(arrival));
        if insert(connection, identity_id, entry, at)? {
            noted.note(at, claim_time(entry.at, arrival));
            if let Some(guess) = &entry.guess {
                noted.has_new_traits |= guesses::note(connection, identity_id, guess, at)?;
            }
            intent::note(connection, rules, Kept { identity_id, kind: entry.kind, at, json: &entry.json })?;
            if let (EntryKind::Identify, Some(traits)) = (entry.kind, &entry.traits) {
                noted.has_new_traits |= traits::merge(connection, traits::OF_IDENTITY, identity_id, traits, at)?;
                let said = entry.said();
                if let (Some(traits), Some(said)) = (&entry.traits_of_company, said.first()) {
                    accounts::keep_traits(connection, Some(identity_id), said, traits, at)?;
                }
                noted.said.extend(said.into_iter().map(|said| (said, arrival)));
            }
        } else if entry.kind == EntryKind::PageView {
            grow(connection, rules, identity_id, entry, at)?;
        }
    }
    if batch.entries.is_empty() {
        noted.note(arrival, arrival);
    }
    let Noted { first: Some(first), last: Some(last), claims_at: Some(claims_at), mut has_new_traits, mut said } =
        noted
    else {
        return Ok(()); // all of it was there
    };
    if let Some(traits) = batch.traits.as_ref().filter(|_| part.has_traits) {
        has_new_traits |= traits::merge(connection, traits::OF_IDENTITY, identity_id, traits, last)?;
        said.extend(Said::of_traits(traits).into_iter().map(|said| (said, arrival)));
    }

    let change = ids.ask(|known| reading.resolve(claims_at, known))?;
    let moved = clusters::apply(connection, &mut ids, &change)?;
    let is_alone = batch.entries.is_empty();
    let seen =
        if is_alone { see_alone(connection, identity_id, last) } else { see(connection, identity_id, first, last) };
    let said_at = last;
    let Seen { mut visitor_id, first, last } = seen?;
    if !moved.is_empty() {
        clusters::regroup(connection, &moved)?;
        visitor_id = identities::visitor_of_row(connection, identity_id)?.unwrap_or(visitor_id);
    }
    let is_new = see_visitor(connection, visitor_id, first, last)?;
    if !moved.is_empty() || has_new_traits || !said.is_empty() {
        alert_changes::note_moved(connection, identity_id, said_at)?;
    }
    if !moved.is_empty() {
        intent::note_put_together(connection, rules, identity_id, said_at)?;
    }
    if !said.is_empty() {
        let emails = identities::emails(connection, visitor_id)?;
        let given = emails.iter().find_map(|email| company::of_address(email));
        for (said, at) in said {
            statements::note(connection, identity_id, given.as_deref(), &said, at)?;
        }
    }
    if is_new || has_new_traits { accounts::assign(connection, visitor_id) } else { Ok(()) }
}

/// What the entries that are new say together.
#[derive(Default)]
struct Noted {
    first: Option<i64>,
    last: Option<i64>,
    /// The earliest time as of which one of them claims.
    claims_at: Option<i64>,
    has_new_traits: bool,
    /// What is said of companies, each with the time when it was received.
    said: Vec<(Said, i64)>,
}

impl Noted {
    fn note(&mut self, at: i64, claims_at: i64) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        self.claims_at = Some(self.claims_at.map_or(claims_at, |before| before.min(claims_at)));
    }
}

/// Keeps an entry, unless it is there. Tells whether it was not.
fn insert(connection: &Connection, identity_id: i64, entry: &ReceivedEntry, at: i64) -> rusqlite::Result<bool> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entry (identity_id, kind, name, message_id, at, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (identity_id, kind, message_id) DO NOTHING",
    )?;
    let kind = entry.kind.name();
    if insert.execute(params![identity_id, kind, entry.name, entry.message_id, at, entry.json])? == 0 {
        return Ok(false);
    }
    let row = connection.last_insert_rowid();
    set_topic(connection, row, topics::count(connection, counted(identity_id, entry, at))?)?;
    Ok(true)
}

fn counted(identity_id: i64, entry: &ReceivedEntry, at: i64) -> Counted<'_> {
    Counted { identity_id, kind: entry.kind, name: entry.name.as_deref(), at, json: &entry.json }
}

/// Writes beside an entry what it is about.
pub(super) fn set_topic(connection: &Connection, entry_id: i64, topic_id: Option<i64>) -> rusqlite::Result<()> {
    if topic_id.is_none() {
        return Ok(());
    }
    let mut update = connection.prepare_cached("UPDATE entry SET topic_id = ?2 WHERE id = ?1")?;
    update.execute(params![entry_id, topic_id]).map(drop)
}

/// Takes a page view that is there in its place where it has grown: Koala's script sends it again under the same message id
/// while it lasts, and the latest counts.
fn grow(
    connection: &Connection,
    rules: &[StoredRule],
    identity_id: i64,
    entry: &ReceivedEntry,
    at: i64,
) -> rusqlite::Result<()> {
    let kind = entry.kind.name();
    let mut select = connection.prepare_cached(
        "SELECT id, at, json, topic_id FROM entry WHERE identity_id = ?1 AND kind = ?2 AND message_id = ?3",
    )?;
    let before = select.query_row(params![identity_id, kind, entry.message_id], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get::<_, Option<i64>>(3)?))
    });
    let Some((row, began_at, before, topic_id)) = before.optional()? else { return Ok(()) };
    if entry.json == before || !entry.has_grown_from(&before) {
        return Ok(());
    }
    let at = began_at.min(at);
    connection
        .prepare_cached("UPDATE entry SET name = ?2, json = ?3 WHERE id = ?1")?
        .execute(params![row, entry.name, entry.json])?;
    set_topic(connection, row, topics::count_again(connection, counted(identity_id, entry, at), topic_id)?)?;
    let kept = Kept { identity_id, kind: entry.kind, at, json: &entry.json };
    intent::note_growth(connection, rules, kept, (row, &before))
}

/// An id as it was seen.
struct Seen {
    visitor_id: i64,
    first: i64,
    last: i64,
}

/// Notes when an id was seen, and gives back whose it is. Its row is written with every entry that is kept, so that a deletion
/// beside it meets it.
fn see(connection: &Connection, identity_id: i64, first: i64, last: i64) -> rusqlite::Result<Seen> {
    let mut see = connection.prepare_cached(
        "UPDATE identity SET first_seen = min(coalesce(first_seen, ?2), ?2), last_seen = max(coalesce(last_seen, ?3), ?3)
         WHERE id = ?1 RETURNING visitor_id, first_seen, last_seen",
    )?;
    see.query_row([identity_id, first, last], seen)
}

/// The same of an id of which nothing is said but that it is there.
fn see_alone(connection: &Connection, identity_id: i64, at: i64) -> rusqlite::Result<Seen> {
    let mut see = connection.prepare_cached(
        "UPDATE identity SET first_seen = coalesce(first_seen, ?2), last_seen = coalesce(last_seen, ?2)
         WHERE id = ?1 RETURNING visitor_id, first_seen, last_seen",
    )?;
    see.query_row([identity_id, at], seen)
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    Ok(Seen { visitor_id: row.get(0)?, first: row.get(1)?, last: row.get(2)? })
}

/// Notes when a visitor was seen. Tells whether it is new.
fn see_visitor(connection: &Connection, visitor_id: i64, first: i64, last: i64) -> rusqlite::Result<bool> {
    let mut seen = connection.prepare_cached(
        "UPDATE visitor SET first_seen = min(first_seen, ?2), last_seen = max(last_seen, ?3) WHERE id = ?1",
    )?;
    if seen.execute([visitor_id, first, last])? > 0 {
        return Ok(false);
    }
    connection
        .prepare_cached("INSERT INTO visitor (id, first_seen, last_seen) VALUES (?1, ?2, ?3)")?
        .execute([visitor_id, first, last])?;
    Ok(true)
}
