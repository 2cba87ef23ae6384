//! A company by one key, for an engine that does not join the identities of companies: what the traits say, else the domain of the
//! email address, unless everyone may have one there.

use serde_json::{Map, Value};

use super::domain::{of_address, of_company};

/// A company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its domain, in lower case.
    pub domain: Option<String>,
    /// What a group call names it by, as it was written.
    pub group_id: Option<String>,
    /// Its name, as it was written.
    pub name: Option<String>,
}

impl Account {
    /// The company of a visitor with these traits and addresses: by the domain of `$account`, `company` or `domain`, else by that of
    /// the first address that is a company's, else by the group's id or the name that one of them has. A name or an id alone
    /// would make a second company of one whose other visitors are known by its domain.
    #[must_use]
    pub fn of(traits: &Map<String, Value>, emails: &[String]) -> Option<Self> {
        let named = ["$account", "company"].into_iter().filter_map(|name| traits.get(name)).map(Self::written);
        let mut found = Self { domain: traits.get("domain").and_then(domain_of), group_id: None, name: None };
        for Self { domain, group_id, name } in named {
            found = Self {
                domain: found.domain.or(domain),
                group_id: found.group_id.or(group_id),
                name: found.name.or(name),
            };
        }
        if found.domain.is_none() {
            found.domain = emails.iter().find_map(|email| of_address(email));
        }
        found.is_anything().then_some(found)
    }

    fn is_anything(&self) -> bool {
        self.domain.is_some() || self.group_id.is_some() || self.name.is_some()
    }

    /// What the store knows it by: the domain, where none is known the group's id, else the name in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        let name = || self.name.as_deref().unwrap_or_default().trim().to_lowercase();
        self.domain.clone().or_else(|| self.group_id.clone()).unwrap_or_else(name)
    }

    /// A company as a trait writes it: its domain or name, or an object that has them.
    fn written(value: &Value) -> Self {
        let Some(object) = value.as_object() else {
            let domain = domain_of(value);
            let name = value.as_str().map(str::trim).filter(|name| !name.is_empty() && domain.is_none());
            return Self { name: name.map(str::to_owned), group_id: None, domain };
        };
        let text = |key| object.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let (name, group_id) = (text("name"), text("group_id"));
        let domain = ["domain", "website", "url"].into_iter().find_map(|key| domain_of(object.get(key)?));
        Self { domain, group_id: group_id.map(str::to_owned), name: name.map(str::to_owned) }
    }
}

/// The domain of a company that a text is, or that a URL leads to.
#[must_use]
pub fn domain_of(value: &Value) -> Option<String> {
    value.as_str().and_then(of_company)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(traits: &Value, emails: &[&str]) -> Option<String> {
        let emails: Vec<String> = emails.iter().map(|email| (*email).to_owned()).collect();
        Account::of(traits.as_object().expect("traits"), &emails).map(|account| account.key())
    }

    #[test]
    fn what_the_traits_say_goes_before_the_address() {
        let emails = &["ada@mail.analytical.example"];
        assert_eq!(
            key(&json!({"$account": {"domain": "Acme.com"}, "company": "Other"}), emails).as_deref(),
            Some("acme.com")
        );
        assert_eq!(key(&json!({"domain": "https://www.acme.com/about"}), emails).as_deref(), Some("acme.com"));
        assert_eq!(
            key(&json!({"company": {"name": "Acme", "website": "acme.io"}}), emails).as_deref(),
            Some("acme.io")
        );
        let named = json!({"$account": {"group_id": "G-1", "name": "Acme"}});
        assert_eq!(key(&named, emails).as_deref(), Some("analytical.example"));
        assert_eq!(key(&named, &["ada@gmail.com"]).as_deref(), Some("G-1"));
        assert_eq!(
            key(&json!({"$account": {"group_id": "G-1", "domain": "acme.io"}}), emails).as_deref(),
            Some("acme.io")
        );
        assert_eq!(key(&json!({"company": "Acme & Söhne"}), emails).as_deref(), Some("analytical.example"));
        assert_eq!(key(&json!({"company": "Acme & Söhne"}), &["ada@gmail.com"]).as_deref(), Some("acme & söhne"));
        assert_eq!(key(&json!({"company": {}}), emails).as_deref(), Some("analytical.example"));
    }

    #[test]
    fn an_address_of_free_mail_or_to_throw_away_is_of_no_company() {
        assert_eq!(key(&json!({}), &["ada@gmail.com"]), None);
        assert_eq!(key(&json!({}), &["ada@GMX.de", "ada@mailinator.com"]), None);
        assert_eq!(key(&json!({}), &["ada@gmail.com", "ada@acme.com"]).as_deref(), Some("acme.com"));
        assert_eq!(key(&json!({}), &[]), None);
    }
}
