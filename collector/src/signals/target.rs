//! Targets: parameters `alert-targets/<name>`. All of a target is a secret: who knows a webhook's URL can post to it.

use std::fmt;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;

/// The most targets.
pub const MOST_TARGETS: usize = 50;
/// Segment's HTTP tracking API (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>).
const SEGMENT: &str = "https://api.segment.io/v1";

/// Where an alert is sent. Its `Debug` says the kind alone, and what is secret of it is wiped from memory when it is dropped.
#[derive(Clone)]
pub enum Target {
    /// An incoming webhook of Slack (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
    Slack {
        /// The webhook's URL.
        url: SecretString,
    },
    /// Any URL, signed as Standard Webhooks wants it (<https://www.standardwebhooks.com>).
    Webhook {
        /// The URL.
        url: SecretString,
        /// `whsec_` and the key in base64.
        secret: SecretString,
    },
    /// A source of Segment: what companies show goes back to every destination behind it.
    Segment {
        /// The source's write key.
        write_key: SecretString,
        /// Where its API is; another one for the EU's workspaces.
        url: SecretString,
    },
}

/// What is wrong with a target. It never repeats the value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TargetError(&'static str);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    slack: Option<String>,
    url: Option<String>,
    secret: Option<String>,
    segment: Option<String>,
}

const FORM: &str = "a target is the URL of a Slack incoming webhook, or {\"slack\":\"https://…\"}, {\"url\":\"https://…\",\"secret\":\"whsec_…\"} or {\"segment\":\"<write key>\"}";

impl Target {
    /// Whether both are one webhook of Slack.
    #[must_use]
    pub fn is_webhook_of_slack(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Slack { url }, Self::Slack { url: other }) => url.expose_secret() == other.expose_secret(),
            _ => false,
        }
    }

    /// Reads a parameter `alert-targets/<name>`: the URL of a Slack webhook as it is, or JSON.
    ///
    /// # Errors
    /// With what is wrong and what to write instead.
    pub fn parse(value: &str) -> Result<Self, TargetError> {
        let value = value.trim();
        if !value.starts_with('{') {
            return if is_url(value) { Ok(Self::Slack { url: value.into() }) } else { Err(TargetError(FORM)) };
        }
        let written: Written = serde_json::from_str(value).map_err(|_| TargetError(FORM))?;
        match written {
            Written { slack: Some(url), url: None, secret: None, segment: None } => {
                if is_url(&url) {
                    Ok(Self::Slack { url: url.into() })
                } else {
                    Err(TargetError("slack: must be a URL: https://…"))
                }
            }
            Written { slack: None, url: Some(url), secret: Some(secret), segment: None } => {
                if !is_url(&url) {
                    return Err(TargetError("url: must be a URL: https://…"));
                }
                if standardwebhooks::Webhook::new(&secret).is_err() || secret.len() < LEAST_SECRET {
                    return Err(TargetError(
                        "secret: must be whsec_ and at least 24 random bytes in base64: openssl rand -base64 24",
                    ));
                }
                Ok(Self::Webhook { url: url.into(), secret: secret.into() })
            }
            Written { slack: None, url: Some(_), secret: None, segment: None } => Err(TargetError(
                "missing field `secret`: whsec_ and at least 24 random bytes in base64: openssl rand -base64 24",
            )),
            Written { slack: None, url, secret: None, segment: Some(write_key) } => {
                if write_key.is_empty() || !write_key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
                    return Err(TargetError("segment: must be the write key of a source"));
                }
                let url = url.unwrap_or_else(|| SEGMENT.to_owned());
                if is_url(&url) {
                    Ok(Self::Segment { write_key: write_key.into(), url: url.into() })
                } else {
                    Err(TargetError("url: must be a URL: https://…"))
                }
            }
            _ => Err(TargetError(FORM)),
        }
    }

    /// What kind of target it is, in words that may be shown.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "Slack",
            Self::Webhook { .. } => "Webhook",
            Self::Segment { .. } => "Segment",
        }
    }

    /// Whether what is sent there could be read on the way.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        Url::parse(self.url()).is_ok_and(|url| url.scheme() == "http")
    }

    /// Where it is sent to. A secret.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Slack { url } | Self::Webhook { url, .. } | Self::Segment { url, .. } => url.expose_secret(),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct(self.kind()).finish_non_exhaustive()
    }
}

/// `whsec_` and 24 bytes in base64, the least that Standard Webhooks asks for.
const LEAST_SECRET: usize = "whsec_".len() + 32;

fn is_url(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_slack_a_signed_webhook_or_segment() {
        let slack = "https://hooks.slack.com/services/T0/B0/x";
        for written in [format!(" {slack}\n"), format!(r#"{{"slack":"{slack}"}}"#)] {
            let target = Target::parse(&written).expect("a target");
            assert_eq!((target.kind(), target.url()), ("Slack", slack));
        }
        let webhook = r#"{"url":"https://example.com/in","secret":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}"#;
        assert_eq!(Target::parse(webhook).map(|target| target.kind()), Ok("Webhook"));
        let segment = Target::parse(r#"{"segment":"abc"}"#).expect("a target");
        assert_eq!((segment.kind(), segment.url()), ("Segment", "https://api.segment.io/v1"));
    }

    #[test]
    fn what_is_wrong_with_a_target_is_said_without_the_target() {
        let why = |value: &str| Target::parse(value).expect_err("no target").to_string();
        assert!(why("hooks.slack.com/services/hunter2").starts_with("a target is the URL"));
        assert!(why(r#"{"slack":"hunter2"}"#).starts_with("slack: must be a URL"));
        assert!(why(r#"{"url":"https://example.com"}"#).starts_with("missing field `secret`"));
        assert!(why(r#"{"url":"https://example.com","secret":"hunter2"}"#).starts_with("secret: must be whsec_"));
        assert!(why(r#"{"segment":""}"#).starts_with("segment: must be"));
        for value in ["hunter2", r#"{"slack":"hunter2"}"#, r#"{"hunter2":1}"#, r#"{"segment":"hunter2:"}"#] {
            assert!(!why(value).contains("hunter2"));
        }
        let target = Target::parse("https://hooks.slack.com/services/hunter2").expect("a target");
        assert_eq!(format!("{target:?}"), "Slack { .. }");
    }
}
