//! Intent rules: which events say that somebody means to buy, and how much.

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
        const FORM: &str =
            "an intent rule is {\"trigger\":…,\"score\"?:points,\"half_life_days\"?:days,\"enabled\"?:true}";
        let written: Written =
            serde_json::from_str(json).map_err(|error| IntentRuleError(format!("{error}: {FORM}")))?;
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
        Ok(written.enabled.then(|| Self { name: name.to_owned(), trigger, score, half_life_days }))
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
            Self { name: name.to_owned(), trigger, score, half_life_days }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_what_its_parameter_would_give() {
        for preset in IntentRule::presets() {
            let IntentRule { name, trigger, score, half_life_days } = &preset;
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
    }
}
