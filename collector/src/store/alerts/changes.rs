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

impl Standing {
    /// How alerts stand with a company that was several before: what one of them has set off is set off, and what one of them was at
    /// most it was. The order is of no account.
    pub(in crate::store) fn of_one(before: impl IntoIterator<Item = Self>) -> Self {
        let mut one = Self::default();
        for Self { look, fired } in before {
            let is_more = |look: &Look| one.look.is_none_or(|most| look.is_more_than(&most));
            one.look = look.filter(is_more).or(one.look);
            one.fired.extend(fired);
        }
        one.fired.sort_by(|a, b| {
            (&a.alert, &a.condition).cmp(&(&b.alert, &b.condition)).then(b.points.total_cmp(&a.points))
        });
        one.fired.dedup_by(|next, first| (&next.alert, &next.condition) == (&first.alert, &first.condition));
        one
    }
}

/// A company as it was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its points.
    pub points: f64,
    /// Its trend.
    pub trend: Trend,
}

impl Look {
    fn is_more_than(&self, other: &Self) -> bool {
        self.points.total_cmp(&other.points).then(self.trend.as_str().cmp(other.trend.as_str())).is_gt()
    }
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
