//! A batch as it will be written: its entries in columns, when they happened, and what they say.

use std::collections::{BTreeSet, HashSet};

use koala_destination::clock::now_milliseconds;
use tokio_postgres::Row;

use super::days::day_of;
use super::error::PostgresError;
use super::identities::IdRow;
use super::intent::RuleSet;
use super::sql::statements;
use super::tombstones::{self, Part};
use super::topics::Topic;
use super::transaction::Transaction;
use super::{body, keys, row_ids};
use crate::company::Said;
use crate::identity::claim_time;
use crate::received::{Batch, EntryKind, ReceivedEntry};

statements! {
    INSERT = "INSERT INTO entry (id, identity_id, kind, name, message_id, message_key, at, topic_id, body)
              SELECT id, $1, kind, name, message_id, message_key, at, topic_id, body
              FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bytea[])
                  AS new (id, kind, name, message_id, message_key, at, topic_id, body)
              ON CONFLICT DO NOTHING RETURNING id";
    PAGE_VIEWS = "SELECT message_key, id, at, body, topic_id FROM entry
                  WHERE identity_id = $1 AND kind = 'page_view' AND message_key = ANY($2::text[])";
}

/// A batch as it will be written, in columns. It is made once, and every attempt writes the same: one whose answer to COMMIT was
/// lost is not doubled by the next.
pub(super) struct Arrived<'b> {
    pub(super) part: Part<'b>,
    /// Whether some of it may be a person's who was deleted.
    pub(super) is_sifted: bool,
    /// When it came.
    pub(super) arrival: i64,
    pub(super) now: i64,
    pub(super) ids: Vec<i64>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) names: Vec<Option<String>>,
    pub(super) topics: Vec<Topic>,
    pub(super) topic_ids: Vec<Option<i64>>,
    pub(super) message_ids: Vec<Option<String>>,
    pub(super) message_keys: Vec<Option<String>>,
    pub(super) times: Vec<i64>,
    pub(super) bodies: Vec<Vec<u8>>,
}

impl<'b> Arrived<'b> {
    /// All of a batch.
    pub(super) fn new(batch: &'b Batch) -> Self {
        Self::of_part(Part::whole(batch), tombstones::says_when(batch))
    }

    /// A part of one, of which it is known whose it is.
    pub(super) fn sifted(part: Part<'b>) -> Self {
        Self::of_part(part, false)
    }

    fn of_part(part: Part<'b>, is_sifted: bool) -> Self {
        let now = now_milliseconds();
        let arrival = part.received_at.map_or(now, |at| at.min(now));
        let (entries, first) = (part.entries.clone(), row_ids::next());
        let mut arrived = Self::empty(part, is_sifted, arrival, now);
        for (id, entry) in (first..).zip(entries) {
            arrived.ids.push(id);
            arrived.kinds.push(entry.kind.name());
            arrived.names.push(entry.name.as_deref().map(|name| keys::text(name).into_owned()));
            let topic = Topic::of(entry.kind, entry.name.as_deref(), &entry.json);
            arrived.topic_ids.push(topic.id);
            arrived.topics.push(topic);
            let message_key = entry.message_id.as_deref().map(|id| keys::key(id).into_owned());
            let message_id = entry.message_id.as_deref().map(|id| keys::text(id).into_owned());
            arrived.message_ids.push(message_id.filter(|id| Some(id) != message_key.as_ref()));
            arrived.message_keys.push(message_key);
            arrived.times.push(arrived.at(entry));
            arrived.bodies.push(body::pack(&entry.json));
        }
        arrived
    }

    fn empty(part: Part<'b>, is_sifted: bool, arrival: i64, now: i64) -> Self {
        Self {
            part,
            is_sifted,
            arrival,
            now,
            ids: Vec::new(),
            kinds: Vec::new(),
            names: Vec::new(),
            topics: Vec::new(),
            topic_ids: Vec::new(),
            message_ids: Vec::new(),
            message_keys: Vec::new(),
            times: Vec::new(),
            bodies: Vec::new(),
        }
    }

    pub(super) fn arrival_of(&self, entry: &ReceivedEntry) -> i64 {
        entry.received_at.map_or(self.arrival, |at| at.min(self.now))
    }

    /// When an entry happened: nothing happens after it has arrived.
    pub(super) fn at(&self, entry: &ReceivedEntry) -> i64 {
        let arrival = self.arrival_of(entry);
        entry.at.map_or(arrival, |at| at.min(arrival))
    }

    /// The time as of which all of it claims, were all of it new.
    pub(super) fn claims_at(&self) -> i64 {
        let times = self.part.entries.iter().map(|entry| claim_time(entry.at, self.arrival_of(entry)));
        times.min().unwrap_or(self.arrival)
    }

    pub(super) async fn insert(
        &self,
        transaction: &Transaction,
        identity_id: i64,
    ) -> Result<HashSet<i64>, PostgresError> {
        if self.ids.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = transaction
            .query(
                INSERT,
                &[
                    &identity_id,
                    &self.ids,
                    &self.kinds,
                    &self.names,
                    &self.message_ids,
                    &self.message_keys,
                    &self.times,
                    &self.topic_ids,
                    &self.bodies,
                ],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The page views of the batch that were there before.
    pub(super) async fn page_views(&self, transaction: &Transaction, row: IdRow) -> Result<Vec<Row>, PostgresError> {
        let kinds = self.kinds.iter().zip(&self.message_keys).filter(|(kind, _)| **kind == EntryKind::PageView.name());
        let keys: Vec<&str> = kinds.filter_map(|(_, key)| key.as_deref()).collect();
        if keys.is_empty() || row.is_new {
            return Ok(Vec::new());
        }
        transaction.query(PAGE_VIEWS, &[&row.id, &keys]).await
    }

    pub(super) fn says_companies(&self) -> bool {
        let of_entries = || self.part.entries.iter().any(|entry| !entry.said().is_empty());
        self.part.traits.is_some_and(|traits| !Said::of_traits(traits).is_empty()) || of_entries()
    }

    pub(super) fn says_traits(&self) -> bool {
        self.part.traits.is_some() || self.part.entries.iter().any(|entry| entry.traits.is_some())
    }
}

impl Arrived<'_> {
    /// The places of new entries.
    pub(super) fn new_places(
        &self,
        inserted: &HashSet<i64>,
    ) -> impl Iterator<Item = (usize, (&Topic, &ReceivedEntry))> {
        let topics = self.topics.iter().zip(self.part.entries.iter().copied());
        let all = self.ids.iter().zip(topics).enumerate();
        all.filter(|(_, (id, _))| inserted.contains(id)).map(|(place, (_, entry))| (place, entry))
    }

    /// The rules that take each entry.
    pub(super) fn taking(&self, rules: &RuleSet) -> Vec<Vec<i64>> {
        self.part.entries.iter().map(|entry| rules.matching(entry.kind, &entry.json)).collect()
    }

    /// The days of entries under the rules that take them, of which something may stand there.
    pub(super) fn days(&self, taking: &[Vec<i64>], row: IdRow) -> BTreeSet<(i64, i64)> {
        let entries = self.part.entries.iter().zip(taking).filter(|_| !row.is_new);
        entries.flat_map(|(entry, rules)| rules.iter().map(|rule| (*rule, day_of(self.at(entry))))).collect()
    }

    pub(super) fn has_guess(&self) -> bool {
        self.part.entries.iter().any(|entry| entry.guess.is_some())
    }

    pub(super) fn new_entries(&self, inserted: &HashSet<i64>) -> impl Iterator<Item = &ReceivedEntry> {
        self.ids.iter().zip(&self.part.entries).filter(|(id, _)| inserted.contains(id)).map(|(_, entry)| *entry)
    }
}
