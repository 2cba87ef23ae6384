//! What Koala may answer, and what follows from it.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use thiserror::Error;

use crate::json::Object;
use crate::settings::PublicApiKey;

/// The `code` of an answer that refuses the key.
pub const UNKNOWN_KEY: &str = "unknown_key";

/// The longest part of an answer that is kept as a reason.
const LONGEST_REASON: usize = 300;

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

/// A request that did not succeed, by what is to be done. Its message holds nothing that Koala said, so that it may be
/// logged.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SendError {
    /// Send again, soon: 408, 429, 3xx, 5xx.
    #[error("passing: {reason}")]
    Passing {
        /// What happened.
        reason: String,
        /// How long Koala asks to wait, where it does.
        retry_after: Option<Duration>,
    },
    /// Send again, soon, unless it happens again and again: no connection, or none that lasted until an answer.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// What happened.
        reason: String,
    },
    /// Send again, later: Koala has suspended ingestion, or its host name is gone. Nothing is wrong with the events.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// Read the key anew and send again: 401, 403 or 404.
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
        /// Koala's words, for the dead letter: they may repeat what was sent, so they are no part of the message.
        answer: String,
    },
}

impl SendError {
    /// How long Koala asks to wait, where it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Passing { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// Tells what an answer means. `retry_after` is the header's value, in seconds or as a date.
///
/// # Errors
/// For every status but 2xx.
pub fn classify(status: StatusCode, retry_after: Option<&str>, body: &str) -> Result<(), SendError> {
    if status.is_success() {
        return Ok(());
    }
    let answer = Object::from_json(body).unwrap_or_default();
    let said = said(&answer, body);
    let reason = status.as_u16().to_string();
    // The hosted service was shut down and answers every request so. A collector of one's own may say it, too, when it
    // takes nothing for now: never a fault of the events.
    if said.to_ascii_lowercase().contains("ingest suspended") {
        return Err(SendError::Unavailable { reason: format!("{reason}: ingest suspended") });
    }
    // The embedded collector answers 400 to all that is wrong with a request, and tells the key by its code.
    if answer.get_str("code").as_deref() == Some(UNKNOWN_KEY) {
        return Err(SendError::KeyRefused { reason });
    }
    Err(match status.as_u16() {
        401 | 403 | 404 => SendError::KeyRefused { reason },
        408 | 425 | 429 | 300..=399 | 500..=599 => {
            SendError::Passing { reason, retry_after: retry_after.and_then(parse_retry_after) }
        }
        _ => SendError::Rejected { answer: format!("{reason}: {said}"), reason },
    })
}

/// `{"error":"…"}`'s text, else the beginning of the body.
fn said(answer: &Object<'_>, body: &str) -> String {
    let mut said = answer.get_str("error").map_or_else(|| body.trim().to_owned(), Cow::into_owned);
    said.truncate(said.floor_char_boundary(LONGEST_REASON));
    said
}

/// The seconds of a `Retry-After`, or how long until its date (RFC 9110, 10.2.3).
fn parse_retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = time::OffsetDateTime::parse(value, &time::format_description::well_known::Rfc2822).ok()?;
    Some(Duration::try_from(at - time::OffsetDateTime::now_utc()).unwrap_or_default())
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
    fn a_key_refused_by_its_code_is_no_bad_payload() {
        let refused = answer(400, r#"{"error":"no such key","code":"unknown_key"}"#);
        assert!(matches!(refused, Err(SendError::KeyRefused { .. })));
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert!(
            parse_retry_after("Fri, 31 Dec 2100 23:59:59 GMT")
                .is_some_and(|wait| wait > Duration::from_secs(1_000_000))
        );
        assert_eq!(parse_retry_after("soon"), None);
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let Err(SendError::Rejected { answer, .. }) = answer(400, &"é".repeat(1000)) else { panic!("rejected") };
        assert!(answer.len() < 320);
    }
}
