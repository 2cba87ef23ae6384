//! When a week's digest is due: Mondays at 08:00 where the team is, once a week even over restarts.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The hour of the day, on Monday.
const HOUR: i8 = 8;
/// A digest that could not be made on Monday morning is made until the night; after that the week has moved on. An alert that is
/// new on a Tuesday waits for its first Monday.
const UNTIL_HOURS: i64 = 12;

/// The Monday whose digest is due at `now` (milliseconds since 1970); nothing at other times. It names the week: who keeps the
/// name sends a week's digest once.
#[must_use]
pub fn due(now: i64, zone: &TimeZone) -> Option<Date> {
    let now = Timestamp::from_millisecond(now).ok()?;
    let today = now.to_zoned_datetime(zone.clone()).date();
    let since_monday = today.weekday().since(Weekday::Monday);
    let monday = today.checked_sub(i64::from(since_monday).days()).ok()?;
    // An hour that a change of clocks leaves out is the one behind it; one that comes twice is the first.
    let morning = monday.at(HOUR, 0, 0, 0).to_zoned_datetime(zone.clone()).ok()?.timestamp();
    let end = morning.checked_add(UNTIL_HOURS.hours()).ok()?;
    (morning <= now && now < end).then_some(monday)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_at(time: &str, zone: &str) -> Option<String> {
        let now: Timestamp = time.parse().expect("a time");
        let zone = TimeZone::get(zone).expect("a time zone");
        due(now.as_millisecond(), &zone).map(|monday| monday.to_string())
    }

    #[test]
    fn a_digest_is_due_on_monday_at_eight_in_the_team_s_time_zone() {
        // Berlin is an hour ahead of UTC in winter, New York five behind.
        let monday = || Some("2026-11-23".to_owned());
        assert_eq!(due_at("2026-11-23T06:59:59Z", "Europe/Berlin"), None);
        assert_eq!(due_at("2026-11-23T07:00:00Z", "Europe/Berlin"), monday());
        assert_eq!(due_at("2026-11-23T07:00:00Z", "UTC"), None);
        assert_eq!(due_at("2026-11-23T08:00:00Z", "UTC"), monday());
        assert_eq!(due_at("2026-11-23T12:59:00Z", "America/New_York"), None);
        assert_eq!(due_at("2026-11-23T13:00:00Z", "America/New_York"), monday());
        // A Monday in Auckland is a Sunday in UTC.
        assert_eq!(due_at("2026-11-22T19:00:00Z", "Pacific/Auckland"), monday());
    }

    #[test]
    fn a_digest_that_was_missed_is_made_up_on_the_same_day_and_not_later() {
        assert_eq!(due_at("2026-11-23T19:59:00Z", "UTC"), Some("2026-11-23".to_owned()));
        assert_eq!(due_at("2026-11-23T20:00:00Z", "UTC"), None);
        assert_eq!(due_at("2026-11-25T09:00:00Z", "UTC"), None);
        assert_eq!(due_at("2026-11-29T09:00:00Z", "UTC"), None);
    }

    #[test]
    fn a_change_of_clocks_moves_the_hour_with_the_clocks() {
        // Summer time began on Sunday, 2026-03-29 in Berlin.
        assert_eq!(due_at("2026-03-30T05:59:00Z", "Europe/Berlin"), None);
        assert_eq!(due_at("2026-03-30T06:00:00Z", "Europe/Berlin"), Some("2026-03-30".to_owned()));
    }
}
