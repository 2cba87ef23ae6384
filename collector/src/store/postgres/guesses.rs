//! Companies that are guessed by the networks of addresses, for visitors of whom nothing else is known.

use super::error::PostgresError;
use super::sql::statements;
use super::transaction::Transaction;
use crate::company::Guess;

statements! {
    READ = "SELECT domain, at FROM network_guess WHERE identity_id = $1";
    PUT = "INSERT INTO network_guess (identity_id, domain, at) VALUES ($1, $2, $3)
           ON CONFLICT (identity_id) DO UPDATE SET domain = excluded.domain, at = excluded.at";
    FORGET = "DELETE FROM network_guess WHERE identity_id = ANY($1::bigint[])";
}

/// What an id is guessed to be of, as the newest entry has it that says one.
#[derive(Debug, Default)]
pub(super) struct NewestGuess {
    there: Option<(String, i64)>,
    /// Whether it is another one than was read, and whether it is of another company.
    is_changed: bool,
    is_of_another: bool,
}

impl NewestGuess {
    pub(super) async fn read(transaction: &Transaction, id: i64, is_needed: bool) -> Result<Self, PostgresError> {
        let row = if is_needed { transaction.query_opt(READ, &[&id]).await? } else { None };
        let there = row.map(|row| Ok::<_, PostgresError>((row.try_get(0)?, row.try_get(1)?))).transpose()?;
        Ok(Self { there, is_changed: false, is_of_another: false })
    }

    /// Notes what an entry is guessed to be of.
    pub(super) fn note(&mut self, guess: &Guess, at: i64) {
        let before = self.there.as_ref();
        if before.is_none_or(|(_, before)| at >= *before) {
            self.is_of_another |= before.is_none_or(|(domain, _)| *domain != guess.domain);
            self.is_changed = true;
            self.there = Some((guess.domain.clone(), at));
        }
    }

    /// Whether the visitor may be of another company by it.
    pub(super) fn is_of_another(&self) -> bool {
        self.is_of_another
    }

    pub(super) async fn write(&self, transaction: &Transaction, id: i64) -> Result<(), PostgresError> {
        match &self.there {
            Some((domain, at)) if self.is_changed => transaction.execute(PUT, &[&id, domain, at]).await.map(drop),
            _ => Ok(()),
        }
    }
}
