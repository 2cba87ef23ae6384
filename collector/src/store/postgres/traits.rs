//! The rows of traits. They hang on the id that they were said under, and are put together for a visitor when they are read, so that
//! a split takes each with its id.

use std::collections::BTreeSet;

use super::error::PostgresError;
use super::keys;
use super::sql::statements;
use super::transaction::Transaction;
use crate::store::traits::{Kept, MOST_BYTES, MOST_TRAITS};

statements! {
    READ = "SELECT name, value, at FROM trait WHERE identity_id = $1";
    WRITE = "INSERT INTO trait (identity_id, name_key, name, value, at)
             SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
             ON CONFLICT (identity_id, name_key) DO UPDATE SET value = excluded.value, at = excluded.at";
}

/// What was said under an id.
pub(super) async fn read(transaction: &Transaction, id: i64, is_needed: bool) -> Result<Kept, PostgresError> {
    let mut kept = Kept::default();
    if is_needed {
        for row in transaction.query(READ, &[&id]).await? {
            kept.put(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
    }
    Ok(kept)
}

/// Writes those that have changed.
pub(super) async fn write(
    transaction: &Transaction,
    id: i64,
    kept: &Kept,
    changed: &BTreeSet<String>,
) -> Result<(), PostgresError> {
    let (mut name_keys, mut names, mut values, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, (value, at)) in changed.iter().filter_map(|name| Some((name, kept.get(name)?))) {
        let key = keys::key(name);
        // Two names that are one without U+0000.
        if !name_keys.contains(&key) {
            name_keys.push(key);
            names.push(keys::text(name));
            values.push(value);
            times.push(at);
        }
    }
    transaction.execute_if(!names.is_empty(), WRITE, &[&id, &name_keys, &names, &values, &times]).await
}

pub(super) fn warn_of_too_many(id: i64, kept: &Kept) {
    if kept.too_many > 0 {
        tracing::warn!(
            identity = id,
            traits = kept.too_many,
            "traits are not kept: an id has at most {MOST_TRAITS} of them, in {MOST_BYTES} bytes"
        );
    }
}
