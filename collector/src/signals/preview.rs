//! Which alerts an event would set off, from the request that the collector would get for it.

use serde::Serialize;
use serde_json::Value;

use super::alert::{Alert, Occasion};
use crate::intent::with_event;
use crate::protocol::batch::EntryKind;
use crate::settings::CollectorSettings;

/// An alert that an event would set off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviewedAlert {
    /// Its name.
    pub alert: String,
    /// The intent rule that takes the event.
    pub rule: String,
    /// Whom it would tell.
    pub to: Vec<String>,
    /// Of whom alone: what is known of the visitor and the company decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

/// The alerts that the entries of a batch request set off by intent rules, once for a visitor and day. Whether points or a
/// trend cross a limit depends on what was there before.
#[must_use]
pub fn of_request(settings: &CollectorSettings, request: &Value) -> Vec<PreviewedAlert> {
    let mut alerts: Vec<PreviewedAlert> = Vec::new();
    for kind in [EntryKind::Identify, EntryKind::Event, EntryKind::PageView] {
        for entry in request[kind.array()].as_array().into_iter().flatten() {
            for rule in rules_that_take(settings, kind, entry) {
                let of_rule =
                    settings.signals().alerts().iter().filter(|alert| alert.on == Occasion::Rule(rule.clone()));
                for alert in of_rule.map(|alert| previewed(alert, &rule)) {
                    if !alerts.contains(&alert) {
                        alerts.push(alert);
                    }
                }
            }
        }
    }
    alerts
}

fn rules_that_take(settings: &CollectorSettings, kind: EntryKind, entry: &Value) -> Vec<String> {
    let rules = with_event(kind, &entry.to_string(), |event| {
        let taking = settings.intent_rules().iter().filter(|rule| rule.trigger.matches(event));
        taking.map(|rule| rule.name.clone()).collect()
    });
    rules.unwrap_or_default()
}

fn previewed(alert: &Alert, rule: &str) -> PreviewedAlert {
    PreviewedAlert {
        alert: alert.name.clone(),
        rule: rule.to_owned(),
        to: alert.to.clone(),
        only: alert.only.as_ref().map(|only| only.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use koala_destination::settings::Parameter;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_alerts_of_the_rules_that_take_an_event_are_previewed() {
        let parameter = |name: &str, value: &str| Parameter::new(name, value);
        let settings = CollectorSettings::read(&[
            parameter("alerts/prices", r#"{"on":"pricing","only":"traits.plan = \"free\"","to":"sales"}"#),
            parameter("alerts/demos", r#"{"on":"demo","to":"sales"}"#),
            parameter("alerts/hot", r#"{"on":"points","over":5,"to":"sales"}"#),
            parameter("alert-targets/sales", "https://hooks.slack.com/services/T0/B0/x"),
        ]);
        let request = json!({"user_id": "u", "events": [
            {"type": "track", "event": "Viewed Pricing"}, {"type": "track", "event": "Viewed Pricing"}]});
        let expected = [PreviewedAlert {
            alert: "prices".to_owned(),
            rule: "pricing".to_owned(),
            to: vec!["sales".to_owned()],
            only: Some("traits.plan = \"free\"".to_owned()),
        }];
        assert_eq!(of_request(&settings, &request), expected);
        assert_eq!(of_request(&settings, &json!({"events": [{"type": "track", "event": "Signed Up"}]})), []);
    }
}
