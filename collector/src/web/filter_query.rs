//! Which visitors and which companies an address asks for: of the page, of the API, of the CSV files.

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use serde::Deserialize;

use crate::intent::{StrengthLabel, Trend};
use crate::store::filter::{CompanyFilter, Did, Filter, TraitFilter};

/// The query of an address; what is empty is not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VisitorQuery {
    /// A part of an id or a trait, of an event's name, or of a page's name, title or path.
    pub q: String,
    /// `known` (with a user id or an email address), `anonymous`, or all.
    pub who: String,
    /// A part of an event's name.
    pub event: String,
    /// A part of a page's name, title or path.
    pub page: String,
    /// A part of the path of a page on which anything was done.
    pub path: String,
    /// A part of a user id.
    pub user_id: String,
    /// A company's id, or a part of its domain, its group ids or its names.
    pub company: String,
    /// An intent rule's name.
    pub rule: String,
    /// A part of another site's host or of a campaign.
    pub source: String,
    /// `week`: who was first seen in the last seven days.
    pub new: String,
    /// `name=value`, or `name` alone.
    #[serde(rename = "trait")]
    pub of_trait: String,
    /// A day as `2026-11-20`, or a time in RFC 3339.
    pub since: String,
    /// A day, which is counted in, or a time.
    pub until: String,
    /// `low`, `medium`, `high` or `very high`.
    pub strength: String,
    /// `surging`, `heating`, `neutral` or `cooling`.
    pub trend: String,
}

impl VisitorQuery {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// With what cannot be read, and how to write it.
    pub fn filter(&self) -> Result<Filter, String> {
        let known = match self.who.as_str() {
            "" | "all" => None,
            "known" => Some(true),
            "anonymous" => Some(false),
            other => return Err(format!("who must be known, anonymous or all, not {other:?}")),
        };
        let time = |name: &str, value: &str, of_a_day: i64| match value.trim() {
            "" => Ok(None),
            value => {
                let day = clock::milliseconds(&format!("{value}T00:00:00Z")).map(|at| at + of_a_day);
                let time = day.or_else(|| clock::milliseconds(value));
                time.map(Some)
                    .ok_or_else(|| format!("{name} must be a day as 2026-11-20 or a time in RFC 3339, not {value:?}"))
            }
        };
        Ok(Filter {
            text: text(&self.q),
            known,
            did: Did {
                event: text(&self.event),
                page: text(&self.page),
                path: text(&self.path),
                source: text(&self.source),
                rule: text(&self.rule),
            },
            user_id: text(&self.user_id),
            company: text(&self.company),
            first_seen_since: first_seen_since(&self.new)?,
            of_trait: match TraitFilter::parse(&self.of_trait) {
                None if !self.of_trait.trim().is_empty() => {
                    return Err("trait: write name=value, or a name alone".to_owned());
                }
                of_trait => of_trait,
            },
            since: time("since", &self.since, 0)?,
            before: time("until", &self.until, MILLISECONDS_OF_A_DAY)?,
            strength: strength(&self.strength)?,
            trend: trend(&self.trend)?,
        })
    }

    /// Whether anything is asked for.
    pub fn is_any(&self) -> bool {
        self.pairs().into_iter().any(|(_, text)| !text.trim().is_empty())
    }

    /// Whether more is asked for than a search and who.
    pub fn is_detailed(&self) -> bool {
        self.pairs().into_iter().any(|(name, text)| !matches!(name, "q" | "who") && !text.trim().is_empty())
    }

    /// What is asked, as an address writes it; what is empty too.
    pub fn pairs(&self) -> [(&'static str, &str); 15] {
        [
            ("q", &self.q),
            ("who", &self.who),
            ("event", &self.event),
            ("page", &self.page),
            ("path", &self.path),
            ("user_id", &self.user_id),
            ("company", &self.company),
            ("rule", &self.rule),
            ("source", &self.source),
            ("new", &self.new),
            ("trait", &self.of_trait),
            ("since", &self.since),
            ("until", &self.until),
            ("strength", &self.strength),
            ("trend", &self.trend),
        ]
    }
}

/// The query of an address that asks for companies; what is empty is not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CompanyQuery {
    /// A part of a domain, a group's id or a name, of an id of a visitor, or of a page or an event of theirs.
    pub q: String,
    /// A part of an event's name.
    pub event: String,
    /// A part of a page's name, title or path.
    pub page: String,
    /// A part of the path of a page on which anything was done.
    pub path: String,
    /// An intent rule's name.
    pub rule: String,
    /// A part of another site's host or of a campaign.
    pub source: String,
    /// `week`: those first seen in the last seven days.
    pub new: String,
    /// `only`: those that are kept out of the ranking.
    pub excluded: String,
    /// `low`, `medium`, `high` or `very high`.
    pub strength: String,
    /// `surging`, `heating`, `neutral` or `cooling`.
    pub trend: String,
}

impl CompanyQuery {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// With what cannot be read, and how to write it.
    pub fn filter(&self) -> Result<CompanyFilter, String> {
        let excluded = match self.excluded.trim() {
            "" => false,
            "only" => true,
            other => return Err(format!("excluded must be only, or be left out, not {other:?}")),
        };
        Ok(CompanyFilter {
            text: text(&self.q),
            did: Did {
                event: text(&self.event),
                page: text(&self.page),
                path: text(&self.path),
                source: text(&self.source),
                rule: text(&self.rule),
            },
            first_seen_since: first_seen_since(&self.new)?,
            excluded,
            strength: strength(&self.strength)?,
            trend: trend(&self.trend)?,
        })
    }

    /// What is asked, as an address writes it; what is empty too.
    pub fn pairs(&self) -> [(&'static str, &str); 10] {
        [
            ("q", &self.q),
            ("event", &self.event),
            ("page", &self.page),
            ("path", &self.path),
            ("rule", &self.rule),
            ("source", &self.source),
            ("new", &self.new),
            ("excluded", &self.excluded),
            ("strength", &self.strength),
            ("trend", &self.trend),
        ]
    }
}

fn strength(strength: &str) -> Result<Option<StrengthLabel>, String> {
    one_of("strength", strength, StrengthLabel::parse, "low, medium, high or very high")
}

fn trend(trend: &str) -> Result<Option<Trend>, String> {
    one_of("trend", trend, Trend::parse, "surging, heating, neutral or cooling")
}

fn one_of<T>(name: &str, value: &str, parse: fn(&str) -> Option<T>, expected: &str) -> Result<Option<T>, String> {
    match value.trim() {
        "" => Ok(None),
        value => parse(value).map(Some).ok_or_else(|| format!("{name} must be {expected}, not {value:?}")),
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn first_seen_since(new: &str) -> Result<Option<i64>, String> {
    match new.trim() {
        "" => Ok(None),
        "week" => Ok(Some(now_milliseconds() - 7 * MILLISECONDS_OF_A_DAY)),
        other => Err(format!("new must be week, or be left out, not {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_and_the_last_day_counts_in() {
        let query =
            |since: &str, until: &str| VisitorQuery { since: since.into(), until: until.into(), ..Default::default() };
        let filter = query("2026-11-20", "2026-11-20").filter().expect("a filter");
        assert_eq!(filter.before.zip(filter.since).map(|(before, since)| before - since), Some(86_400_000));
        let filter = query("2026-11-20T12:00:00+01:00", "").filter().expect("a filter");
        assert_eq!(filter.since, clock::milliseconds("2026-11-20T11:00:00Z"));
        assert!(query("yesterday", "").filter().expect_err("no time").starts_with("since must be a day as"));
    }
}
