//! Who is kept out of the ranking: a team's own staff, its customers, its competitors.

use std::collections::BTreeSet;

use koala_destination::json::{Object, read_parameter};
use koala_destination::koala::Email;
use koala_destination::segment::Trigger;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::company;

/// The most domains, and the most addresses: they are looked up for each visitor that changes.
const MOST: usize = 10_000;

/// The parameter `exclude`: `{"domains":[…],"emails":[…],"trigger":"…"}`, each of which may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exclude {
    /// Registrable domains, of companies and of addresses.
    domains: BTreeSet<String>,
    /// Addresses in lower case.
    emails: BTreeSet<String>,
    /// Which visitors (`type = "identify"`) and companies (`type = "group"`) are kept out, by their traits.
    trigger: Option<Trigger>,
}

/// What is wrong with the parameter.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ExcludeError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    emails: Vec<String>,
    trigger: Option<String>,
}

impl Exclude {
    /// Reads the JSON of the parameter.
    ///
    /// # Errors
    /// With what is wrong and what to write instead.
    pub fn parse(json: &str) -> Result<Self, ExcludeError> {
        const FORM: &str = "exclude is {\"domains\"?:[\"acme.com\"],\"emails\"?:[\"ada@acme.com\"],\"trigger\"?:\"traits.plan = \\\"paid\\\"\"}";
        let written: Written = read_parameter(json).map_err(|error| ExcludeError(format!("{error}: {FORM}")))?;
        for (what, count) in [("domains", written.domains.len()), ("emails", written.emails.len())] {
            if count > MOST {
                return Err(ExcludeError(format!("{what}: there are {count}, and {MOST} is the most")));
            }
        }
        let domain = |text: &String| {
            company::registrable(text)
                .ok_or_else(|| ExcludeError(format!("domains: {text:?} is not a domain that a company can have")))
        };
        let email = |text: &String| {
            let email = Email::parse(text).map(|email| email.as_str().to_lowercase());
            email.ok_or_else(|| ExcludeError(format!("emails: {text:?} is not an email address")))
        };
        let trigger = written.trigger.as_deref().map(Trigger::parse).transpose();
        Ok(Self {
            domains: written.domains.iter().map(domain).collect::<Result<_, _>>()?,
            emails: written.emails.iter().map(email).collect::<Result<_, _>>()?,
            trigger: trigger.map_err(|error| ExcludeError(format!("trigger: {error}")))?,
        })
    }

    /// Whether nobody is kept out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it keeps a visitor out, whatever the company is: by an address, or by the trigger, which is asked about
    /// `{"type":"identify","userId","traits"}`.
    #[must_use]
    pub fn takes_visitor(&self, user_ids: &[String], emails: &[String], traits: &Map<String, Value>) -> bool {
        let by_address = |email: &String| {
            let domain = || email.rsplit_once('@').and_then(|(_, domain)| company::registrable(domain));
            self.emails.contains(email)
                || (!self.domains.is_empty() && domain().is_some_and(|domain| self.domains.contains(&domain)))
        };
        emails.iter().any(by_address)
            || self.matches(|| {
                let mut traits = traits.clone();
                if let Some(email) = emails.first() {
                    traits.entry("email").or_insert_with(|| email.clone().into());
                }
                json!({"type": "identify", "userId": user_ids.first(), "traits": traits})
            })
    }

    /// Whether it keeps a company out with all its visitors: by its domain, or by the trigger, which is asked about
    /// `{"type":"group","groupId","traits"}`.
    #[must_use]
    pub fn takes_company(
        &self,
        domain: Option<&str>,
        group_ids: &[String],
        name: Option<&str>,
        traits: &Map<String, Value>,
    ) -> bool {
        domain.is_some_and(|domain| self.domains.contains(domain))
            || self.matches(|| {
                let mut traits = traits.clone();
                for (key, text) in [("domain", domain), ("name", name)] {
                    if let Some(text) = text {
                        traits.insert(key.to_owned(), text.into());
                    }
                }
                json!({"type": "group", "groupId": group_ids.first(), "traits": traits})
            })
    }

    fn matches(&self, event: impl FnOnce() -> Value) -> bool {
        self.trigger.as_ref().is_some_and(|trigger| {
            let event = event().to_string();
            Object::from_json(&event).is_some_and(|event| trigger.matches(&event))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclude(json: &Value) -> Exclude {
        Exclude::parse(&json.to_string()).expect("a parameter")
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn staff_and_competitors_are_kept_out_by_domain_and_by_address() {
        let exclude = exclude(&json!({"domains": ["https://www.Us.example/about"], "emails": ["Spy@Gmail.com"]}));
        let takes = |emails: &[&str]| exclude.takes_visitor(&[], &texts(emails), &Map::new());
        assert!(
            takes(&["ada@us.example"]) && takes(&["ada@gmail.com", "ada@mail.us.example"]) && takes(&["spy@gmail.com"])
        );
        assert!(!takes(&["ada@gmail.com"]) && !takes(&["us.example@gmail.com"]) && !takes(&[]));
        let company = |domain| exclude.takes_company(Some(domain), &[], None, &Map::new());
        assert!(company("us.example") && !company("gmail.com"));
    }

    #[test]
    fn a_trigger_is_asked_about_the_traits_of_visitors_and_of_companies() {
        let of = |value: Value| value.as_object().cloned().expect("traits");
        let customers = exclude(&json!({"trigger": "type = \"group\" and traits.plan = \"paid\""}));
        assert!(customers.takes_company(None, &[], None, &of(json!({"plan": "paid"}))));
        assert!(!customers.takes_visitor(&[], &[], &of(json!({"plan": "paid"}))));
        let testers = exclude(&json!({"trigger": "contains(traits.email, \"+test@\") or userId = \"u-test\""}));
        assert!(testers.takes_visitor(&[], &texts(&["ada+test@acme.com"]), &Map::new()));
        assert!(testers.takes_visitor(&texts(&["u-test"]), &[], &Map::new()));
        assert!(!testers.takes_visitor(&texts(&["u1"]), &texts(&["ada@acme.com"]), &Map::new()));
        assert!(!exclude(&json!({})).takes_visitor(&[], &texts(&["ada@acme.com"]), &Map::new()));
        assert!(exclude(&json!({})).is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why = |json: &str| Exclude::parse(json).expect_err("no parameter").to_string();
        assert!(why("acme.com").contains("exclude is"));
        assert!(why(r#"{"domain":["acme.com"]}"#).contains("unknown field `domain`"));
        assert!(why(r#"{"domains":["acme"]}"#).contains("domains: \"acme\" is not a domain"));
        assert!(why(r#"{"domains":["co.uk"]}"#).contains("domains: \"co.uk\" is not a domain"));
        assert!(why(r#"{"emails":["acme.com"]}"#).contains("emails: \"acme.com\" is not an email address"));
        assert!(why(r#"{"trigger":"plan = 1"}"#).starts_with("trigger: at character 1"));
    }
}
