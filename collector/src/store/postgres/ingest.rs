//! A batch is kept: it is read whom it is of, its entries are filed under the strongest id, and what is new of it is noted.
//!
//! Whatever is in the batch takes seven round trips at most, and of a visitor who is known three:
//!
//! 1. the transaction begins; the rows of the batch's ids, what they claim, their tombstones, and the version of the intent rules
//! 2. the entries are inserted; what is needed beside them is read
//! 3. to 5. what else has to be known of who is who, where a claim is new
//! 6. the pointers are written, and the clusters are read that come of them, where anything moved or was said anew
//! 7. all the rest is written, and the transaction commits

use std::collections::{BTreeSet, HashMap, HashSet};

use koala_destination::clock::now_milliseconds;
use tokio_postgres::Row;

use super::accounts::{self, Changed, CompanyTraits, Statements};
use super::clusters::{Clusters, Regrouped, Rows};
use super::days::{Days, day_of};
use super::error::PostgresError;
use super::guesses::NewestGuess;
use super::identities::{IdRow, Ids};
use super::intent::{IntentRules, RuleSet};
use super::sql::statements;
use super::tombstones::{self, Meeting, Part, Sifted};
use super::topics::{Counted, Topic};
use super::traits;
use super::transaction::{Transaction, together};
use super::{alert_changes, body, deletion, intent, keys, row_ids};
use crate::company::{CompanyKey, CompanyKind, Said};
use crate::identity::{Reading, Wants, claim_time};
use crate::protocol::batch::{Batch, EntryKind, ReceivedEntry};
use crate::tombstone::TombstoneKey;

statements! {
    INSERT = "INSERT INTO entry (id, identity_id, kind, name, message_id, message_key, at, topic_id, body)
              SELECT id, $1, kind, name, message_id, message_key, at, topic_id, body
              FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bytea[])
                  AS new (id, kind, name, message_id, message_key, at, topic_id, body)
              ON CONFLICT DO NOTHING RETURNING id";
    PAGE_VIEWS = "SELECT message_key, id, at, body, topic_id FROM entry
                  WHERE identity_id = $1 AND kind = 'page_view' AND message_key = ANY($2::text[])";
    GROW = "UPDATE entry SET name = new.name, topic_id = new.topic_id, body = new.body
            FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[]) AS new (id, name, topic_id, body)
            WHERE entry.id = new.id";
    VISITOR = "SELECT company_key, given FROM visitor WHERE id = $1";
    SEE = "UPDATE identity SET first_seen = least(first_seen, $2), last_seen = greatest(last_seen, $3),
               events = events + $4, identifies = identifies + $5, page_views = page_views + $6 WHERE id = $1";
    SEE_ALONE = "UPDATE identity SET first_seen = coalesce(first_seen, $2), last_seen = coalesce(last_seen, $2) WHERE id = $1";
    SEE_VISITOR = "UPDATE visitor SET first_seen = least(first_seen, $2), last_seen = greatest(last_seen, $3) WHERE id = $1";
}

/// A batch as it will be written, in columns. It is made once, and every attempt writes the same: one whose answer to COMMIT was
/// lost is not doubled by the next.
pub(super) struct Arrived<'b> {
    part: Part<'b>,
    /// Whether some of it may be a person's who was deleted.
    is_sifted: bool,
    /// When it came.
    arrival: i64,
    now: i64,
    ids: Vec<i64>,
    kinds: Vec<&'static str>,
    names: Vec<Option<String>>,
    topics: Vec<Topic>,
    topic_ids: Vec<Option<i64>>,
    message_ids: Vec<Option<String>>,
    message_keys: Vec<Option<String>>,
    times: Vec<i64>,
    bodies: Vec<Vec<u8>>,
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

    fn arrival_of(&self, entry: &ReceivedEntry) -> i64 {
        entry.received_at.map_or(self.arrival, |at| at.min(self.now))
    }

    /// When an entry happened: nothing happens after it has arrived.
    fn at(&self, entry: &ReceivedEntry) -> i64 {
        let arrival = self.arrival_of(entry);
        entry.at.map_or(arrival, |at| at.min(arrival))
    }

    /// The time as of which all of it claims, were all of it new.
    fn claims_at(&self) -> i64 {
        let times = self.part.entries.iter().map(|entry| claim_time(entry.at, self.arrival_of(entry)));
        times.min().unwrap_or(self.arrival)
    }

    async fn insert(&self, transaction: &Transaction, identity_id: i64) -> Result<HashSet<i64>, PostgresError> {
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
    async fn page_views(&self, transaction: &Transaction, row: IdRow) -> Result<Vec<Row>, PostgresError> {
        let kinds = self.kinds.iter().zip(&self.message_keys).filter(|(kind, _)| **kind == EntryKind::PageView.name());
        let keys: Vec<&str> = kinds.filter_map(|(_, key)| key.as_deref()).collect();
        if keys.is_empty() || row.is_new {
            return Ok(Vec::new());
        }
        transaction.query(PAGE_VIEWS, &[&row.id, &keys]).await
    }

    fn says_companies(&self) -> bool {
        let of_entries = || self.part.entries.iter().any(|entry| !entry.said().is_empty());
        self.part.traits.is_some_and(|traits| !Said::of_traits(traits).is_empty()) || of_entries()
    }

    fn says_traits(&self) -> bool {
        self.part.traits.is_some() || self.part.entries.iter().any(|entry| entry.traits.is_some())
    }
}

/// Keeps a batch: an entry whose message id is known already under the same id is not kept twice, and a batch that says nothing
/// new writes nothing. Where some of it is a person's who was deleted, nothing is kept yet: what is left comes back in parts, each to
/// be kept by itself.
pub(super) async fn keep<'b>(
    transaction: &Transaction,
    rules: &IntentRules,
    key: &TombstoneKey,
    arrived: &Arrived<'b>,
) -> Result<Option<Sifted<'b>>, PostgresError> {
    let mut ids = Ids::new(transaction);
    let wants = Wants::of(&arrived.part.ids);
    let late = arrived.part.ids.all().filter(|_| arrived.is_sifted);
    let ((), (), version, tombstones) = together!(
        transaction.begin(),
        ids.load(&wants),
        intent::version(transaction),
        tombstones::of(transaction, key, late),
    )?;
    if let Some(sifted) = tombstones::sift(&arrived.part, &ids, &tombstones) {
        deletion::learn_late(transaction, key, &sifted.gone, &sifted.learned).await?;
        transaction.commit().await?;
        return Ok(Some(sifted));
    }
    let rules = rules.of_version(transaction, version).await?;
    let new = arrived.part.ids.all().filter(|id| arrived.is_sifted && ids.row(id).is_none());
    let meeting = Meeting::of(key, new, &tombstones);
    Box::pin(keep_all(transaction, &rules, (arrived, &meeting), ids)).await.map(|()| None)
}

#[allow(clippy::too_many_lines)] // one transaction from its first statement to its last
async fn keep_all(
    transaction: &Transaction,
    rules: &RuleSet,
    (arrived, meeting): (&Arrived<'_>, &Meeting),
    mut ids: Ids<'_>,
) -> Result<(), PostgresError> {
    let Some(reading) = ids.ask(|known| Reading::of(&arrived.part.ids, known)).await? else {
        return transaction.commit().await; // a person said that these ids are nobody's
    };
    let row = ids.row_or_new(reading.filed_under());

    // What will be asked for, most probably, travels along.
    let wants = reading.resolve(arrived.claims_at(), ids.known()).err().unwrap_or_default();
    let taking = arrived.taking(rules);
    let before = async {
        together!(
            Statements::read(transaction, row.id, arrived.says_companies() && !row.is_new),
            traits::read(transaction, row.id, arrived.says_traits() && !row.is_new),
            NewestGuess::read(transaction, row.id, arrived.has_guess() && !row.is_new),
            Days::there(transaction, row.id, &arrived.days(&taking, row)),
        )
    };
    let (page_views, inserted, visitor, (mut statements, mut kept, mut guess, days), ()) = together!(
        arrived.page_views(transaction, row),
        arrived.insert(transaction, row.id),
        transaction.query_opt(VISITOR, &[&row.visitor_id]),
        before,
        ids.load(&wants),
    )?;
    let is_known = visitor.is_some();
    let company: Option<String> = visitor.as_ref().map(|row| row.try_get(0)).transpose()?.flatten();
    let given: Option<String> = visitor.as_ref().map(|row| row.try_get(1)).transpose()?.flatten();
    let mut noted = Noted::of(arrived, &inserted, (rules, &taking), Days::beside(days));
    let grown = Grown::of(arrived, &inserted, &page_views, (rules, &taking), &mut noted)?;
    let mut changed = Changed::default();
    if let Some(key) = company {
        changed.count(key);
    }
    let Some(Times { first, last, claims_at }) = noted.times else {
        // All of it was there.
        if grown.ids.is_empty() {
            return transaction.commit().await;
        }
        together!(
            changed.write(transaction),
            together_written(transaction, row.id, &grown, &noted),
            transaction.commit(),
        )?;
        return Ok(());
    };

    let mut said = Vec::new();
    let mut of_companies = CompanyTraits::default();
    for entry in arrived.new_entries(&inserted) {
        if let Some(of_entry) = &entry.guess {
            guess.note(of_entry, arrived.at(entry));
        }
    }
    for entry in arrived.new_entries(&inserted).filter(|entry| entry.kind == EntryKind::Identify) {
        let Some(traits) = &entry.traits else { continue };
        said.extend(kept.merge(traits, arrived.at(entry)));
        let of_entry = entry.said();
        if let (Some(traits), Some(said)) = (&entry.traits_of_company, of_entry.first()) {
            of_companies.note(said, traits, arrived.at(entry));
        }
        for said in &of_entry {
            statements.note(said, arrived.arrival_of(entry));
        }
    }
    if let Some(traits) = arrived.part.traits {
        said.extend(kept.merge(traits, last));
        for said in Said::of_traits(traits) {
            statements.note(&said, arrived.arrival);
        }
    }
    let said: BTreeSet<String> = said.into_iter().collect();
    traits::warn_of_too_many(row.id, &kept);
    statements.note_changed(&mut changed);
    if let (Some(given), true) = (given, statements.is_changed()) {
        changed.say(accounts::text_of(&CompanyKey::stored(CompanyKind::Domain, given)));
    }

    let change = ids.ask(|known| reading.resolve(claims_at, known)).await?;
    of_companies.write(transaction, row.id, &mut changed).await?;
    let is_alone = arrived.part.entries.is_empty();
    let seen = Seen { id: row.id, first, last, is_alone, counts: noted.counts };
    let put_together = !is_known || !said.is_empty() || guess.is_of_another();
    let mut rows = Rows::of(&mut ids, &change);
    noted.moved = (!rows.moved.is_empty() || !said.is_empty() || statements.is_changed()).then_some(last);
    let of_visitor = if rows.moved.is_empty() && !put_together {
        OfVisitor::AsItWas { rows: Box::new(rows), visitor_id: row.visitor_id, guess }
    } else {
        rows.moved.add(row.id);
        let ((), (), (), (), (), clusters) = together!(
            rows.write(transaction),
            seen.write(transaction),
            traits::write(transaction, row.id, &kept, &said),
            statements.write(transaction, row.id),
            guess.write(transaction, row.id),
            Clusters::read(transaction, &rows.moved),
        )?;
        OfVisitor::Regrouped(Box::new(clusters.regroup()))
    };
    together!(
        of_visitor.write(transaction, &seen),
        meeting.write(transaction),
        changed.write(transaction),
        together_written(transaction, row.id, &grown, &noted),
        transaction.commit(),
    )?;
    Ok(())
}

async fn together_written(
    transaction: &Transaction,
    identity_id: i64,
    grown: &Grown,
    noted: &Noted,
) -> Result<(), PostgresError> {
    together!(
        grown.write(transaction),
        noted.counted.write(transaction, identity_id),
        noted.days.write(transaction, identity_id),
        alert_changes::note(transaction, identity_id, &noted.days, noted.moved),
    )?;
    Ok(())
}

/// What is written of a visitor.
enum OfVisitor {
    /// Nothing moved, and nothing was said anew: claims may have come, and the visitor was seen.
    AsItWas { rows: Box<Rows>, visitor_id: i64, guess: NewestGuess },
    /// Visitors were put together.
    Regrouped(Box<Regrouped>),
}

impl OfVisitor {
    async fn write(&self, transaction: &Transaction, seen: &Seen) -> Result<(), PostgresError> {
        match self {
            Self::Regrouped(regrouped) => regrouped.write(transaction).await,
            Self::AsItWas { rows, visitor_id, guess } => {
                together!(
                    rows.write(transaction),
                    seen.write(transaction),
                    guess.write(transaction, seen.id),
                    transaction.execute(SEE_VISITOR, &[visitor_id, &seen.first, &seen.last]),
                )?;
                Ok(())
            }
        }
    }
}

impl Arrived<'_> {
    /// The places of new entries.
    fn new_places(&self, inserted: &HashSet<i64>) -> impl Iterator<Item = (usize, (&Topic, &ReceivedEntry))> {
        let topics = self.topics.iter().zip(self.part.entries.iter().copied());
        let all = self.ids.iter().zip(topics).enumerate();
        all.filter(|(_, (id, _))| inserted.contains(id)).map(|(place, (_, entry))| (place, entry))
    }

    /// The rules that take each entry.
    fn taking(&self, rules: &RuleSet) -> Vec<Vec<i64>> {
        self.part.entries.iter().map(|entry| rules.matching(entry.kind, &entry.json)).collect()
    }

    /// The days of entries under the rules that take them, of which something may stand there.
    fn days(&self, taking: &[Vec<i64>], row: IdRow) -> BTreeSet<(i64, i64)> {
        let entries = self.part.entries.iter().zip(taking).filter(|_| !row.is_new);
        entries.flat_map(|(entry, rules)| rules.iter().map(|rule| (*rule, day_of(self.at(entry))))).collect()
    }

    fn has_guess(&self) -> bool {
        self.part.entries.iter().any(|entry| entry.guess.is_some())
    }

    fn new_entries(&self, inserted: &HashSet<i64>) -> impl Iterator<Item = &ReceivedEntry> {
        self.ids.iter().zip(&self.part.entries).filter(|(id, _)| inserted.contains(id)).map(|(_, entry)| *entry)
    }
}

/// When an id was seen, and with how many entries of each kind. Its row is written with every entry that is kept, so that a
/// deletion beside it meets it.
struct Seen {
    id: i64,
    first: i64,
    last: i64,
    /// Whether nothing was said of it but that it is there.
    is_alone: bool,
    counts: [i64; 3],
}

impl Seen {
    async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { id, first, last, is_alone, counts: [events, identifies, page_views] } = self;
        if *is_alone {
            return transaction.execute(SEE_ALONE, &[id, last]).await.map(drop);
        }
        transaction.execute(SEE, &[id, first, last, events, identifies, page_views]).await.map(drop)
    }
}

/// What the entries that are new say together.
struct Noted {
    times: Option<Times>,
    counts: [i64; 3],
    /// When something was said by which what was there may be another visitor's or company's.
    moved: Option<i64>,
    /// The days on which rules took something.
    days: Days,
    /// What they are about.
    counted: Counted,
}

struct Times {
    first: i64,
    last: i64,
    /// The earliest time as of which one of them claims.
    claims_at: i64,
}

impl Noted {
    fn of(
        arrived: &Arrived<'_>,
        inserted: &HashSet<i64>,
        (rules, taking): (&RuleSet, &[Vec<i64>]),
        days: Days,
    ) -> Self {
        let mut noted = Self { times: None, counts: [0; 3], moved: None, days, counted: Counted::default() };
        for (place, (topic, entry)) in arrived.new_places(inserted) {
            let at = arrived.at(entry);
            noted.counted.add(topic, at);
            noted.see(at, claim_time(entry.at, arrived.arrival_of(entry)));
            noted.days.note(rules, taking.get(place).map(Vec::as_slice).unwrap_or_default(), at);
            let [events, identifies, page_views] = &mut noted.counts;
            match entry.kind {
                EntryKind::Event => *events += 1,
                EntryKind::Identify => *identifies += 1,
                EntryKind::PageView => *page_views += 1,
            }
        }
        if arrived.part.entries.is_empty() {
            noted.see(arrived.arrival, arrived.arrival);
        }
        noted
    }

    fn see(&mut self, at: i64, claims_at: i64) {
        let before = self.times.get_or_insert(Times { first: at, last: at, claims_at });
        before.first = before.first.min(at);
        before.last = before.last.max(at);
        before.claims_at = before.claims_at.min(claims_at);
    }
}

/// A page view as it stands.
struct Standing {
    id: i64,
    began_at: i64,
    topic_id: Option<i64>,
    json: String,
}

/// Page views that have grown, in columns: Koala's script sends one again under the same message id while it lasts, and the latest
/// counts.
#[derive(Default)]
struct Grown {
    ids: Vec<i64>,
    names: Vec<Option<String>>,
    topic_ids: Vec<Option<i64>>,
    bodies: Vec<Vec<u8>>,
}

impl Grown {
    fn of(
        arrived: &Arrived<'_>,
        inserted: &HashSet<i64>,
        there: &[Row],
        (rules, taking): (&RuleSet, &[Vec<i64>]),
        noted: &mut Noted,
    ) -> Result<Self, PostgresError> {
        // What is there now: of a batch that has one several times, each is held beside the one before.
        let mut now: HashMap<String, Standing> = HashMap::new();
        for row in there {
            let json = body::unpack(row.try_get(3)?)?.into_owned();
            let standing = Standing { id: row.try_get(1)?, began_at: row.try_get(2)?, topic_id: row.try_get(4)?, json };
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
                now.insert(key.clone(), Standing { id: *id, began_at, topic_id: topic.id, json });
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

    async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { ids, names, topic_ids, bodies } = self;
        transaction.execute_if(!ids.is_empty(), GROW, &[ids, names, topic_ids, bodies]).await
    }
}
