//! Alerts and targets as they are configured, read together: an alert goes off by an intent rule that there is, and tells targets
//! that there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use koala_destination::settings::{Parameter, Problem};

use super::alert::{Alert, MOST_ALERTS, Occasion};
use super::target::{MOST_TARGETS, Target};

/// The folder of alerts in the collector's parameter tree.
pub const ALERTS: &str = "alerts/";
/// The folder of targets.
pub const TARGETS: &str = "alert-targets/";

/// The longest name of a missing target that a problem repeats.
const LONGEST_NAME: usize = 20;

/// The alerts in force, and where they are sent.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    alerts: Vec<Alert>,
    targets: BTreeMap<String, Target>,
    problems: Vec<Problem>,
}

/// Where the alerts in force come from.
#[async_trait]
pub trait CurrentlyConfigured: Send + Sync {
    /// The alerts in force; nothing where the settings cannot be read now.
    async fn configured(&self) -> Option<Arc<Configured>>;
}

/// What is known of the intent rules that alerts name.
#[derive(Debug, Clone, Copy)]
pub struct RuleNames<'r> {
    /// Those in force.
    pub in_force: &'r [&'r str],
    /// Those that cannot be read: they serve on as they were.
    pub unreadable: &'r [String],
}

impl Configured {
    /// Reads all of `alerts/` and `alert-targets/` among the collector's parameters. What is wrong with one costs no other: an
    /// alert that cannot be read, or has nobody left whom it could tell, does not go off.
    #[must_use]
    pub fn read(parameters: &[Parameter], rules: RuleNames<'_>) -> Self {
        let mut problems = Vec::new();
        let mut problem = |parameter: String, message: String| problems.push(Problem { parameter, message });

        // `None` is a target that there is and that cannot be used.
        let mut targets: BTreeMap<String, Option<Target>> = BTreeMap::new();
        for (name, value) in of_folder(parameters, TARGETS) {
            let target = Target::parse(value);
            if let Err(error) = &target {
                problem(format!("{TARGETS}{name}"), error.to_string());
            }
            targets.insert(name.to_owned(), target.ok());
        }
        if targets.len() > MOST_TARGETS {
            problem(TARGETS.trim_end_matches('/').to_owned(), too_many(targets.len(), MOST_TARGETS));
        }
        let targets: BTreeMap<_, _> = targets.into_iter().take(MOST_TARGETS).collect();

        let one_webhook = of_one_webhook(&targets);
        let mut alerts = Vec::new();
        for (name, value) in of_folder(parameters, ALERTS) {
            match Alert::parse(name, value) {
                Err(error) => problem(format!("{ALERTS}{name}"), error.to_string()),
                Ok(None) => {}
                Ok(Some(mut alert)) => {
                    for message in settle(&mut alert, &targets, rules) {
                        problem(format!("{ALERTS}{name}"), message);
                    }
                    alert.to = told_once(alert.to, &one_webhook);
                    alerts.push(alert);
                }
            }
        }
        if alerts.len() > MOST_ALERTS {
            problem(ALERTS.trim_end_matches('/').to_owned(), too_many(alerts.len(), MOST_ALERTS));
        }
        alerts.sort_by(|a, b| a.name.cmp(&b.name));
        alerts.truncate(MOST_ALERTS);
        alerts.retain(|alert| !alert.to.is_empty());
        let targets = targets.into_iter().filter_map(|(name, target)| Some((name, target?))).collect();
        Self { alerts, targets, problems }
    }

    /// What is wrong with alerts and targets, each under the name of its parameter.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The alerts in force by name.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// An alert in force.
    #[must_use]
    pub fn alert(&self, name: &str) -> Option<&Alert> {
        self.alerts.iter().find(|alert| alert.name == name)
    }

    /// The intent rules of alerts that are only about some: who they are may be said after the rule took something.
    #[must_use]
    pub fn rules_of_some(&self) -> Vec<String> {
        let rule = |alert: &Alert| match &alert.on {
            Occasion::Rule(rule) if alert.only.is_some() => Some(rule.clone()),
            _ => None,
        };
        self.alerts.iter().filter_map(rule).collect()
    }

    /// Where messages are sent, by name.
    #[must_use]
    pub fn targets(&self) -> &BTreeMap<String, Target> {
        &self.targets
    }
}

/// Takes out of an alert the targets that it cannot tell, all of them where nothing can set it off. Gives back what is wrong.
fn settle(alert: &mut Alert, targets: &BTreeMap<String, Option<Target>>, rules: RuleNames<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_week = alert.on == Occasion::Week;
    alert.to.retain(|name| match targets.get(name) {
        // What is no name may be the address itself, which is a secret.
        None if !is_name(name) => {
            wrong.push(format!(
                "to: must name a parameter below {TARGETS}; the address itself stands in that parameter"
            ));
            false
        }
        None => {
            wrong.push(format!("to: there is no parameter {TARGETS}{name}"));
            false
        }
        Some(None) => {
            wrong.push(format!("to: {TARGETS}{name} cannot be used"));
            false
        }
        Some(Some(Target::Segment { .. })) if is_week => {
            wrong.push(format!("to: {TARGETS}{name} is a source of Segment, which takes no weekly digest"));
            false
        }
        Some(Some(_)) => true,
    });
    if let Occasion::Rule(rule) = &alert.on {
        let is_there = rules.in_force.contains(&rule.as_str()) || rules.unreadable.contains(rule);
        if !is_there {
            let names = rules.in_force.join(", ");
            // A target that was written into the wrong field is a secret.
            let name = if rule.contains("://") { "that name".to_owned() } else { format!("the name {rule:?}") };
            wrong.push(format!("on: no intent rule in force has {name}; there are {names}"));
            alert.to.clear();
        }
    }
    wrong
}

/// Targets that are the Slack webhook of another one, each with the first that is: Slack takes one message a second from a webhook, whatever
/// it is called here, and nobody wants to read twice what is told once.
fn of_one_webhook(targets: &BTreeMap<String, Option<Target>>) -> BTreeMap<String, String> {
    let usable = || targets.iter().filter_map(|(name, target)| Some((name, target.as_ref()?)));
    let first_of = |target: &Target| usable().find(|(_, other)| target.is_webhook_of_slack(other));
    let all = usable().filter_map(|(name, target)| Some((name.clone(), first_of(target)?.0.clone())));
    all.filter(|(name, first)| name != first).collect()
}

fn told_once(to: Vec<String>, one_webhook: &BTreeMap<String, String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::with_capacity(to.len());
    for name in to {
        let name = one_webhook.get(&name).cloned().unwrap_or(name);
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// Whether a text can be the last part of a parameter's name, and no address or key: those are longer.
fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn of_folder<'p>(parameters: &'p [Parameter], folder: &'p str) -> impl Iterator<Item = (&'p str, &'p str)> {
    parameters.iter().filter_map(move |parameter| Some((parameter.name.strip_prefix(folder)?, parameter.value())))
}

fn too_many(count: usize, most: usize) -> String {
    format!("there are {count}, and {most} is the most: remove some")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: &str = "https://hooks.slack.com/services/T0/B0/hunter2";

    fn read(parameters: &[(&str, &str)]) -> (Configured, Vec<String>) {
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| Parameter::new(*name, *value)).collect();
        let unreadable = ["docs".to_owned()];
        let rules = RuleNames { in_force: &["demo", "pricing"], unreadable: &unreadable };
        let configured = Configured::read(&parameters, rules);
        let problems = configured.problems().to_vec();
        (configured, problems.iter().map(|problem| format!("{}: {}", problem.parameter, problem.message)).collect())
    }

    fn names(configured: &Configured) -> Vec<(&str, Vec<&str>)> {
        let alerts = configured.alerts().iter();
        alerts.map(|alert| (alert.name.as_str(), alert.to.iter().map(String::as_str).collect())).collect()
    }

    #[test]
    fn an_alert_that_names_a_target_or_a_rule_that_is_not_there_is_a_problem_and_costs_no_other() {
        let (configured, problems) = read(&[
            ("alerts/sales", r#"{"on":"pricing","to":["sales","marketing"]}"#),
            ("alerts/crm", r#"{"on":"demo","to":"crm"}"#),
            ("alerts/typo", r#"{"on":"priceing","to":"sales"}"#),
            ("alerts/as-before", r#"{"on":"docs","to":"sales"}"#),
            ("alerts/bad", r#"{"on":"points","to":"sales"}"#),
            ("alerts/off", r#"{"on":"nothing","to":"nobody","enabled":false}"#),
            ("alert-targets/sales", SLACK),
            ("alert-targets/crm", r#"{"segment":""}"#),
            ("intent/pricing", "{}"),
        ]);
        assert_eq!(names(&configured), [("as-before", vec!["sales"]), ("sales", vec!["sales"])]);
        let expected = [
            "alert-targets/crm: segment: must be the write key",
            "alerts/sales: to: there is no parameter alert-targets/marketing",
            "alerts/crm: to: alert-targets/crm cannot be used",
            "alerts/typo: on: no intent rule in force has the name \"priceing\"; there are demo, pricing",
            "alerts/bad: missing field `over`",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert_eq!(configured.targets().keys().collect::<Vec<_>>(), ["sales"]);
    }

    #[test]
    fn an_address_or_a_key_in_the_place_of_a_target_s_name_is_not_told() {
        for secret in [SLACK, "whsec_C2FVsBQIhrscChlQIMV3C2FVsBQIhrscChlQ", "xoxb-1234567890-hunter2-hunter2"] {
            let (_, problems) = read(&[("alerts/sales", &format!(r#"{{"on":"pricing","to":"{secret}"}}"#))]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains("must name a parameter below alert-targets/"), "{problems:?}");
            assert!(!problems[0].contains(secret), "{problems:?}");
        }
    }

    #[test]
    fn a_source_of_segment_takes_no_digest() {
        let (configured, problems) = read(&[
            ("alerts/monday", r#"{"on":"week","to":["sales","crm"]}"#),
            ("alert-targets/sales", SLACK),
            ("alert-targets/crm", r#"{"segment":"abc"}"#),
        ]);
        assert_eq!(names(&configured), [("monday", vec!["sales"])]);
        assert!(problems[0].contains("takes no weekly digest"), "{problems:?}");
    }

    #[test]
    fn alerts_and_targets_are_bounded() {
        let alerts: Vec<(String, String)> = (0..=MOST_ALERTS)
            .map(|n| (format!("alerts/{n:03}"), r#"{"on":"demo","to":"t00"}"#.to_owned()))
            .chain((0..=MOST_TARGETS).map(|n| (format!("alert-targets/t{n:02}"), SLACK.to_owned())))
            .collect();
        let alerts: Vec<_> = alerts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (configured, problems) = read(&alerts);
        assert_eq!((configured.alerts().len(), configured.targets().len()), (MOST_ALERTS, MOST_TARGETS));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(!format!("{configured:?}{problems:?}").contains("hunter2"));
    }
}
