//! Intent rules: which events say that somebody means to buy, and how much.

use std::collections::BTreeMap;

use koala_destination::json::read_parameter;
use koala_destination::segment::Trigger;
use serde::Deserialize;
use thiserror::Error;

/// The most intent rules, as of mappings.
pub const MOST_INTENT_RULES: usize = 50;
const MOST_POINTS: f64 = 1000.0;
const LONGEST_HALF_LIFE_DAYS: f64 = 3650.0;

/// Events that its trigger takes are worth points, and half of them after some days.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentRule {
    /// The last part of the parameter's name.
    pub name: String,
    /// Which entries of the collector count: `type` is `track`, `identify` or `page`.
    pub trigger: Trigger,
    /// What a visitor's day with such an event is worth, in points; below zero it speaks against intent.
    pub score: f64,
    /// After how many days half of it is left.
    pub half_life_days: f64,
    /// How many such entries make a day count, where one is not enough.
    pub count: Option<Count>,
}

/// A day of a visitor with such an entry counts when there were at least so many in the days that end with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many entries, from 2 on.
    pub at_least: u32,
    /// Within so many UTC days, the day itself among them.
    pub within_days: u32,
}

/// The most entries that a rule can ask for. No more of a day are counted.
pub const MOST_COUNTED: u32 = 1000;
const LONGEST_WITHIN_DAYS: u32 = 90;

impl Count {
    /// The days that count, of days with the number of their entries.
    #[must_use]
    pub fn days(self, entries: &BTreeMap<i64, u32>) -> Vec<i64> {
        let first = |day: i64| day.saturating_sub(i64::from(self.within_days) - 1);
        let sum = |day: i64| entries.range(first(day)..=day).map(|(_, count)| u64::from(*count)).sum::<u64>();
        entries.keys().copied().filter(|day| sum(*day) >= u64::from(self.at_least)).collect()
    }
}

/// What is wrong with a rule.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct IntentRuleError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "enabled")]
    enabled: bool,
    trigger: Option<String>,
    score: Option<f64>,
    half_life_days: Option<f64>,
    at_least: Option<u32>,
    within_days: Option<u32>,
}

fn enabled() -> bool {
    true
}

/// What a rule is worth that does not say so.
const DEFAULT_SCORE: f64 = 1.0;
/// After how many days half of it is left, where a rule does not say so.
const DEFAULT_HALF_LIFE_DAYS: f64 = 14.0;

impl IntentRule {
    /// Reads the JSON of a parameter `intent/<name>`: none where it says `"enabled": false`. What a parameter of a preset's
    /// name leaves out is the preset's; else `score` is 1, `half_life_days` 14, and the trigger must be there.
    ///
    /// # Errors
    /// With what is wrong and what to write instead.
    pub fn parse(name: &str, json: &str) -> Result<Option<Self>, IntentRuleError> {
        const FORM: &str = "an intent rule is {\"trigger\":…,\"score\"?:points,\"half_life_days\"?:days,\"at_least\"?:entries,\"within_days\"?:days,\"enabled\"?:true}";
        let written: Written = read_parameter(json).map_err(|error| IntentRuleError(format!("{error}: {FORM}")))?;
        let preset = Self::presets().into_iter().find(|preset| preset.name == name);
        let score = written.score.or(preset.as_ref().map(|preset| preset.score)).unwrap_or(DEFAULT_SCORE);
        let half_life_days = written.half_life_days.or(preset.as_ref().map(|preset| preset.half_life_days));
        let half_life_days = half_life_days.unwrap_or(DEFAULT_HALF_LIFE_DAYS);
        let trigger = match (&written.trigger, preset) {
            (Some(trigger), _) => {
                Trigger::parse(trigger).map_err(|error| IntentRuleError(format!("trigger: {error}")))?
            }
            (None, Some(preset)) => preset.trigger,
            (None, None) if !written.enabled => return Ok(None),
            (None, None) => return Err(IntentRuleError(format!("missing field `trigger`: {FORM}"))),
        };
        if score.abs() > MOST_POINTS {
            return Err(IntentRuleError(format!("score: must be between -{MOST_POINTS} and {MOST_POINTS}")));
        }
        if half_life_days <= 0.0 || half_life_days > LONGEST_HALF_LIFE_DAYS {
            let message = format!("half_life_days: must be more than 0 and at most {LONGEST_HALF_LIFE_DAYS}");
            return Err(IntentRuleError(message));
        }
        let count = count(written.at_least, written.within_days)?;
        Ok(written.enabled.then(|| Self { name: name.to_owned(), trigger, score, half_life_days, count }))
    }

    /// The rules that need not be written, each replaced by a parameter of its name: any activity a little, documentation more, prices and a demo most.
    #[must_use]
    pub fn presets() -> Vec<Self> {
        let presets = [
            ("activity", r#"type = "track" or type = "page""#, 1.0, 7.0),
            (
                "demo",
                r#"contains(event, "Demo") or contains(event, "demo") or contains(properties.path, "/demo")"#,
                10.0,
                14.0,
            ),
            (
                "docs",
                r#"contains(event, "Docs") or contains(event, "docs") or contains(properties.path, "/docs")"#,
                2.0,
                14.0,
            ),
            (
                "pricing",
                r#"contains(event, "Pricing") or contains(event, "pricing") or contains(properties.path, "/pricing")"#,
                5.0,
                14.0,
            ),
        ];
        let rule = |(name, trigger, score, half_life_days): (&str, &str, f64, f64)| {
            // `every_preset_is_what_its_parameter_would_give` holds that they parse.
            let trigger = Trigger::parse(trigger).unwrap_or_else(|error| unreachable!("preset {name}: {error}"));
            Self { name: name.to_owned(), trigger, score, half_life_days, count: None }
        };
        presets.into_iter().map(rule).collect()
    }

    /// What is left of the rule's points after `days`, none of which lie in the future.
    #[must_use]
    pub fn points_after(&self, days: i64) -> f64 {
        #[allow(clippy::cast_precision_loss)] // days
        let days = days.max(0) as f64;
        self.score * (-days / self.half_life_days).exp2()
    }
}

fn count(at_least: Option<u32>, within_days: Option<u32>) -> Result<Option<Count>, IntentRuleError> {
    let refuse = |message: String| Err(IntentRuleError(message));
    match (at_least, within_days) {
        // One entry makes its day count anyhow.
        (None, None) | (Some(1), Some(1..=LONGEST_WITHIN_DAYS)) => Ok(None),
        (Some(_), None) => refuse("at_least: goes with \"within_days\"".to_owned()),
        (None, Some(_)) => refuse("within_days: goes with \"at_least\"".to_owned()),
        (Some(at_least), _) if !(1..=MOST_COUNTED).contains(&at_least) => {
            refuse(format!("at_least: must be from 1 to {MOST_COUNTED}"))
        }
        (_, Some(within_days)) if !(1..=LONGEST_WITHIN_DAYS).contains(&within_days) => {
            refuse(format!("within_days: must be from 1 to {LONGEST_WITHIN_DAYS}"))
        }
        (Some(at_least), Some(within_days)) => Ok(Some(Count { at_least, within_days })),
    }
}

/// What visitors did who met a preset, in words; nothing for other rules, which are told by their names.
#[must_use]
pub fn did(rule: &str) -> Option<&'static str> {
    match rule {
        "activity" => Some("Came by"),
        "demo" => Some("Asked for a demo"),
        "docs" => Some("Read the docs"),
        "pricing" => Some("Looked at pricing"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_what_its_parameter_would_give() {
        for preset in IntentRule::presets() {
            let IntentRule { name, trigger, score, half_life_days, .. } = &preset;
            let json =
                serde_json::json!({"trigger": trigger.as_str(), "score": score, "half_life_days": half_life_days});
            assert_eq!(IntentRule::parse(name, &json.to_string()).expect("a rule").as_ref(), Some(&preset));
            assert_eq!(IntentRule::parse(name, r#"{"enabled":true}"#).expect("a rule").as_ref(), Some(&preset));
            assert_eq!(IntentRule::parse(name, r#"{"enabled":false}"#).expect("a rule that is off"), None);
        }
    }

    #[test]
    fn half_of_the_points_is_left_after_a_half_life() {
        let rule = IntentRule::parse("r", r#"{"trigger":"type = \"track\"","score":8,"half_life_days":7}"#);
        let rule = rule.expect("a rule").expect("one that is on");
        let left = [-1, 0, 7, 14, 21].map(|days| rule.points_after(days));
        for (left, expected) in left.into_iter().zip([8.0, 8.0, 4.0, 2.0, 1.0]) {
            assert!((left - expected).abs() < 1e-9, "{left} {expected}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said() {
        let why = |json: &str| IntentRule::parse("r", json).expect_err("no rule").to_string();
        assert!(why("5").contains("an intent rule is"));
        assert!(why(r#"{"score":1}"#).contains("missing field `trigger`"));
        assert!(why(r#"{"trigger":"x = 1"}"#).starts_with("trigger: at character 1"));
        let why = |rest: &str| why(&format!(r#"{{"trigger":"type = \"track\"",{rest}}}"#));
        assert!(why(r#""score":"5""#).contains("invalid type"));
        assert!(why(r#""score":1001"#).starts_with("score: must be between -1000 and 1000"));
        assert!(why(r#""half_life_days":0"#).starts_with("half_life_days: must be more than 0"));
        assert!(why(r#""weight":2"#).contains("unknown field `weight`"));
        assert!(why(r#""at_least":3"#).starts_with("at_least: goes with"));
        assert!(why(r#""within_days":3"#).starts_with("within_days: goes with"));
        assert!(why(r#""at_least":0,"within_days":7"#).starts_with("at_least: must be from 1 to 1000"));
        assert!(why(r#""at_least":3,"within_days":91"#).starts_with("within_days: must be from 1 to 90"));
        assert!(why(r#""at_least":-1,"within_days":7"#).contains("invalid value"));
    }

    /// `at_least` 3 `within_days` 7: the third look at prices within a week makes its day count, and so does each further day with
    /// one, as long as there were three in the week that ends with it.
    #[test]
    fn a_rule_that_counts_takes_the_days_that_end_a_week_with_enough_entries() {
        let rule = r#"{"trigger":"type = \"track\"","at_least":3,"within_days":7}"#;
        let count = IntentRule::parse("r", rule).expect("a rule").expect("one that is on").count.expect("a count");
        let days = |entries: &[(i64, u32)]| count.days(&entries.iter().copied().collect());
        assert_eq!(days(&[(10, 1), (12, 1)]), Vec::<i64>::new());
        assert_eq!(days(&[(10, 1), (12, 1), (16, 1)]), [16]);
        assert_eq!(days(&[(10, 1), (12, 1), (17, 1)]), Vec::<i64>::new());
        assert_eq!(days(&[(10, 3)]), [10]);
        assert_eq!(days(&[(10, 2), (11, 1), (13, 1), (40, 1)]), [11, 13]);
        let once = r#"{"trigger":"type = \"track\"","at_least":1,"within_days":7}"#;
        assert_eq!(IntentRule::parse("r", once).expect("a rule").expect("one that is on").count, None);
    }
}
