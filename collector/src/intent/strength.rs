//! Strength and trend: points in words that a seller reads.

use serde::{Deserialize, Serialize};

/// Strength is 50 at as many points, 75 at twice as many, and so on towards 100.
const POINTS_OF_HALF: f64 = 20.0;
/// Interest that grew by this much in a week …
const SURGING: f64 = 1.5;
/// … and by at least as many points, is surging: one page view after a quiet week is not.
const SURGING_POINTS: f64 = 5.0;
const HEATING: f64 = 1.1;
const COOLING: f64 = 0.9;
/// Below as many points, now and a week ago, there is nothing that could have a trend.
const LEAST_POINTS: f64 = 1.0;

/// How strong the interest of a visitor or a company is: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Strength(u8);

/// A strength in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum StrengthLabel {
    /// Below 25.
    Low,
    /// From 25 on.
    Medium,
    /// From 50 on.
    High,
    /// From 75 on.
    #[serde(rename = "Very High")]
    VeryHigh,
}

/// Where the interest goes, beside that of seven days ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trend {
    /// At least 1.5 times as much, and at least 5 points more.
    Surging,
    /// At least 1.1 times as much.
    Heating,
    /// About the same, or hardly any.
    Neutral,
    /// At most 0.9 times as much.
    Cooling,
}

/// How much a visitor means to buy: points of the intent rules, and what they say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intent {
    /// The points, with two digits.
    #[serde(rename = "intent")]
    pub points: f64,
    /// 0 to 100.
    pub strength: Strength,
    /// The same in words.
    pub strength_label: StrengthLabel,
    /// Beside a week ago.
    pub trend: Trend,
}

impl Intent {
    /// That of so many points now and seven days ago.
    #[must_use]
    pub fn of(points: f64, points_week_ago: f64) -> Self {
        let strength = Strength::of(points);
        // What is next to nothing is 0, and never -0.
        let rounded = (clamped(points) * 100.0).round() / 100.0 + 0.0;
        Self { points: rounded, strength, strength_label: strength.label(), trend: Trend::of(points, points_week_ago) }
    }
}

impl Default for Intent {
    fn default() -> Self {
        Self::of(0.0, 0.0)
    }
}

impl Strength {
    /// The strength of so many points; fewer than none count as none.
    #[must_use]
    pub fn of(points: f64) -> Self {
        let share = 1.0 - (-clamped(points) / POINTS_OF_HALF).exp2();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 100
        Self((100.0 * share).round() as u8)
    }

    /// 0 to 100.
    #[must_use]
    pub fn value(self) -> u8 {
        self.0
    }

    /// The strength in words.
    #[must_use]
    pub fn label(self) -> StrengthLabel {
        match self.0 {
            0..25 => StrengthLabel::Low,
            25..50 => StrengthLabel::Medium,
            50..75 => StrengthLabel::High,
            _ => StrengthLabel::VeryHigh,
        }
    }
}

impl StrengthLabel {
    /// As the page and the API write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::VeryHigh => "Very High",
        }
    }

    /// The label of a text, in any case, with or without the space.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: String =
            text.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect();
        [("low", Self::Low), ("medium", Self::Medium), ("high", Self::High), ("veryhigh", Self::VeryHigh)]
            .into_iter()
            .find_map(|(name, label)| (name == text).then_some(label))
    }
}

impl Trend {
    /// The trend from the points of seven days ago to those of now, by the same rules.
    #[must_use]
    pub fn of(now: f64, week_ago: f64) -> Self {
        let (now, week_ago) = (clamped(now), clamped(week_ago));
        if now < LEAST_POINTS && week_ago < LEAST_POINTS {
            Self::Neutral
        } else if now >= SURGING * week_ago && now - week_ago >= SURGING_POINTS {
            Self::Surging
        } else if now >= HEATING * week_ago {
            Self::Heating
        } else if now <= COOLING * week_ago {
            Self::Cooling
        } else {
            Self::Neutral
        }
    }

    /// As the page and the API write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Surging => "Surging",
            Self::Heating => "Heating",
            Self::Neutral => "Neutral",
            Self::Cooling => "Cooling",
        }
    }

    /// The trend of a text, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Surging, Self::Heating, Self::Neutral, Self::Cooling]
            .into_iter()
            .find(|trend| trend.as_str().eq_ignore_ascii_case(text))
    }
}

/// Points that speak against intent leave none, not fewer than none.
fn clamped(points: f64) -> f64 {
    if points.is_finite() { points.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_half_at_twenty_points_and_never_more_than_a_hundred() {
        // round(100 × (1 − 2^(−points / 20))), worked out from the formula.
        let expected =
            [(-5.0, 0), (0.0, 0), (1.0, 3), (8.0, 24), (8.3, 25), (20.0, 50), (40.0, 75), (60.0, 88), (1e9, 100)];
        for (points, strength) in expected {
            assert_eq!(Strength::of(points).value(), strength, "{points}");
        }
        assert_eq!(Strength::of(f64::NAN).value(), 0);
    }

    #[test]
    fn a_strength_is_said_in_words_from_low_to_very_high() {
        let label = |strength| Strength(strength).label().as_str();
        let words: Vec<_> = [0, 24, 25, 49, 50, 74, 75, 100].into_iter().map(label).collect();
        assert_eq!(words, ["Low", "Low", "Medium", "Medium", "High", "High", "Very High", "Very High"]);
        assert_eq!(StrengthLabel::parse("very_high"), Some(StrengthLabel::VeryHigh));
        assert_eq!(StrengthLabel::parse("huge"), None);
    }

    #[test]
    fn a_trend_compares_with_the_points_of_a_week_ago() {
        let expected = [
            ((15.0, 10.0), Trend::Surging),
            ((14.9, 10.0), Trend::Heating),
            // Half as much again, but by few points.
            ((3.0, 1.0), Trend::Heating),
            ((5.0, 0.0), Trend::Surging),
            ((4.9, 0.0), Trend::Heating),
            ((11.0, 10.0), Trend::Heating),
            ((10.9, 10.0), Trend::Neutral),
            ((9.1, 10.0), Trend::Neutral),
            ((9.0, 10.0), Trend::Cooling),
            ((0.0, 10.0), Trend::Cooling),
            ((0.9, 0.0), Trend::Neutral),
            ((0.0, 0.9), Trend::Neutral),
            ((-50.0, -1.0), Trend::Neutral),
        ];
        for ((now, week_ago), trend) in expected {
            assert_eq!(Trend::of(now, week_ago), trend, "{now} after {week_ago}");
        }
    }
}
