//! Page views that have grown since they were kept.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use super::arrived::Arrived;
use super::body;
use super::error::PostgresError;
use super::intent::RuleSet;
use super::noted::Noted;
use super::sql::statements;
use super::transaction::Transaction;
use crate::received::EntryKind;

statements! {
    GROW = "UPDATE entry SET name = new.name, topic_id = new.topic_id, body = new.body
            FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[]) AS new (id, name, topic_id, body)
            WHERE entry.id = new.id";
}

/// A page view as it stands.
struct Present {
    id: i64,
    began_at: i64,
    topic_id: Option<i64>,
    json: String,
}

/// Page views that have grown, in columns: Koala's script sends one again under the same message id while it lasts, and the latest
/// counts.
#[derive(Default)]
pub(super) struct Grown {
    pub(super) ids: Vec<i64>,
    pub(super) names: Vec<Option<String>>,
    pub(super) topic_ids: Vec<Option<i64>>,
    pub(super) bodies: Vec<Vec<u8>>,
}

impl Grown {
    pub(super) fn of(
        arrived: &Arrived<'_>,
        inserted: &HashSet<i64>,
        there: &[Row],
        (rules, taking): (&RuleSet, &[Vec<i64>]),
        noted: &mut Noted,
    ) -> Result<Self, PostgresError> {
        // What is there now: of a batch that has one several times, each is held beside the one before.
        let mut now: HashMap<String, Present> = HashMap::new();
        for row in there {
            let json = body::unpack(row.try_get(3)?)?.into_owned();
            let standing = Present { id: row.try_get(1)?, began_at: row.try_get(2)?, topic_id: row.try_get(4)?, json };
            now.insert(row.try_get(0)?, standing);
        }
        let mut latest: HashMap<i64, usize> = HashMap::new();
        for (place, entry) in arrived.part.entries.iter().enumerate() {
            let (Some(id), Some(Some(key))) = (arrived.ids.get(place), arrived.message_keys.get(place)) else {
                continue;
            };
            if entry.kind != EntryKind::PageView {
                continue;
            }
            let Some(topic) = arrived.topics.get(place) else { continue };
            if inserted.contains(id) {
                let (began_at, json) = (arrived.at(entry), entry.json.clone());
                now.insert(key.clone(), Present { id: *id, began_at, topic_id: topic.id, json });
            } else if let Some(before) = now.get_mut(key)
                && entry.json != before.json
                && entry.has_grown_from(&before.json)
            {
                let at = arrived.at(entry).min(before.began_at);
                noted.counted.change(before.topic_id, topic, at);
                // Under the rules that took it before it is noted.
                let before_it = rules.matching(entry.kind, &before.json);
                let of_entry = taking.get(place).into_iter().flatten().copied();
                let new: Vec<i64> = of_entry.filter(|rule| !before_it.contains(rule)).collect();
                noted.days.note(rules, &new, at);
                before.json.clone_from(&entry.json);
                before.topic_id = topic.id;
                latest.insert(before.id, place);
            }
        }
        let mut grown = Self::default();
        for (id, place) in latest {
            grown.ids.push(id);
            grown.names.push(arrived.names.get(place).cloned().flatten());
            grown.topic_ids.push(arrived.topic_ids.get(place).copied().flatten());
            grown.bodies.push(arrived.bodies.get(place).cloned().unwrap_or_default());
        }
        Ok(grown)
    }

    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { ids, names, topic_ids, bodies } = self;
        transaction.execute_if(!ids.is_empty(), GROW, &[ids, names, topic_ids, bodies]).await
    }
}
