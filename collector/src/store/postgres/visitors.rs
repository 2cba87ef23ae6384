//! Visitors as they are shown: a page of them, and one with the timeline.

use std::collections::HashMap;

use koala_destination::clock;
use koala_destination::ids::IdKind;
use serde_json::Map;
use serde_json::value::RawValue;
use tokio_postgres::Row;

use super::error::PostgresError;
use super::ids;
use super::intent::RuleSet;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{accounts, body, identities, reasons};
use crate::about::About;
use crate::intent::Intent;
use crate::store::traits::Latest;
use crate::store::visitor::{EntryCursor, TimelineEntry, Visitor, VisitorId, VisitorIdentity};
use crate::store::visitor_points::VisitorPoints;

statements! {
    VISITORS = "SELECT visitor.id, visitor.company_key, visitor.first_seen, visitor.last_seen, company.id, company.name, company.key,
                       visitor.excluded OR coalesce(company.excluded, FALSE), visitor.is_guess
                FROM visitor LEFT JOIN company_key ON company_key.key = visitor.company_key
                LEFT JOIN company ON company.id = company_key.company_id WHERE visitor.id = ANY($1::bigint[])";
    // The strongest first; emails by when they were known first.
    IDENTITIES = "SELECT visitor_id, kind, value, into_id IS NOT NULL, decision, events, identifies, page_views,
                      CASE kind WHEN 'email' THEN least(first_at, (SELECT min(at) FROM claim WHERE identity_id = identity.id)) END
                  FROM identity WHERE visitor_id = ANY($1::bigint[])
                  ORDER BY kind = 'user' DESC, kind = 'email' DESC, into_id IS NOT NULL, value";
    TRAITS = "SELECT identity.visitor_id, trait.name, trait.value, trait.at
              FROM identity JOIN trait ON trait.identity_id = identity.id WHERE identity.visitor_id = ANY($1::bigint[])
              ORDER BY identity.kind = 'user' DESC, identity.kind = 'email' DESC, identity.id";
    NEWEST_ENTRY = "SELECT max(id) FROM entry";
    ENTRIES = "SELECT entry.kind, entry.name, coalesce(entry.message_id, entry.message_key), entry.at, entry.body,
                      entry.identity_id, entry.id
               FROM identity JOIN entry ON entry.identity_id = identity.id
               WHERE identity.visitor_id = $1 AND (entry.identity_id, entry.at, entry.id) > ($2, $3, $4)
               ORDER BY entry.identity_id, entry.at, entry.id LIMIT $5";
    OF_ROW = "SELECT visitor_id FROM identity WHERE id = $1";
    // The newest of each id, put together.
    TIMELINE = "SELECT entry.kind, entry.name, coalesce(entry.message_id, entry.message_key), entry.at, entry.body
                FROM identity CROSS JOIN LATERAL (
                    SELECT id, kind, name, message_id, message_key, at, body FROM entry WHERE identity_id = identity.id
                    ORDER BY at DESC, id DESC LIMIT $2) AS entry
                WHERE identity.visitor_id = $1 ORDER BY entry.at DESC, entry.id DESC LIMIT $2";
}

/// The visitors of some rows, in that order, with their points by these rules, or, where they were found by their points, with
/// these. One that is gone is skipped.
pub(super) async fn of_ids(
    transaction: &Transaction,
    rules: &RuleSet,
    points: Option<&VisitorPoints>,
    ids: &[i64],
) -> Result<Vec<Visitor>, PostgresError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (rows, identities, traits, intent) = together!(
        transaction.query(VISITORS, &[&ids]),
        transaction.query(IDENTITIES, &[&ids]),
        transaction.query(TRAITS, &[&ids]),
        async {
            // Whose points are counted already is not counted again.
            if points.is_some() { Ok(HashMap::new()) } else { reasons::of_visitors(transaction, rules, ids).await }
        },
    )?;
    let mut visitors: HashMap<i64, Visitor> = HashMap::new();
    for row in &rows {
        visitors.insert(row.try_get(0)?, visitor(row)?);
    }
    for (id, visitor) in &mut visitors {
        visitor.intent = match points {
            Some(points) => points.intent_of(*id),
            None => intent.get(id).copied().unwrap_or_default(),
        };
    }
    let mut emails: HashMap<i64, Vec<(i64, String)>> = HashMap::new();
    for row in &identities {
        let visitor_id: i64 = row.try_get(0)?;
        let Some(visitor) = visitors.get_mut(&visitor_id) else { continue };
        let id = identities::id_of(row, 1)?;
        match id.kind() {
            IdKind::User => visitor.user_ids.push(id.value().to_owned()),
            IdKind::Device => visitor.anonymous_ids.push(id.value().to_owned()),
            IdKind::Email => {
                let known_at = row.try_get::<_, Option<i64>>(8)?.unwrap_or(i64::MAX);
                emails.entry(visitor_id).or_default().push((known_at, id.value().to_owned()));
            }
        }
        visitor.events += row.try_get::<_, i64>(5)?;
        visitor.identifies += row.try_get::<_, i64>(6)?;
        visitor.page_views += row.try_get::<_, i64>(7)?;
        let is_blocked = row.try_get::<_, Option<&str>>(4)? == Some("blocked");
        visitor.identities.push(VisitorIdentity { id, belongs_to_another: row.try_get(3)?, is_blocked });
    }
    for (visitor_id, mut emails) in emails {
        emails.sort_unstable();
        if let Some(visitor) = visitors.get_mut(&visitor_id) {
            visitor.emails = emails.into_iter().map(|(_, email)| email).collect();
        }
    }
    let mut latest: HashMap<i64, Latest> = HashMap::new();
    for row in &traits {
        latest.entry(row.try_get(0)?).or_default().put(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    }
    for (visitor_id, latest) in latest {
        if let Some(visitor) = visitors.get_mut(&visitor_id) {
            visitor.traits = latest.into_map();
        }
    }
    Ok(ids.iter().filter_map(|id| visitors.remove(id)).collect())
}

fn visitor(row: &Row) -> Result<Visitor, PostgresError> {
    let is_guess = row.try_get(8)?;
    Ok(Visitor {
        id: ids::visitor_id(row.try_get(0)?),
        user_ids: Vec::new(),
        emails: Vec::new(),
        anonymous_ids: Vec::new(),
        // Before the company is counted it is known by what the visitor names.
        account: match row.try_get::<_, Option<String>>(6)? {
            Some(key) => Some(key),
            None => row.try_get::<_, Option<&str>>(1)?.and_then(accounts::key_of).map(|key| key.value),
        },
        company_id: row.try_get::<_, Option<i64>>(4)?.map(ids::company_id),
        company: row.try_get(5)?,
        company_source: row.try_get::<_, Option<i64>>(4)?.map(|_| ids::source_of(is_guess)),
        excluded: row.try_get(7)?,
        intent: Intent::default(),
        traits: Map::new(),
        first_seen: clock::from_milliseconds(row.try_get(2)?),
        last_seen: clock::from_milliseconds(row.try_get(3)?),
        events: 0,
        identifies: 0,
        page_views: 0,
        identities: Vec::new(),
    })
}

/// The number of the newest entry.
pub(super) async fn newest_entry(transaction: &Transaction) -> Result<Option<i64>, PostgresError> {
    let ((), newest, ()) =
        together!(transaction.begin(), transaction.query_opt(NEWEST_ENTRY, &[]), transaction.commit())?;
    Ok(newest.map(|row| row.try_get(0)).transpose()?.flatten())
}

/// One visitor with the newest entries of the timeline, newest first. The number of a visitor that was merged with another leads
/// to that one.
pub(super) async fn show(
    transaction: &Transaction,
    rules: &RuleSet,
    id: &VisitorId,
    limit: u32,
) -> Result<Option<(Visitor, Vec<TimelineEntry>)>, PostgresError> {
    let row = ids::visitor_row(id);
    let ((), of_row) = together!(transaction.begin(), transaction.query_opt(OF_ROW, &[&row]))?;
    let Some(of_row) = of_row else {
        transaction.commit().await?;
        return Ok(None);
    };
    let visitor_id: i64 = of_row.try_get(0)?;
    let ids = [visitor_id];
    let limit = i64::from(limit);
    let values = [&visitor_id as &(dyn tokio_postgres::types::ToSql + Sync), &limit];
    let (mut visitors, timeline) =
        together!(of_ids(transaction, rules, None, &ids), transaction.query(TIMELINE, &values))?;
    transaction.commit().await?;
    let Some(visitor) = visitors.pop() else { return Ok(None) };
    Ok(Some((visitor, timeline.iter().map(timeline_entry).collect::<Result<_, _>>()?)))
}

/// The entry in the columns kind, name, message id, time and body.
fn timeline_entry(row: &Row) -> Result<TimelineEntry, PostgresError> {
    let json = body::unpack(row.try_get(4)?)?.into_owned();
    let About { path, title, referrer, utm, .. } = About::of(&json);
    Ok(TimelineEntry {
        path,
        title,
        referrer,
        utm,
        kind: row.try_get(0)?,
        name: row.try_get(1)?,
        message_id: row.try_get(2)?,
        at: clock::from_milliseconds(row.try_get(3)?),
        entry: RawValue::from_string(json).unwrap_or_default(),
    })
}

/// A page of a visitor's entries: by the ids that they are filed under, and by time.
pub(super) async fn entries(
    transaction: &Transaction,
    id: &VisitorId,
    after: Option<&EntryCursor>,
    limit: u32,
) -> Result<(Vec<TimelineEntry>, Option<EntryCursor>), PostgresError> {
    let row = ids::visitor_row(id);
    let ((), of_row) = together!(transaction.begin(), transaction.query_opt(OF_ROW, &[&row]))?;
    let visitor_id: i64 = of_row.map(|row| row.try_get(0)).transpose()?.unwrap_or(-1);
    let [of_id, at, entry] = after.and_then(|EntryCursor(text)| place(text)).unwrap_or([i64::MIN; 3]);
    let limit = i64::from(limit);
    let (there, rows, ()) = together!(
        transaction.query(VISITORS, &[&[visitor_id].as_slice()]),
        transaction.query(ENTRIES, &[&visitor_id, &of_id, &at, &entry, &limit]),
        transaction.commit(),
    )?;
    if there.is_empty() {
        return Ok((Vec::new(), None));
    }
    let is_full = i64::try_from(rows.len()).is_ok_and(|all| all >= limit);
    let next = match rows.last().filter(|_| is_full) {
        Some(last) => {
            let (of_id, at, entry): (i64, i64, i64) = (last.try_get(5)?, last.try_get(3)?, last.try_get(6)?);
            Some(EntryCursor(format!("{of_id} {at} {entry}")))
        }
        None => None,
    };
    Ok((rows.iter().map(timeline_entry).collect::<Result<_, _>>()?, next))
}

fn place(text: &str) -> Option<[i64; 3]> {
    let mut numbers = text.split(' ').map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_visitor_is_no_number_and_is_written_in_one_way() {
        let shown = ids::visitor_id(0x1234_5678_9abc);
        assert_eq!((shown.as_str(), ids::visitor_row(&shown)), ("v123456789abc", 0x1234_5678_9abc));
        for other in ["", "v", "1", "v0123456789abc", "v123456789ABC", "v-1", "v+1", "vfffffffffffffffffffffffff"] {
            assert_eq!(ids::visitor_row(&VisitorId::new(other)), -1, "{other}");
        }
    }
}
