//! Companies as the store gives them.

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use serde::Serialize;
use serde_json::{Map, Value};

pub use super::company_id::{CompanyId, CompanySource};
use super::visitor::{Visitor, VisitorId};
use crate::about::Utm;
use crate::intent::worth::Total;
use crate::intent::{IntentRule, Strength, StrengthLabel, Trend};

/// How many days of activity are shown.
pub const DAYS: usize = 14;

/// How many events there were on each of the last days, today last.
pub type DaysOfActivity = [i64; DAYS];

/// A company as the API lists it.
#[derive(Debug, Serialize)]
pub struct Company {
    /// What the store knows it by.
    pub id: CompanyId,
    /// What people call it in an address: its domain, else its group's id, else its name in lower case.
    pub key: String,
    /// Its domain.
    pub domain: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What group calls name it by.
    pub group_ids: Vec<String>,
    /// How much it means to buy, in points of the intent rules.
    pub intent: f64,
    /// Its points seven days ago, by the same rules.
    #[serde(skip)]
    pub intent_week_ago: f64,
    /// How strong its interest is, 0 to 100.
    pub strength: Strength,
    /// The same in words.
    pub strength_label: StrengthLabel,
    /// Where its interest goes, beside a week ago.
    pub trend: Trend,
    /// What was said of it.
    pub traits: Map<String, Value>,
    /// What it is by that visitors are taken to be of it: a guess where it is one for each of them.
    pub company_source: CompanySource,
    /// How many visitors are of it.
    pub visitors: i64,
    /// How many events they have, page views among them.
    pub events: i64,
    /// The time of their oldest entry.
    pub first_seen: Option<String>,
    /// The time of their newest entry.
    pub last_seen: Option<String>,
    /// Whether it is kept out of the ranking by the parameter `exclude`.
    pub excluded: bool,
}

/// A company with its people.
#[derive(Debug, Serialize)]
pub struct CompanyPage {
    /// The company.
    #[serde(flatten)]
    pub company: Company,
    /// What its points come from, the most first.
    pub reasons: Vec<Reason>,
    /// How many events there were on each of the last days, today last.
    pub days: DaysOfActivity,
    /// Its visitors, the one seen last first.
    pub people: Vec<Member>,
    /// The pages and events of its visitors: what most of them did, and most often, first.
    pub interests: Vec<Interest>,
    /// Where its visitors came from: what most of them came by first.
    pub sources: Vec<Source>,
    /// What they did last, the newest first.
    pub activity: Vec<Activity>,
}

/// One of a company's visitors.
#[derive(Debug, Serialize)]
pub struct Member {
    /// The visitor.
    #[serde(flatten)]
    pub visitor: Visitor,
    /// What they are there, by their trait `title`.
    pub title: Option<String>,
    /// The page that they looked at last.
    pub last_page: Option<LastPage>,
}

/// The page that a visitor looked at last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastPage {
    /// Its path.
    pub path: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// When.
    pub at: String,
}

/// A page or an event, and who looked at it or did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interest {
    /// `event` or `page_view`.
    pub kind: String,
    /// The event's name, or that of the page.
    pub name: Option<String>,
    /// The page's path.
    pub path: Option<String>,
    /// The page's title.
    pub title: Option<String>,
    /// How often.
    pub times: i64,
    /// By how many visitors.
    pub visitors: i64,
    /// Some of them, the one who did it last first.
    pub by: Vec<VisitorId>,
    /// When last.
    pub last_at: String,
}

/// Another site or a campaign, and who came by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The host of the other site.
    pub referrer: Option<String>,
    /// The campaign.
    pub utm: Utm,
    /// How often.
    pub times: i64,
    /// By how many visitors.
    pub visitors: i64,
    /// When last.
    pub last_at: String,
}

/// What one rule gives a company.
#[derive(Debug, Serialize)]
pub struct Reason {
    /// The rule's name.
    pub rule: String,
    /// Its points now.
    pub points: f64,
    /// Its points seven days ago.
    #[serde(skip)]
    pub points_week_ago: f64,
    /// How many visitors have some of them.
    pub visitors: usize,
    /// The last day with such an event, as midnight in UTC.
    pub last_day: String,
}

impl Reason {
    /// What the days of visitors came to under a rule.
    #[must_use]
    pub fn of(rule: &IntentRule, total: Total) -> Self {
        let Total { worth, visitors, last_day } = total;
        let last_day = clock::from_milliseconds(last_day.saturating_mul(MILLISECONDS_OF_A_DAY));
        Self { rule: rule.name.clone(), points: worth.now, points_week_ago: worth.week_ago, visitors, last_day }
    }
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
    /// The page's path.
    pub path: Option<String>,
    /// When it happened.
    pub at: String,
}

/// How much the parameter `exclude` keeps out of the ranking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// Companies.
    pub companies: u64,
    /// Visitors, those of such companies among them.
    pub visitors: u64,
}
