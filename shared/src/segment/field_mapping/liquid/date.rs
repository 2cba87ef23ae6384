//! The filter `date`.

use liquid_core::model::{Value, ValueView};

use crate::clock;

/// The filter `date`: a point in time by a strftime format, in UTC. What is not a point in time is given back as it is.
pub fn date(value: &Value, format: &str) -> Value {
    let Some(time) = value.as_scalar().and_then(|scalar| point_in_time(&scalar.to_kstr())) else {
        return value.clone();
    };
    let mut out = String::with_capacity(format.len() + 16);
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let month = time.month().to_string();
        let day = time.weekday().to_string();
        let hour_12 = (time.hour() + 11) % 12 + 1;
        let part = match characters.next() {
            Some('Y') => time.year().to_string(),
            Some('y') => format!("{:02}", time.year().rem_euclid(100)),
            Some('m') => format!("{:02}", u8::from(time.month())),
            Some('d') => format!("{:02}", time.day()),
            Some('e') => format!("{:2}", time.day()),
            Some('H') => format!("{:02}", time.hour()),
            Some('I') => format!("{hour_12:02}"),
            Some('l') => format!("{hour_12:2}"),
            Some('M') => format!("{:02}", time.minute()),
            Some('S') => format!("{:02}", time.second()),
            Some('L') => format!("{:03}", time.millisecond()),
            Some('j') => format!("{:03}", time.ordinal()),
            Some('B') => month,
            Some('b' | 'h') => month[..3].to_owned(),
            Some('A') => day,
            Some('a') => day[..3].to_owned(),
            Some('u') => time.weekday().number_from_monday().to_string(),
            Some('w') => time.weekday().number_days_from_sunday().to_string(),
            Some('p') => (if time.hour() < 12 { "AM" } else { "PM" }).to_owned(),
            Some('P') => (if time.hour() < 12 { "am" } else { "pm" }).to_owned(),
            Some('s') => time.unix_timestamp().to_string(),
            Some('z') => "+0000".to_owned(),
            Some('F') => format!("{}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day()),
            Some('T') => format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') | None => "%".to_owned(),
            Some(other) => format!("%{other}"),
        };
        out.push_str(&part);
    }
    Value::scalar(out)
}

/// An RFC 3339 time, a date, or seconds since 1970.
fn point_in_time(text: &str) -> Option<time::OffsetDateTime> {
    let seconds = text.parse::<i64>().ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    seconds.or_else(|| {
        let time = clock::milliseconds(&whole)?;
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(time) * 1_000_000).ok()
    })
}
