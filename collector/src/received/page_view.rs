//! Page views as Koala's browser script sends them, again and again while they last.

use koala_destination::clock;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// How long a page view is by now; a later sending has a greater one.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    #[serde(default, deserialize_with = "time_if_any")]
    visit_end: Option<i64>,
    /// The milliseconds that the page was looked at.
    #[serde(default, rename = "focus_intervals", deserialize_with = "sum_if_any")]
    focused: u64,
}

impl Extent {
    /// That of an entry.
    #[must_use]
    pub fn of(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

/// A time as RFC 3339 or as milliseconds since 1970.
#[must_use]
pub fn time(value: &Value) -> Option<i64> {
    value.as_str().and_then(clock::milliseconds).or_else(|| value.as_i64())
}

fn time_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(time(&Value::deserialize(deserializer)?))
}

fn sum_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let intervals = value.as_array().into_iter().flatten().filter_map(Value::as_f64);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it saturates
    Ok(intervals.sum::<f64>() as u64)
}
