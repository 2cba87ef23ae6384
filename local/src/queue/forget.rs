//! The messages of people who are deleted: on their way, in a consumer's hands, dead or rejected.
//!
//! Whose a message is, its ids say, as they are read from its event. What names nobody known may name ids that are the person's as
//! well: an identify with an address, and events with that user id alone. So the rows are looked through until nothing new is
//! learned. What is no event, as one without a type, has the ids that stand where an event has them. What cannot be read at all, as one
//! that was cut off, is told by what stands in it under the names of ids, and by its addresses.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use koala_collector::store::deletion::{Departed, Forgotten, Person};
use koala_collector::store::sqlite::file::{FileError, lossy};
use koala_collector::store::{Store, StoreError};
use koala_collector::tombstone::{Tombstone, Whose, account, beside};
use koala_destination::ids::{EventIds, Id};
use koala_destination::settings::Settings;
use rusqlite::Connection;
use thiserror::Error;

use super::Queues;
use super::ids_of_body::{names_one_of, read};

/// Rows that are read at once: some megabytes at most.
const ROWS_AT_ONCE: usize = 100;
/// Rows that are deleted in one piece, while other writing waits.
const ROWS_OF_A_PIECE: usize = 1000;
/// How often the rows are looked through at once: each time some ids were learned the last time. What that leaves is looked for again.
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
        let mut is_ended = false;
        for _ in 0..MOST_ROUNDS {
            search = self.look_through(search).await?;
            let unknown = search.not_asked();
            if unknown.is_empty() && !search.has_named_anew {
                is_ended = true;
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
        Ok(Forgotten { messages, is_all: self.file.rewrite().await? && is_ended, ids: search.of_deletion })
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
