//! A request about companies.

use koala_destination::koala::MOST_ENTRIES;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::company::{self, Account};
use crate::received::ReceivedAccount;

#[derive(Deserialize)]
struct WrittenAccount {
    domain: Option<Value>,
    name: Option<String>,
    #[serde(default)]
    traits: Map<String, Value>,
    /// As Koala's guide has it; a later one says more.
    #[serde(default)]
    identifies: Vec<WrittenIdentify>,
}

#[derive(Deserialize)]
struct WrittenIdentify {
    #[serde(default)]
    traits: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenAccounts {
    Several { accounts: Vec<WrittenAccount> },
    One(WrittenAccount),
}

/// Reads a request of `accounts/batch`: one account, or `{"accounts":[…]}`, each with its `domain`.
///
/// # Errors
/// With the rule that it does not hold.
pub fn read_accounts(body: &[u8]) -> Result<Vec<ReceivedAccount>, Refusal> {
    let written = match serde_json::from_slice(body).map_err(|error| Refusal::Form(error.to_string()))? {
        WrittenAccounts::Several { accounts } => accounts,
        WrittenAccounts::One(account) => vec![account],
    };
    if written.len() > MOST_ENTRIES {
        return Err(Refusal::TooMany("accounts", written.len()));
    }
    let account = |(at, WrittenAccount { domain, name, mut traits, identifies }): (usize, WrittenAccount)| {
        if identifies.len() > MOST_ENTRIES {
            return Err(Refusal::TooMany("identifies", identifies.len()));
        }
        traits.extend(identifies.into_iter().flat_map(|identify| identify.traits));
        let domain = domain.as_ref().and_then(company::domain_of).ok_or(Refusal::NoDomain(at))?;
        let text = |key: &str| traits.get(key).and_then(Value::as_str).map(str::to_owned);
        let (name, group_id) = (name.or_else(|| text("name")), text("group_id"));
        Ok((Account { domain: Some(domain), group_id, name }, traits))
    };
    written.into_iter().enumerate().map(account).collect()
}
