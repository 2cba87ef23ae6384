//! The collector's own parameters: a tree beside the destination's, so that an error in one of them stops no intake.
//!
//! | parameter | meaning |
//! |---|---|
//! | `intent/<name>` | an intent rule as JSON, beside the presets; one of a preset's name replaces it |
//! | `exclude` | who is kept out of the ranking: domains, addresses, a trigger over traits |
//! | `alerts/<name>` | an [alert](crate::signals) as JSON |
//! | `alert-targets/<name>` | where alerts are sent: secrets |
//! | `page-token` | what opens the page and the API where others can reach them, one a line |
//! | `session-key` | what signs the sessions of browsers that have shown a token, one a line |
//! | `database-url` | the database of the collector's functions, where it is not a cluster of the stack |

use std::sync::Arc;

use async_trait::async_trait;
use koala_destination::settings::{InvalidSettings, Parameter, ParameterSource, ParameterTree, Problem, SettingsCache};

use crate::credentials::{PageTokenError, PageTokens, SessionKeyError, SessionKeys};
use crate::exclude::Exclude;
use crate::intent::{IntentRule, MOST_INTENT_RULES};
use crate::signals::configured::{self, Configured, CurrentlyConfigured, RuleNames};
use crate::store::postgres::DatabaseUrl;

/// The collector's settings, cached.
pub type CollectorSettingsCache<S> = SettingsCache<S, CollectorSettings>;

/// What the collector's parameters say. What is wrong with one of them costs no other: it stands among the problems.
#[derive(Debug, Clone)]
pub struct CollectorSettings {
    intent_rules: Vec<IntentRule>,
    bad_rules: Vec<String>,
    /// Nothing where it cannot be read.
    exclude: Option<Exclude>,
    signals: Arc<Configured>,
    page_tokens: Result<PageTokens, PageTokenError>,
    session_keys: Result<SessionKeys, SessionKeyError>,
    /// Not set, or not a valid URL: `None`.
    database: Option<DatabaseUrl>,
    problems: Vec<Problem>,
}

impl CollectorSettings {
    /// Reads the whole tree.
    #[must_use]
    pub fn read(parameters: &[Parameter]) -> Self {
        let mut read = Self {
            intent_rules: Vec::new(),
            bad_rules: Vec::new(),
            exclude: Some(Exclude::default()),
            signals: Arc::default(),
            page_tokens: Ok(PageTokens::default()),
            session_keys: Ok(SessionKeys::default()),
            database: None,
            problems: Vec::new(),
        };
        let is_written = |preset: &IntentRule| {
            parameters.iter().any(|parameter| parameter.name.strip_prefix("intent/") == Some(&preset.name))
        };
        read.intent_rules = IntentRule::presets().into_iter().filter(|preset| !is_written(preset)).collect();
        for parameter in parameters {
            if let Err(message) = read.add(parameter) {
                read.problems.push(Problem { parameter: parameter.name.clone(), message });
            }
        }
        read.intent_rules.sort_by(|a, b| a.name.cmp(&b.name));
        let count = read.intent_rules.len() + read.bad_rules.len();
        if count > MOST_INTENT_RULES {
            let message = format!("there are {count}, and a collector has at most {MOST_INTENT_RULES}: remove some");
            read.problems.push(Problem { parameter: "intent".to_owned(), message });
            read.intent_rules.truncate(MOST_INTENT_RULES);
        }
        let rules: Vec<&str> = read.intent_rules.iter().map(|rule| rule.name.as_str()).collect();
        let rules = RuleNames { in_force: &rules, unreadable: &read.bad_rules };
        let signals = Configured::read(parameters, rules);
        read.problems.extend_from_slice(signals.problems());
        read.signals = Arc::new(signals);
        read
    }

    fn add(&mut self, parameter: &Parameter) -> Result<(), String> {
        let (name, value) = (&parameter.name, parameter.value());
        if let Some(rule) = name.strip_prefix("intent/") {
            match IntentRule::parse(rule, value) {
                Ok(rule) => self.intent_rules.extend(rule),
                Err(error) => {
                    self.bad_rules.push(rule.to_owned());
                    return Err(error.to_string());
                }
            }
        } else if name == "exclude" {
            let exclude = Exclude::parse(value);
            self.exclude = exclude.as_ref().ok().cloned();
            if let Err(error) = exclude {
                return Err(error.to_string());
            }
        } else if name == "page-token" {
            self.page_tokens = PageTokens::parse(value);
            if let Err(error) = &self.page_tokens {
                return Err(error.to_string());
            }
        } else if name == "session-key" {
            self.session_keys = SessionKeys::parse(value);
            if let Err(error) = &self.session_keys {
                return Err(error.to_string());
            }
        } else if name == "database-url" {
            self.database = Some(DatabaseUrl::parse(value).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Whether a parameter of this name means something here.
    #[must_use]
    pub fn knows(name: &str) -> bool {
        matches!(name, "exclude" | "page-token" | "session-key" | "database-url")
            || ["intent/", configured::ALERTS, configured::TARGETS].iter().any(|folder| name.starts_with(folder))
    }

    /// The intent rules in force by name, presets too.
    #[must_use]
    pub fn intent_rules(&self) -> &[IntentRule] {
        &self.intent_rules
    }

    /// The names of the intent rules that cannot be read.
    #[must_use]
    pub fn bad_rules(&self) -> &[String] {
        &self.bad_rules
    }

    /// Who is kept out of the ranking; nothing where the parameter cannot be read.
    #[must_use]
    pub fn exclude(&self) -> Option<&Exclude> {
        self.exclude.as_ref()
    }

    /// The alerts in force, and where they are sent.
    #[must_use]
    pub fn signals(&self) -> &Configured {
        &self.signals
    }

    /// What opens the page and the API; empty where the parameter is not set.
    ///
    /// # Errors
    /// When there is a token that cannot be used: never is that the same as none, which opens the page on loopback.
    pub fn page_tokens(&self) -> Result<&PageTokens, PageTokenError> {
        self.page_tokens.as_ref().map_err(|error| *error)
    }

    /// What signs sessions; empty where the parameter is not set.
    ///
    /// # Errors
    /// When there is a key that cannot be used.
    pub fn session_keys(&self) -> Result<&SessionKeys, SessionKeyError> {
        self.session_keys.as_ref().map_err(|error| *error)
    }

    /// The database of the collector's functions, where it is not a cluster of the stack.
    #[must_use]
    pub fn database(&self) -> Option<&DatabaseUrl> {
        self.database.as_ref()
    }

    /// What is wrong, each under the name of its parameter.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

#[async_trait]
impl<S: ParameterSource> CurrentlyConfigured for CollectorSettingsCache<S> {
    async fn configured(&self) -> Option<Arc<Configured>> {
        self.current().await.ok().map(|settings| Arc::clone(&settings.signals))
    }
}

impl ParameterTree for CollectorSettings {
    fn from_parameters(parameters: &[Parameter]) -> Result<Self, InvalidSettings> {
        Ok(Self::read(parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, value: &str) -> Parameter {
        Parameter::new(name, value)
    }

    #[test]
    fn presets_serve_beside_own_rules_and_one_of_a_preset_s_name_replaces_it_or_turns_it_off() {
        let names = |parameters: &[Parameter]| {
            let read = CollectorSettings::read(parameters);
            read.intent_rules().iter().map(|rule| (rule.name.clone(), rule.score)).collect::<Vec<_>>()
        };
        let of =
            |names: &[(&str, f64)]| names.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect::<Vec<_>>();
        assert_eq!(names(&[]), of(&[("activity", 1.0), ("demo", 10.0), ("docs", 2.0), ("pricing", 5.0)]));
        let own = [
            parameter("intent/signup", r#"{"trigger":"event = \"Signed Up\"","score":7}"#),
            parameter("intent/docs", r#"{"enabled":false}"#),
            parameter("intent/pricing", r#"{"score":8}"#),
        ];
        assert_eq!(names(&own), of(&[("activity", 1.0), ("demo", 10.0), ("pricing", 8.0), ("signup", 7.0)]));
    }

    #[test]
    fn a_bad_parameter_is_named_and_costs_no_other() {
        let read = CollectorSettings::read(&[
            parameter("intent/prices", r#"{"trigger":"event >"}"#),
            parameter("intent/any", r#"{"trigger":"type = \"track\""}"#),
            parameter("exclude", r#"{"domains":["acme"]}"#),
            parameter("page-token", "hunter 2"),
            parameter("session-key", "hunter3"),
        ]);
        let named: Vec<_> = read.problems().iter().map(|problem| problem.parameter.as_str()).collect();
        assert_eq!(named, ["intent/prices", "exclude", "page-token", "session-key"]);
        assert!(read.problems()[1].message.contains("\"acme\" is not a domain"), "{:?}", read.problems());
        assert_eq!(read.exclude(), None);
        assert_eq!(CollectorSettings::read(&[]).exclude(), Some(&Exclude::default()));
        assert_eq!((read.intent_rules().len(), read.bad_rules()), (5, &["prices".to_owned()][..]));
        assert_eq!(read.page_tokens().err(), Some(PageTokenError::NotForHeaders { line: 1 }));
        assert_eq!(read.session_keys().err(), Some(SessionKeyError::TooShort { line: 1, bytes: 7 }));
        assert!(!format!("{:?}", read.problems()).contains("hunter"));
    }

    #[test]
    fn alerts_and_their_targets_are_parameters_and_a_bad_one_stops_nothing_else() {
        let read = CollectorSettings::read(&[
            parameter("alerts/sales", r#"{"on":"pricing","to":"sales"}"#),
            parameter("alerts/nobody", r#"{"on":"pricing","to":"nobody"}"#),
            parameter("alert-targets/sales", "https://hooks.slack.com/services/T0/B0/hunter2"),
            parameter("intent/pricing", r#"{"score":8}"#),
        ]);
        let alerts: Vec<_> = read.signals().alerts().iter().map(|alert| alert.name.as_str()).collect();
        assert_eq!((alerts, read.intent_rules().len()), (vec!["sales"], 4));
        let named: Vec<_> = read.problems().iter().map(|problem| problem.parameter.as_str()).collect();
        assert_eq!(named, ["alerts/nobody"]);
        assert!(CollectorSettings::knows("alerts/sales") && CollectorSettings::knows("alert-targets/sales"));
        assert!(!CollectorSettings::knows("alert/sales"));
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn a_bad_rule_of_a_preset_s_name_does_not_bring_the_preset_back() {
        let read = CollectorSettings::read(&[parameter("intent/pricing", "{")]);
        assert!(read.intent_rules().iter().all(|rule| rule.name != "pricing"));
    }
}
