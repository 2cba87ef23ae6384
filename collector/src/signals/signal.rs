//! What an alert tells, in plain terms: its targets write it in their own form.

use serde::{Deserialize, Serialize};

use crate::intent::{Strength, Trend};

/// The most of what was done that a message names.
pub const MOST_DEEDS: usize = 3;
/// The most known members that a message names, for a source of Segment.
pub const MOST_MEMBERS: usize = 100;
/// The longest name in a headline: what it is about stands behind the name.
const LONGEST_NAME: usize = 60;

/// What sets a message off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalSubject {
    /// An intent rule took something that a visitor did.
    Rule(String),
    /// The company's points rose over a limit.
    Points {
        /// The limit.
        over: f64,
    },
    /// The company's interest took a direction.
    Trend(Trend),
}

/// One message about one company, or about a visitor of whom no company is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The alert's name.
    pub alert: String,
    /// What set it off.
    pub subject: SignalSubject,
    /// Whom it is about.
    pub company: Option<CompanyFacts>,
    /// What the visitor is called, where the message is about one.
    pub visitor: Option<String>,
    /// What was done, by whom, the newest first: at most [`MOST_DEEDS`].
    pub deeds: Vec<Deed>,
    /// The user ids of whom it is about; of a company's members only while it is sent: at most [`MOST_MEMBERS`].
    pub user_ids: Vec<String>,
    /// Whether a source of Segment is sent it for all of the company's known members. They are read when it is sent: who was deleted
    /// or excluded in the meantime is not among them.
    #[serde(default)]
    pub of_members: bool,
    /// The page that shows it.
    pub link: Option<String>,
}

/// A company as a message tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompanyFacts {
    /// What the store knows it by.
    pub key: String,
    /// Its name; the domain where none is known.
    pub name: String,
    /// Its domain.
    pub domain: Option<String>,
    /// Segment's id of it.
    pub group_id: Option<String>,
    /// Whether nobody said it: it is the company whose network an address is of.
    #[serde(rename = "guess", default)]
    pub is_guess: bool,
    /// Its points now.
    pub points: f64,
    /// 0 to 100.
    pub strength: Strength,
    /// Beside a week ago.
    pub trend: Trend,
    /// How many visitors did something in the last seven days.
    pub people: u64,
    /// What its points come from, as sentences: `Looked at pricing: 3 people`.
    pub reasons: Vec<String>,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What the visitor is called, with the title where one is known.
    pub who: String,
    /// What was done: `viewed /pricing`, `Order Completed`.
    pub what: String,
    /// How often in the last seven days.
    pub times: u64,
    /// When last, as RFC 3339 in UTC.
    pub last: String,
}

impl Signal {
    /// The message in one line, as a seller would say it: `Northwind looks at pricing, 3 people, surging`.
    #[must_use]
    pub fn headline(&self) -> String {
        let name = match (&self.company, &self.visitor) {
            (Some(company), _) => shortened(&company.name),
            (None, Some(visitor)) => shortened(visitor),
            (None, None) => "An unknown visitor".to_owned(),
        };
        let mut headline = format!("{name} {}", self.subject.verb());
        if let Some(company) = &self.company {
            let people = match company.people {
                0 => String::new(),
                1 => ", 1 person".to_owned(),
                people => format!(", {people} people"),
            };
            headline.push_str(&people);
            let is_said = matches!(self.subject, SignalSubject::Trend(_));
            if !is_said && company.trend != Trend::Neutral {
                headline.push_str(", ");
                headline.push_str(&company.trend.as_str().to_lowercase());
            }
        }
        headline
    }
}

/// A name that leaves room for what it is about.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

impl SignalSubject {
    /// What a company does that sets it off; the presets in words, another rule by its name.
    fn verb(&self) -> String {
        match self {
            Self::Rule(rule) => match rule.as_str() {
                "pricing" => "looks at pricing".to_owned(),
                "docs" => "reads the docs".to_owned(),
                "demo" => "asks for a demo".to_owned(),
                "activity" => "is active".to_owned(),
                other => format!("shows intent: {other}"),
            },
            Self::Points { over } => {
                format!("has more than {over} {}", if (over - 1.0).abs() < f64::EPSILON { "point" } else { "points" })
            }
            Self::Trend(trend) => match trend {
                Trend::Surging => "is surging".to_owned(),
                Trend::Heating => "is heating up".to_owned(),
                Trend::Neutral => "is steady".to_owned(),
                Trend::Cooling => "is cooling down".to_owned(),
            },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn company(people: u64, trend: Trend) -> CompanyFacts {
        let points = 30.0;
        CompanyFacts {
            key: "northwind.example".to_owned(),
            name: "Northwind".to_owned(),
            domain: Some("northwind.example".to_owned()),
            group_id: None,
            is_guess: false,
            points,
            strength: Strength::of(points),
            trend,
            people,
            reasons: Vec::new(),
        }
    }

    /// A message about a company of this name.
    pub fn message(name: &str) -> Signal {
        Signal {
            alert: "pricing-sales".to_owned(),
            subject: SignalSubject::Rule("pricing".to_owned()),
            company: Some(CompanyFacts { name: name.to_owned(), ..company(3, Trend::Surging) }),
            visitor: Some("Ada Byron".to_owned()),
            deeds: Vec::new(),
            user_ids: Vec::new(),
            of_members: false,
            link: None,
        }
    }

    fn headline(subject: SignalSubject, company: Option<CompanyFacts>, visitor: Option<&str>) -> String {
        let visitor = visitor.map(str::to_owned);
        Signal { subject, company, visitor, ..message("") }.headline()
    }

    #[test]
    fn a_headline_says_who_does_what_how_many_and_where_it_goes() {
        let pricing = || SignalSubject::Rule("pricing".to_owned());
        assert_eq!(
            headline(pricing(), Some(company(3, Trend::Surging)), Some("Ada")),
            "Northwind looks at pricing, 3 people, surging"
        );
        assert_eq!(headline(pricing(), Some(company(1, Trend::Neutral)), None), "Northwind looks at pricing, 1 person");
        assert_eq!(headline(pricing(), None, Some("ada@gmail.com")), "ada@gmail.com looks at pricing");
        assert_eq!(
            headline(SignalSubject::Trend(Trend::Surging), Some(company(2, Trend::Surging)), None),
            "Northwind is surging, 2 people"
        );
        assert_eq!(
            headline(SignalSubject::Points { over: 50.0 }, Some(company(0, Trend::Heating)), None),
            "Northwind has more than 50 points, heating"
        );
    }

    #[test]
    fn a_long_name_does_not_hide_what_it_is_about() {
        let headline = message(&"ü".repeat(500)).headline();
        assert!(headline.ends_with("ü… looks at pricing, 3 people, surging"), "{headline}");
        assert!(headline.chars().count() < 120, "{headline}");
    }
}
