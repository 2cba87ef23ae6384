//! When a value that rises sets an alert off: once, on its way up, and again only when it had fallen clearly.

use crate::intent::Trend;
use crate::store::alerts::Look;

/// Below this share of the limit an alert is armed again: a company that lingers about the limit sets it off once.
const REARM_BELOW: f64 = 0.8;

/// Whether an alert may be set off by the next crossing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Armed {
    /// The next crossing sets it off.
    Yes,
    /// It was set off, and the value has not fallen since.
    No,
}

/// What a new value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// Whether the alert goes off.
    pub fires: bool,
    /// How the alert stands afterwards.
    pub armed: Armed,
}

impl Crossing {
    /// `points` are `value` now, and the alert is at `over`. An alert that nobody has looked at yet is armed.
    #[must_use]
    pub fn of_points(armed: Armed, value: f64, over: f64) -> Self {
        match armed {
            Armed::Yes if value > over => Self { fires: true, armed: Armed::No },
            Armed::No if value >= REARM_BELOW * over => Self { fires: false, armed: Armed::No },
            Armed::Yes | Armed::No => Self { fires: false, armed: Armed::Yes },
        }
    }

    /// The trend that the alert waits for is there, or is not. When it may go off again is told by the points, which were
    /// `points_when_fired` then: a trend alone flickers about its limit from one event to the next. Of a company that cooled down they
    /// go on falling: it has to warm up first.
    #[must_use]
    pub fn of_trend(armed: Armed, is: Trend, now: Look, points_when_fired: f64) -> Self {
        let is_there = now.trend == is;
        let is_over = match is {
            Trend::Surging | Trend::Heating => now.points < REARM_BELOW * points_when_fired,
            Trend::Cooling => matches!(now.trend, Trend::Surging | Trend::Heating),
            Trend::Neutral => true,
        };
        match armed {
            Armed::Yes => Self { fires: is_there, armed: if is_there { Armed::No } else { Armed::Yes } },
            Armed::No if !is_there && is_over => Self { fires: false, armed: Armed::Yes },
            Armed::No => Self { fires: false, armed: Armed::No },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_set_an_alert_off_once_and_again_after_they_fell_below_four_fifths() {
        let mut armed = Armed::Yes;
        let fired: Vec<bool> = [10.0, 50.0, 50.1, 49.0, 51.0, 40.0, 60.0, 39.9, 50.0, 50.5]
            .into_iter()
            .map(|points| {
                let crossing = Crossing::of_points(armed, points, 50.0);
                armed = crossing.armed;
                crossing.fires
            })
            .collect();
        assert_eq!(fired, [false, false, true, false, false, false, false, false, false, true]);
    }

    #[test]
    fn a_trend_sets_an_alert_off_once_and_again_after_the_points_fell() {
        let mut armed = Armed::Yes;
        let steps =
            [(false, 4.0), (true, 20.0), (false, 19.0), (true, 21.0), (true, 15.0), (false, 15.9), (true, 22.0)];
        let fired: Vec<bool> = steps
            .into_iter()
            .map(|(is_there, points)| {
                let now = Look { points, trend: if is_there { Trend::Surging } else { Trend::Neutral } };
                let crossing = Crossing::of_trend(armed, Trend::Surging, now, 20.0);
                armed = crossing.armed;
                crossing.fires
            })
            .collect();
        assert_eq!(fired, [false, true, false, false, false, false, true]);
    }
}
