//! The identities of companies, and which belong together, decided by the votes of visitors. One piece of work is a transaction of
//! whoever counts; what it needs is read as it goes, and what it decides is written when it is done.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{key_of, text_of};
use super::error::PostgresError;
use super::row_ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::company::{self, CompanyKey, CompanyKind, MOST_VOTES, Vote};

statements! {
    FIND = "SELECT key, id, into_key, company_id, is_told FROM company_key WHERE key = ANY($1::text[])";
    OF_COMPANIES = "SELECT key, id, into_key, company_id, is_told FROM company_key WHERE company_id = ANY($1::bigint[])";
    INTO = "SELECT key, id, into_key, company_id, is_told FROM company_key WHERE into_key = $1";
    PUT = "INSERT INTO company_key (key, id, into_key, company_id, is_told)
           SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::boolean[])
           ON CONFLICT (key) DO UPDATE SET into_key = excluded.into_key, company_id = excluded.company_id, is_told = excluded.is_told";
    FORGET = "DELETE FROM company_key WHERE key = ANY($1::text[])";
    FORGET_TRAITS = "DELETE FROM company_trait WHERE company_key = ANY($1::text[])";
    NAMED = "SELECT DISTINCT company_key FROM visitor WHERE company_key = ANY($1::text[])";
    SAID_GROUP = "SELECT EXISTS (SELECT 1 FROM company_said WHERE group_id = $1)";
    SAID_NAME = "SELECT EXISTS (SELECT 1 FROM company_said WHERE name = $1)";
    GROUP_VOTES = "SELECT coalesce(identity.visitor_id, 0), said.domain, said.group_id,
                          CASE WHEN said.domain <> '' THEN said.domain ELSE coalesce(visitor.given, '') END, said.by_group_call, said.at,
                          EXISTS (SELECT 1 FROM identity AS known
                          WHERE known.visitor_id = identity.visitor_id AND known.kind IN ('user', 'email'))
                   FROM company_said AS said LEFT JOIN identity ON identity.id = said.voter_id
                   LEFT JOIN visitor ON visitor.id = identity.visitor_id
                   WHERE said.group_id = $1 AND (said.voter_id = 0 OR identity.kind <> 'taken')
                       AND (identity.decision IS NULL OR identity.decision <> 'blocked')
                   ORDER BY said.at, said.voter_id LIMIT $2";
    NAME_VOTES = "SELECT coalesce(identity.visitor_id, 0), said.domain, said.group_id,
                         CASE WHEN said.domain <> '' THEN said.domain ELSE coalesce(visitor.given, '') END, said.by_group_call, said.at,
                          EXISTS (SELECT 1 FROM identity AS known
                          WHERE known.visitor_id = identity.visitor_id AND known.kind IN ('user', 'email'))
                  FROM company_said AS said LEFT JOIN identity ON identity.id = said.voter_id
                  LEFT JOIN visitor ON visitor.id = identity.visitor_id
                  WHERE said.name = $1 AND (said.voter_id = 0 OR identity.kind <> 'taken')
                      AND (identity.decision IS NULL OR identity.decision <> 'blocked')
                  ORDER BY said.at, said.voter_id LIMIT $2";
    NAMES_GIVEN_WITH = "SELECT DISTINCT name FROM (SELECT name FROM company_said WHERE group_id = $1 ORDER BY at LIMIT $2) AS said
                        WHERE name <> ''";
}

/// The row of an identity.
#[derive(Debug, Clone)]
pub(super) struct KeyRow {
    pub(super) id: i64,
    pub(super) into: Option<String>,
    pub(super) company_id: i64,
    pub(super) is_told: bool,
}

/// The identities that one piece of work is about, as they will be.
pub(super) struct Keys<'t> {
    transaction: &'t Transaction,
    /// Those that were looked for; one that is not there is nothing.
    rows: BTreeMap<String, Option<KeyRow>>,
    written: BTreeSet<String>,
    /// Identities whose companies are put together anew.
    moved: BTreeSet<String>,
    /// Companies of which something changed.
    pub(super) companies: BTreeSet<i64>,
}

impl<'t> Keys<'t> {
    pub(super) fn new(transaction: &'t Transaction) -> Self {
        let (rows, written, moved, companies) = Default::default();
        Self { transaction, rows, written, moved, companies }
    }

    fn put(&mut self, rows: &[tokio_postgres::Row]) -> Result<Vec<String>, PostgresError> {
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let (key, into, is_told) = (row.try_get::<_, String>(0)?, row.try_get(2)?, row.try_get(4)?);
            let found = KeyRow { id: row.try_get(1)?, into, company_id: row.try_get(3)?, is_told };
            // What was decided here is newer.
            self.rows.entry(key.clone()).or_insert(Some(found));
            keys.push(key);
        }
        Ok(keys)
    }

    /// Looks for identities.
    pub(super) async fn load(&mut self, keys: &BTreeSet<String>) -> Result<(), PostgresError> {
        let asked: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !self.rows.contains_key(*key)).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let rows = self.transaction.query(FIND, &[&asked]).await?;
        self.put(&rows)?;
        for key in keys {
            self.rows.entry(key.clone()).or_insert(None);
        }
        Ok(())
    }

    pub(super) async fn find(&mut self, key: &str) -> Result<Option<KeyRow>, PostgresError> {
        if !self.rows.contains_key(key) {
            self.load(&BTreeSet::from([key.to_owned()])).await?;
        }
        Ok(self.rows.get(key).cloned().flatten())
    }

    /// The row of an identity; where there is none it is a company of its own.
    pub(super) async fn find_or_new(&mut self, key: &str) -> Result<KeyRow, PostgresError> {
        if let Some(row) = self.find(key).await? {
            return Ok(row);
        }
        let id = row_ids::next();
        let row = KeyRow { id, into: None, company_id: id, is_told: false };
        self.set(key, row.clone());
        self.companies.insert(id);
        Ok(row)
    }

    fn set(&mut self, key: &str, row: KeyRow) {
        self.rows.insert(key.to_owned(), Some(row));
        self.written.insert(key.to_owned());
    }

    /// A request about companies alone told of it.
    pub(super) async fn tell(&mut self, key: &str) -> Result<(), PostgresError> {
        let row = self.find_or_new(key).await?;
        if !row.is_told {
            self.set(key, KeyRow { is_told: true, ..row });
        }
        Ok(())
    }

    /// Which of these identities visitors are of.
    pub(super) async fn named(&self, keys: &BTreeSet<String>) -> Result<BTreeSet<String>, PostgresError> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let rows = self.transaction.query(NAMED, &[&keys]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Decides what group ids and names belong to: group ids first, since a name may be given with one. Gives back the identities
    /// of others whom somebody called by a name that moved.
    pub(super) async fn decide(&mut self, keys: &BTreeSet<String>) -> Result<BTreeSet<String>, PostgresError> {
        let mut all: BTreeSet<CompanyKey> =
            keys.iter().filter_map(|key| key_of(key)).filter(|key| key.kind != CompanyKind::Domain).collect();
        let mut others = BTreeSet::new();
        while let Some(key) = all.pop_first() {
            let text = text_of(&key);
            let (votes, given) = self.votes(&key).await?;
            let target = company::joins(&key, votes).map(|target| text_of(&target));
            let row = match (self.find(&text).await?, &target) {
                (Some(row), _) => row,
                (None, None) => continue,
                (None, Some(_)) => self.find_or_new(&text).await?,
            };
            if row.into == target {
                continue;
            }
            if let Some(target) = &target {
                self.find_or_new(target).await?;
                self.moved.insert(target.clone());
            }
            self.moved.extend(row.into.clone());
            self.moved.insert(text.clone());
            self.companies.insert(row.company_id);
            self.set(&text, KeyRow { into: target, ..row });
            if key.kind == CompanyKind::Group {
                let most = i64::from(MOST_VOTES);
                for row in self.transaction.query(NAMES_GIVEN_WITH, &[&key.value, &most]).await? {
                    all.insert(CompanyKey::stored(CompanyKind::Name, row.try_get::<_, String>(0)?));
                }
            } else {
                others.extend(given);
            }
        }
        Ok(others)
    }

    /// The votes for what an identity belongs to: the domain given with it; of a name that was given with a group's id alone, what
    /// that one belongs to. And all that it was given with.
    async fn votes(&mut self, key: &CompanyKey) -> Result<(Vec<Vote>, BTreeSet<String>), PostgresError> {
        let sql = if key.kind == CompanyKind::Group { GROUP_VOTES } else { NAME_VOTES };
        let rows = self.transaction.query(sql, &[&key.value, &i64::from(MOST_VOTES)]).await?;
        let (mut votes, mut given_with) = (Vec::new(), BTreeSet::new());
        for row in rows {
            let (domain, group_id, given): (String, String, String) =
                (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            for (kind, value) in [(CompanyKind::Domain, &given), (CompanyKind::Group, &group_id)] {
                if !value.is_empty() {
                    given_with.insert(text_of(&CompanyKey::stored(kind, value.as_str())));
                }
            }
            let target = if key.kind == CompanyKind::Group || !domain.is_empty() || group_id.is_empty() {
                CompanyKey::stored(CompanyKind::Domain, given)
            } else {
                let group = CompanyKey::stored(CompanyKind::Group, group_id);
                let into = self.find(&text_of(&group)).await?.and_then(|row| row.into);
                into.as_deref().and_then(key_of).unwrap_or(group)
            };
            if !target.value.is_empty() {
                votes.push(Vote {
                    voter: row.try_get(0)?,
                    is_known: row.try_get(6)?,
                    target,
                    by_group_call: row.try_get(4)?,
                    at: row.try_get(5)?,
                });
            }
        }
        Ok((votes, given_with))
    }

    /// Forgets those of these identities that no visitor is of, nothing leads to and nothing is said of.
    pub(super) async fn tidy(&mut self, keys: &BTreeSet<String>) -> Result<(), PostgresError> {
        let mut left = keys.clone();
        let named = self.named(keys).await?;
        while let Some(key) = left.pop_last() {
            let Some(row) = self.find(&key).await? else { continue };
            if row.is_told || named.contains(&key) || self.is_used(&key, &row).await? {
                continue;
            }
            self.companies.insert(row.company_id);
            if let Some(into) = &row.into {
                self.moved.insert(into.clone());
                if !named.contains(into) && self.named(&BTreeSet::from([into.clone()])).await?.is_empty() {
                    left.insert(into.clone());
                }
            }
            self.rows.insert(key.clone(), None);
            self.written.insert(key);
        }
        Ok(())
    }

    async fn is_used(&mut self, key: &str, row: &KeyRow) -> Result<bool, PostgresError> {
        let rows = self.transaction.query(INTO, &[&key]).await?;
        self.put(&rows)?;
        let leads_here = |row: &Option<KeyRow>| row.as_ref().is_some_and(|row| row.into.as_deref() == Some(key));
        if self.rows.values().any(leads_here) {
            return Ok(true);
        }
        let Some(of) = key_of(key) else { return Ok(false) };
        let sql = match of.kind {
            CompanyKind::Domain => return Ok(false),
            CompanyKind::Group => SAID_GROUP,
            CompanyKind::Name if row.into.is_none() => return Ok(false),
            CompanyKind::Name => SAID_NAME,
        };
        let said = self.transaction.query_opt(sql, &[&of.value]).await?;
        Ok(said.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
    }

    /// Puts together anew the companies of which identities have moved: each identity has the number of its company.
    pub(super) async fn regroup(&mut self) -> Result<(), PostgresError> {
        let mut tops = BTreeSet::new();
        for key in std::mem::take(&mut self.moved) {
            tops.insert(self.top_of(key).await?);
        }
        for top in tops {
            let members = self.members_of(&top).await?;
            let Some(company_id) = members.iter().map(|(_, row)| row.id).min() else { continue };
            self.companies.insert(company_id);
            for (key, row) in members.into_iter().filter(|(_, row)| row.company_id != company_id) {
                self.companies.insert(row.company_id);
                self.set(&key, KeyRow { company_id, ..row });
            }
        }
        Ok(())
    }

    async fn top_of(&mut self, key: String) -> Result<String, PostgresError> {
        let mut top = key;
        for _ in CompanyKind::ALL {
            match self.find(&top).await?.and_then(|row| row.into) {
                Some(into) => top = into,
                None => break,
            }
        }
        Ok(top)
    }

    async fn members_of(&mut self, top: &str) -> Result<Vec<(String, KeyRow)>, PostgresError> {
        let (mut members, mut next) = (Vec::new(), vec![top.to_owned()]);
        while let Some(key) = next.pop() {
            let Some(row) = self.find(&key).await? else { continue };
            members.push((key.clone(), row));
            let rows = self.transaction.query(INTO, &[&key]).await?;
            self.put(&rows)?;
            let leads_here = |row: &Option<KeyRow>| row.as_ref().is_some_and(|row| row.into.as_ref() == Some(&key));
            next.extend(self.rows.iter().filter(|(_, row)| leads_here(row)).map(|(key, _)| key.clone()));
        }
        Ok(members)
    }

    /// The identities of companies.
    pub(super) async fn of_companies(
        &mut self,
        companies: &[i64],
    ) -> Result<BTreeMap<i64, Vec<(CompanyKey, KeyRow)>>, PostgresError> {
        let rows = self.transaction.query(OF_COMPANIES, &[&companies]).await?;
        self.put(&rows)?;
        let mut of: BTreeMap<i64, Vec<(CompanyKey, KeyRow)>> = BTreeMap::new();
        for (text, row) in &self.rows {
            if let (Some(row), Some(key)) = (row, key_of(text)) {
                of.entry(row.company_id).or_default().push((key, row.clone()));
            }
        }
        of.retain(|company_id, _| companies.contains(company_id));
        // What the others lead to is first.
        for keys in of.values_mut() {
            keys.sort_by(|(a, of_a), (b, of_b)| (of_a.into.is_some(), &a.value).cmp(&(of_b.into.is_some(), &b.value)));
        }
        Ok(of)
    }

    /// Writes what was decided.
    pub(super) async fn write(&self) -> Result<(), PostgresError> {
        let (mut keys, mut ids, mut into, mut companies, mut told, mut gone) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for key in &self.written {
            match self.rows.get(key).and_then(Option::as_ref) {
                Some(row) => {
                    keys.push(key.as_str());
                    ids.push(row.id);
                    into.push(row.into.as_deref());
                    companies.push(row.company_id);
                    told.push(row.is_told);
                }
                None => gone.push(key.as_str()),
            }
        }
        let transaction = self.transaction;
        together!(
            transaction.execute_if(!keys.is_empty(), PUT, &[&keys, &ids, &into, &companies, &told]),
            transaction.execute_if(!gone.is_empty(), FORGET, &[&gone]),
            transaction.execute_if(!gone.is_empty(), FORGET_TRAITS, &[&gone]),
        )?;
        Ok(())
    }
}
