//! Points in time as Segment and Koala write them: RFC 3339 in UTC, with milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Now, as `2026-03-04T05:06:07.891Z`.
#[must_use]
pub fn now() -> String {
    format(OffsetDateTime::now_utc())
}

/// A day in UTC.
pub const MILLISECONDS_OF_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// Milliseconds since 1970.
#[must_use]
pub fn now_milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A point in time as `2026-03-04T05:06:07.891Z`.
#[must_use]
pub fn format(time: OffsetDateTime) -> String {
    let milliseconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.to_offset(time::UtcOffset::UTC).format(&milliseconds).unwrap_or_default()
}

/// Milliseconds since 1970 of an RFC 3339 text, or nothing when it is not one.
#[must_use]
pub fn milliseconds(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A point in time from milliseconds since 1970, as `2026-03-04T05:06:07.891Z`.
#[must_use]
pub fn from_milliseconds(milliseconds: i64) -> String {
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map(format).unwrap_or_default()
}
