//! What a target is sent: its URL, headers and body, all of it as secret as the target.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use koala_destination::clock;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::response::Promise;
use crate::signals::told::Told;
use crate::signals::{segment, slack, target::Target, webhook};

/// A request to a target.
#[derive(Clone)]
pub struct TargetRequest {
    /// Where to.
    pub url: SecretString,
    /// Beside the content type, which is JSON.
    pub headers: Vec<(&'static str, SecretString)>,
    /// The body.
    pub body: String,
    /// Whether what is answered may be shown: Slack answers a word; others may repeat what they were sent, a key too.
    pub shows_answer: bool,
}

impl fmt::Debug for TargetRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TargetRequest").finish_non_exhaustive()
    }
}

/// A message cannot be written for a target.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Unwritable {
    /// A source of Segment hears of companies with known members alone.
    #[error("no member of the company is known by a user id, and Segment would bill anybody else as a new user")]
    NobodyKnown,
    /// A source of Segment takes signals of companies alone.
    #[error("a source of Segment takes neither tests nor digests: its users would be billed for them")]
    NotForSegment,
    /// The secret of a webhook cannot sign.
    #[error("the target's secret cannot be used to sign")]
    Secret,
}

impl Target {
    /// How often a message may arrive there.
    #[must_use]
    pub fn promise(&self) -> Promise {
        match self {
            Self::Slack { .. } => Promise::AtMostOnce,
            Self::Webhook { .. } | Self::Segment { .. } => Promise::AtLeastOnce,
        }
    }

    /// The most messages of one request.
    #[must_use]
    pub fn most_folded(&self) -> usize {
        match self {
            Self::Slack { .. } => slack::MOST_FOLDED,
            Self::Webhook { .. } | Self::Segment { .. } => 1,
        }
    }
}

impl TargetRequest {
    /// The request that tells a target of these, at most [`Target::most_folded`]. `id` is that of the first, the same with each
    /// try; `told_at` when it was decided to tell, and `now` that of the try, in milliseconds since 1970.
    ///
    /// # Errors
    /// When they cannot be written for the target: another try changes nothing.
    pub fn of(target: &Target, told: &[Told], id: &str, told_at: i64, now: i64) -> Result<Self, Unwritable> {
        let at = clock::from_milliseconds(told_at);
        match target {
            Target::Slack { url } => {
                Ok(Self { url: url.clone(), headers: Vec::new(), body: slack::body(told), shows_answer: true })
            }
            Target::Webhook { url, secret } => {
                let body = told.first().map(|told| webhook::body(told, &at)).unwrap_or_default();
                let signed = webhook::sign(secret.expose_secret(), id, now.div_euclid(1000), body)
                    .map_err(|_| Unwritable::Secret)?;
                let headers = signed.headers.map(|(name, value)| (name, value.into())).into();
                Ok(Self { url: url.clone(), headers, body: signed.body, shows_answer: false })
            }
            Target::Segment { write_key, url } => {
                let Some(Told::Signal(message)) = told.first() else { return Err(Unwritable::NotForSegment) };
                let body = segment::body(message, id, &at).ok_or(Unwritable::NobodyKnown)?;
                // The write key is the user of Basic authentication, without a password.
                let basic = format!("Basic {}", STANDARD.encode(format!("{}:", write_key.expose_secret())));
                let url = format!("{}/batch", url.expose_secret().trim_end_matches('/'));
                let headers = vec![("authorization", basic.into())];
                Ok(Self { url: url.into(), headers, body, shows_answer: false })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::signals::signal::tests::message;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn header(request: &TargetRequest, at: usize) -> (&str, &str) {
        let (name, value) = &request.headers[at];
        (name, value.expose_secret())
    }

    #[test]
    fn a_webhook_is_signed_anew_with_each_try_under_the_same_id_over_the_same_body() {
        let target = Target::Webhook { url: "https://crm.example/in".into(), secret: SECRET.into() };
        let told = [Told::Signal(message("northwind.example"))];
        let at = |now| TargetRequest::of(&target, &told, "msg_1", 1_700_000_000_000, now).expect("a request");
        let (first, second) = (at(1_700_000_001_000), at(1_700_000_061_000));
        assert_eq!(first.body, second.body);
        assert_eq!(header(&first, 0), ("webhook-id", "msg_1"));
        assert_eq!(header(&second, 1), ("webhook-timestamp", "1700000061"));
        assert_ne!(header(&first, 2), header(&second, 2));
    }

    #[test]
    fn a_source_of_segment_is_sent_calls_of_known_members_under_its_write_key() {
        let target = Target::Segment { write_key: "wk".into(), url: "https://api.segment.io/v1".into() };
        let mut known = message("northwind.example");
        known.user_ids = vec!["u1".to_owned()];
        let request = TargetRequest::of(&target, &[Told::Signal(known.clone())], "msg_1", 0, 0).expect("a request");
        assert_eq!(request.url.expose_secret(), "https://api.segment.io/v1/batch");
        // `printf wk: | base64`
        assert_eq!((request.headers.len(), header(&request, 0)), (1, ("authorization", "Basic d2s6")));
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(body["batch"].as_array().expect("calls").len(), 2);
        known.user_ids.clear();
        let nobody = TargetRequest::of(&target, &[Told::Signal(known)], "msg_1", 0, 0);
        assert_eq!(nobody.err(), Some(Unwritable::NobodyKnown));
    }

    #[test]
    fn a_request_s_debug_shows_nothing_of_it() {
        let target = Target::Slack { url: "https://hooks.slack.com/services/hunter2".into() };
        let request = TargetRequest::of(&target, &[Told::Signal(message("x"))], "id", 0, 0).expect("a request");
        assert_eq!(format!("{request:?}"), "TargetRequest { .. }");
        assert_eq!(target.promise(), Promise::AtMostOnce);
    }
}
