//! Who is who from the webhook to the API: `tests/vectors/journeys.jsonl`, each through a `koala up` of its own.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::koala::{Home, Koala};

const SETS_AT_ONCE: usize = 4;

/// A visitor as the API has it: user ids, emails, devices, messages.
type Shown = [BTreeSet<String>; 4];

fn journeys() -> Vec<Value> {
    let text = include_str!("../vectors/journeys.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Posts an event as Segment's webhook does; it says when Segment received it.
async fn post(koala: &Koala, event: &Value) {
    let mut event = event.clone();
    if event.get("receivedAt").is_none() {
        event["receivedAt"] = event["timestamp"].clone();
    }
    let (status, answer) = koala.post(&event.to_string()).await;
    assert_eq!(status, 200, "{event} {answer}");
}

/// What a person decides; where it is refused nothing changes.
async fn decide(koala: &Koala, event: &Value) {
    let path = match (event["do"].as_str(), event.get("to")) {
        (Some("block"), _) => "block",
        (_, Some(_)) => "attach",
        (_, None) => "split",
    };
    let body = json!({"id": event["id"], "to": event["to"]}).to_string();
    let headers = [("content-type", "application/json")];
    let (status, answer) = koala.request("POST", &format!("/api/identities/{path}"), &body, &headers).await;
    assert!(matches!(status, 200 | 409), "{event} {answer}");
}

async fn delivered(koala: &Koala) {
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
}

/// Takes a journey through a set of its own. `in_turn`: each event is delivered before the next is sent.
async fn found(events: &[Value], in_turn: bool) -> BTreeSet<Shown> {
    let home = Home::new();
    // No preset takes the screens of apps.
    home.set_parameter("mappings/screens.json", r#"{"trigger":"type = \"screen\"","action":"page-view"}"#);
    let koala = home.up(&[]);
    for event in events {
        if event["type"] == "operator" {
            decide(&koala, event).await;
        } else {
            post(&koala, event).await;
        }
        if in_turn {
            delivered(&koala).await;
        }
    }
    delivered(&koala).await;
    let (_, listed) = koala.get("/api/visitors?limit=1000").await;
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    let mut found = BTreeSet::new();
    for visitor in listed["visitors"].as_array().unwrap() {
        let (_, shown) = koala.get(&format!("/api/visitors/{}", visitor["id"])).await;
        let messages = shown["timeline"].as_array().unwrap().iter();
        let messages = messages.map(|entry| entry["message_id"].as_str().unwrap().to_owned()).collect();
        let [users, emails, devices] = ["user_ids", "emails", "anonymous_ids"].map(|key| texts(&shown[key]));
        found.insert([users, emails, devices, messages]);
    }
    found
}

fn expected(journey: &Value) -> BTreeSet<Shown> {
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    let visitor =
        |visitor: &Value| ["user_ids", "emails", "anonymous_ids", "message_ids"].map(|key| texts(&visitor[key]));
    journey["visitors"].as_array().unwrap().iter().map(visitor).collect()
}

/// Takes journeys through sets of their own, a few at a time: a set waits for most of its time. `in_turn` as in [`found`].
async fn each_ends_as_it_is_told(journeys: impl Iterator<Item = (Value, Vec<Value>)>, in_turn: bool) {
    let each = journeys.map(|(journey, events)| async move {
        assert_eq!(found(&events, in_turn).await, expected(&journey), "{}: {}", journey["id"], journey["why"]);
    });
    stream::iter(each).buffer_unordered(SETS_AT_ONCE).collect::<()>().await;
}

fn events(journey: &Value) -> Vec<Value> {
    journey["events"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_journey_ends_as_it_is_told_from_the_webhook_to_the_api() {
    let all = journeys().into_iter().map(|journey| (journey.clone(), events(&journey)));
    each_ends_as_it_is_told(all, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_journey_that_may_comes_out_the_same_however_its_events_overtake_each_other() {
    let that_may = journeys().into_iter().enumerate().filter(|(_, journey)| journey["any_order"] == true);
    let shuffled = that_may.map(|(seed, journey)| {
        let mut events = events(&journey);
        fastrand::Rng::with_seed(seed as u64).shuffle(&mut events);
        (journey, events)
    });
    each_ends_as_it_is_told(shuffled, false).await;
}
