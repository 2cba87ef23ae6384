//! Companies as the store gives them.

use serde::Serialize;
use serde_json::{Map, Value};

use super::visitor::{Visitor, VisitorId};

/// How many days of activity are shown.
pub const DAYS: usize = 14;

/// How many events there were on each of the last days, today last.
pub type DaysOfActivity = [i64; DAYS];

/// A company as the API lists it.
#[derive(Debug, Serialize)]
pub struct Company {
    /// What it is known by: its domain, or its name in lower case.
    pub key: String,
    /// Its domain.
    pub domain: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// How much it means to buy, in points of the intent rules.
    pub intent: f64,
    /// What was said of it.
    pub traits: Map<String, Value>,
    /// How many visitors are of it.
    pub visitors: i64,
    /// How many events they have, page views among them.
    pub events: i64,
    /// The time of their newest entry.
    pub last_seen: Option<String>,
}

/// A company with its people.
#[derive(Debug, Serialize)]
pub struct CompanyPage {
    /// The company.
    #[serde(flatten)]
    pub company: Company,
    /// What its points come from, the most first.
    pub reasons: Vec<Reason>,
    /// Its visitors, the one seen last first.
    pub people: Vec<Visitor>,
    /// What they did last, the newest first.
    pub activity: Vec<Activity>,
}

/// What one rule gives a company.
#[derive(Debug, Serialize)]
pub struct Reason {
    /// The rule's name.
    pub rule: String,
    /// Its points now.
    pub points: f64,
    /// How many visitors have some of them.
    pub visitors: usize,
    /// The last day with such an event, as midnight in UTC.
    pub last_day: String,
}

/// One entry of a company's visitor.
#[derive(Debug, Serialize)]
pub struct Activity {
    /// Whose.
    pub visitor_id: VisitorId,
    /// `event`, `identify` or `page_view`.
    pub kind: String,
    /// The event's name.
    pub name: Option<String>,
    /// When it happened.
    pub at: String,
}
