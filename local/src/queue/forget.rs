//! The messages of people who are deleted: on their way, in a consumer's hands, dead or rejected.
//!
//! Whose a message is, its ids say, as they are read from its event. What names nobody known may name ids that are the person's as
//! well: an identify with an address, and events with that user id alone. So the rows are looked through until nothing new is
//! learned. What is no event, as one without a type, has the ids that stand where an event has them. What cannot be read at all, as one
//! that was cut off, is told by what stands in it under the names of ids, and by its addresses.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use koala_collector::store::deletion::{Departed, Forgotten, Person};
use koala_collector::store::sqlite::file::{FileError, lossy};
use koala_collector::store::{Store, StoreError};
use koala_collector::tombstone::{Tombstone, Whose, account, beside};
use koala_destination::clock;
use koala_destination::ids::{EventIds, Id, IdKind, MappedIds};
use koala_destination::json::without_lone_surrogates;
use koala_destination::segment::Event;
use koala_destination::settings::Settings;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thiserror::Error;

use super::Queues;

/// Rows that are read at once: some megabytes at most.
const ROWS_AT_ONCE: usize = 100;
/// Rows that are deleted in one piece, while other writing waits.
const ROWS_OF_A_PIECE: usize = 1000;
/// How often the rows are looked through at most: each time some ids were learned the last time.
const MOST_ROUNDS: usize = 16;
/// The most ids that are learned.
const MOST_IDS: usize = 10_000;

/// Why messages are not forgotten yet; it is done again.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// The queues cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store cannot say of whom ids are.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Message,
    DeadLetter,
}

impl Table {
    fn select(self) -> &'static str {
        match self {
            Self::Message => "SELECT id, body FROM message WHERE id > ?1 ORDER BY id LIMIT ?2",
            Self::DeadLetter => "SELECT id, body FROM dead_letter WHERE id > ?1 ORDER BY id LIMIT ?2",
        }
    }

    fn delete(self) -> &'static str {
        match self {
            Self::Message => "DELETE FROM message WHERE id = ?1",
            Self::DeadLetter => "DELETE FROM dead_letter WHERE id = ?1",
        }
    }
}

impl Queues {
    /// Deletes the messages of people who are deleted, and writes the file anew.
    ///
    /// # Errors
    /// When the queues or the store cannot be read or written.
    pub async fn forget(
        &self,
        departed: Departed,
        settings: Arc<Settings>,
        store: &dyn Store,
    ) -> Result<Forgotten, ForgetError> {
        let id = departed.id.clone();
        let mut search = Search::new(departed, settings);
        for _ in 0..MOST_ROUNDS {
            search = self.look_through(search).await?;
            let unknown = search.not_asked();
            if unknown.is_empty() && !search.has_named_anew {
                break;
            }
            for learned in store.learn(&id, &unknown).await? {
                search.of_deletion += 1;
                search.add(learned);
            }
            // What was filed under an account of theirs goes as well, before the message that tells of it.
            for account in search.known_accounts() {
                store.request_deletion(&[Person::Id(account.clone())]).await?;
                search.add(account);
            }
        }
        let messages = u64::try_from(search.theirs.len()).unwrap_or(u64::MAX);
        for rows in search.theirs.chunks(ROWS_OF_A_PIECE) {
            let rows = rows.to_vec();
            let delete = move |connection: &Connection| {
                for (table, row) in &rows {
                    connection.prepare_cached(table.delete())?.execute([row])?;
                }
                Ok(())
            };
            self.file.write(delete).await?;
        }
        Ok(Forgotten { messages, is_all: self.file.rewrite().await?, ids: search.of_deletion })
    }
}

impl Queues {
    /// Looks through all rows once, where reading and reading of JSON hold up nobody.
    async fn look_through(&self, mut search: Search) -> Result<Search, FileError> {
        search.begin();
        for table in [Table::Message, Table::DeadLetter] {
            let mut after = Some(0);
            while let Some(row) = after {
                let look = move |connection: &Connection| {
                    let mut select = connection.prepare_cached(table.select())?;
                    let mut rows = select.query((row, i64::try_from(ROWS_AT_ONCE).unwrap_or(i64::MAX)))?;
                    let mut last = None;
                    while let Some(row) = rows.next()? {
                        let id = row.get(0)?;
                        search.look_at(table, id, &lossy(row, 1));
                        last = Some(id);
                    }
                    Ok((search, last))
                };
                (search, after) = self.file.read_long(look).await?;
            }
        }
        Ok(search)
    }
}

/// What is known of a user id that named an address of the person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Since this round: what it says elsewhere is not known yet.
    Anew,
    /// It says no other address.
    Alone,
    /// It says one of its own: it is somebody else, who named the person.
    HasAnAddress,
}

/// A search for messages of people who are deleted.
struct Search {
    departed: Departed,
    settings: Arc<Settings>,
    /// How many ids the deletion is known to have.
    of_deletion: usize,
    theirs: Vec<(Table, i64)>,
    /// Ids beside theirs.
    beside: BTreeSet<Id>,
    named: HashMap<Id, Named>,
    has_named_anew: bool,
    asked: BTreeSet<Id>,
    /// User ids that say an address that was asked for as theirs.
    accounts: BTreeSet<Id>,
}

impl Search {
    fn new(departed: Departed, settings: Arc<Settings>) -> Self {
        Self {
            of_deletion: departed.ids.len(),
            departed,
            settings,
            theirs: Vec::new(),
            beside: BTreeSet::new(),
            named: HashMap::new(),
            has_named_anew: false,
            asked: BTreeSet::new(),
            accounts: BTreeSet::new(),
        }
    }

    fn begin(&mut self) {
        self.theirs.clear();
        self.has_named_anew = false;
        for named in self.named.values_mut().filter(|named| **named == Named::Anew) {
            *named = Named::Alone;
        }
    }

    fn look_at(&mut self, table: Table, row: i64, body: &str) {
        let (ids, received_at) = read(body, &self.settings);
        // What does not say when it was received was there before anybody asked.
        let received_at = received_at.unwrap_or(i64::MIN);
        let Some(ids) = ids else {
            let is_late = self.departed.ids.values().any(|tombstone| received_at <= tombstone.at);
            if is_late && names_one_of(body, &self.departed) {
                self.theirs.push((table, row));
            }
            return;
        };
        self.note_own_address(&ids);
        match self.departed.whose(&ids, received_at) {
            Whose::Theirs(tombstone) => {
                self.theirs.push((table, row));
                self.accounts.extend(account(&ids, &tombstone));
                self.beside.extend(beside(&ids));
            }
            Whose::TheirsUnlessKnown(id, ..) if ids.email_is_loose() => {
                let is_new = !self.named.contains_key(&id) && self.named.len() < MOST_IDS;
                if is_new {
                    self.named.insert(id, Named::Anew);
                    self.has_named_anew = true;
                }
            }
            Whose::TheirsUnlessKnown(id, ..) => {
                self.beside.insert(id);
            }
            Whose::Another(_) => {}
        }
    }

    fn note_own_address(&mut self, ids: &EventIds) {
        let address = ids.email().filter(|email| !ids.email_is_loose() && !email.is_role_mailbox());
        let is_another = address.is_some_and(|address| !self.departed.ids.contains_key(address));
        if let Some(named) = ids.user_id().filter(|_| is_another).and_then(|user| self.named.get_mut(user)) {
            *named = Named::HasAnAddress;
        }
    }

    /// Ids that may be the person's, each once.
    fn not_asked(&mut self) -> Vec<Id> {
        let named = self.named.iter().filter(|(_, named)| **named == Named::Alone).map(|(id, _)| id.clone());
        let all: BTreeSet<Id> = std::mem::take(&mut self.beside).into_iter().chain(named).collect();
        let room = MOST_IDS.saturating_sub(self.asked.len());
        let is_new = |id: &Id| !self.asked.contains(id) && !self.departed.ids.contains_key(id);
        let unknown: Vec<Id> = all.into_iter().filter(is_new).take(room).collect();
        self.asked.extend(unknown.iter().cloned());
        unknown
    }

    /// Accounts of the people's that the store knew before them, each once.
    fn known_accounts(&mut self) -> Vec<Id> {
        let accounts = std::mem::take(&mut self.accounts);
        accounts.into_iter().filter(|id| self.asked.contains(id) && !self.departed.ids.contains_key(id)).collect()
    }

    fn add(&mut self, learned: Id) {
        let at = self.departed.ids.values().map(|tombstone| tombstone.at).max().unwrap_or_default();
        self.departed.ids.insert(learned, Tombstone { at, is_whole: false });
    }
}

/// The ids of a message, where its event can be read and names somebody, and when it was received.
fn read(body: &str, settings: &Settings) -> (Option<EventIds>, Option<i64>) {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow, default)]
        mapping: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        received_at: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        event: Option<&'a RawValue>,
    }
    let Ok(Written { mapping, received_at, event }) = serde_json::from_str(body) else { return (None, None) };
    let received_at = received_at.as_deref().and_then(clock::milliseconds);
    let ids = event.and_then(|event| {
        let event = without_lone_surrogates(event.get());
        let Ok(event) = Event::from_json(&event) else { return ids_of_no_event(&event) };
        let mapping = mapping.and_then(|name| settings.mapping(&name));
        // One that makes its mapping panic is dead for that, and has the ids of its event.
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            let mapped = mapping?.map(&event).ok()?;
            let text = |given: Option<Cow<'_, str>>| given.map(Cow::into_owned);
            Some((text(mapped.email.mapped()), text(mapped.profile_id.mapped())))
        }));
        let (email, profile_id) = mapped.ok().flatten().unwrap_or_default();
        let ids = EventIds::of(&event, &MappedIds { email: email.as_deref(), profile_id: profile_id.as_deref() });
        ids.name_a_visitor().then_some(ids)
    });
    (ids, received_at)
}

/// The ids of what is JSON and no event: as those of the event that it would be.
fn ids_of_no_event(json: &str) -> Option<EventIds> {
    let mut fields: Map<String, Value> = serde_json::from_str(json).ok()?;
    fields.insert("type".to_owned(), "identify".into());
    let json = Value::Object(fields).to_string();
    let ids = EventIds::of(&Event::from_json(&json).ok()?, &MappedIds::default());
    ids.name_a_visitor().then_some(ids)
}

/// Whether one of the ids stands in a text as a value: an address anywhere, another id under a name of its kind.
fn names_one_of(text: &str, departed: &Departed) -> bool {
    let mut is_named = false;
    values(text, 0, &mut |key, value| {
        let key: String =
            key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).take(32).collect();
        let of_key = match key.as_str() {
            "userid" => Some(IdKind::User),
            "anonymousid" | "profileid" | "koprofileid" | "previousid" => Some(IdKind::Device),
            _ => None,
        };
        let ids = [Some(IdKind::Email), of_key].into_iter().flatten().filter_map(|kind| Id::parse(kind, value));
        is_named |= ids.into_iter().any(|id| departed.ids.contains_key(&id));
    });
    is_named
}

/// The strings of a text that may be no JSON, or cut off, with the key before each; numbers where they have one. JSON that stands
/// in a string is looked into.
fn values(text: &str, depth: u8, found: &mut impl FnMut(&str, &str)) {
    let (mut rest, mut key) = (text, None);
    while let Some(begin) = rest.find('"') {
        let token = &rest[begin..];
        let mut is_escaped = false;
        let end = token.bytes().enumerate().skip(1).find_map(|(at, byte)| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end.then_some(at + 1)
        });
        let Some(end) = end else { return };
        let string: String = serde_json::from_str(&without_lone_surrogates(&token[..end])).unwrap_or_default();
        rest = &token[end..];
        if let Some(after) = rest.trim_start().strip_prefix(':') {
            let is_end = |c: char| matches!(c, ',' | '}' | ']' | '{' | '[' | '"') || c.is_whitespace();
            let literal = after.trim_start().split(is_end).next().unwrap_or_default();
            if !literal.is_empty() {
                found(&string, literal);
            }
            (rest, key) = (after, Some(string));
            continue;
        }
        if depth == 0 && string.contains('"') {
            values(&string, depth + 1, found);
        }
        found(key.take().as_deref().unwrap_or_default(), &string);
    }
}

#[cfg(test)]
mod tests {
    use koala_collector::store::deletion::DeletionId;

    use super::*;

    fn departed(ids: &[(IdKind, &str)]) -> Departed {
        let tombstone = Tombstone { at: 0, is_whole: true };
        let ids = ids.iter().map(|(kind, value)| (Id::stored(*kind, *value), tombstone)).collect();
        Departed { id: DeletionId::new("d"), ids }
    }

    #[test]
    fn what_has_no_type_is_whose_ids_stand_where_an_event_has_them() {
        let ids = |json: &str| {
            let ids = ids_of_no_event(json)?;
            Some(ids.all().map(|id| format!("{} {}", id.kind().name(), id.value())).collect::<Vec<_>>())
        };
        assert_eq!(ids(r#"{"userId":"ub","properties":{"note":"a@example.com"}}"#), Some(vec!["user ub".to_owned()]));
        assert_eq!(
            ids(r#"{"context":{"traits":{"email":"a@example.com"}}}"#),
            Some(vec!["email a@example.com".to_owned()])
        );
        assert_eq!(ids(r#"{"properties":{"note":"a@example.com"}}"#), None);
        assert_eq!((ids("[]"), ids(r#"{"userId":"ub""#)), (None, None));
    }

    #[test]
    fn text_that_is_no_event_names_a_person_by_whole_values_alone() {
        let ada = departed(&[(IdKind::Email, "a@example.com"), (IdKind::User, "7"), (IdKind::Device, "d-1")]);
        for text in [
            r#"{"email":"A@Example.com"}"#,
            r#"{"x":["\u0061@example.com"]"#,
            r#"{"userId":7,"x""#,
            r#"{"user_id" : "7"}"#,
            r#"garbage "anonymousId":"d-1" and more"#,
            r#"{"v":1,"beginning":"{\"type\":\"track\" \"email\":\"a@example.com\""}"#,
        ] {
            assert!(names_one_of(text, &ada), "{text}");
        }
        for text in [
            r#"{"email":"ada@example.com","to":"a@example.com.au","note":"write to a@example.com"}"#,
            r#"{"plan":"7","userId":"77","x":"d-1"}"#,
            r#"{"userId":"#,
            "a@example.com",
            "\"a@example.com",
        ] {
            assert!(!names_one_of(text, &ada), "{text}");
        }
    }
}
