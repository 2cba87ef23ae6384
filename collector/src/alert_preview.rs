//! Which alerts an event would set off, from the request that the collector would get for it.

use koala_destination::clock;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::intent::with_event;
use crate::protocol::batch::array_of;
use crate::received::EntryKind;
use crate::settings::CollectorSettings;
use crate::signals::alert::{Alert, Occasion};
use crate::signals::fresh::is_fresh;

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
    /// How many such events the rule asks for, where it counts: the store knows how many there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
    /// Whether the event is of more than a day ago: such a one sets nothing off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub too_old: bool,
}

/// The alerts that the entries of a batch request set off by intent rules, once for a visitor and day. Whether points or a
/// trend cross a limit depends on what was there before. Who is kept out of the ranking sets none off. `now` is in milliseconds since 1970.
#[must_use]
pub fn of_request(settings: &CollectorSettings, request: &Value, now: i64) -> Vec<PreviewedAlert> {
    let mut alerts: Vec<PreviewedAlert> = Vec::new();
    if is_excluded(settings, request) {
        return alerts;
    }
    for kind in [EntryKind::Identify, EntryKind::Event, EntryKind::PageView] {
        for entry in request[array_of(kind)].as_array().into_iter().flatten() {
            for rule in rules_that_take(settings, kind, entry) {
                let of_rule =
                    settings.signals().alerts().iter().filter(|alert| alert.on == Occasion::Rule(rule.clone()));
                let at = entry["sent_at"].as_str().and_then(clock::milliseconds);
                let too_old = at.is_some_and(|at| !is_fresh(at, now));
                let counting = settings.intent_rules().iter().find(|one| one.name == rule).and_then(|one| one.count);
                let at_least = counting.map(|count| count.at_least);
                let of_event = |alert| PreviewedAlert { at_least, too_old, ..previewed(alert, &rule) };
                for alert in of_rule.map(of_event) {
                    if !alerts.contains(&alert) {
                        alerts.push(alert);
                    }
                }
            }
        }
    }
    alerts
}

/// Whether `exclude` keeps the visitor out, by what the request says of them; what the store knows besides is not told here.
fn is_excluded(settings: &CollectorSettings, request: &Value) -> bool {
    let text = |key: &str| request[key].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
    let none = Map::new();
    let identifies = request[array_of(EntryKind::Identify)].as_array().into_iter().flatten();
    let traits = identifies.filter_map(|entry| entry["traits"].as_object()).next_back().unwrap_or(&none);
    settings.exclude().is_some_and(|exclude| exclude.takes_visitor(&text("user_id"), &text("email"), traits))
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
        at_least: None,
        too_old: false,
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
            at_least: None,
            too_old: false,
        }];
        assert_eq!(of_request(&settings, &request, 0), expected);
        assert_eq!(of_request(&settings, &json!({"events": [{"type": "track", "event": "Signed Up"}]}), 0), []);
    }

    #[test]
    fn who_is_kept_out_sets_nothing_off_and_what_is_old_or_counted_is_said_so() {
        let parameter = |name: &str, value: &str| Parameter::new(name, value);
        let settings = CollectorSettings::read(&[
            parameter("alerts/prices", r#"{"on":"thrice","to":"sales"}"#),
            parameter("intent/thrice", r#"{"trigger":"event = \"A\"","at_least":3,"within_days":7,"score":5}"#),
            parameter("exclude", r#"{"domains":["own.example"]}"#),
            parameter("alert-targets/sales", "https://hooks.slack.com/services/T0/B0/x"),
        ]);
        let now = clock::milliseconds("2026-03-04T12:00:00Z").expect("a time");
        let of = |email: &str, at: &str| {
            let events = json!([{"type": "track", "event": "A", "sent_at": at}]);
            let all = of_request(&settings, &json!({"email": email, "events": events}), now);
            all.into_iter().map(|alert| (alert.at_least, alert.too_old)).collect::<Vec<_>>()
        };
        assert_eq!(of("ada@acme.example", "2026-03-04T11:00:00Z"), [(Some(3), false)]);
        assert_eq!(of("ada@acme.example", "2026-03-03T11:00:00Z"), [(Some(3), true)]);
        assert_eq!(of("ada@own.example", "2026-03-04T11:00:00Z"), []);
    }
}
