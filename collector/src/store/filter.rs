//! Which visitors and which companies are looked for. A part of a text is found whatever the case of its ASCII letters.

use crate::intent::worth::Worth;
use crate::intent::{Strength, StrengthLabel, Trend};

/// Which visitors are looked for; what is not set is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A part of an id or a trait, of an event's name, or of a page's name, title or path.
    pub text: Option<String>,
    /// Only those with a user id or an address, or only those without.
    pub known: Option<bool>,
    /// What they did; with a time, at that time.
    pub did: Did,
    /// Only those with a user id of which this is a part.
    pub user_id: Option<String>,
    /// Only those of a company of whose id, domain, group ids or names this is one or a part.
    pub company: Option<String>,
    /// Only those who were first seen at this time or later, in milliseconds since 1970.
    pub first_seen_since: Option<i64>,
    /// Only those with this trait.
    pub of_trait: Option<TraitFilter>,
    /// Only those who did something at this time or later, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only those who did something before this time, in milliseconds since 1970.
    pub before: Option<i64>,
    /// Only those whose interest is of this strength.
    pub strength: Option<StrengthLabel>,
    /// Only those whose interest takes this direction.
    pub trend: Option<Trend>,
}

impl Filter {
    /// Whether points are asked for.
    #[must_use]
    pub fn asks_for_points(&self) -> bool {
        self.strength.is_some() || self.trend.is_some()
    }

    /// Whether a visitor with so many points, now and a week ago, is one that is looked for by these.
    #[must_use]
    pub fn takes(&self, points: Worth) -> bool {
        is_of(self.strength, self.trend, points)
    }
}

/// What somebody did, or came by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Did {
    /// An event with this part in its name.
    pub event: Option<String>,
    /// A page view with this part in the page's name, title or path.
    pub page: Option<String>,
    /// Anything on a page with this part in its path.
    pub path: Option<String>,
    /// Came from a site or by a campaign with this part in the site's host, or in the campaign's source, medium or name.
    pub source: Option<String>,
    /// What the intent rule of this name looks for.
    pub rule: Option<String>,
}

/// Which companies are looked for; what is not set is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompanyFilter {
    /// A part of a domain, a group's id or a name, of an id of one of its visitors, or of a page or an event of theirs.
    pub text: Option<String>,
    /// What one of its visitors did.
    pub did: Did,
    /// Only those that were first seen at this time or later, in milliseconds since 1970.
    pub first_seen_since: Option<i64>,
    /// Those that the parameter `exclude` keeps out of the ranking, in place of the others.
    pub excluded: bool,
    /// Only those whose interest is of this strength.
    pub strength: Option<StrengthLabel>,
    /// Only those whose interest takes this direction.
    pub trend: Option<Trend>,
}

impl CompanyFilter {
    /// Whether a company with so many points, now and a week ago, is one that is looked for by these.
    #[must_use]
    pub fn takes(&self, points: Worth) -> bool {
        is_of(self.strength, self.trend, points)
    }
}

fn is_of(strength: Option<StrengthLabel>, trend: Option<Trend>, Worth { now, week_ago }: Worth) -> bool {
    strength.is_none_or(|strength| strength == Strength::of(now).label())
        && trend.is_none_or(|trend| trend == Trend::of(now, week_ago))
}

/// A trait that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraitFilter {
    /// Its name.
    pub name: String,
    /// Its value as people write it, whatever its case; any, where it is not said.
    pub value: Option<String>,
}

impl TraitFilter {
    /// Reads `name=value`, or `name` alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.trim())));
        let (name, value) = (name.trim().to_owned(), value.map(str::to_owned));
        (!name.is_empty()).then_some(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trait_is_looked_for_by_name_or_by_name_and_value() {
        let of = |text| TraitFilter::parse(text).map(|it| (it.name, it.value));
        assert_eq!(of(" plan "), Some(("plan".to_owned(), None)));
        assert_eq!(of("plan = team=a"), Some(("plan".to_owned(), Some("team=a".to_owned()))));
        assert_eq!(of("=team"), None);
    }
}
