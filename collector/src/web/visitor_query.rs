//! Which visitors an address asks for: of the page, of the API, of the CSV file.

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use serde::Deserialize;

use crate::store::filter::{Filter, TraitFilter};

/// The query of an address; what is empty is not asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VisitorQuery {
    /// A part of an id or a trait, or an event's name.
    pub q: String,
    /// `known` (with a user id or an email address), `anonymous`, or all.
    pub who: String,
    /// An event's name.
    pub event: String,
    /// `name=value`, or `name` alone.
    #[serde(rename = "trait")]
    pub of_trait: String,
    /// A day as `2026-11-20`, or a time in RFC 3339.
    pub since: String,
    /// A day, which is counted in, or a time.
    pub until: String,
}

impl VisitorQuery {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// With what cannot be read, and how to write it.
    pub fn filter(&self) -> Result<Filter, String> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let known = match self.who.as_str() {
            "" | "all" => None,
            "known" => Some(true),
            "anonymous" => Some(false),
            other => return Err(format!("who={other}: known, anonymous or all")),
        };
        let time = |name: &str, value: &str, of_a_day: i64| match value.trim() {
            "" => Ok(None),
            value => {
                let day = clock::milliseconds(&format!("{value}T00:00:00Z")).map(|at| at + of_a_day);
                let time = day.or_else(|| clock::milliseconds(value));
                time.map(Some).ok_or_else(|| format!("{name}={value}: a day as 2026-11-20, or a time in RFC 3339"))
            }
        };
        Ok(Filter {
            text: text(&self.q),
            known,
            event: text(&self.event),
            of_trait: TraitFilter::parse(&self.of_trait),
            since: time("since", &self.since, 0)?,
            before: time("until", &self.until, MILLISECONDS_OF_A_DAY)?,
        })
    }

    /// Whether more is asked for than a search and who.
    pub fn is_detailed(&self) -> bool {
        [&self.event, &self.of_trait, &self.since, &self.until].into_iter().any(|text| !text.trim().is_empty())
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
        assert!(query("yesterday", "").filter().expect_err("no time").starts_with("since=yesterday: a day as"));
    }
}
