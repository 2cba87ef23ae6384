//! What was done under each id, and where it came from: counted when an entry is kept, so that lists and searches need not read the
//! entries. The number of a topic is a hash of what it says, so that nobody has to look for it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::error::PostgresError;
use super::keys;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::about::{About, shortened};
use crate::received::EntryKind;

statements! {
    TOPICS = "INSERT INTO topic (id, kind, name, path, title)
              SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING";
    DONE = "INSERT INTO done (topic_id, identity_id, times, last_at)
            SELECT id, $4, times, last_at FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, times, last_at)
            ON CONFLICT (topic_id, identity_id) DO UPDATE SET times = done.times + excluded.times,
                last_at = greatest(done.last_at, excluded.last_at)";
    UNDONE = "UPDATE done SET times = done.times - gone.times FROM unnest($1::bigint[], $2::bigint[]) AS gone (id, times)
              WHERE done.topic_id = gone.id AND done.identity_id = $3";
    NOTHING_DONE = "DELETE FROM done WHERE identity_id = $1 AND times < 1";
    SOURCES = "INSERT INTO source (id, referrer, source, medium, campaign)
               SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING";
    CAME_FROM = "INSERT INTO came_from (source_id, identity_id, times, last_at)
                 SELECT id, $4, times, last_at FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (id, times, last_at)
                 ON CONFLICT (source_id, identity_id) DO UPDATE SET times = came_from.times + excluded.times,
                     last_at = greatest(came_from.last_at, excluded.last_at)";
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic {
    /// The number; nothing where it is about nothing: who somebody is.
    pub(super) id: Option<i64>,
    parts: [String; 4],
    source: Option<(i64, [String; 4])>,
}

impl Topic {
    pub(super) fn of(kind: EntryKind, name: Option<&str>, json: &str) -> Self {
        if kind == EntryKind::Identify {
            return Self { id: None, parts: <[String; 4]>::default(), source: None };
        }
        let about = About::of(json);
        let text = |text: Option<&str>| keys::text(text.unwrap_or_default()).into_owned();
        // The page's title is that of a page view alone: an event is known by its name.
        let title = about.title.as_deref().filter(|_| kind == EntryKind::PageView);
        let name = name.map(shortened);
        let parts = [kind.name().to_owned(), text(name.as_deref()), text(about.path.as_deref()), text(title)];
        let source = about.origin().map(|origin| {
            let utm = &origin.utm;
            let parts = [&origin.referrer, &utm.source, &utm.medium, &utm.campaign].map(|part| text(part.as_deref()));
            (hash(&parts), parts)
        });
        Self { id: Some(hash(&parts)), parts, source }
    }
}

fn hash(parts: &[String; 4]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

/// How often, and when last.
#[derive(Default)]
struct Times {
    parts: [String; 4],
    count: i64,
    last_at: i64,
}

/// What entries of one id are about, counted.
#[derive(Default)]
pub(super) struct Counted {
    topics: BTreeMap<i64, Times>,
    sources: BTreeMap<i64, Times>,
    gone: BTreeMap<i64, i64>,
}

impl Counted {
    /// Counts an entry.
    pub(super) fn add(&mut self, topic: &Topic, at: i64) {
        self.add_topic(topic, at);
        if let Some((id, parts)) = &topic.source {
            note(&mut self.sources, *id, parts, at);
        }
    }

    /// Counts a page view that has grown under what it is about now.
    pub(super) fn change(&mut self, before: Option<i64>, topic: &Topic, at: i64) {
        if before != topic.id {
            if let Some(before) = before {
                *self.gone.entry(before).or_default() += 1;
            }
            self.add_topic(topic, at);
        }
    }

    fn add_topic(&mut self, topic: &Topic, at: i64) {
        if let Some(id) = topic.id {
            note(&mut self.topics, id, &topic.parts, at);
        }
    }

    pub(super) async fn write(&self, transaction: &Transaction, identity_id: i64) -> Result<(), PostgresError> {
        let (topics, sources) = (columns(&self.topics), columns(&self.sources));
        let (gone, less): (Vec<i64>, Vec<i64>) = self.gone.iter().map(|(id, times)| (*id, *times)).unzip();
        together!(
            put(transaction, TOPICS, DONE, &topics, identity_id),
            put(transaction, SOURCES, CAME_FROM, &sources, identity_id),
            transaction.execute_if(!gone.is_empty(), UNDONE, &[&gone, &less, &identity_id]),
            transaction.execute_if(!gone.is_empty(), NOTHING_DONE, &[&identity_id]),
        )?;
        Ok(())
    }
}

fn note(all: &mut BTreeMap<i64, Times>, id: i64, parts: &[String; 4], at: i64) {
    let times = all.entry(id).or_insert_with(|| Times { parts: parts.clone(), count: 0, last_at: at });
    times.count += 1;
    times.last_at = times.last_at.max(at);
}

#[derive(Default)]
struct Columns<'t> {
    ids: Vec<i64>,
    parts: [Vec<&'t str>; 4],
    times: Vec<i64>,
    last_at: Vec<i64>,
}

fn columns(all: &BTreeMap<i64, Times>) -> Columns<'_> {
    let mut columns = Columns::default();
    for (id, times) in all {
        columns.ids.push(*id);
        for (column, part) in columns.parts.iter_mut().zip(&times.parts) {
            column.push(part);
        }
        columns.times.push(times.count);
        columns.last_at.push(times.last_at);
    }
    columns
}

async fn put(
    transaction: &Transaction,
    insert: super::sql::Sql,
    count: super::sql::Sql,
    columns: &Columns<'_>,
    identity_id: i64,
) -> Result<(), PostgresError> {
    let Columns { ids, parts: [a, b, c, d], times, last_at } = columns;
    together!(
        transaction.execute_if(!ids.is_empty(), insert, &[ids, a, b, c, d]),
        transaction.execute_if(!ids.is_empty(), count, &[ids, times, last_at, &identity_id]),
    )?;
    Ok(())
}
