//! Which alerts a company sets off by its points and its trend, from what it was like before.

use super::alert::{Alert, Occasion};
use super::crossing::{Armed, Crossing};
use crate::intent::Trend;
use crate::store::alerts::{Fired, Look, Standing};

/// Stands before the condition of an alert that waits.
const WAITS: &str = "waits: ";

/// Whether a company that was never looked at had nothing before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It is new: what it has now came since.
    Nothing,
    /// It was there, and nobody knows what it was like.
    Unknown,
}

/// Which of these alerts a company sets off that is as `now` and was as `before` when it was looked at last, and how the alerts stand with
/// it afterwards. An alert that is new takes a company as it is: who has been above its limit all along does not cross it. One that the
/// company crosses before it is about the company waits, and goes off when it is; a silent look leaves it waiting.
#[must_use]
pub fn crossed<'a>(
    alerts: &'a [Alert],
    (is_about, is_silent): (impl Fn(&Alert) -> bool, bool),
    before: &Standing,
    never_seen: Before,
    now: Look,
) -> (Vec<&'a Alert>, Standing) {
    let mut goes_off = Vec::new();
    let mut after = Standing { look: Some(now), fired: Vec::new() };
    for alert in alerts {
        let Some(condition) = condition(&alert.on) else { continue };
        let is_noted = |condition: &str| {
            let of_alert = |fired: &&Fired| fired.alert == alert.name && fired.condition == condition;
            before.fired.iter().find(of_alert)
        };
        let waiting = format!("{WAITS}{condition}");
        // Of two companies that have become one, one may have set off what the other one waited with.
        let waits = is_noted(&waiting).is_some() && is_noted(&condition).is_none();
        let was = match (is_noted(&condition), before.look, never_seen) {
            _ if waits => None,
            (Some(fired), _, _) => Some(fired.points),
            (None, Some(look), _) => holds(&alert.on, look).then_some(look.points),
            // A new company has not turned steady.
            (None, None, Before::Nothing) if alert.on == (Occasion::Trend { is: Trend::Neutral }) => {
                holds(&alert.on, now).then_some(now.points)
            }
            (None, None, Before::Nothing) => None,
            (None, None, Before::Unknown) => holds(&alert.on, now).then_some(now.points),
        };
        let armed = if was.is_some() { Armed::No } else { Armed::Yes };
        let crossing = match &alert.on {
            Occasion::Points { over } => Crossing::of_points(armed, now.points, *over),
            Occasion::Trend { is } => Crossing::of_trend(armed, *is, now, was.unwrap_or(now.points)),
            Occasion::Rule(_) | Occasion::Week => continue,
        };
        if crossing.fires && (!is_about(alert) || is_silent && waits) {
            after.fired.push(Fired { alert: alert.name.clone(), condition: waiting, points: now.points });
            continue;
        }
        if crossing.fires {
            goes_off.push(alert);
        }
        if crossing.armed == Armed::No {
            after.fired.push(Fired { alert: alert.name.clone(), condition, points: was.unwrap_or(now.points) });
        }
    }
    (goes_off, after)
}

/// What sets an alert off that looks at companies as they are, as text; nothing for others.
fn condition(on: &Occasion) -> Option<String> {
    match on {
        Occasion::Points { over } => Some(format!("points > {over}")),
        Occasion::Trend { is } => Some(format!("trend = {}", is.as_str())),
        Occasion::Rule(_) | Occasion::Week => None,
    }
}

fn holds(on: &Occasion, look: Look) -> bool {
    match on {
        Occasion::Points { over } => look.points > *over,
        Occasion::Trend { is } => look.trend == *is,
        Occasion::Rule(_) | Occasion::Week => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(json: &[(&str, &str)]) -> Vec<Alert> {
        json.iter().map(|(name, json)| Alert::parse(name, json).expect("an alert").expect("one that is on")).collect()
    }

    /// Which alerts each step sets off: steps of points and trend.
    fn story(alerts: &[Alert], never_seen: Before, steps: &[(f64, Trend)]) -> Vec<Vec<String>> {
        let mut standing = Standing::default();
        let mut step = |(points, trend): &(f64, Trend)| {
            let (fires, after) =
                crossed(alerts, (|_| true, false), &standing, never_seen, Look { points: *points, trend: *trend });
            standing = after;
            fires.into_iter().map(|alert| alert.name.clone()).collect()
        };
        steps.iter().map(&mut step).collect()
    }

    #[test]
    fn a_new_company_crosses_from_nothing_and_one_that_was_there_is_taken_as_it_is() {
        let alerts = alerts(&[
            ("hot", r#"{"on":"points","over":50,"to":"t"}"#),
            ("rise", r#"{"on":"trend","is":"surging","to":"t"}"#),
            ("rule", r#"{"on":"pricing","to":"t"}"#),
        ]);
        let steps = [(60.0, Trend::Surging), (61.0, Trend::Surging), (30.0, Trend::Neutral), (60.0, Trend::Surging)];
        let all = vec!["hot".to_owned(), "rise".to_owned()];
        let none = Vec::new;
        assert_eq!(story(&alerts, Before::Nothing, &steps), [all.clone(), none(), none(), all.clone()]);
        assert_eq!(story(&alerts, Before::Unknown, &steps), [none(), none(), none(), all]);
    }

    #[test]
    fn an_alert_that_is_new_or_another_under_its_name_takes_companies_as_they_are() {
        let look = |points| Look { points, trend: Trend::Neutral };
        let step = |over: u32, standing: &Standing, points| {
            let of = alerts(&[("hot", &format!(r#"{{"on":"points","over":{over},"to":"t"}}"#))]);
            let (fires, standing) = crossed(&of, (|_| true, false), standing, Before::Nothing, look(points));
            (fires.len(), standing)
        };
        let (fires, standing) = step(50, &Standing::default(), 60.0);
        assert_eq!(fires, 1);
        // Now it is at 40: who has 60 points has been above it.
        let (fires, standing) = step(40, &standing, 61.0);
        assert_eq!((fires, standing.fired.len()), (0, 1));
        // Now it is at 70: who has 61 points has yet to cross it.
        let (fires, standing) = step(70, &standing, 61.0);
        assert_eq!((fires, standing.fired.len()), (0, 0));
        assert_eq!(step(70, &standing, 71.0).0, 1);
    }

    #[test]
    fn a_company_that_an_alert_is_not_about_yet_sets_it_off_when_it_is() {
        let alerts = alerts(&[("hers", r#"{"on":"points","over":4,"to":"t"}"#)]);
        let mut standing = Standing::default();
        let mut look = |points, is_hers: bool, is_silent| {
            let look = Look { points, trend: Trend::Neutral };
            let (fires, after) = crossed(&alerts, (|_| is_hers, is_silent), &standing, Before::Nothing, look);
            standing = after;
            fires.len()
        };
        let mut step = |points, is_hers| look(points, is_hers, false);
        assert_eq!([step(6.0, false), step(6.5, false), step(7.0, true), step(8.0, true)], [0, 0, 1, 0]);
        assert_eq!([step(2.0, false), step(6.0, false), step(3.0, true), step(3.9, true)], [0; 4], "it fell meanwhile");
        assert_eq!(step(6.0, true), 1);
        assert_eq!([step(1.0, false), step(6.0, false)], [0; 2]);
        assert_eq!(look(6.0, true, true), 0, "in silence");
        assert_eq!(look(6.0, true, false), 1, "it waited on");
    }

    #[test]
    fn a_company_that_is_steady_sets_an_alert_off_when_it_is_about_it() {
        let alerts = alerts(&[("steady", r#"{"on":"trend","is":"neutral","to":"t"}"#)]);
        let mut standing = Standing::default();
        let mut step = |trend, is_hers: bool| {
            let look = Look { points: 9.0, trend };
            let (fires, after) = crossed(&alerts, (|_| is_hers, false), &standing, Before::Nothing, look);
            standing = after;
            fires.len()
        };
        let steps = [step(Trend::Surging, false), step(Trend::Neutral, false), step(Trend::Neutral, true)];
        assert_eq!(steps, [0, 0, 1]);
    }

    #[test]
    fn who_is_new_has_not_turned_steady() {
        let alerts = alerts(&[("steady", r#"{"on":"trend","is":"neutral","to":"t"}"#)]);
        let steps = [(0.0, Trend::Neutral), (9.0, Trend::Surging), (9.0, Trend::Neutral)];
        let fired: Vec<usize> = story(&alerts, Before::Nothing, &steps).iter().map(Vec::len).collect();
        assert_eq!(fired, [0, 0, 1]);
    }

    #[test]
    fn who_cools_down_sets_an_alert_off_again_only_after_having_warmed_up() {
        let alerts = alerts(&[("cold", r#"{"on":"trend","is":"cooling","to":"t"}"#)]);
        let steps = [
            (50.0, Trend::Neutral),
            (40.0, Trend::Cooling),
            (30.0, Trend::Cooling),
            (29.0, Trend::Neutral),
            (20.0, Trend::Cooling),
            (40.0, Trend::Surging),
            (30.0, Trend::Cooling),
        ];
        let fired: Vec<usize> = story(&alerts, Before::Nothing, &steps).iter().map(Vec::len).collect();
        assert_eq!(fired, [0, 1, 0, 0, 0, 0, 1]);
    }
}
