//! What visitors say of their companies.

use serde_json::{Map, Value};

use super::account::Account;
use super::domain;
use super::key::CompanyKey;

/// The most statements about companies that are kept of one id of a visitor: people have a few.
pub const MOST_STATEMENTS: u32 = 100;
/// The traits that say a visitor's company. Of two that were said at once the first of these counts.
pub const TRAITS_OF_COMPANY: [&str; 3] = ["domain", "$account", "company"];

/// Domain, group's id and name as one event gives them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The domain.
    pub domain: Option<CompanyKey>,
    /// The group's id.
    pub group: Option<CompanyKey>,
    /// The name.
    pub name: Option<CompanyKey>,
    /// The name as it was written.
    pub written: Option<String>,
    /// Whether a group call says so, or a request about companies alone: what gives all of it on purpose.
    pub by_group_call: bool,
}

impl Said {
    /// As a request about companies alone says it.
    #[must_use]
    pub fn of_account(account: &Account) -> Self {
        let group = account.group_id.as_deref().and_then(CompanyKey::group);
        let name = account.name.clone().map(Value::String);
        let domain = account.domain.as_deref().and_then(CompanyKey::domain);
        Self { domain, group, by_group_call: true, ..Self::named(name.as_ref()) }
    }

    /// As an object of a trait says it, or a group call with `group_id`, `domain` and `name`.
    #[must_use]
    pub fn of_object(object: &Map<String, Value>) -> Self {
        let domain =
            ["domain", "website", "url"].into_iter().find_map(|key| CompanyKey::domain(object.get(key)?.as_str()?));
        Self { domain, group: object.get("group_id").and_then(group), ..Self::named(object.get("name")) }
    }

    /// What the traits of one identify give together: `$account` as Koala's script has it, and `company` with the trait `domain`.
    #[must_use]
    pub fn of_traits(traits: &Map<String, Value>) -> Vec<Self> {
        let account = traits.get("$account").map(Self::of_value);
        let mut company = traits.get("company").map(Self::of_value).unwrap_or_default();
        if company.domain.is_none() {
            company.domain = domain_trait(traits.get("domain"));
        }
        account.into_iter().chain([company]).filter(|said| !said.is_nothing()).collect()
    }

    /// A company as a trait writes it: its domain or its name, or an object that has them.
    fn of_value(value: &Value) -> Self {
        match value {
            Value::Object(object) => Self::of_object(object),
            Value::String(text) => match domain::of_company(text) {
                Some(domain) => Self { domain: CompanyKey::domain(&domain), ..Self::default() },
                None => Self::named(Some(value)),
            },
            _ => Self::default(),
        }
    }

    fn named(name: Option<&Value>) -> Self {
        let written = name.and_then(Value::as_str).map(str::trim);
        let name = written.and_then(CompanyKey::of_name);
        Self { written: name.as_ref().and(written).map(str::to_owned), name, ..Self::default() }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.domain.is_none() && self.group.is_none() && self.name.is_none()
    }
}

/// A group's id may be a number.
fn group(value: &Value) -> Option<CompanyKey> {
    match value {
        Value::String(text) => CompanyKey::group(text),
        Value::Number(number) => CompanyKey::group(&number.to_string()),
        _ => None,
    }
}

fn domain_trait(value: Option<&Value>) -> Option<CompanyKey> {
    value.and_then(Value::as_str).and_then(CompanyKey::domain)
}

/// One of the [`TRAITS_OF_COMPANY`] as it was said last.
#[derive(Debug, Clone)]
pub struct WhatIsSaid {
    /// The trait's name.
    pub of_trait: String,
    /// Its value.
    pub value: Value,
    /// When it was said, in milliseconds since 1970.
    pub at: i64,
}

/// The identity of the company that a visitor is of: the newest said domain or group's id, else the domain of the first address
/// that is a company's, else a said name.
#[must_use]
pub fn of_visitor(said: &[WhatIsSaid], emails: &[String]) -> Option<CompanyKey> {
    let place = |said: &WhatIsSaid| TRAITS_OF_COMPANY.iter().position(|name| *name == said.of_trait);
    let mut newest_first: Vec<&WhatIsSaid> = said.iter().filter(|said| place(said).is_some()).collect();
    newest_first.sort_by_key(|said| (std::cmp::Reverse(said.at), place(said)));
    let told = |said: &&WhatIsSaid| match said.of_trait.as_str() {
        "domain" => Said { domain: domain_trait(Some(&said.value)), ..Said::default() },
        _ => Said::of_value(&said.value),
    };
    let told: Vec<Said> = newest_first.iter().map(told).collect();
    let by_address = || CompanyKey::domain(&emails.iter().find_map(|email| domain::of_address(email))?);
    let named = told.iter().find_map(|said| said.domain.clone().or_else(|| said.group.clone()));
    named.or_else(by_address).or_else(|| told.iter().find_map(|said| said.name.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// All traits said at once.
    fn of(traits: &Value, emails: &[&str]) -> Option<String> {
        let at = |at: i64| {
            move |(name, value): (&String, &Value)| WhatIsSaid { of_trait: name.clone(), value: value.clone(), at }
        };
        let said: Vec<_> = traits.as_object().expect("traits").iter().map(at(0)).collect();
        let emails: Vec<String> = emails.iter().map(|email| (*email).to_owned()).collect();
        of_visitor(&said, &emails).map(|key| key.value)
    }

    fn said(of_trait: &str, value: Value, at: i64) -> WhatIsSaid {
        WhatIsSaid { of_trait: of_trait.to_owned(), value, at }
    }

    #[test]
    fn what_the_traits_say_goes_before_the_address() {
        let emails = &["ada@mail.analytical.example"];
        assert_eq!(
            of(&json!({"$account": {"domain": "Acme.com"}, "company": "Other"}), emails).as_deref(),
            Some("acme.com")
        );
        assert_eq!(of(&json!({"domain": "https://www.acme.com/about"}), emails).as_deref(), Some("acme.com"));
        assert_eq!(of(&json!({"company": {"name": "Acme", "website": "acme.io"}}), emails).as_deref(), Some("acme.io"));
        let named = json!({"$account": {"group_id": "G-1", "name": "Acme"}});
        assert_eq!(of(&named, emails).as_deref(), Some("G-1"));
        assert_eq!(of(&named, &["ada@gmail.com"]).as_deref(), Some("G-1"));
        assert_eq!(
            of(&json!({"$account": {"group_id": "G-1", "domain": "acme.io"}}), emails).as_deref(),
            Some("acme.io")
        );
        assert_eq!(of(&json!({"company": "Acme & Söhne"}), emails).as_deref(), Some("analytical.example"));
        assert_eq!(of(&json!({"company": "Acme & Söhne"}), &["ada@gmail.com"]).as_deref(), Some("acme & söhne"));
        assert_eq!(of(&json!({"company": {}}), emails).as_deref(), Some("analytical.example"));
    }

    #[test]
    fn of_several_domains_and_group_ids_the_one_that_was_said_last_counts() {
        let group = said("$account", json!({"group_id": "g1"}), 5);
        let early = said("company", json!({"domain": "acme.com"}), 3);
        let late = said("domain", json!("acme.io"), 9);
        let of = |said: &[&WhatIsSaid]| {
            of_visitor(&said.iter().map(|said| (*said).clone()).collect::<Vec<_>>(), &[]).map(|key| key.value)
        };
        assert_eq!(of(&[&group, &early]).as_deref(), Some("g1"));
        assert_eq!(of(&[&late, &group, &early]).as_deref(), Some("acme.io"));
        assert_eq!(of(&[&early, &late, &group]).as_deref(), Some("acme.io"));
    }

    #[test]
    fn an_address_of_free_mail_or_to_throw_away_is_of_no_company_also_where_a_trait_says_it() {
        assert_eq!(of(&json!({}), &["ada@gmail.com"]), None);
        assert_eq!(of(&json!({}), &["ada@GMX.de", "ada@mailinator.com"]), None);
        assert_eq!(of(&json!({}), &["ada@gmail.com", "ada@acme.com"]).as_deref(), Some("acme.com"));
        assert_eq!(of(&json!({"domain": "gmail.com"}), &["ada@acme.com"]).as_deref(), Some("acme.com"));
        assert_eq!(of(&json!({}), &[]), None);
    }

    #[test]
    fn an_identify_gives_together_what_stands_in_one_object() {
        let of = |traits: Value| {
            let text = |key: Option<CompanyKey>| key.map(|key| key.value).unwrap_or_default();
            let said = Said::of_traits(traits.as_object().expect("traits"));
            said.into_iter()
                .map(|said| (text(said.domain), text(said.group), said.written.unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        let text = |texts: (&str, &str, &str)| (texts.0.to_owned(), texts.1.to_owned(), texts.2.to_owned());
        assert_eq!(of(json!({"company": " Globex ", "domain": "globex.com"})), [text(("globex.com", "", "Globex"))]);
        assert_eq!(
            of(json!({"company": "Other", "$account": {"domain": "globex.com", "group_id": 7, "name": "Globex"}})),
            [text(("globex.com", "7", "Globex")), text(("", "", "Other"))]
        );
        assert_eq!(of(json!({"company": "globex.com"})), [text(("globex.com", "", ""))]);
        assert!(of(json!({"company": 5, "plan": "team", "$account": null})).is_empty());
    }
}
