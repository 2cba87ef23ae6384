//! What changed of companies and visitors, how alerts stand with them, and what an evaluation writes of it.

use super::messages::NewMessage;
use crate::intent::Trend;
use crate::store::company::CompanyId;
use crate::store::visitor::VisitorId;

/// What is left alone for a moment: what one of these rules took of a visitor of whom no company is known. Who says who they are
/// says it beside what they do, and the two come by different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled<'u> {
    /// The rules' names.
    pub rules: &'u [String],
    /// Noted at this time or later, in milliseconds since 1970 …
    pub since: i64,
    /// … and before this one, so that no clock that is wrong holds anything back.
    pub before: i64,
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Names the row, and what stood in it when it was read, to the engine alone.
    pub token: String,
    /// Whose points may be others.
    pub visitor: VisitorId,
    /// The company that the visitor is of now.
    pub company: Option<CompanyId>,
    /// The intent rule that took something of the visitor for the first time on a day; nothing where it happened long ago.
    pub rule: Option<String>,
    /// The UTC day that counts for the rule, counted from 1970; 0 where there is no rule.
    pub day: i64,
    /// When it happened, in milliseconds since 1970.
    pub at: i64,
}

/// How alerts stand with a company.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// What it was like when it was looked at last.
    pub look: Option<Look>,
    /// The alerts that it has set off, and that are not armed again; and those that wait until they are about it.
    pub fired: Vec<Fired>,
}

/// A company as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its points.
    pub points: f64,
    /// Its trend.
    pub trend: Trend,
}

/// An alert that a company has set off.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    /// The alert's name.
    pub alert: String,
    /// What sets it off; another condition under the same name is another alert.
    pub condition: String,
    /// The company's points at that time.
    pub points: f64,
}

/// How alerts stand with a company that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Stood {
    /// The company.
    pub company: CompanyId,
    /// As it was read.
    pub before: Standing,
    /// As it is now.
    pub after: Standing,
}

/// When all companies were looked at last, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The UTC day, counted from 1970.
    pub day: i64,
    /// What points were made of; where that is another, points move without anything having happened.
    pub made_of: String,
}

/// What came of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluated {
    /// The rows of what changed that were looked at.
    pub changed: Vec<String>,
    /// How alerts stand with the companies that were looked at.
    pub standings: Vec<Stood>,
    /// What is to be told.
    pub messages: Vec<NewMessage>,
    /// All companies were looked at: the turn that was read before, and that of now.
    pub turn: Option<(Option<Turn>, Turn)>,
}
