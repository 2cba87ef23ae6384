//! Who is kept out of the ranking. What changes of a visitor or a company has its mark taken off, and is looked at again: in the
//! transaction that changed it, and a piece at a time where the parameter has changed.

use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, params};

use super::file::{FileError, SqliteFile};
use super::{accounts, company_keys, identities, traits};
use crate::company::CompanyKind;
use crate::exclude::Exclude;

/// Visitors, and companies, that are looked at in one piece: some tens of milliseconds.
const AT_ONCE: u32 = 500;
/// The same beside an entry that is kept.
const BESIDE_AN_ENTRY: u32 = 8;

/// What is kept out now; clones share it.
#[derive(Clone, Default)]
pub(super) struct Excludes(Arc<RwLock<Arc<Exclude>>>, Arc<RwLock<bool>>);

impl Excludes {
    pub(super) fn now(&self) -> Arc<Exclude> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes this what is kept out.
    pub(super) async fn follow(&self, file: &SqliteFile, exclude: &Exclude) -> Result<(), FileError> {
        let is_first = !*self.1.read().unwrap_or_else(PoisonError::into_inner);
        if !is_first && *self.now() == *exclude {
            return Ok(());
        }
        let (current, exclude) = (self.clone(), exclude.clone());
        let follow = move |connection: &Connection| {
            // Nobody is marked in a store that never had any: then nothing is written.
            let mark = if exclude.is_empty() { "0 WHERE excluded IS NOT 0" } else { "NULL WHERE excluded IS NOT NULL" };
            for table in ["visitor", "company"] {
                connection.execute(&format!("UPDATE {table} SET excluded = {mark}"), [])?;
            }
            // Here, where nothing else writes: each visitor is looked at with what was kept out before or with this.
            *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(exclude);
            *current.1.write().unwrap_or_else(PoisonError::into_inner) = true;
            Ok(())
        };
        file.write(follow).await
    }

    /// Looks at a piece of those that are yet to be. Gives back whether there is more.
    pub(super) async fn look_back(&self, file: &SqliteFile) -> Result<bool, FileError> {
        let any_left = file.read(|connection| {
            let left = "SELECT EXISTS (SELECT 1 FROM visitor WHERE excluded IS NULL) OR EXISTS (SELECT 1 FROM company WHERE excluded IS NULL)";
            connection.query_row(left, [], |row| row.get(0))
        });
        if !any_left.await? {
            return Ok(false);
        }
        let current = self.clone();
        file.write(move |connection| look(connection, &current.now(), AT_ONCE).map(|()| true)).await
    }
}

/// Looks at those that a piece of work has changed, when it is done.
pub(super) fn settle(connection: &Connection, exclude: &Exclude) -> rusqlite::Result<()> {
    company_keys::tidy_up(connection)?;
    look(connection, exclude, BESIDE_AN_ENTRY)
}

fn look(connection: &Connection, exclude: &Exclude, at_once: u32) -> rusqlite::Result<()> {
    for (table, takes) in [("visitor", takes_visitor as Takes), ("company", takes_company)] {
        let mut unseen = connection
            .prepare_cached(&format!("SELECT id FROM {table} WHERE excluded IS NULL ORDER BY id DESC LIMIT ?1"))?;
        let ids = unseen.query_map([at_once], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut mark = connection.prepare_cached(&format!("UPDATE {table} SET excluded = ?2 WHERE id = ?1"))?;
        for id in ids {
            mark.execute(params![id, !exclude.is_empty() && takes(connection, exclude, id)?])?;
        }
    }
    Ok(())
}

/// How many visitors are kept out, those of companies that are among them.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<i64> {
    let mut count = connection.prepare_cached(
        "SELECT (SELECT count(*) FROM visitor WHERE excluded = 1 AND excluded IS NOT 0)
              + (SELECT count(*) FROM company CROSS JOIN visitor ON visitor.company_id = company.id
                 WHERE company.excluded = 1 AND company.excluded IS NOT 0 AND visitor.excluded IS NOT 1)",
    )?;
    count.query_row([], |row| row.get(0))
}

type Takes = fn(&Connection, &Exclude, i64) -> rusqlite::Result<bool>;

fn takes_visitor(connection: &Connection, exclude: &Exclude, visitor_id: i64) -> rusqlite::Result<bool> {
    let mut users = connection
        .prepare_cached("SELECT value FROM identity WHERE visitor_id = ?1 AND kind = 'user' ORDER BY value LIMIT 1")?;
    let users = users.query_map([visitor_id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let emails = identities::emails(connection, visitor_id)?;
    Ok(exclude.takes_visitor(&users, &emails, &traits::of(connection, visitor_id)?))
}

fn takes_company(connection: &Connection, exclude: &Exclude, company_id: i64) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT domain, name FROM company WHERE id = ?1")?;
    let found = select.query_row([company_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (domain, name): (Option<String>, Option<String>) = found.unwrap_or_default();
    let groups = accounts::values_of(connection, company_id, CompanyKind::Group)?;
    let traits = accounts::traits_of(connection, company_id)?;
    Ok(exclude.takes_company(domain.as_deref(), &groups, name.as_deref(), &traits))
}
