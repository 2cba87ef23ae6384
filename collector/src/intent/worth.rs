//! What the days of visitors under intent rules are worth: now, and a week ago by the same rules.

use std::collections::BTreeMap;

use super::IntentRule;

/// A trend is beside as many days ago.
const DAYS_OF_A_WEEK: i64 = 7;

/// How many entries of a visitor a rule took, by the day, counted from 1970.
pub type EntriesByDay = BTreeMap<i64, u32>;

/// Points.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Worth {
    /// Today.
    pub now: f64,
    /// Seven days ago.
    pub week_ago: f64,
}

impl Worth {
    /// What a day under a rule is worth.
    #[must_use]
    pub fn of(rule: &IntentRule, day: i64, today: i64) -> Self {
        let week_ago = today - DAYS_OF_A_WEEK;
        let before = if day <= week_ago { rule.points_after(week_ago - day) } else { 0.0 };
        Self { now: rule.points_after(today - day), week_ago: before }
    }

    /// Adds another one, so many times.
    pub fn add(&mut self, other: Self, times: f64) {
        self.now += other.now * times;
        self.week_ago += other.week_ago * times;
    }
}

/// How much of a visitor's points a company has: half where the visitor is guessed to be of it.
#[must_use]
pub fn share(is_guess: bool) -> f64 {
    if is_guess { 0.5 } else { 1.0 }
}

/// The days that count of those on which a visitor did what a rule looks for.
#[must_use]
pub fn days_that_count(rule: &IntentRule, entries: &EntriesByDay) -> Vec<i64> {
    rule.count.map_or_else(|| entries.keys().copied().collect(), |count| count.days(entries))
}

/// What the days of several visitors come to under one rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    /// Their points.
    pub worth: Worth,
    /// How many visitors have a day that counts.
    pub visitors: usize,
    /// The last such day, counted from 1970.
    pub last_day: i64,
}

impl Total {
    /// Of visitors, each with the share of the points and the days. Nothing where no day counts.
    pub fn of<'e>(
        rule: &IntentRule,
        visitors: impl IntoIterator<Item = &'e (f64, EntriesByDay)>,
        today: i64,
    ) -> Option<Self> {
        let mut total = Self { worth: Worth::default(), visitors: 0, last_day: i64::MIN };
        for (share, entries) in visitors {
            let days = days_that_count(rule, entries);
            total.visitors += usize::from(!days.is_empty());
            for day in days {
                total.worth.add(Worth::of(rule, day, today), *share);
                total.last_day = total.last_day.max(day);
            }
        }
        (total.visitors > 0).then_some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> IntentRule {
        IntentRule::parse("r", json).expect("a rule").expect("one that is on")
    }

    #[test]
    fn a_day_is_worth_what_is_left_of_it_today_and_was_left_a_week_ago() {
        let rule = rule(r#"{"trigger":"type = \"track\"","score":8,"half_life_days":7}"#);
        let worth = |day| Worth::of(&rule, day, 100);
        assert_eq!(worth(100), Worth { now: 8.0, week_ago: 0.0 });
        assert_eq!(worth(93), Worth { now: 4.0, week_ago: 8.0 });
        assert_eq!(worth(86), Worth { now: 2.0, week_ago: 4.0 });
    }

    #[test]
    fn visitors_count_with_their_shares_and_only_those_of_whom_a_day_counts() {
        let rule = rule(r#"{"trigger":"type = \"track\"","score":8,"half_life_days":7,"at_least":2,"within_days":3}"#);
        let once = (1.0, EntriesByDay::from([(100, 1)]));
        let twice = (share(true), EntriesByDay::from([(92, 1), (93, 1)]));
        let total = Total::of(&rule, [&once, &twice], 100).expect("a day counts");
        assert_eq!(total, Total { worth: Worth { now: 2.0, week_ago: 4.0 }, visitors: 1, last_day: 93 });
        assert_eq!(Total::of(&rule, [&once], 100), None);
    }
}
