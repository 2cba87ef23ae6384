//! What is said of companies. Whoever keeps an entry writes no company's row: it keeps what was said, and notes in `changed` of which
//! identities of companies something changed; whoever counts (`company_keys`, `points`) decides what belongs together.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::clock::now_milliseconds;
use serde_json::{Map, Value};

use super::error::PostgresError;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{keys, row_ids};
use crate::company::{CompanyKey, CompanyKind, MOST_STATEMENTS, Said};
use crate::received::ReceivedAccount;
use crate::store::traits::Kept;

statements! {
    NOTE_CHANGED = "INSERT INTO changed (id, key, is_said, is_told)
                    SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::boolean[])";
    SAID_BEFORE = "SELECT domain, group_id, name, written, by_group_call, at FROM company_said WHERE voter_id = $1";
    SAY = "INSERT INTO company_said (voter_id, domain, group_id, name, written, by_group_call, at)
           SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[])
           ON CONFLICT (voter_id, domain, group_id, name) DO UPDATE SET
               by_group_call = company_said.by_group_call OR excluded.by_group_call,
               at = least(company_said.at, excluded.at),
               written = CASE WHEN (excluded.at, excluded.written) < (company_said.at, company_said.written)
                         THEN excluded.written ELSE company_said.written END";
    TRAITS = "SELECT company_key, name, value, at FROM company_trait WHERE company_key = ANY($1::text[])";
    PUT_TRAITS = "INSERT INTO company_trait (company_key, name_key, name, value, at, said_by)
                  SELECT company_key, name_key, name, value, at, $6
                  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS new (company_key, name_key, name, value, at)
                  ON CONFLICT (company_key, name_key) DO UPDATE
                      SET value = excluded.value, at = excluded.at, said_by = excluded.said_by";
}

/// Who says what a request about companies alone says.
const NO_VISITOR: i64 = 0;

/// An identity of a company as a key of a row.
pub(super) fn text_of(key: &CompanyKey) -> String {
    format!("{}:{}", key.kind.name(), keys::key(&key.value))
}

/// The identity that a key of a row is of.
pub(super) fn key_of(text: &str) -> Option<CompanyKey> {
    let (kind, value) = text.split_once(':')?;
    Some(CompanyKey::stored(CompanyKind::of(kind)?, value))
}

/// Identities of companies of which something changed.
#[derive(Debug, Default)]
pub(super) struct ChangedCompanies(BTreeMap<String, (bool, bool)>);

impl ChangedCompanies {
    /// Of one its counts.
    pub(super) fn count(&mut self, key: impl Into<String>) {
        self.0.entry(key.into()).or_default();
    }

    /// Of one what it is called, or what it belongs to.
    pub(super) fn say(&mut self, key: impl Into<String>) {
        self.0.entry(key.into()).or_default().0 = true;
    }

    /// Of one that a request about companies alone told of it.
    pub(super) fn tell(&mut self, key: String) {
        self.0.insert(key, (true, true));
    }

    /// All that a statement names.
    pub(super) fn say_all(&mut self, [domain, group_id, name]: [&str; 3]) {
        for (kind, value) in CompanyKind::ALL.into_iter().zip([domain, group_id, name]) {
            if !value.is_empty() {
                self.say(text_of(&CompanyKey::stored(kind, value)));
            }
        }
    }

    /// All that some rows of a domain, a group's id and a name in the columns from `column` on name.
    pub(super) fn say_rows(&mut self, rows: &[tokio_postgres::Row], column: usize) -> Result<(), PostgresError> {
        for row in rows {
            self.say_all([row.try_get(column)?, row.try_get(column + 1)?, row.try_get(column + 2)?]);
        }
        Ok(())
    }

    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = (row_ids::next()..).take(self.0.len()).collect();
        let keys: Vec<&str> = self.0.keys().map(String::as_str).collect();
        let (said, told): (Vec<bool>, Vec<bool>) = self.0.values().copied().unzip();
        transaction.execute(NOTE_CHANGED, &[&ids, &keys, &said, &told]).await.map(drop)
    }
}

/// A statement as it is kept.
type Statement = (String, bool, i64);

/// What one id says of companies.
#[derive(Default)]
pub(super) struct Statements {
    there: BTreeMap<[String; 3], Statement>,
    changed: BTreeSet<[String; 3]>,
}

impl Statements {
    /// What was said under an id before.
    pub(super) async fn read(transaction: &Transaction, id: i64, is_needed: bool) -> Result<Self, PostgresError> {
        let mut statements = Self::default();
        if is_needed {
            for row in transaction.query(SAID_BEFORE, &[&id]).await? {
                let key = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?];
                statements.there.insert(key, (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?));
            }
        }
        Ok(statements)
    }

    /// Notes one. Of what is said again the earliest counts, and a group call beside it.
    pub(super) fn note(&mut self, said: &Said, at: i64) {
        let text = |key: &Option<CompanyKey>| key.as_ref().map_or_else(String::new, |key| key.value.clone());
        let key = [text(&said.domain), text(&said.group), text(&said.name)];
        let written = said.written.as_deref().map(|written| keys::text(written).into_owned()).unwrap_or_default();
        let is_room = self.there.len() < MOST_STATEMENTS as usize;
        match self.there.get_mut(&key) {
            Some((before, by_group_call, said_at)) => {
                let is_earlier = (at, &written) < (*said_at, before);
                if is_earlier || (said.by_group_call && !*by_group_call) {
                    if is_earlier {
                        *before = written;
                    }
                    *said_at = (*said_at).min(at);
                    *by_group_call |= said.by_group_call;
                    self.changed.insert(key);
                }
            }
            None if is_room => {
                self.there.insert(key.clone(), (written, said.by_group_call, at));
                self.changed.insert(key);
            }
            None => {}
        }
    }

    pub(super) fn note_changed(&self, changed: &mut ChangedCompanies) {
        for [domain, group_id, name] in &self.changed {
            changed.say_all([domain, group_id, name]);
        }
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) async fn write(&self, transaction: &Transaction, voter_id: i64) -> Result<(), PostgresError> {
        let (mut domains, mut groups, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let (mut written, mut by_group_call, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for key in &self.changed {
            let ([domain, group_id, name], Some((text, by_call, at))) = (key, self.there.get(key)) else { continue };
            domains.push(domain.as_str());
            groups.push(group_id.as_str());
            names.push(name.as_str());
            written.push(text.as_str());
            by_group_call.push(*by_call);
            times.push(*at);
        }
        transaction
            .execute_if(
                !domains.is_empty(),
                SAY,
                &[&voter_id, &domains, &groups, &names, &written, &by_group_call, &times],
            )
            .await
    }
}

/// What is said of companies besides what they are known by, each with the time.
#[derive(Default)]
pub(super) struct CompanyTraits<'t>(Vec<(CompanyKey, &'t Map<String, Value>, i64)>);

impl<'t> CompanyTraits<'t> {
    /// Notes what a group call says.
    pub(super) fn note(&mut self, said: &Said, traits: &'t Map<String, Value>, at: i64) {
        if let Some(key) =
            said.group.as_ref().or(said.domain.as_ref()).or(said.name.as_ref()).filter(|_| !traits.is_empty())
        {
            self.0.push((key.clone(), traits, at));
        }
    }

    /// Writes what is new of it, said under an id, after it was read what was said before; the latest of each name counts.
    pub(super) async fn write(
        &self,
        transaction: &Transaction,
        said_by: i64,
        changed: &mut ChangedCompanies,
    ) -> Result<(), PostgresError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let texts: BTreeSet<String> = self.0.iter().map(|(key, ..)| text_of(key)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
        for row in transaction.query(TRAITS, &[&texts]).await? {
            kept.entry(row.try_get(0)?).or_default().put(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        }
        let mut names: BTreeSet<(String, String)> = BTreeSet::new();
        for (key, traits, at) in &self.0 {
            let text = text_of(key);
            let new = kept.entry(text.clone()).or_default().merge(traits, *at);
            names.extend(new.into_iter().map(|name| (text.clone(), name)));
        }
        let (mut of, mut name_keys, mut all, mut values, mut times) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (text, name) in &names {
            let Some((value, at)) = kept.get(text).and_then(|kept| kept.get(name)) else { continue };
            changed.say(text.as_str());
            of.push(text.as_str());
            name_keys.push(keys::key(name));
            all.push(keys::text(name));
            values.push(value);
            times.push(at);
        }
        transaction.execute_if(!of.is_empty(), PUT_TRAITS, &[&of, &name_keys, &all, &values, &times, &said_by]).await
    }
}

/// Keeps what requests about companies alone say of them, each by its domain.
pub(super) async fn keep(transaction: &Transaction, accounts: &[ReceivedAccount]) -> Result<(), PostgresError> {
    let now = now_milliseconds();
    let ((), mut statements) = together!(transaction.begin(), Statements::read(transaction, NO_VISITOR, false))?;
    let (mut changed, mut of_companies) = (ChangedCompanies::default(), CompanyTraits::default());
    for (account, traits) in accounts {
        let said = Said::of_account(account);
        let Some(domain) = &said.domain else { continue };
        changed.tell(text_of(domain));
        if said.group.is_some() || said.name.is_some() {
            statements.note(&said, now);
        }
        if !traits.is_empty() {
            of_companies.0.push((domain.clone(), traits, now));
        }
    }
    statements.note_changed(&mut changed);
    of_companies.write(transaction, NO_VISITOR, &mut changed).await?;
    together!(statements.write(transaction, NO_VISITOR), changed.write(transaction), transaction.commit())?;
    Ok(())
}
