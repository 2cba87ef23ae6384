//! What the collector may answer, and what follows from it.

use std::borrow::Cow;
use std::future::Future;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use thiserror::Error;

use crate::json::Object;
use crate::settings::PublicApiKey;

/// The longest part of an answer that is kept as a reason.
const LONGEST_REASON: usize = 300;

/// What a collector asks for beyond this is cut: a value by mistake, or by malice, must not hide events for years.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(15);

/// The two routes of the collection API that entries go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST …/batch`: one person.
    Batch,
    /// `POST …/accounts/batch`: one company.
    AccountsBatch,
}

impl Route {
    /// Its path below the key.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::AccountsBatch => "accounts/batch",
        }
    }
}
/// Koala's collection API.
pub trait Collector: Send + Sync {
    /// Sends one request to a route; `body` is JSON, shared among the tries.
    ///
    /// # Errors
    /// Each says what to do about it.
    fn send(&self, key: &PublicApiKey, route: Route, body: Bytes)
    -> impl Future<Output = Result<(), SendError>> + Send;
}

/// A request that did not succeed, by what is to be done. Its message holds nothing that the collector said, so that it may be
/// logged.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SendError {
    /// Send again, soon: every status that is not about the key or the entries.
    #[error("passing: {reason}")]
    Passing {
        /// What happened.
        reason: String,
        /// How long the collector asks to wait, where it does; at most 15 minutes.
        retry_after: Option<Duration>,
    },
    /// Send again, soon, unless it happens again and again: no connection, or none that lasted until an answer.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// What happened.
        reason: String,
    },
    /// Send again, later: the collector has suspended ingestion, or its host name is gone. Nothing is wrong with the events.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// Read the key again and send again: 401, 403 or 404.
    #[error("the public API key is refused: {reason}")]
    KeyRefused {
        /// The status.
        reason: String,
    },
    /// Never send these entries again as they are: 400, 413 or 422.
    #[error("rejected: {reason}")]
    Rejected {
        /// The status.
        reason: String,
        /// The collector's words, for the dead letter: they may repeat what was sent, so they are no part of the message.
        answer: String,
    },
}

impl SendError {
    /// How long the collector asks to wait, where it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Passing { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// Tells what an answer means. `retry_after` is the header's value, in seconds or as a date.
///
/// # Errors
/// For every status but 2xx, for a 2xx that is a page for people (a captive portal's or a proxy's), and for one that says that ingest is
/// suspended.
pub fn classify(status: StatusCode, retry_after: Option<&str>, body: &str) -> Result<(), SendError> {
    let retry_after = retry_after.and_then(self::retry_after);
    if status.is_success() {
        if is_suspended(&said(&Object::from_json(body).unwrap_or_default(), body)) {
            return Err(SendError::Unavailable { reason: format!("{}: ingest suspended", status.as_u16()) });
        }
        if is_markup(body) {
            let reason = format!("{}, and the body is HTML: not a collector's answer", status.as_u16());
            return Err(SendError::Passing { reason, retry_after });
        }
        return Ok(());
    }
    let answer = Object::from_json(body).unwrap_or_default();
    let said = said(&answer, body);
    let reason = status.as_u16().to_string();
    if is_suspended(&said) {
        return Err(SendError::Unavailable { reason: format!("{reason}: ingest suspended") });
    }
    Err(match status.as_u16() {
        401 | 403 | 404 => SendError::KeyRefused { reason },
        // The only ones that are about what was sent. All others, the other 4xx too, are about the moment or the way there.
        400 | 413 | 422 => SendError::Rejected { answer: format!("{reason}: {said}"), reason },
        _ => SendError::Passing { reason, retry_after },
    })
}

/// The hosted service was shut down and answers every request so. A collector of one's own may say it, too, when it takes nothing
/// for now: never a fault of the events. It is all that is said: a collector that quotes what is wrong with an event may repeat
/// these words.
fn is_suspended(said: &str) -> bool {
    let said = said.trim().trim_end_matches('.');
    ["Koala ingest suspended", "ingest suspended"].iter().any(|text| said.eq_ignore_ascii_case(text))
}

/// HTML or XML. Its content type says little: some servers name each answer `text/html`.
fn is_markup(body: &str) -> bool {
    body.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('<')
}

/// `{"error":"…"}`'s text, else the beginning of the body.
fn said(answer: &Object<'_>, body: &str) -> String {
    let mut said = answer.get_str("error").map_or_else(|| body.trim().to_owned(), Cow::into_owned);
    said.truncate(said.floor_char_boundary(LONGEST_REASON));
    said
}

/// The seconds of a `Retry-After`, or how long until its date (RFC 9110, 10.2.3); at most 15 minutes.
#[must_use]
pub fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    let asked = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a long time all the same.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        // A date that is past asks for nothing.
        httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default()
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<(), SendError> {
        classify(StatusCode::from_u16(status).expect("a status"), None, body)
    }

    #[test]
    fn each_answer_says_what_to_do() {
        assert_eq!(answer(200, r#"{"ok":true}"#), Ok(()));
        assert_eq!(answer(204, ""), Ok(()));
        for passing in [301, 302, 408, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(answer(passing, ""), Err(SendError::Passing { .. })), "{passing}");
        }
        for refused in [401, 403, 404] {
            assert!(matches!(answer(refused, ""), Err(SendError::KeyRefused { .. })), "{refused}");
        }
        for rejected in [400, 413, 422] {
            assert!(matches!(answer(rejected, r#"{"error":"bad"}"#), Err(SendError::Rejected { .. })), "{rejected}");
        }
    }

    #[test]
    fn a_suspended_koala_is_unavailable_and_not_a_bad_payload() {
        let suspended = answer(400, r#"{"error":"Koala ingest suspended"}"#);
        assert_eq!(suspended, Err(SendError::Unavailable { reason: "400: ingest suspended".to_owned() }));
    }

    #[test]
    fn an_answer_that_quotes_an_event_with_these_words_is_about_the_event() {
        let quoted = answer(400, r#"{"error":"\"Koala ingest suspended\" is not an allowed name"}"#);
        assert!(matches!(quoted, Err(SendError::Rejected { .. })), "{quoted:?}");
        assert_eq!(answer(200, r#"{"ok":true,"names":["ingest suspended"]}"#), Ok(()));
    }

    #[test]
    fn a_suspended_koala_is_unavailable_whatever_its_status() {
        let suspended = answer(200, r#"{"error":"Koala ingest suspended"}"#);
        assert!(matches!(suspended, Err(SendError::Unavailable { .. })), "{suspended:?}");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_in_every_form_of_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        // The three forms of RFC 9110, 5.6.7.
        for past in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(retry_after(past), Some(Duration::ZERO), "{past}");
        }
        for nothing in ["soon", "", "-1", "1.5", "+7", "0x10"] {
            assert_eq!(retry_after(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn nobody_waits_longer_than_fifteen_minutes_whatever_retry_after_says() {
        let long =
            ["901", "315360000", "18446744073709551615", "99999999999999999999999999", "Fri, 31 Dec 2100 23:59:59 GMT"];
        for asked in long {
            let told = classify(StatusCode::TOO_MANY_REQUESTS, Some(asked), "");
            assert_eq!(told.expect_err("429").retry_after(), Some(Duration::from_mins(15)), "{asked}");
        }
    }

    #[test]
    fn only_400_413_and_422_are_about_the_entry() {
        for status in (100..=599).filter(|status| !(200..300).contains(status)) {
            let rejected = matches!(answer(status, ""), Err(SendError::Rejected { .. }));
            assert_eq!(rejected, [400, 413, 422].contains(&status), "{status}");
        }
        for retried in [101, 402, 405, 407, 409, 410, 421, 423, 431, 451, 499] {
            assert!(matches!(answer(retried, ""), Err(SendError::Passing { .. })), "{retried}");
        }
    }

    #[test]
    fn a_success_with_a_page_for_people_is_no_delivery() {
        for page in ["<!DOCTYPE html><title>Log in</title>", "\u{feff}\r\n <html>", "<?xml version=\"1.0\"?>"] {
            assert!(matches!(answer(200, page), Err(SendError::Passing { .. })), "{page}");
        }
        for taken in ["", "OK", r#"{"ok":true}"#, "null", r#""<b>""#] {
            assert_eq!(answer(200, taken), Ok(()), "{taken}");
        }
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let Err(SendError::Rejected { answer, .. }) = answer(400, &"é".repeat(1000)) else { panic!("rejected") };
        assert!(answer.len() < 320);
    }
}
