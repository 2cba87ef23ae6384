//! The rows of companies. Whoever keeps an entry writes none of them: it notes in `changed` of which company something changed, and
//! how it was named, and whoever counts (`points`) writes the company's row.

use serde_json::{Map, Value};

use super::error::PostgresError;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{keys, row_ids};
use crate::company::Account;
use crate::protocol::accounts::ReceivedAccount;

statements! {
    NOTE_CHANGED = "INSERT INTO changed (id, account, domain, name)
                    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])";
    TRAITS_OF = "SELECT key, traits FROM account WHERE key = ANY($1::text[])";
    PUT_TRAITS = "INSERT INTO account (key, domain, name, traits)
                  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                  ON CONFLICT (key) DO UPDATE SET domain = coalesce(excluded.domain, account.domain),
                      name = coalesce(excluded.name, account.name), traits = excluded.traits";
}

/// The traits that say of which company a visitor is.
pub(super) const TRAITS: [&str; 3] = ["$account", "company", "domain"];

/// The key of a company's row.
pub(super) fn key(account: &Account) -> String {
    keys::key(&account.key()).into_owned()
}

/// A company, and how it was named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    key: String,
    domain: Option<String>,
    name: Option<String>,
}

impl Named {
    pub(super) fn of(account: &Account) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(|text| keys::text(text).into_owned());
        Self { key: key(account), domain: text(&account.domain), name: text(&account.name) }
    }

    /// One of which nothing new is said.
    pub(super) fn only(key: String) -> Self {
        Self { key, domain: None, name: None }
    }
}

/// Notes companies of which something changed.
pub(super) async fn note_changed(transaction: &Transaction, changed: &[Named]) -> Result<(), PostgresError> {
    if changed.is_empty() {
        return Ok(());
    }
    let first = row_ids::next();
    let mut changed: Vec<&Named> = changed.iter().collect();
    changed.sort_unstable();
    changed.dedup();
    let ids: Vec<i64> = (first..).take(changed.len()).collect();
    let keys: Vec<&str> = changed.iter().map(|named| named.key.as_str()).collect();
    let domains: Vec<Option<&str>> = changed.iter().map(|named| named.domain.as_deref()).collect();
    let names: Vec<Option<&str>> = changed.iter().map(|named| named.name.as_deref()).collect();
    transaction.execute(NOTE_CHANGED, &[&ids, &keys, &domains, &names]).await.map(drop)
}

/// Keeps what is said of companies, each by its domain.
pub(super) async fn keep(transaction: &Transaction, accounts: &[ReceivedAccount]) -> Result<(), PostgresError> {
    let asked: Vec<String> = accounts.iter().map(|(account, _)| key(account)).collect();
    let ((), there) = together!(transaction.begin(), transaction.query(TRAITS_OF, &[&asked]))?;
    let mut rows: Vec<(Named, Map<String, Value>)> = Vec::new();
    for (account, said) in accounts {
        let named = Named::of(account);
        let at = rows.iter().position(|(before, _)| before.key == named.key).unwrap_or(rows.len());
        if at == rows.len() {
            let row = there.iter().find(|row| row.try_get::<_, &str>(0).is_ok_and(|key| key == named.key));
            let traits = row.map(|row| row.try_get::<_, &str>(1)).transpose()?.unwrap_or("{}");
            rows.push((Named::only(named.key.clone()), serde_json::from_str(traits).unwrap_or_default()));
        }
        if let Some((row, traits)) = rows.get_mut(at) {
            row.domain = named.domain.or(row.domain.take());
            row.name = named.name.or(row.name.take());
            merge(traits, said);
        }
    }
    // In one order, so that two writers never wait for each other in a circle.
    rows.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    let keys: Vec<&str> = rows.iter().map(|(named, _)| named.key.as_str()).collect();
    let domains: Vec<Option<&str>> = rows.iter().map(|(named, _)| named.domain.as_deref()).collect();
    let names: Vec<Option<&str>> = rows.iter().map(|(named, _)| named.name.as_deref()).collect();
    let traits: Vec<String> = rows.iter().map(|(_, traits)| Value::Object(traits.clone()).to_string()).collect();
    let changed: Vec<Named> = rows.iter().map(|(named, _)| Named::only(named.key.clone())).collect();
    together!(
        transaction.execute_if(!rows.is_empty(), PUT_TRAITS, &[&keys, &domains, &names, &traits]),
        note_changed(transaction, &changed),
        transaction.commit(),
    )?;
    Ok(())
}

/// Merges what is said into what is known, as a JSON merge patch does (RFC 7396): null takes away.
fn merge(known: &mut Map<String, Value>, said: &Map<String, Value>) {
    for (name, value) in said {
        match value {
            Value::Null => drop(known.shift_remove(name)),
            Value::Object(said) => {
                let known = known.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !known.is_object() {
                    *known = Value::Object(Map::new());
                }
                if let Value::Object(known) = known {
                    merge(known, said);
                }
            }
            other => drop(known.insert(name.clone(), other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_is_merged_as_rfc_7396_has_it() {
        // From the RFC's appendix A.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut known = target.as_object().expect("an object").clone();
            merge(&mut known, patch.as_object().expect("an object"));
            assert_eq!(Value::Object(known), result);
        }
    }
}
