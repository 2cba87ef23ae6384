//! A message as JSON for any receiver, signed by Standard Webhooks (<https://www.standardwebhooks.com>).

use serde::Serialize;
use thiserror::Error;

use super::digest::Digest;
use super::signal::{CompanyFacts, Deed, Signal, SignalSubject};
use super::told::Told;

/// The version of the JSON; fields may be added to it.
const VERSION: u8 = 1;

/// A signed request: its headers, in the order that Standard Webhooks names them, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBody {
    /// `webhook-id`, the same for each try; `webhook-timestamp` in seconds since 1970; `webhook-signature`.
    pub headers: [(&'static str, String); 3],
    /// What is signed.
    pub body: String,
}

/// The secret cannot sign.
#[derive(Debug, Error)]
#[error("the target's secret cannot be used to sign")]
pub struct SignError;

#[derive(Serialize)]
struct Body<'a, D> {
    version: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: &'a str,
    data: D,
}

#[derive(Serialize)]
struct Week<'a> {
    alert: &'a str,
    headline: String,
    #[serde(rename = "week")]
    monday: &'a str,
    rose: &'a [CompanyFacts],
    new: &'a [CompanyFacts],
    cold: &'a [CompanyFacts],
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Test<'a> {
    alert: &'a str,
    headline: String,
}

#[derive(Serialize)]
struct Data<'a> {
    alert: &'a str,
    #[serde(flatten)]
    cause: Cause<'a>,
    headline: String,
    company: Option<&'a CompanyFacts>,
    visitor: Option<&'a str>,
    activity: &'a [Deed],
    url: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Cause<'a> {
    Rule(&'a str),
    PointsOver(f64),
    Trend(&'static str),
}

/// What is told as JSON: `{"version":1,"type":…,"timestamp":…,"data":{…}}`, where the type is `visitor.signal` (a rule),
/// `company.intent` (points and trend), `digest.week` or `test`. `at` is RFC 3339 in UTC.
#[must_use]
pub fn body(told: &Told, at: &str) -> String {
    match told {
        Told::Signal(message) => signal(message, at),
        Told::Digest(digest) => written("digest.week", at, week(digest)),
        Told::Test { alert } => written("test", at, Test { alert, headline: told.headline() }),
    }
}

fn written(kind: &'static str, at: &str, data: impl Serialize) -> String {
    serde_json::to_string(&Body { version: VERSION, kind, timestamp: at, data }).unwrap_or_default()
}

fn week(digest: &Digest) -> Week<'_> {
    let Digest { alert, week, rose, new, cold, link, .. } = digest;
    Week { alert, headline: digest.headline(), monday: week, rose, new, cold, url: link.as_deref() }
}

fn signal(message: &Signal, at: &str) -> String {
    let (kind, cause) = match &message.subject {
        SignalSubject::Rule(rule) => ("visitor.signal", Cause::Rule(rule)),
        SignalSubject::Points { over } => ("company.intent", Cause::PointsOver(*over)),
        SignalSubject::Trend(trend) => ("company.intent", Cause::Trend(trend.as_str())),
    };
    let data = Data {
        alert: &message.alert,
        cause,
        headline: message.headline(),
        company: message.company.as_ref(),
        visitor: message.visitor.as_deref(),
        activity: &message.deeds,
        url: message.link.as_deref(),
    };
    written(kind, at, data)
}

/// Signs a body under a target's secret. The id is the same for each try of one message; the time is that of the try.
///
/// # Errors
/// When it is not a secret.
pub fn sign(secret: &str, id: &str, seconds: i64, body: String) -> Result<SignedBody, SignError> {
    let webhook = standardwebhooks::Webhook::new(secret).map_err(|_| SignError)?;
    let signature = webhook.sign(id, seconds, body.as_bytes()).map_err(|_| SignError)?;
    let headers =
        [("webhook-id", id.to_owned()), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signature)];
    Ok(SignedBody { headers, body })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::intent::{Strength, Trend};
    use crate::signals::digest::ranked;

    fn message(subject: SignalSubject) -> Signal {
        Signal {
            alert: "pricing-sales".to_owned(),
            subject,
            company: Some(CompanyFacts {
                key: "northwind.example".to_owned(),
                name: "Northwind".to_owned(),
                domain: Some("northwind.example".to_owned()),
                group_id: None,
                is_guess: false,
                points: 20.0,
                strength: Strength::of(20.0),
                trend: Trend::Surging,
                people: 3,
                reasons: Vec::new(),
            }),
            visitor: Some("Ada Byron".to_owned()),
            deeds: vec![Deed {
                who: "Ada Byron".to_owned(),
                what: "viewed /pricing".to_owned(),
                times: 4,
                last: "2026-11-24T10:00:00Z".to_owned(),
            }],
            user_ids: Vec::new(),
            of_members: false,
            link: None,
        }
    }

    #[test]
    fn a_body_has_a_version_a_type_and_what_set_it_off() {
        let read = |subject| -> Value {
            serde_json::from_str(&body(&Told::Signal(message(subject)), "2026-11-24T10:00:01Z")).expect("JSON")
        };
        let signal = read(SignalSubject::Rule("pricing".to_owned()));
        assert_eq!((&signal["version"], &signal["type"]), (&json!(1), &json!("visitor.signal")));
        assert_eq!(signal["data"]["rule"], "pricing");
        assert_eq!(signal["data"]["headline"], "Northwind looks at pricing, 3 people, surging");
        assert_eq!(signal["data"]["company"]["strength"], 50);
        assert_eq!(signal["data"]["activity"][0]["times"], 4);
        let intent = read(SignalSubject::Points { over: 15.0 });
        assert_eq!((&intent["type"], &intent["data"]["points_over"]), (&json!("company.intent"), &json!(15.0)));
        assert_eq!(read(SignalSubject::Trend(Trend::Surging))["data"]["trend"], "Surging");
    }

    #[test]
    fn a_digest_and_a_test_have_types_of_their_own() {
        let rose = vec![crate::signals::digest::tests::candidate("northwind", 30.0, 10.0, false)];
        let digest = Digest::of("monday", "2026-11-23", ranked(rose), None);
        let read = |told: &Told| -> Value { serde_json::from_str(&body(told, "2026-11-23T08:00:00Z")).expect("JSON") };
        let week = read(&Told::Digest(digest));
        assert_eq!((&week["type"], &week["data"]["week"]), (&json!("digest.week"), &json!("2026-11-23")));
        assert_eq!(week["data"]["rose"][0]["name"], "northwind");
        assert_eq!(read(&Told::Test { alert: "sales".to_owned() })["type"], "test");
    }

    /// The example of Standard Webhooks' own libraries
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/rust/src/lib.rs>).
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let signed = sign(
            secret,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#.to_owned(),
        );
        let [id, timestamp, signature] = signed.expect("signed").headers;
        assert_eq!(id, ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned()));
        assert_eq!(timestamp, ("webhook-timestamp", "1649367553".to_owned()));
        assert_eq!(signature, ("webhook-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=".to_owned()));
    }
}
