//! What arrives at the collector, beside what Segment's own implementations send.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::collector::{Collector, Received};
use crate::koala::{Home, KEY, sign, vectors};

/// Requests of a collector by the message id of their only entry.
fn by_message_id(requests: Vec<Received>) -> HashMap<String, Received> {
    let each = requests.into_iter().map(|request| {
        let [entry] = request.entries()[..] else { panic!("one entry: {request:?}") };
        (entry["message_id"].as_str().unwrap().to_owned(), request)
    });
    each.collect()
}

#[tokio::test]
async fn the_posts_of_segments_webhook_arrive_with_the_headers_and_the_path_that_koala_asks_for() {
    let collector = Collector::start();
    let koala = Home::new();
    let koala = koala.up_with(&collector.url());
    let mut expected = std::collections::HashSet::new();
    for post in vectors("signature.jsonl") {
        let body = post["body"].as_str().unwrap();
        let headers = [("x-signature", post["signature"].as_str().unwrap()), ("content-type", "application/json")];
        let (status, answer) = koala.post_with(body, &headers).await;
        assert_eq!((status, &answer["rejected"]), (200, &json!([])), "{body}");
        let events: Value = serde_json::from_str(body).unwrap();
        let events = events.as_array().cloned().unwrap_or_else(|| vec![events]);
        let taken = events.iter().filter(|event| ["track", "identify"].contains(&event["type"].as_str().unwrap()));
        let taken: Vec<&str> = taken.map(|event| event["messageId"].as_str().unwrap()).collect();
        assert_eq!(answer["accepted"], taken.len(), "{body}");
        // The one event of nobody is a dead letter.
        expected.extend(taken.into_iter().filter(|id| *id != "m-bare").map(str::to_owned));
    }
    collector.until_taken(expected.len(), Duration::from_secs(20)).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 1})).await;
    assert_eq!(collector.taken().into_keys().collect::<std::collections::HashSet<_>>(), expected);
    for request in collector.requests() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/web/projects/pk_vector/batch"));
        assert_eq!(request.headers["content-type"], "application/json");
        let agent = request.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with(concat!("koala-destination/", env!("CARGO_PKG_VERSION"), " (+https://")), "{agent}");
    }
}

#[tokio::test]
async fn what_segments_cloud_mode_destination_sends_is_what_is_sent_here() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let vectors = vectors("koala-cloud.jsonl");
    let forwarded = vectors.iter().filter(|vector| !vector["requests"].as_array().unwrap().is_empty());
    let forwarded: Vec<&Value> = forwarded.collect();
    assert_eq!(forwarded.len(), 6);
    for (count, vector) in forwarded.iter().enumerate() {
        assert_eq!(koala.post(&vector["event"].to_string()).await.0, 200);
        // One at a time, so that each request has one entry as the reference's has.
        collector.until_taken(count + 1, Duration::from_secs(10)).await;
    }
    let ours = by_message_id(collector.requests());
    for vector in forwarded {
        let [theirs] = &vector["requests"].as_array().unwrap()[..] else { panic!("one request") };
        let ours = &ours[vector["id"].as_str().unwrap()];
        let (their_body, our_body) = (&theirs["body"], &ours.body);
        assert_eq!(format!("/web/projects/{KEY}/batch"), theirs["path"].as_str().unwrap());
        for same in ["email", "ip"] {
            assert_eq!(our_body[same], their_body[same], "{same} of {}", vector["id"]);
        }
        // Theirs leaves the anonymousId out where an address is known; here both travel, so that the collector can join them.
        let anonymous_id = vector["event"]["anonymousId"].as_str().filter(|id| id.len() == 36);
        let profile_id = their_body["profile_id"].as_str().or(anonymous_id);
        if profile_id.is_some() {
            assert_eq!(our_body["profile_id"].as_str(), profile_id, "profile_id of {}", vector["id"]);
        }
        let kind = if their_body["events"].is_array() { "events" } else { "identifies" };
        let (their_entry, our_entry) = (&their_body[kind][0], &our_body[kind][0]);
        for same in ["type", "event", "properties", "traits", "email", "sent_at", "message_id", "device_ip"] {
            assert_eq!(our_entry[same], their_entry[same], "{same} of {}", vector["id"]);
        }
        let mut context = their_entry["context"].as_object().cloned().unwrap_or_default();
        context.insert("source".to_owned(), json!("segment-webhook"));
        assert_eq!(our_entry["context"], Value::Object(context), "context of {}", vector["id"]);
        // An identify's traits stand in the entry alone; the reference repeats them at the top.
        let top = if kind == "events" { &their_body["traits"] } else { &Value::Null };
        assert_eq!(our_body["traits"], *top, "traits of {}", vector["id"]);
    }
}

#[tokio::test]
async fn anonymous_visitors_and_browser_events_that_the_reference_drops_are_kept() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let dropped = vectors("koala-cloud.jsonl").into_iter().filter(|vector| {
        let of_ours = ["track", "identify"].contains(&vector["event"]["type"].as_str().unwrap());
        of_ours && vector["requests"].as_array().unwrap().is_empty() && vector["event"]["anonymousId"].is_string()
    });
    let dropped: Vec<Value> = dropped.collect();
    assert_eq!(dropped.len(), 2);
    for vector in &dropped {
        assert_eq!(koala.post(&vector["event"].to_string()).await.0, 200);
    }
    collector.until_taken(dropped.len(), Duration::from_secs(10)).await;
    let ours = by_message_id(collector.requests());
    for vector in dropped {
        let body = &ours[vector["id"].as_str().unwrap()].body;
        assert_eq!(body["profile_id"], vector["event"]["anonymousId"]);
        assert_eq!(body.get("email"), None);
    }
}

#[tokio::test]
async fn browser_events_are_skipped_where_koalas_pixel_sends_them_itself() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up(&[("KOALA_URL", &collector.url()), ("KOALA_PIXEL_INSTALLED", "true")]);
    let from = |library: &str| {
        json!({"type": "track", "event": "A", "userId": "u", "context": {"library": {"name": library}}}).to_string()
    };
    assert_eq!(koala.post(&from("analytics.js")).await.1["skipped"], 1);
    assert_eq!(koala.post(&from("analytics-ruby")).await.1["accepted"], 1);
}

#[tokio::test]
async fn a_visitors_events_come_in_the_order_of_their_time_and_thirty_in_a_request() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let events: Vec<String> = (0..65)
        .rev()
        .map(|n| {
            let minute = format!("2026-11-20T09:{:02}:{:02}.000Z", n / 60, n % 60);
            json!({"type": "track", "messageId": format!("m-{n}"), "event": "A", "timestamp": minute,
                   "properties": {"email": "ada@example.com", "n": n}})
            .to_string()
        })
        .collect();
    let body = format!("[{}]", events.join(","));
    let (status, answer) = koala.post_with(&body, &[("x-signature", &sign(&events[0]))]).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(65)));
    collector.until_taken(65, Duration::from_secs(10)).await;
    let requests = collector.requests();
    assert_eq!(requests.iter().map(|request| request.entries().len()).collect::<Vec<_>>(), [30, 30, 5]);
    let order = requests.iter().flat_map(Received::entries).map(|entry| entry["properties"]["n"].as_i64().unwrap());
    assert_eq!(order.collect::<Vec<_>>(), (0..65).collect::<Vec<_>>());
}
