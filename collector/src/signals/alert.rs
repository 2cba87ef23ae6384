//! Alerts: parameters `alerts/<name>`.

use koala_destination::json::{Object, read_parameter};
use koala_destination::segment::Trigger;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::intent::Trend;

/// The most alerts: each is looked at whenever something changed.
pub const MOST_ALERTS: usize = 100;
/// Points that no company reaches in earnest.
const MOST_POINTS: f64 = 1_000_000.0;

/// Who is told of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The last part of the parameter's name.
    pub name: String,
    /// What sets it off.
    pub on: Occasion,
    /// Of whom alone; all where there is none. It sees the visitor's traits as `traits` and the company's, with its `name`
    /// and `domain`, as `context.company`.
    pub only: Option<Trigger>,
    /// The names of the targets that are told.
    pub to: Vec<String>,
}

/// What sets an alert off.
#[derive(Debug, Clone, PartialEq)]
pub enum Occasion {
    /// An intent rule of this name took an entry: once for a visitor and UTC day.
    Rule(String),
    /// A company's points rose over so many.
    Points {
        /// More than so many.
        over: f64,
    },
    /// A company's interest took this direction.
    Trend {
        /// Which.
        is: Trend,
    },
    /// Each Monday morning: who rose, who is new, who went cold.
    Week,
}

/// What is wrong with an alert.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct AlertError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "enabled")]
    enabled: bool,
    on: String,
    over: Option<f64>,
    is: Option<String>,
    only: Option<String>,
    to: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn enabled() -> bool {
    true
}

impl Alert {
    /// Reads the JSON of a parameter `alerts/<name>`; nothing where it says `"enabled": false`.
    ///
    /// # Errors
    /// With what is wrong and what to write instead.
    pub fn parse(name: &str, json: &str) -> Result<Option<Self>, AlertError> {
        const FORM: &str = "an alert is {\"on\":\"<intent rule>\"|\"points\"|\"trend\"|\"week\",\"over\"?:points,\"is\"?:\"surging\",\
             \"only\"?:trigger,\"to\":\"<target>\",\"enabled\"?:true}";
        let written: Written = read_parameter(json).map_err(|error| AlertError(format!("{error}: {FORM}")))?;
        if !written.enabled {
            return Ok(None);
        }
        let on = Occasion::of(&written)?;
        let only = match written.only.as_deref().map(Trigger::parse) {
            None => None,
            Some(Ok(trigger)) => Some(trigger),
            Some(Err(error)) => return Err(AlertError(format!("only: {error}"))),
        };
        let to = match written.to {
            None => Vec::new(),
            Some(OneOrMore::One(target)) => vec![target],
            Some(OneOrMore::More(targets)) => targets,
        };
        if to.is_empty() || to.iter().any(String::is_empty) {
            return Err(AlertError(
                "to: name the target, the last part of its parameter alert-targets/<name>".to_owned(),
            ));
        }
        Ok(Some(Self { name: name.to_owned(), on, only, to }))
    }

    /// Whether the alert is about these. Traits are objects; `company` has its `name` and `domain` beside its traits.
    #[must_use]
    pub fn is_about(&self, traits: &Map<String, Value>, company: Option<&Map<String, Value>>) -> bool {
        let Some(only) = &self.only else { return true };
        let seen = json!({"traits": traits, "context": {"company": company}}).to_string();
        Object::from_json(&seen).is_some_and(|seen| only.matches(&seen))
    }

    /// Whether the alert is about one of a company's people, by their traits; a company without people is judged by its own.
    #[must_use]
    pub fn is_about_any<'p>(
        &self,
        people: impl IntoIterator<Item = &'p Map<String, Value>>,
        company: &Map<String, Value>,
    ) -> bool {
        let mut people = people.into_iter().peekable();
        if people.peek().is_none() {
            return self.is_about(&Map::new(), Some(company));
        }
        people.any(|one| self.is_about(one, Some(company)))
    }
}

impl Occasion {
    fn of(written: &Written) -> Result<Self, AlertError> {
        let refuse = |message: &str| Err(AlertError(message.to_owned()));
        if written.over.is_some() && written.on != "points" {
            return refuse("over: goes with \"on\":\"points\"");
        }
        if written.is.is_some() && written.on != "trend" {
            return refuse("is: goes with \"on\":\"trend\"");
        }
        match written.on.as_str() {
            "" => refuse("on: name an intent rule, or write points, trend or week"),
            "points" => match written.over {
                Some(over) if over > 0.0 && over <= MOST_POINTS => Ok(Self::Points { over }),
                Some(_) => Err(AlertError(format!("over: must be more than 0 and at most {MOST_POINTS}"))),
                None => refuse("missing field `over`: the points above which the alert goes off"),
            },
            "trend" => match written.is.as_deref().map(Trend::parse) {
                Some(Some(is)) => Ok(Self::Trend { is }),
                Some(None) => refuse("is: must be surging, heating, neutral or cooling"),
                None => refuse("missing field `is`: surging, heating, neutral or cooling"),
            },
            "week" => Ok(Self::Week),
            rule => Ok(Self::Rule(rule.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(json: &str) -> Alert {
        Alert::parse("a", json).expect("an alert").expect("one that is on")
    }

    #[test]
    fn an_alert_is_set_off_by_a_rule_by_points_by_a_trend_or_by_the_week() {
        assert_eq!(alert(r#"{"on":"pricing","to":"sales"}"#).on, Occasion::Rule("pricing".to_owned()));
        assert_eq!(alert(r#"{"on":"points","over":50,"to":"sales"}"#).on, Occasion::Points { over: 50.0 });
        assert_eq!(alert(r#"{"on":"trend","is":"surging","to":"sales"}"#).on, Occasion::Trend { is: Trend::Surging });
        assert_eq!(alert(r#"{"on":"week","to":["sales","crm"]}"#).to, ["sales", "crm"]);
        assert_eq!(Alert::parse("a", r#"{"on":"week","enabled":false}"#).expect("an alert"), None);
    }

    #[test]
    fn an_alert_can_be_about_the_accounts_of_one_owner_alone() {
        let alert = alert(
            r#"{"on":"pricing","only":"context.company.owner = \"ada\" and traits.plan != \"free\"","to":"ada"}"#,
        );
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let (pro, free) = (object(json!({"plan": "pro"})), object(json!({"plan": "free"})));
        let (hers, his) = (object(json!({"owner": "ada"})), object(json!({"owner": "bob"})));
        assert!(alert.is_about(&pro, Some(&hers)));
        assert!(!alert.is_about(&pro, Some(&his)));
        assert!(!alert.is_about(&free, Some(&hers)));
        assert!(!alert.is_about(&pro, None));
        let mut of_a_plan = alert.clone();
        of_a_plan.only = Some(Trigger::parse("traits.plan = \"pro\"").expect("a trigger"));
        assert!(of_a_plan.is_about_any([&free, &pro], &hers), "one of its people is enough");
        assert!(!of_a_plan.is_about_any([&free], &hers));
    }

    #[test]
    fn what_is_wrong_with_an_alert_is_said() {
        let why = |json: &str| Alert::parse("a", json).expect_err("no alert").to_string();
        assert!(why("[]").contains("an alert is {"));
        assert!(why(r#"{"on":"pricing"}"#).starts_with("to: name the target"));
        assert!(why(r#"{"on":"points","to":"sales"}"#).contains("missing field `over`"));
        assert!(why(r#"{"on":"points","over":0,"to":"sales"}"#).starts_with("over: must be more than 0"));
        assert!(why(r#"{"on":"trend","is":"wild","to":"sales"}"#).starts_with("is: must be surging"));
        assert!(why(r#"{"on":"week","over":5,"to":"sales"}"#).starts_with("over: goes with"));
        assert!(why(r#"{"on":"pricing","only":"x = 1","to":"sales"}"#).starts_with("only: at character 1"));
        assert!(why(r#"{"on":"pricing","too":"sales"}"#).contains("unknown field `too`"));
    }
}
