//! The collector's own parameters.
//!
//! | parameter | meaning |
//! |---|---|
//! | `intent/<name>` | an intent rule as JSON; none at all means the presets |

use koala_destination::settings::{InvalidSettings, Parameter, ParameterTree, Problem, SettingsCache};

use crate::intent::{IntentRule, MOST_INTENT_RULES};

/// The collector's settings, cached.
pub type CollectorSettingsCache<S> = SettingsCache<S, CollectorSettings>;

/// A valid tree of the collector's parameters.
#[derive(Debug, Clone)]
pub struct CollectorSettings {
    intent_rules: Vec<IntentRule>,
}

impl CollectorSettings {
    /// The intent rules by name, the presets when none is configured.
    #[must_use]
    pub fn intent_rules(&self) -> &[IntentRule] {
        &self.intent_rules
    }
}

impl ParameterTree for CollectorSettings {
    fn from_parameters(parameters: &[Parameter]) -> Result<Self, InvalidSettings> {
        let mut problems = Vec::new();
        let mut intent_rules = Vec::new();
        let mut intent_rule_count = 0;
        for Parameter { name, value } in parameters {
            let Some(rule) = name.strip_prefix("intent/") else { continue };
            intent_rule_count += 1;
            match IntentRule::parse(rule, value) {
                Ok(rule) => intent_rules.push(rule),
                Err(error) => problems.push(Problem { parameter: name.clone(), message: error.to_string() }),
            }
        }
        if intent_rule_count > MOST_INTENT_RULES {
            let message =
                format!("there are {intent_rule_count}, and a collector has at most {MOST_INTENT_RULES}: remove some");
            problems.push(Problem { parameter: "intent".to_owned(), message });
        }
        if !problems.is_empty() {
            return Err(InvalidSettings { problems });
        }
        if intent_rule_count == 0 {
            intent_rules = IntentRule::presets();
        }
        intent_rules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { intent_rules })
    }
}
