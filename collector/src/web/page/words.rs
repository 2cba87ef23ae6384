//! What stands in events and stores, as people say it. All of it is pure; what is shown is escaped by the templates.

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use koala_destination::intake::SkipReason;
use koala_destination::plural::counted;
use serde_json::Value;

use crate::intent::{StrengthLabel, Trend, did};
use crate::store::company::{Company, Reason};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// From here on days are counted in months.
const DAYS_OF_DAYS: i64 = 60;
/// The most members of an object, or elements of an array, that are put into words.
const MOST_PARTS: usize = 8;
/// The longest text of one value; the raw JSON has it whole.
const LONGEST_VALUE: usize = 300;

/// What a company is called, else its domain in its letters, else what it is known by.
pub fn title(company: &Company) -> String {
    let domain = || company.domain.as_deref().map(|domain| crate::company::shown(domain).into_owned());
    company.name.clone().or_else(domain).unwrap_or_else(|| company.key.clone())
}

/// How strong an interest is, and where it goes: `High · Surging`.
pub fn interest(strength: StrengthLabel, trend: Trend) -> String {
    format!("{} · {}", strength.as_str(), trend.as_str())
}

/// What an intent rule counts for a company as a sentence: `Looked at pricing: 3 people, last today`.
pub fn reason(reason: &Reason, now: i64) -> String {
    let people = counted(u64::try_from(reason.visitors).unwrap_or(u64::MAX), "person");
    format!(
        "{}: {people}, last {}",
        did(&reason.rule).map_or_else(|| label(&reason.rule), str::to_owned),
        day(milliseconds(&reason.last_day), now)
    )
}

/// How long a time is, in one unit: `5 minutes`, `3 days`, `2 months`.
pub fn duration(milliseconds: i64) -> String {
    let days = milliseconds / MILLISECONDS_OF_A_DAY;
    let (count, unit) = match milliseconds {
        ..HOUR => (milliseconds / MINUTE, "minute"),
        HOUR..MILLISECONDS_OF_A_DAY => (milliseconds / HOUR, "hour"),
        _ if days < DAYS_OF_DAYS => (days, "day"),
        _ => (days / 30, "month"),
    };
    counted(u64::try_from(count).unwrap_or_default(), unit)
}

/// How long ago a time is: `just now`, `5 minutes ago`; from a day on by the days in UTC, as [`day`] has them, so that a page does not
/// say `2 days ago` beside `3 days ago`. One that is yet to come is now: the clocks of two machines differ.
pub fn ago(at: i64, now: i64) -> String {
    let passed = now.saturating_sub(at);
    match passed {
        ..MINUTE => "just now".to_owned(),
        MINUTE..MILLISECONDS_OF_A_DAY => format!("{} ago", duration(passed)),
        _ => day(at, now),
    }
}

/// A day as it is told from today, both in UTC: `today`, `yesterday`, `3 days ago`.
pub fn day(at: i64, now: i64) -> String {
    let day = |at: i64| at.div_euclid(MILLISECONDS_OF_A_DAY);
    match day(now) - day(at) {
        ..=0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{} ago", duration(days.saturating_mul(MILLISECONDS_OF_A_DAY))),
    }
}

/// A time in RFC 3339 as people read it, with its zone: `2026-11-20 12:00 UTC`.
pub fn utc(at: &str) -> String {
    format!("{} UTC", at.get(..16).unwrap_or(at).replace('T', " "))
}

/// Milliseconds since 1970 of a time in RFC 3339; now where it is none.
pub fn milliseconds(at: &str) -> i64 {
    clock::milliseconds(at).unwrap_or_else(clock::now_milliseconds)
}

/// Why an event was skipped, by the reason's name.
pub fn skip_reason(name: &str) -> &str {
    let known = SkipReason::ALL.into_iter().find(|reason| reason.name() == name);
    known.map_or(name, |reason| reason.explanation())
}

/// The name of a trait or a property: `createdAt`, `created_at` and `$account` are `Created at` and `Account`.
pub fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 4);
    let mut before_is_lower = false;
    for character in name.trim_start_matches('$').chars() {
        if matches!(character, '_' | '-' | ' ' | '.') {
            if !label.ends_with(' ') {
                label.push(' ');
            }
            before_is_lower = false;
            continue;
        }
        if character.is_uppercase() && before_is_lower {
            label.push(' ');
            label.extend(character.to_lowercase());
        } else if label.is_empty() {
            label.extend(character.to_uppercase());
        } else {
            label.push(character);
        }
        before_is_lower = character.is_lowercase() || character.is_ascii_digit();
    }
    if label.trim().is_empty() { name.to_owned() } else { label }
}

/// A value of an event: text as it is, a list with commas, an object as its members; a company by its name and domain.
pub fn value(value: &Value) -> String {
    let mut text = match value {
        Value::Object(members) if members.is_empty() => String::new(),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
            let named = match (text("name"), text("domain")) {
                (Some(name), Some(domain)) => Some(format!("{name} ({domain})")),
                (name, domain) => name.or(domain).map(str::to_owned),
            };
            let is_named = named.is_some();
            let rest = members.iter().filter(|(name, value)| {
                // Of a company the key of some system says nothing to people.
                let is_told = is_named && matches!(name.as_str(), "name" | "domain" | "group_id" | "id");
                !is_told && !value.is_null()
            });
            let rest = rest.map(|(name, value)| format!("{}: {}", lower_label(name), plain(value)));
            named.into_iter().chain(rest).take(MOST_PARTS).collect::<Vec<_>>().join(", ")
        }
        other => plain(other),
    };
    if text.len() > LONGEST_VALUE {
        text.truncate(text.floor_char_boundary(LONGEST_VALUE));
        text.push('…');
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(|value| !value.is_array() && !value.is_object()) => {
            values.iter().take(MOST_PARTS).map(plain).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn lower_label(name: &str) -> String {
    let label = label(name);
    let mut characters = label.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// A text that begins a line.
pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// How much is kept out of the ranking: `2 companies and 3 visitors are excluded`.
pub fn excluded(companies: u64, visitors: u64) -> String {
    let parts = [(companies, "company"), (visitors, "visitor")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, one)| counted(count, one)).collect();
    let are = if companies + visitors == 1 { "is" } else { "are" };
    format!("{} {are} excluded", parts.join(" and "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plurals_are_right() {
        let said = [(1, "event"), (2, "event"), (0, "company"), (1, "company"), (3, "person"), (2, "day")];
        let said = said.map(|(count, one)| counted(count, one));
        assert_eq!(said, ["1 event", "2 events", "0 companies", "1 company", "3 people", "2 days"]);
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let day = MILLISECONDS_OF_A_DAY;
        let said = [30 * MINUTE, HOUR, 47 * HOUR, 3 * day, 61 * day].map(duration);
        assert_eq!(said, ["30 minutes", "1 hour", "1 day", "3 days", "2 months"]);
        assert_eq!([10, -HOUR, 2 * MINUTE].map(|passed| ago(0, passed)), ["just now", "just now", "2 minutes ago"]);
        // Late in the evening, and looked at early on the second day after it.
        let (evening, morning) = (23 * HOUR, 2 * MILLISECONDS_OF_A_DAY + HOUR);
        assert_eq!(
            (ago(evening, morning), super::day(evening, morning)),
            ("2 days ago".to_owned(), "2 days ago".to_owned())
        );
        assert_eq!(ago(evening, evening + 24 * HOUR), "yesterday");
        let noon = 100 * day + 12 * HOUR;
        let days = [noon, noon - 13 * HOUR, noon - 3 * day, noon + day].map(|at| super::day(at, noon));
        assert_eq!(days, ["today", "yesterday", "3 days ago", "today"]);
    }

    #[test]
    fn a_reason_is_a_sentence() {
        let of = |rule: &str, visitors: usize| Reason {
            rule: rule.to_owned(),
            points: 8.0,
            points_week_ago: 0.0,
            visitors,
            last_day: "2026-11-20T00:00:00.000Z".to_owned(),
        };
        let now = milliseconds("2026-11-20T12:00:00Z");
        assert_eq!(reason(&of("pricing", 3), now), "Looked at pricing: 3 people, last today");
        assert_eq!(
            reason(&of("invited-a-colleague", 1), now + MILLISECONDS_OF_A_DAY),
            "Invited a colleague: 1 person, last yesterday"
        );
    }

    #[test]
    fn names_of_traits_are_words() {
        let said = ["createdAt", "first_name", "$account", "plan", "ARR", "MRR_usd", "__", "utm.source"].map(label);
        assert_eq!(said, ["Created at", "First name", "Account", "Plan", "ARR", "MRR usd", "__", "Utm source"]);
    }

    #[test]
    fn a_company_is_told_by_its_name_and_its_domain() {
        let acme = json!({"group_id": "g-1", "name": "Acme", "domain": "acme.com", "employees": 180, "industry": null});
        assert_eq!(value(&acme), "Acme (acme.com), employees: 180");
        assert_eq!(value(&json!({"domain": "acme.com"})), "acme.com");
        assert_eq!(value(&json!({"nightly": true, "at": [1, 2]})), "nightly: yes, at: 1, 2");
        assert_eq!(
            (value(&json!("text")), value(&json!(1.5)), value(&json!({}))),
            ("text".into(), "1.5".into(), String::new())
        );
        assert!(value(&json!("é".repeat(1000))).len() <= LONGEST_VALUE + 3);
    }

    #[test]
    fn how_much_is_excluded_is_a_sentence() {
        assert_eq!(excluded(2, 3), "2 companies and 3 visitors are excluded");
        assert_eq!([excluded(0, 1), excluded(1, 0)], ["1 visitor is excluded", "1 company is excluded"]);
    }
}
