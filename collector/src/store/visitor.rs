//! Visitors as the store gives them.

use std::fmt;

use koala_destination::ids::Id;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::company_id::{CompanyId, CompanySource};
use crate::about::Utm;
use crate::intent::Intent;
use crate::invisible::is_blank;

/// A visitor's id, which means something to the engine alone. It stays when further ids join; that of a visitor who was merged
/// with another leads to that one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct VisitorId(String);

impl VisitorId {
    /// The id that an engine gave, or that an address names.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// As the engine wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VisitorId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The API has always written an id that is a number as one, and programs hold to it.
impl Serialize for VisitorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<i64>() {
            Ok(number) if number.to_string() == self.0 => serializer.serialize_i64(number),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

/// A visitor as the API lists it.
#[derive(Debug, Serialize)]
pub struct Visitor {
    /// What the store knows it by.
    pub id: VisitorId,
    /// Every user id that leads here.
    pub user_ids: Vec<String>,
    /// Every email address that leads here, the one that was known first first.
    pub emails: Vec<String>,
    /// Every device that leads here, by `anonymousId` or `profile_id`.
    pub anonymous_ids: Vec<String>,
    /// The company, by its domain, else its group's id, else its name in lower case.
    pub account: Option<String>,
    /// The company's id.
    pub company_id: Option<CompanyId>,
    /// The company's name, where one is known.
    pub company: Option<String>,
    /// What the visitor is taken to be of the company by.
    pub company_source: Option<CompanySource>,
    /// How much the visitor means to buy.
    #[serde(flatten)]
    pub intent: Intent,
    /// The latest traits.
    pub traits: Map<String, Value>,
    /// The time of the oldest entry.
    pub first_seen: String,
    /// The time of the newest entry.
    pub last_seen: String,
    /// How many events there are.
    pub events: i64,
    /// How many identifies there are.
    pub identifies: i64,
    /// How many page views there are.
    pub page_views: i64,
    /// Whether the parameter `exclude` keeps the visitor out of the ranking.
    pub excluded: bool,
    /// All its ids, the strongest first.
    #[serde(skip)]
    pub identities: Vec<VisitorIdentity>,
}

/// Characters of a device's id that tell anonymous visitors apart.
const SHORT_ID: usize = 4;

impl Visitor {
    /// What they are known by: the name, else an address, else a user id.
    #[must_use]
    pub fn known_name(&self) -> Option<String> {
        let id = || self.emails.first().or(self.user_ids.first()).cloned();
        self.said_name().or_else(id)
    }

    /// The name that is said of them: the trait `name`, else the first and the last one.
    #[must_use]
    pub fn said_name(&self) -> Option<String> {
        let part = |camel: &str, snake: &str| self.text(camel).or_else(|| self.text(snake));
        let full = || match (part("firstName", "first_name"), part("lastName", "last_name")) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (one, other) => one.or(other).map(str::to_owned),
        };
        self.text("name").map(str::to_owned).or_else(full)
    }

    /// What they are called: what they are known by, else `Anonymous visitor c8ff` by the end of their device's id.
    #[must_use]
    pub fn name(&self) -> String {
        let device = || {
            let id = self.anonymous_ids.first()?;
            let characters: Vec<char> = id.chars().filter(|character| character.is_alphanumeric()).collect();
            let end: String = characters[characters.len().saturating_sub(SHORT_ID)..].iter().collect();
            Some(format!("Anonymous visitor {end}"))
        };
        self.known_name().or_else(device).unwrap_or_else(|| "Unknown visitor".to_owned())
    }

    /// A trait that is a text with something in it.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.traits.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !is_blank(text))
    }
}

/// An id of a visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitorIdentity {
    /// The id.
    pub id: Id,
    /// Whether it belongs to another one of the visitor's; else it is the one that the others belong to.
    pub belongs_to_another: bool,
    /// Whether a person said that it is not an id.
    pub is_blocked: bool,
}

/// How far an export of a visitor's entries is, which means something to the engine alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryCursor(pub String);

/// One entry of a visitor's timeline.
#[derive(Debug, Serialize)]
pub struct TimelineEntry {
    /// `event`, `identify` or `page_view`.
    pub kind: String,
    /// The event's name.
    pub name: Option<String>,
    /// Its idempotency key.
    pub message_id: Option<String>,
    /// When it happened.
    pub at: String,
    /// The path of the page that it is about.
    pub path: Option<String>,
    /// The title of the page.
    pub title: Option<String>,
    /// The address of the page that led there.
    pub referrer: Option<String>,
    /// The campaign that led there.
    #[serde(skip_serializing_if = "Utm::is_empty")]
    pub utm: Utm,
    /// The entry as Koala's protocol writes it.
    pub entry: Box<RawValue>,
}
