//! A week in one message: which companies rose most, which are new, which went cold.

use serde::{Deserialize, Serialize};

use super::signal::CompanyFacts;
use crate::intent::{Strength, StrengthLabel, Trend};

/// The most companies of each kind that a digest names.
pub const MOST_NAMED: usize = 5;

/// What a week brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// The alert's name.
    pub alert: String,
    /// The Monday, as `2026-11-23`.
    pub week: String,
    /// Those with the most points more than a week ago, the first first.
    pub rose: Vec<CompanyFacts>,
    /// Those that were first seen in the last seven days, the strongest first.
    pub new: Vec<CompanyFacts>,
    /// Those that were of some strength a week ago and cool down, the one that lost most first.
    pub cold: Vec<CompanyFacts>,
    /// Whether there are more below each heading (rose, new, went cold) than are named.
    #[serde(default)]
    pub are_more: [bool; 3],
    /// The page that shows all.
    pub link: Option<String>,
}

/// A company as a digest looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The company.
    pub facts: CompanyFacts,
    /// Its points seven days ago.
    pub points_week_ago: f64,
    /// Whether it was first seen in the last seven days.
    pub is_new: bool,
}

impl Digest {
    /// The digest of these companies, ranked below each heading; the first of each are named.
    #[must_use]
    pub fn of(alert: &str, week: &str, ranked: [Vec<CompanyFacts>; 3], link: Option<String>) -> Self {
        let are_more = ranked.each_ref().map(|companies| companies.len() > MOST_NAMED);
        let [rose, new, cold] = ranked.map(|mut companies| {
            companies.truncate(MOST_NAMED);
            companies
        });
        Self { alert: alert.to_owned(), week: week.to_owned(), rose, new, cold, are_more, link }
    }

    /// The digest in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let [more_rose, more_new, more_cold] = self.are_more;
        let count = |companies: &[CompanyFacts], is_more: bool, what: &str| match companies.len() {
            0 => None,
            1 => Some(format!("1 company {what}")),
            most if is_more => Some(format!("more than {most} companies {what}")),
            many => Some(format!("{many} companies {what}")),
        };
        let parts = [
            count(&self.rose, more_rose, "rose"),
            count(&self.new, more_new, "new"),
            count(&self.cold, more_cold, "went cold"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "The last week was quiet: no company rose, was new or went cold".to_owned()
        } else {
            format!("The last week: {}", parts.join(", "))
        }
    }

    /// Its three parts, each with its heading.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &[CompanyFacts]); 3] {
        [("Rose most", &self.rose), ("New", &self.new), ("Went cold", &self.cold)]
    }
}

/// The companies below each heading (rose, new, went cold), the first first; each stands below one at most.
#[must_use]
pub fn ranked(candidates: Vec<Candidate>) -> [Vec<CompanyFacts>; 3] {
    let (mut rose, mut new, mut cold) = (Vec::new(), Vec::new(), Vec::new());
    for candidate in candidates {
        let change = candidate.facts.points - candidate.points_week_ago;
        let was_strong = Strength::of(candidate.points_week_ago).label() >= StrengthLabel::Medium;
        match candidate.facts.trend {
            _ if candidate.is_new => new.push((candidate.facts.points, candidate.facts)),
            Trend::Surging | Trend::Heating => rose.push((change, candidate.facts)),
            Trend::Cooling if was_strong => cold.push((-change, candidate.facts)),
            Trend::Cooling | Trend::Neutral => {}
        }
    }
    new.retain(|(points, _)| *points > 0.0);
    [rose, new, cold].map(|mut companies: Vec<(f64, CompanyFacts)>| {
        companies.sort_by(|(a, a_facts), (b, b_facts)| b.total_cmp(a).then_with(|| a_facts.key.cmp(&b_facts.key)));
        companies.into_iter().map(|(_, facts)| facts).collect()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A company with these points now and a week ago.
    pub fn candidate(name: &str, points: f64, points_week_ago: f64, is_new: bool) -> Candidate {
        let facts = CompanyFacts {
            key: format!("{name}.example"),
            name: name.to_owned(),
            domain: Some(format!("{name}.example")),
            group_id: None,
            is_guess: false,
            points,
            strength: Strength::of(points),
            trend: Trend::of(points, points_week_ago),
            people: 2,
            reasons: Vec::new(),
        };
        Candidate { facts, points_week_ago, is_new }
    }

    #[test]
    fn a_digest_names_who_rose_most_who_is_new_and_who_went_cold() {
        let digest = Digest::of(
            "monday",
            "2026-11-23",
            ranked(vec![
                candidate("steady", 20.0, 20.0, false),
                candidate("rising", 30.0, 10.0, false),
                candidate("rocket", 60.0, 10.0, false),
                candidate("young", 12.0, 0.0, true),
                candidate("silent", 0.0, 0.0, true),
                candidate("gone", 5.0, 40.0, false),
                candidate("never-was", 1.0, 4.0, false),
            ]),
            None,
        );
        let names = digest
            .parts()
            .map(|(part, companies)| (part, companies.iter().map(|company| company.name.clone()).collect::<Vec<_>>()));
        let expected = [("Rose most", vec!["rocket", "rising"]), ("New", vec!["young"]), ("Went cold", vec!["gone"])];
        assert_eq!(names, expected.map(|(part, names)| (part, names.into_iter().map(str::to_owned).collect())));
        assert_eq!(digest.headline(), "The last week: 2 companies rose, 1 company new, 1 company went cold");
    }

    #[test]
    fn a_digest_is_bounded_and_a_quiet_week_is_said() {
        let many = (0..40).map(|n| candidate(&format!("c{n:02}"), 50.0, 1.0, false)).collect();
        let digest = Digest::of("monday", "2026-11-23", ranked(many), None);
        assert_eq!(digest.rose.len(), MOST_NAMED);
        assert_eq!(digest.headline(), "The last week: more than 5 companies rose");
        assert!(
            Digest::of("monday", "2026-11-23", ranked(Vec::new()), None)
                .headline()
                .starts_with("The last week was quiet")
        );
    }
}
