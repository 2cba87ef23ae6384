//! What was done under each id, and where it came from: counted when an entry is kept, so that lists and searches need not read
//! the entries.

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::about::{About, shortened};
use crate::received::EntryKind;

/// An entry as it is counted.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a> {
    pub(super) identity_id: i64,
    pub(super) kind: EntryKind,
    pub(super) name: Option<&'a str>,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) json: &'a str,
}

/// Counts an entry, and gives back what it is about, which is written beside it. Who somebody is is about nothing.
pub(super) fn count(connection: &Connection, entry: Counted<'_>) -> rusqlite::Result<Option<i64>> {
    if entry.kind == EntryKind::Identify {
        return Ok(None);
    }
    let about = About::of(entry.json);
    came_from(connection, entry, &about)?;
    let topic_id = topic(connection, entry, &about)?;
    note(connection, topic_id, entry)?;
    Ok(Some(topic_id))
}

/// Counts a page view that has grown under what it is about now. Gives that back.
pub(super) fn count_again(
    connection: &Connection,
    entry: Counted<'_>,
    before: Option<i64>,
) -> rusqlite::Result<Option<i64>> {
    let topic_id = topic(connection, entry, &About::of(entry.json))?;
    if before == Some(topic_id) {
        return Ok(before);
    }
    if let Some(before) = before {
        less(connection, before, entry.identity_id)?;
    }
    note(connection, topic_id, entry)?;
    Ok(Some(topic_id))
}

fn note(connection: &Connection, topic_id: i64, entry: Counted<'_>) -> rusqlite::Result<()> {
    let mut count = connection.prepare_cached(
        "INSERT INTO done (topic_id, identity_id, times, last_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (topic_id, identity_id) DO UPDATE SET times = times + 1, last_at = max(last_at, excluded.last_at)",
    )?;
    count.execute([topic_id, entry.identity_id, entry.at]).map(drop)
}

/// The row of what an entry is about. The page's title is that of a page view alone: an event is known by its name.
fn topic(connection: &Connection, entry: Counted<'_>, about: &About) -> rusqlite::Result<i64> {
    let name = entry.name.map(shortened).unwrap_or_default();
    let path = about.path.as_deref().unwrap_or_default();
    let title = about.title.as_deref().filter(|_| entry.kind == EntryKind::PageView).unwrap_or_default();
    let kind = entry.kind.name();
    let mut find =
        connection.prepare_cached("SELECT id FROM topic WHERE kind = ?1 AND name = ?2 AND path = ?3 AND title = ?4")?;
    if let Some(id) = find.query_row(params![kind, name, path, title], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO topic (kind, name, path, title) VALUES (?1, ?2, ?3, ?4) RETURNING id")?;
    insert.query_row(params![kind, name, path, title], |row| row.get(0))
}

fn came_from(connection: &Connection, entry: Counted<'_>, about: &About) -> rusqlite::Result<()> {
    let Some(origin) = about.origin() else { return Ok(()) };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let parts =
        [text(&origin.referrer), text(&origin.utm.source), text(&origin.utm.medium), text(&origin.utm.campaign)];
    let mut find = connection.prepare_cached(
        "SELECT id FROM source WHERE referrer = ?1 AND source = ?2 AND medium = ?3 AND campaign = ?4",
    )?;
    let source_id: i64 = match find.query_row(params_from_iter(&parts), |row| row.get(0)).optional()? {
        Some(id) => id,
        None => connection
            .prepare_cached(
                "INSERT INTO source (referrer, source, medium, campaign) VALUES (?1, ?2, ?3, ?4) RETURNING id",
            )?
            .query_row(params_from_iter(&parts), |row| row.get(0))?,
    };
    let mut count = connection.prepare_cached(
        "INSERT INTO came_from (source_id, identity_id, times, last_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (source_id, identity_id) DO UPDATE SET times = times + 1, last_at = max(last_at, excluded.last_at)",
    )?;
    count.execute(params![source_id, entry.identity_id, entry.at]).map(drop)
}

/// Forgets as much of what was done under an id, and of where it came from, as may still be. What nobody else did goes with it: a
/// path may name somebody. Tells whether nothing is left.
pub(super) fn forget_some(connection: &Connection, identity_id: i64, left: &mut usize) -> rusqlite::Result<bool> {
    for (table, of, parent) in [("done", "topic_id", "topic"), ("came_from", "source_id", "source")] {
        let mut some =
            connection.prepare_cached(&format!("SELECT {of} FROM {table} WHERE identity_id = ?1 LIMIT ?2"))?;
        let most = i64::try_from(*left).unwrap_or(i64::MAX);
        let ids = some.query_map([identity_id, most], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut delete =
            connection.prepare_cached(&format!("DELETE FROM {table} WHERE {of} = ?1 AND identity_id = ?2"))?;
        let mut gone = connection.prepare_cached(&format!(
            "DELETE FROM {parent} WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM {table} WHERE {of} = ?1)"
        ))?;
        for id in &ids {
            delete.execute([*id, identity_id])?;
            gone.execute([id])?;
        }
        *left = left.saturating_sub(ids.len());
    }
    Ok(*left > 0)
}

/// Entries of an id are gone that were older than they may be: each is about one of these topics, and nobody came from
/// anywhere before then.
pub(super) fn take_back(
    connection: &Connection,
    identity_id: i64,
    topics: &[Option<i64>],
    cutoff: i64,
) -> rusqlite::Result<()> {
    for topic_id in topics.iter().flatten() {
        less(connection, *topic_id, identity_id)?;
    }
    let mut sources = connection
        .prepare_cached("DELETE FROM came_from WHERE identity_id = ?1 AND last_at < ?2 RETURNING source_id")?;
    let sources = sources.query_map([identity_id, cutoff], |row| row.get(0))?;
    let mut gone = connection.prepare_cached(
        "DELETE FROM source WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM came_from WHERE source_id = ?1)",
    )?;
    for source_id in sources.collect::<rusqlite::Result<Vec<i64>>>()? {
        gone.execute([source_id])?;
    }
    Ok(())
}

/// One entry less is about a topic.
fn less(connection: &Connection, topic_id: i64, identity_id: i64) -> rusqlite::Result<()> {
    let less = "UPDATE done SET times = times - 1 WHERE topic_id = ?1 AND identity_id = ?2";
    connection.prepare_cached(less)?.execute([topic_id, identity_id])?;
    let gone = "DELETE FROM done WHERE topic_id = ?1 AND identity_id = ?2 AND times < 1";
    if connection.prepare_cached(gone)?.execute([topic_id, identity_id])? > 0 {
        forget_topic(connection, topic_id)?;
    }
    Ok(())
}

/// Forgets what nobody has done.
fn forget_topic(connection: &Connection, topic_id: i64) -> rusqlite::Result<()> {
    let forget = "DELETE FROM topic WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM done WHERE topic_id = ?1)";
    connection.prepare_cached(forget)?.execute([topic_id]).map(drop)
}
