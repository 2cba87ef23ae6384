//! Who may send.

use super::*;

/// RFC 9110, 15.5.2: a 401 has a challenge for what would be taken.
#[tokio::test]
async fn a_401_says_which_credentials_are_taken() {
    for (path, scheme) in [("/v1/segment", "Bearer "), ("/v1/track", "Basic "), ("/v1/batch", "Basic ")] {
        for tree in [TREE, Tree(&[("public-api-key", "pk_1")])] {
            let answered = send_to(tree, OPTIONS, "POST", path, &[], br#"{"batch":[]}"#).await;
            assert_eq!(answered.status, 401);
            let challenge = answered.headers.iter().find(|(name, _)| *name == "www-authenticate");
            assert!(challenge.is_some_and(|(_, challenge)| challenge.starts_with(scheme)), "{path}");
        }
    }
    let answered = send("POST", "/v1/track", &[], "{").await;
    assert!(!answered.headers.iter().any(|(name, _)| *name == "www-authenticate") || answered.status == 401);
}

#[tokio::test]
async fn a_write_key_goes_no_further_than_intake() {
    let batch = json!({"batch": [{"type": "track", "event": "A", "userId": "u", "writeKey": "wk-new"}, {"writeKey": "wk-new"}]});
    let answered = from_sdk("/v1/batch", &batch).await;
    assert_eq!((&answered.body["accepted"], answered.messages.len()), (&json!(1), 2));
    assert!(!format!("{:?}", answered.messages).contains("wk-new"), "{:?}", answered.messages);
}

#[tokio::test]
async fn every_write_key_is_accepted_as_a_user_name_or_in_the_body() {
    let event = |key: Option<&str>| json!({"event": "A", "userId": "u", "writeKey": key}).to_string();
    for (authorization, in_body, status) in [
        (Some(basic("wk-old:")), None, 200),
        (Some(basic("wk-new")), None, 200),
        (Some(basic("wk-new:password")), None, 200),
        (None, Some("wk-old"), 200),
        (Some(basic("wrong:")), Some("wk-new"), 200),
        (Some(basic("wrong:")), None, 401),
        (None, Some("wk-"), 401),
        (None, None, 401),
        (Some("Basic !!!".to_owned()), None, 401),
        (Some("Bearer token-1".to_owned()), None, 401),
        (Some(basic("the secret:")), Some("token-1"), 401),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let answered = send("POST", "/v1/track", &headers, event(in_body)).await;
        assert_eq!(answered.status, status, "{authorization:?} {in_body:?}");
    }
}

#[tokio::test]
async fn every_secret_and_every_token_proves_a_webhook_and_a_write_key_does_not() {
    let body = json!({"type": "track", "event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let next = SharedSecret::parse("the next secret").unwrap().sign(body.as_bytes()).to_string();
    for (name, value, status) in [
        ("x-signature", signed(&body), 200),
        ("x-signature", next, 200),
        ("x-signature", signed("another"), 401),
        ("authorization", "Bearer token-1".to_owned(), 200),
        ("authorization", "bearer token-2".to_owned(), 200),
        ("authorization", "Bearer token".to_owned(), 401),
        ("authorization", basic("wk-new:"), 401),
    ] {
        assert_eq!(send("POST", "/v1/segment", &[(name, &value)], &body).await.status, status, "{name} {value}");
    }
}

#[tokio::test]
async fn without_configured_credentials_a_route_refuses_everything_and_names_the_parameter() {
    let tree = || Tree(&[("public-api-key", "pk_1")]);
    for (path, parameter) in [("/v1/segment", "webhook-secret"), ("/v1/track", "write-keys")] {
        let answered = send_to(tree(), OPTIONS, "POST", path, &[], b"{}").await;
        assert_eq!(answered.status, 401);
        assert!(answered.body["error"]["message"].as_str().unwrap().contains(parameter), "{}", answered.body);
    }
}

#[tokio::test]
async fn a_browser_may_ask_and_send_from_any_page() {
    let asked = send("OPTIONS", "/v1/t", &[("origin", "https://shop.example")], "").await;
    assert_eq!(asked.status, 204);
    let header = |name: &str| asked.headers.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    assert_eq!(header("access-control-allow-origin"), Some("*"));
    assert_eq!(header("access-control-allow-methods"), Some("POST"));
    assert!(header("access-control-allow-headers").is_some_and(|names| names.contains("content-type")));
    // What `sendBeacon` and analytics.js send without asking.
    let event = json!({"event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let sent = send("POST", "/v1/t", &[("content-type", "text/plain;charset=UTF-8")], event).await;
    assert_eq!(sent.status, 200);
    for answered in [sent, send("POST", "/v1/t", &[], "{").await, send("GET", "/v1/t", &[], "").await] {
        assert!(answered.headers.contains(&("access-control-allow-origin", "*")), "{}", answered.body);
    }
}
