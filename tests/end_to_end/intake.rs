//! What intake answers.

use std::time::Duration;

use serde_json::json;

use crate::collector::Collector;
use crate::koala::{Home, sign, track};

#[tokio::test]
async fn a_request_without_valid_credentials_is_401_and_says_what_to_send() {
    let home = Home::new();
    let koala = home.up(&[]);
    let event = track("m-1", "ada@example.com");
    let other = sign("another body");
    for headers in [
        vec![],
        vec![("x-signature", other.as_str())],
        vec![("x-signature", "zz")],
        vec![("authorization", "Bearer x")],
    ] {
        let (status, answer) = koala.post_with(&event, &headers).await;
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("unauthorized")), "{headers:?}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("X-Signature"), "{answer}");
    }
    // Who may not send is not told what is wrong with the body.
    assert_eq!(koala.post_with("{", &[]).await.0, 401);
}

#[tokio::test]
async fn a_bearer_token_proves_a_request_and_any_line_of_the_parameter_serves() {
    let home = Home::new();
    home.set_parameter("bearer-token", "new-token\nold-token\n");
    let koala = home.up(&[]);
    for (token, expected) in [("new-token", 200), ("old-token", 200), ("new-tokenx", 401), ("", 401)] {
        let headers = [("authorization", &*format!("Bearer {token}"))];
        assert_eq!(koala.post_with(&track("m-1", "ada@example.com"), &headers).await.0, expected, "{token}");
    }
}

#[tokio::test]
async fn without_any_configured_credentials_every_request_is_refused() {
    let home = Home::new();
    std::fs::remove_file(home.parameters().join("webhook-secret")).unwrap();
    let koala = home.up(&[]);
    let (status, answer) = koala.post(&track("m-1", "ada@example.com")).await;
    assert_eq!(status, 401);
    assert!(answer["error"]["message"].as_str().unwrap().contains("no credentials are configured"), "{answer}");
}

#[tokio::test]
async fn a_signature_of_the_first_event_or_of_the_whole_array_proves_an_array() {
    let home = Home::new();
    let koala = home.up(&[]);
    let (first, second) = (track("m-1", "ada@example.com"), track("m-2", "ada@example.com"));
    let body = format!("[ {first} ,{second}]");
    for (signed, expected) in [(first.as_str(), 200), (&body, 200), (&second, 401)] {
        assert_eq!(koala.post_with(&body, &[("x-signature", &sign(signed))]).await.0, expected, "{signed}");
    }
}

#[tokio::test]
async fn what_is_not_json_or_has_no_event_is_400() {
    let home = Home::new();
    let koala = home.up(&[]);
    for (body, code) in [
        ("", "not_json"),
        ("{", "not_json"),
        ("[{},", "not_json"),
        ("{\"type\":\"track\"} x", "not_json"),
        ("\u{0}", "not_json"),
        ("[]", "no_event"),
        ("5", "no_event"),
        ("[1,\"x\",null,[]]", "no_event"),
        ("{\"event\":\"A\"}", "no_event"),
    ] {
        let (status, answer) = koala.post(body).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{body:?}");
    }
}

#[tokio::test]
async fn a_batch_with_one_bad_event_delivers_the_others_and_names_the_bad_one() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let bad = json!({"messageId": "m-bad", "event": "no type"}).to_string();
    let good = [track("m-1", "ada@example.com"), track("m-3", "ada@example.com")];
    let large = json!({"type": "track", "event": "A", "messageId": "m-large", "properties": {"x": "x".repeat(33_000)}});
    let body = format!("[{},{bad},{},{large},7]", good[0], good[1]);
    let (status, answer) = koala.post(&body).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(2)));
    let rejected: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|r| (&r["index"], &r["message_id"])).collect();
    assert_eq!(rejected, [(&json!(1), &json!("m-bad")), (&json!(3), &json!("m-large")), (&json!(4), &json!(null))]);
    let reasons: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|r| r["reason"].as_str().unwrap()).collect();
    assert!(
        reasons[0].contains("`type` is missing") && reasons[1].contains("32768") && reasons[2].contains("a number")
    );
    collector.until_taken(2, Duration::from_secs(10)).await;
    koala.until_queues(json!({"waiting": 0, "dead": 0, "rejected": 3})).await;
}

#[tokio::test]
async fn other_routes_methods_and_sizes_are_refused_in_json() {
    let home = Home::new();
    let koala = home.up(&[("MAX_BODY_BYTES", "2000")]);
    let code = |answer: (u16, serde_json::Value)| (answer.0, answer.1["error"]["code"].as_str().unwrap().to_owned());
    let event = track("m-1", "ada@example.com");
    assert_eq!(code(koala.request("POST", "/v2/segment", &event, &[]).await), (404, "not_found".to_owned()));
    assert_eq!(code(koala.request("GET", "/v1/segment", "", &[]).await), (405, "method_not_allowed".to_owned()));
    assert_eq!(code(koala.post(&" ".repeat(2001)).await), (413, "body_too_large".to_owned()));
    assert_eq!(koala.post(&format!("{event}{}", " ".repeat(2000 - event.len()))).await.0, 200);
}

#[tokio::test]
async fn hostile_bodies_are_answered_and_the_set_serves_on() {
    let home = Home::new();
    let koala = home.up(&[]);
    let deep = format!(
        "{{\"type\":\"track\",\"event\":\"A\",\"userId\":\"u\",\"properties\":{}{}}}",
        "{\"a\":".repeat(3000),
        "1".to_owned() + &"}".repeat(3000)
    );
    let bodies = [
        deep.as_str(),
        &"[".repeat(100_000),
        r#"{"type":"track","event":"A","userId":1e999,"properties":{"n":1e400}}"#,
        r#"{"type":"track","type":"identify","type":"track","event":"\ud800","userId":"u"}"#,
        r#"{"type":"identify","traits":{"email":{"a":1},"profile_id":[]},"userId":{},"context":[]}"#,
        r#"{"type":"track","event":"A","userId":"u","timestamp":"not a time","context":"none","properties":null}"#,
    ];
    for body in bodies {
        let (status, _) = koala.post(body).await;
        assert!(status == 200 || status == 400, "{status} for {}", &body[..60.min(body.len())]);
    }
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    assert_eq!(koala.post(&track("m-1", "ada@example.com")).await.0, 200);
    assert!(!home.logged().contains("panic"), "{}", home.logged());
}
