//! What a company shows, back into Segment: for its known members alone, so that `HubSpot`, Salesforce, Braze and whatever else
//! stands behind the source have it.
//!
//! Segment's HTTP tracking API: <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>.

use koala_destination::segment::{OWN_LIBRARY, hashed_message_id};
use serde_json::{Value, json};

use super::signal::{MOST_MEMBERS, Signal};

/// Of Segment's (<https://segment.com/docs/connections/spec/common/>).
const LONGEST_MESSAGE_ID: usize = 100;

/// The event that says that a company showed intent.
pub const EVENT: &str = "Company Showed Intent";

/// The body of a request to `/v1/batch`: for each member a `group` call with the company's intent as traits, and a `track`
/// call. `id` is that of the message, the same for each try, so that Segment keeps each call once; `at` is RFC 3339 in UTC.
///
/// Only members with a user id are named: an anonymous one would be billed as a new user. Where there is none, or no company,
/// nothing is sent. Each member is two calls, and a batch holds at most 500 KB.
#[must_use]
pub fn body(message: &Signal, id: &str, at: &str) -> Option<String> {
    let company = message.company.as_ref().filter(|_| !message.user_ids.is_empty())?;
    let group_id = company.group_id.as_deref().or(company.domain.as_deref()).unwrap_or(&company.name);
    let traits = json!({
        "intent_score": company.points.round(),
        "intent_strength": company.strength.label().as_str(),
        "intent_trend": company.trend.as_str(),
        "intent_reasons": company.reasons,
    });
    let calls = message.user_ids.iter().take(MOST_MEMBERS).flat_map(|user_id| {
        let common = |kind: &str| {
            json!({
                "type": kind,
                "userId": user_id,
                "messageId": message_id(id, kind, user_id),
                "timestamp": at,
                "context": {"library": {"name": OWN_LIBRARY, "version": env!("CARGO_PKG_VERSION")}, "groupId": group_id},
            })
        };
        let mut group = common("group");
        group["groupId"] = group_id.into();
        group["traits"] = traits.clone();
        if let (Some(domain), Value::Object(traits)) = (&company.domain, &mut group["traits"]) {
            traits.insert("domain".to_owned(), domain.as_str().into());
        }
        let mut track = common("track");
        track["event"] = EVENT.into();
        track["properties"] = traits.clone();
        track["properties"]["company"] = company.name.as_str().into();
        track["properties"]["headline"] = message.headline().into();
        [group, track]
    });
    Some(json!({"batch": calls.collect::<Vec<_>>(), "sentAt": at}).to_string())
}

/// The id of a call, the same with each try. Segment takes at most 100 characters.
fn message_id(id: &str, kind: &str, user_id: &str) -> String {
    let whole = format!("{id}-{kind}-{user_id}");
    if whole.len() <= LONGEST_MESSAGE_ID { whole } else { format!("{id}-{kind}-{}", hashed_message_id(user_id)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::{Strength, Trend};
    use crate::signals::signal::{CompanyFacts, SignalSubject};

    fn company() -> CompanyFacts {
        CompanyFacts {
            key: "northwind.example".to_owned(),
            name: "Northwind".to_owned(),
            domain: Some("northwind.example".to_owned()),
            group_id: Some("G-7".to_owned()),
            is_guess: false,
            points: 31.4,
            strength: Strength::of(31.4),
            trend: Trend::Surging,
            people: 2,
            reasons: vec!["Looked at pricing: 2 people".to_owned()],
        }
    }

    #[test]
    fn each_known_member_gets_a_group_and_a_track_call_that_are_the_same_with_each_try() {
        let message = Signal {
            alert: "crm".to_owned(),
            subject: SignalSubject::Trend(Trend::Surging),
            company: Some(company()),
            visitor: None,
            deeds: Vec::new(),
            user_ids: vec!["u1".to_owned(), "u2".to_owned()],
            of_members: false,
            link: None,
        };
        let body = |at| -> Value {
            serde_json::from_str(&body(&message, "msg_1", at).expect("somebody is known")).expect("JSON")
        };
        let (first, second) = (body("2026-11-24T10:00:00Z"), body("2026-11-24T10:05:00Z"));
        let calls = first["batch"].as_array().expect("calls");
        let kinds: Vec<_> = calls.iter().map(|call| (call["type"].as_str(), call["userId"].as_str())).collect();
        let expected = [("group", "u1"), ("track", "u1"), ("group", "u2"), ("track", "u2")];
        assert_eq!(kinds, expected.map(|(kind, user)| (Some(kind), Some(user))));
        let traits = json!({
            "intent_score": 31.0, "intent_strength": "High", "intent_trend": "Surging",
            "intent_reasons": ["Looked at pricing: 2 people"], "domain": "northwind.example",
        });
        assert_eq!((&calls[0]["groupId"], &calls[0]["traits"]), (&json!("G-7"), &traits));
        assert_eq!(
            (&calls[1]["event"], &calls[1]["properties"]["headline"]),
            (&json!(EVENT), &json!("Northwind is surging, 2 people"))
        );
        let long = "u".repeat(255);
        assert!(message_id("msg_1", "group", &long).len() <= LONGEST_MESSAGE_ID);
        assert_ne!(message_id("msg_1", "group", &long), message_id("msg_1", "group", &long[1..]));
        for (call, again) in calls.iter().zip(second["batch"].as_array().expect("calls")) {
            assert_eq!(call["messageId"], again["messageId"]);
            assert_eq!(call["context"]["library"]["name"], "koala-destination");
        }
    }
}
