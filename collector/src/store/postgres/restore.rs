//! An archive read into a database. Its statements are not prepared: they run once in a long time.

use std::collections::{BTreeMap, HashMap};

use super::accounts::{self, ChangedCompanies};
use super::clusters::Clusters;
use super::error::PostgresError;
use super::pointers::Moved;
use super::sql::statements;
use super::topics::{Counted, Topic};
use super::transaction::Transaction;
use super::{body, keys, row_ids};
use crate::company::{CompanyKey, CompanyKind};
use crate::received::EntryKind;
use crate::store::archive::{
    AboutRecord, CompanyRecord, DeletionRecord, EntryRecord, IdName, IdentityRecord, Record, SaidRecord,
};

statements! {
    NO_TURN = "DELETE FROM alert_turn";
    ANY = "SELECT EXISTS (SELECT 1 FROM identity) OR EXISTS (SELECT 1 FROM company_key) OR EXISTS (SELECT 1 FROM changed)
               OR EXISTS (SELECT 1 FROM tombstone) OR EXISTS (SELECT 1 FROM deletion)";
    KEY = "UPDATE installation SET tombstone_key = $1 WHERE id = 1";
    IDENTITIES = "INSERT INTO identity (id, kind, value, visitor_id, first_at, decision, first_seen, last_seen)
                  SELECT id, kind, value, id, first_at, decision, first_seen, last_seen
                  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
                      AS new (id, kind, value, first_at, decision, first_seen, last_seen)";
    IDS = "SELECT identity.kind, identity.value, identity.id FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
           JOIN identity ON identity.kind = wanted.kind AND identity.value = wanted.value";
    POINTERS = "UPDATE identity SET into_id = new.into_id FROM unnest($1::bigint[], $2::bigint[]) AS new (id, into_id)
                WHERE identity.id = new.id";
    CLAIMS = "INSERT INTO claim (identity_id, owner_id, kind, rank, at)
              SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])";
    DECISIONS = "INSERT INTO decision (id, at, what, identity_id, to_id)
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])";
    TRAITS = "INSERT INTO trait (identity_id, name_key, name, value, at)
              SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) ON CONFLICT DO NOTHING";
    STATEMENTS = "INSERT INTO company_said (voter_id, domain, group_id, name, written, by_group_call, at)
                  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[])";
    GUESSES = "INSERT INTO network_guess (identity_id, domain, at)
               SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])";
    COMPANY_TRAITS = "INSERT INTO company_trait (company_key, name_key, name, value, at)
                      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) ON CONFLICT DO NOTHING";
    ENTRIES = "INSERT INTO entry (id, identity_id, kind, name, message_id, message_key, at, topic_id, body)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                                    $8::bigint[], $9::bytea[])";
    COUNTS = "UPDATE identity SET events = events + new.a, identifies = identifies + new.b, page_views = page_views + new.c
              FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS new (id, a, b, c) WHERE identity.id = new.id";
    TOMBSTONES = "INSERT INTO tombstone (hash, at, is_whole) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::boolean[])";
    DELETION = "INSERT INTO deletion (id, requested_at, forgotten_at, completed_at, visitors, entries, messages, others)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    DEPARTED = "INSERT INTO departed (deletion_id, kind, value, at, is_whole)
                SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::boolean[])";
    TOPS = "SELECT id FROM identity WHERE into_id IS NULL AND kind <> 'taken' AND id > $1 ORDER BY id LIMIT $2";
}

/// Clusters that are put together in one transaction.
const CLUSTERS: i64 = 50;

/// Whether nothing is in the database yet.
pub(super) async fn is_empty(transaction: &Transaction) -> Result<bool, PostgresError> {
    transaction.begin().await?;
    let row = transaction.query_rare(ANY, &[]).await?.into_iter().next();
    transaction.commit().await?;
    Ok(!row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Writes some records. What is named in them was written before, or is.
pub(super) async fn restore(transaction: &Transaction, records: &[Record]) -> Result<(), PostgresError> {
    transaction.begin().await?;
    let mut identities = Vec::new();
    let (mut about, mut entries, mut statements) = (Vec::new(), Vec::new(), Vec::new());
    let mut changed = ChangedCompanies::default();
    for record in records {
        match record {
            Record::TombstoneKey(key) => {
                transaction.execute_rare(KEY, &[&bytes(key)?]).await?;
            }
            Record::Identity(identity) => identities.push(identity),
            Record::About(one) => about.push(one.as_ref()),
            Record::Entry(entry) => entries.push(entry),
            Record::Said(said) => statements.push((0, said)),
            Record::Company(company) => put_company(transaction, company, &mut changed).await?,
            Record::Tombstone(hash, at, is_whole) => {
                transaction.execute_rare(TOMBSTONES, &[&vec![bytes(hash)?], &vec![*at], &vec![*is_whole]]).await?;
            }
            Record::Deletion(deletion) => put_deletion(transaction, deletion).await?,
        }
    }
    put_identities(transaction, &identities).await?;
    let ids = numbers(transaction, &about, &entries).await?;
    put_about(transaction, &about, &ids).await?;
    for one in &about {
        let voter = number(&ids, &one.id)?;
        statements.extend(one.said.iter().map(|said| (voter, said)));
    }
    put_statements(transaction, &statements, &mut changed).await?;
    put_entries(transaction, &entries, &ids).await?;
    changed.write(transaction).await?;
    transaction.commit().await
}

/// Puts a piece of the visitors together: who belongs to whom, and which company each is of.
pub(super) async fn put_together(transaction: &Transaction, after: i64) -> Result<Option<i64>, PostgresError> {
    transaction.begin().await?;
    let rows = transaction.query_rare(TOPS, &[&after, &CLUSTERS]).await?;
    let mut moved = Moved::default();
    let mut last = None;
    for row in &rows {
        let top = row.try_get(0)?;
        moved.add(top);
        last = Some(top);
    }
    if last.is_some() {
        Clusters::read(transaction, &moved).await?.regroup().write(transaction).await?;
    } else {
        // All of it stands as it is when it is first looked at: nothing of it goes off.
        transaction.execute_rare(NO_TURN, &[]).await?;
    }
    transaction.commit().await?;
    Ok(last)
}

async fn put_identities(transaction: &Transaction, all: &[&IdentityRecord]) -> Result<(), PostgresError> {
    if all.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = (row_ids::next()..).take(all.len()).collect();
    let kinds: Vec<&str> = all.iter().map(|it| it.id.0.as_str()).collect();
    let values: Vec<&str> = all.iter().map(|it| it.id.1.as_str()).collect();
    let first_at: Vec<Option<i64>> = all.iter().map(|it| it.first_at).collect();
    let decisions: Vec<Option<&str>> = all.iter().map(|it| it.decision.as_deref()).collect();
    let (first, last): (Vec<Option<i64>>, Vec<Option<i64>>) = all.iter().map(|it| it.seen.unzip()).unzip();
    transaction.execute_rare(IDENTITIES, &[&ids, &kinds, &values, &first_at, &decisions, &first, &last]).await
}

type Numbers = HashMap<IdName, i64>;

/// The numbers of all ids that are named.
async fn numbers(
    transaction: &Transaction,
    about: &[&AboutRecord],
    entries: &[&EntryRecord],
) -> Result<Numbers, PostgresError> {
    let of_about = about.iter().flat_map(|it| {
        let owners = it.claims.iter().map(|(owner, ..)| owner);
        let others = it.decisions.iter().filter_map(|(_, _, to)| to.as_ref());
        std::iter::once(&it.id).chain(&it.into).chain(owners).chain(others)
    });
    let names: std::collections::BTreeSet<&IdName> = of_about.chain(entries.iter().map(|it| &it.of)).collect();
    if names.is_empty() {
        return Ok(Numbers::new());
    }
    let (kinds, values): (Vec<&str>, Vec<&str>) =
        names.into_iter().map(|(kind, value)| (kind.as_str(), value.as_str())).unzip();
    let rows = transaction.query_rare(IDS, &[&kinds, &values]).await?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

fn number(ids: &Numbers, name: &IdName) -> Result<i64, PostgresError> {
    ids.get(name).copied().ok_or(PostgresError::Row("an id that the archive does not have"))
}

async fn put_about(transaction: &Transaction, all: &[&AboutRecord], ids: &Numbers) -> Result<(), PostgresError> {
    let (mut pointers, mut claims) =
        ((Vec::new(), Vec::new()), (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new()));
    let mut decisions = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut traits = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut guesses = (Vec::new(), Vec::new(), Vec::new());
    let mut decision_ids = row_ids::next()..;
    for about in all {
        let id = number(ids, &about.id)?;
        if let Some(into) = &about.into {
            pointers.0.push(id);
            pointers.1.push(number(ids, into)?);
        }
        for (owner, rank, at) in &about.claims {
            claims.0.push(id);
            claims.1.push(number(ids, owner)?);
            claims.2.push(about.id.0.as_str());
            claims.3.push(*rank);
            claims.4.push(*at);
        }
        for (at, what, to) in &about.decisions {
            decisions.0.extend(decision_ids.next());
            decisions.1.push(*at);
            decisions.2.push(what.as_str());
            decisions.3.push(id);
            decisions.4.push(to.as_ref().map(|to| number(ids, to)).transpose()?);
        }
        for (name, (value, at)) in &about.traits {
            traits.0.push(id);
            traits.1.push(keys::key(name));
            traits.2.push(keys::text(name));
            traits.3.push(value.as_str());
            traits.4.push(*at);
        }
        if let Some((domain, at)) = &about.guess {
            guesses.0.push(id);
            guesses.1.push(domain.as_str());
            guesses.2.push(*at);
        }
    }
    if !pointers.0.is_empty() {
        transaction.execute_rare(POINTERS, &[&pointers.0, &pointers.1]).await?;
    }
    if !claims.0.is_empty() {
        transaction.execute_rare(CLAIMS, &[&claims.0, &claims.1, &claims.2, &claims.3, &claims.4]).await?;
    }
    if !decisions.0.is_empty() {
        let values: super::transaction::Values<'_> =
            &[&decisions.0, &decisions.1, &decisions.2, &decisions.3, &decisions.4];
        transaction.execute_rare(DECISIONS, values).await?;
    }
    if !traits.0.is_empty() {
        transaction.execute_rare(TRAITS, &[&traits.0, &traits.1, &traits.2, &traits.3, &traits.4]).await?;
    }
    if !guesses.0.is_empty() {
        transaction.execute_rare(GUESSES, &[&guesses.0, &guesses.1, &guesses.2]).await?;
    }
    Ok(())
}

async fn put_statements(
    transaction: &Transaction,
    all: &[(i64, &SaidRecord)],
    changed: &mut ChangedCompanies,
) -> Result<(), PostgresError> {
    if all.is_empty() {
        return Ok(());
    }
    let voters: Vec<i64> = all.iter().map(|(voter, _)| *voter).collect();
    let column = |of: fn(&SaidRecord) -> &str| all.iter().map(|(_, said)| of(said)).collect::<Vec<&str>>();
    let (domains, groups, names) = (column(|it| &it.domain), column(|it| &it.group), column(|it| &it.name));
    let written: Vec<_> = all.iter().map(|(_, said)| keys::text(&said.written)).collect();
    let by_group_call: Vec<bool> = all.iter().map(|(_, said)| said.by_group_call).collect();
    let times: Vec<i64> = all.iter().map(|(_, said)| said.at).collect();
    for (_, said) in all {
        changed.say_all([&said.domain, &said.group, &said.name]);
    }
    let values: super::transaction::Values<'_> =
        &[&voters, &domains, &groups, &names, &written, &by_group_call, &times];
    transaction.execute_rare(STATEMENTS, values).await
}

async fn put_company(
    transaction: &Transaction,
    company: &CompanyRecord,
    changed: &mut ChangedCompanies,
) -> Result<(), PostgresError> {
    let (kind, value) = &company.id;
    let Some(kind) = CompanyKind::of(kind) else { return Ok(()) };
    let key = accounts::text_of(&CompanyKey::stored(kind, value.clone()));
    let of = vec![key.as_str(); company.traits.len()];
    let name_keys: Vec<_> = company.traits.keys().map(|name| keys::key(name)).collect();
    let names: Vec<_> = company.traits.keys().map(|name| keys::text(name)).collect();
    let (values, times): (Vec<&str>, Vec<i64>) =
        company.traits.values().map(|(value, at)| (value.as_str(), *at)).unzip();
    if !of.is_empty() {
        transaction.execute_rare(COMPANY_TRAITS, &[&of, &name_keys, &names, &values, &times]).await?;
    }
    if company.is_told {
        changed.tell(key);
    } else {
        changed.say(key);
    }
    Ok(())
}

async fn put_entries(transaction: &Transaction, all: &[&EntryRecord], ids: &Numbers) -> Result<(), PostgresError> {
    if all.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = (row_ids::next()..).take(all.len()).collect();
    let of = all.iter().map(|entry| number(ids, &entry.of)).collect::<Result<Vec<i64>, _>>()?;
    let kinds: Vec<&str> = all.iter().map(|entry| entry.kind.as_str()).collect();
    let names: Vec<_> = all.iter().map(|entry| entry.name.as_deref().map(keys::text)).collect();
    let message_keys: Vec<_> = all.iter().map(|entry| entry.message_id.as_deref().map(keys::key)).collect();
    let message_ids = all.iter().map(|entry| entry.message_id.as_deref().map(keys::text));
    let message_ids: Vec<_> =
        message_ids.zip(&message_keys).map(|(id, key)| id.filter(|id| Some(id) != key.as_ref())).collect();
    let times: Vec<i64> = all.iter().map(|entry| entry.at).collect();
    let bodies: Vec<Vec<u8>> = all.iter().map(|entry| body::pack(&entry.json)).collect();
    let (mut topic_ids, mut counts) = (Vec::new(), BTreeMap::<i64, [i64; 3]>::new());
    let mut counted: BTreeMap<i64, Counted> = BTreeMap::new();
    for (entry, id) in all.iter().zip(&of) {
        let Some(kind) = EntryKind::of(&entry.kind) else { return Err(PostgresError::Row("the kind of an entry")) };
        let topic = Topic::of(kind, entry.name.as_deref(), &entry.json);
        topic_ids.push(topic.id);
        counted.entry(*id).or_default().add(&topic, entry.at);
        let [events, identifies, page_views] = counts.entry(*id).or_default();
        match kind {
            EntryKind::Event => *events += 1,
            EntryKind::Identify => *identifies += 1,
            EntryKind::PageView => *page_views += 1,
        }
    }
    let values: super::transaction::Values<'_> =
        &[&numbers, &of, &kinds, &names, &message_ids, &message_keys, &times, &topic_ids, &bodies];
    transaction.execute_rare(ENTRIES, values).await?;
    for (id, counted) in &counted {
        counted.write(transaction, *id).await?;
    }
    let counted_of: Vec<i64> = counts.keys().copied().collect();
    let [a, b, c] =
        [0, 1, 2].map(|place| counts.values().filter_map(|it| it.get(place).copied()).collect::<Vec<i64>>());
    transaction.execute_rare(COUNTS, &[&counted_of, &a, &b, &c]).await
}

async fn put_deletion(transaction: &Transaction, deletion: &DeletionRecord) -> Result<(), PostgresError> {
    let DeletionRecord {
        id,
        requested_at,
        forgotten_at,
        completed_at,
        counts: [visitors, entries, messages],
        others,
        departed,
    } = deletion;
    transaction
        .execute_rare(DELETION, &[id, requested_at, forgotten_at, completed_at, visitors, entries, messages, others])
        .await?;
    if departed.is_empty() {
        return Ok(());
    }
    let kinds: Vec<&str> = departed.iter().map(|((kind, _), ..)| kind.as_str()).collect();
    let values: Vec<&str> = departed.iter().map(|((_, value), ..)| value.as_str()).collect();
    let times: Vec<i64> = departed.iter().map(|(_, at, _)| *at).collect();
    let whole: Vec<bool> = departed.iter().map(|(.., is_whole)| *is_whole).collect();
    transaction.execute_rare(DEPARTED, &[id, &kinds, &values, &times, &whole]).await
}

/// The bytes of a text in hexadecimal.
fn bytes(text: &str) -> Result<Vec<u8>, PostgresError> {
    hex::decode(text).map_err(|_| PostgresError::Row("a hash of the archive"))
}
