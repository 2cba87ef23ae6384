//! Requests and events that are refused, each with its reason.

use super::*;

#[tokio::test]
async fn a_gzip_body_of_several_members_is_all_of_them() {
    let event = json!({"event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let (first, second) = event.as_bytes().split_at(10);
    let send_packed = async |bytes: &[u8]| send("POST", "/v1/track", &[("content-encoding", "gzip")], bytes).await;
    let members = [gzip(first), gzip(b""), gzip(second)].concat();
    let answered = send_packed(&members).await;
    assert_eq!((answered.status, answered.messages.len()), (200, 1), "{}", answered.body);
    // The limit is on all of them together.
    let bomb: Vec<u8> = gzip(&vec![b' '; 600 * 1024]).repeat(2);
    assert_eq!(send_packed(&[&*bomb, &gzip(event.as_bytes())].concat()).await.code(), (413, "body_too_large"));
    assert_eq!(send_packed(&members[..members.len() - 4]).await.code(), (400, "not_gzip"));
    assert_eq!(send_packed(&[&*members, b"garbage"].concat()).await.code(), (400, "not_gzip"));
    // Each costs time, however little is in it.
    assert_eq!(send_packed(&[gzip(b"").repeat(5000), members].concat()).await.code(), (400, "not_gzip"));
}

#[tokio::test]
async fn what_analytics_js_measures_of_itself_is_taken_and_thrown_away() {
    let answered = send("POST", "/v1/m", &[], r#"{"series":[]}"#).await;
    assert_eq!((answered.status, answered.messages.len()), (200, 0));
}

/// What an HTTP API does with a packed body of a type that it takes for text cannot be tried without one: whether it comes in
/// base64, or decoded as UTF-8. The first is taken, the second says what to do.
#[tokio::test]
async fn a_body_in_gzip_that_a_gateway_read_as_text_is_refused_with_what_to_set() {
    let packed = gzip(br#"{"type":"track","event":"E","userId":"u","messageId":"m"}"#);
    let read_as_text = String::from_utf8_lossy(&packed).into_owned();
    for path in ["/v1/track", "/v1/segment"] {
        for headers in [&[("content-encoding", "gzip"), ("content-type", "application/json")][..], &[]] {
            let answered = send("POST", path, headers, &read_as_text).await;
            assert_eq!(answered.code(), (415, "gzip_read_as_text"), "{path} {headers:?}");
            let message = answered.body["error"]["message"].as_str().unwrap();
            assert!(message.contains("without compression") && message.contains("Content-Encoding"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_body_in_gzip_is_unpacked_but_never_to_more_than_may_be() {
    let event = json!({"event": "A", "userId": "u", "writeKey": "wk-new"}).to_string();
    let send_packed = async |bytes: &[u8]| send("POST", "/v1/track", &[("content-encoding", "gzip")], bytes).await;
    assert_eq!(send_packed(&gzip(event.as_bytes())).await.status, 200);
    let whole = gzip(event.as_bytes());
    assert_eq!(send_packed(&whole[..whole.len() - 9]).await.code(), (400, "not_gzip"));
    assert_eq!(send_packed(event.as_bytes()).await.code(), (400, "not_gzip"));
    // 100 MB of spaces in 100 KB.
    let bomb = gzip(&vec![b' '; 100_000_000]);
    assert!(bomb.len() < 200_000);
    assert_eq!(send_packed(&bomb).await.code(), (413, "body_too_large"));
}

/// Method, path, a header, body; and the answer's status and code.
type Case<'c> = (&'c str, &'c str, (&'c str, &'c str), &'c [u8], (u16, &'c str));

/// Each fault of a request, with its answer. All are signed or have a key, so that the credentials are not what is wrong.
#[tokio::test]
async fn each_fault_of_a_request_has_an_answer_in_json_that_names_it() {
    let key = ("authorization", &*basic("wk-new:"));
    let json_type = ("content-type", "application/json");
    let many = format!("[{}]", vec![r#"{"type":"track","event":"A","userId":"u"}"#; 1001].join(","));
    let many_batch = format!(r#"{{"batch":{many}}}"#);
    let large = " ".repeat(OPTIONS.max_body_bytes + 1);
    let cases: [Case<'_>; 31] = [
        ("POST", "/v1", key, b"{}", (404, "not_found")),
        ("POST", "/v1/unknown", key, b"{}", (404, "not_found")),
        ("POST", "/v1/track/x", key, b"{}", (404, "not_found")),
        ("POST", "/V1/track", key, b"{}", (404, "not_found")),
        ("GET", "/v1/track", key, b"", (405, "method_not_allowed")),
        ("PUT", "/v1/segment", key, b"{}", (405, "method_not_allowed")),
        ("DELETE", "/v1/batch", key, b"", (405, "method_not_allowed")),
        ("POST", "/v1/track", key, large.as_bytes(), (413, "body_too_large")),
        ("POST", "/v1/segment", json_type, many.as_bytes(), (413, "too_many_events")),
        ("POST", "/v1/batch", key, many_batch.as_bytes(), (413, "too_many_events")),
        ("POST", "/v1/track", ("content-type", "application/xml"), b"{}", (415, "unsupported_media_type")),
        (
            "POST",
            "/v1/track",
            ("content-type", "multipart/form-data; boundary=x"),
            b"{}",
            (415, "unsupported_media_type"),
        ),
        (
            "POST",
            "/v1/track",
            ("content-type", "application/x-www-form-urlencoded"),
            b"a=1",
            (415, "unsupported_media_type"),
        ),
        (
            "POST",
            "/v1/track",
            ("content-type", "application/json; charset=utf-16"),
            b"{}",
            (415, "unsupported_media_type"),
        ),
        ("POST", "/v1/track", ("content-encoding", "br"), b"{}", (415, "unsupported_encoding")),
        ("POST", "/v1/track", key, b"", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":\"\x00\"}", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":NaN}", (400, "not_json")),
        ("POST", "/v1/track", key, b"{\"event\":\"\xff\xfe\"}", (400, "not_utf8")),
        ("POST", "/v1/segment", json_type, b"\xef\xbb\xbf\xef\xbb\xbf{}", (400, "not_json")),
        ("POST", "/v1/segment", json_type, b"\xef\xbb\xbf{}", (400, "no_event")),
        ("POST", "/v1/segment", json_type, b"[]", (400, "no_event")),
        ("POST", "/v1/segment", json_type, b"5", (400, "no_event")),
        ("POST", "/v1/segment", json_type, b"[1,null,\"x\",[]]", (400, "no_event")),
        ("POST", "/v1/track", key, b"[]", (400, "no_event")),
        ("POST", "/v1/batch", key, b"[]", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{}", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{\"batch\":[]}", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{\"batch\":{}}", (400, "no_event")),
        ("POST", "/v1/batch", key, b"{\"batch\":[{\"event\":\"no type\"}]}", (400, "no_event")),
    ];
    for (method, path, header, body, expected) in cases {
        let text = String::from_utf8_lossy(body);
        let signature = SharedSecret::parse(SECRET).unwrap().sign(body).to_string();
        let headers = [header, ("x-signature", signature.as_str())];
        let answered = send(method, path, &headers, body).await;
        assert_eq!(answered.code(), expected, "{method} {path} {}", &text[..text.len().min(60)]);
        assert!(answered.body["error"]["message"].as_str().is_some_and(|message| message.len() > 20));
        assert!(answered.headers.contains(&("content-type", "application/json")));
    }
}

/// An array whose one bad event is rejected by name, and whose good neighbour is taken.
#[tokio::test]
async fn each_fault_of_an_event_rejects_that_event_alone() {
    let deep = |levels: usize| {
        let (open, close) = ("{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
        format!("{{\"type\":\"track\",\"event\":\"A\",\"properties\":{open}1{close}}}")
    };
    let sized = |bytes: usize| {
        let event = |filler: &str| format!(r#"{{"type":"track","event":"A","userId":"u","x":"{filler}"}}"#);
        event(&"x".repeat(bytes - event("").len()))
    };
    let (deepest, too_deep) = (deep(64), deep(65));
    let bottomless = deep(4_000);
    let (largest, too_large) = (sized(32 * 1024), sized(32 * 1024 + 1));
    let cases = [
        (deepest.as_str(), None),
        (&too_deep, Some("64")),
        (&bottomless, Some("64")),
        (&largest, None),
        (&too_large, Some("32768")),
        ("null", Some("null")),
        ("7", Some("a number")),
        ("\"x\"", Some("a string")),
        ("[{}]", Some("an array")),
        (&format!("{}1{}", "[".repeat(15_000), "]".repeat(15_000)), Some("an array")),
        (r#"{"event":"A"}"#, Some("`type` is missing")),
        (r#"{"type":null}"#, Some("`type` is missing")),
        (r#"{"type":5}"#, Some("a number")),
        // What is odd and no fault: of two equal keys the last counts, as in JavaScript.
        (r#"{"type":5,"type":"track","event":"first","event":"A","userId":"u"}"#, None),
        (
            r#"{"type":"track","event":"A","userId":"u","properties":{"n":1e999,"m":-0.0,"l":123456789012345678901234567890}}"#,
            None,
        ),
        (r#"{"type":"track","event":"A\u0000B","userId":"u"}"#, None),
        (r#"{"type":"track","event":"\ud800","userId":"u"}"#, None),
        ("{\"type\":\"track\",\"event\":\"\u{ffff}\u{fffe}\",\"userId\":\"u\"}", None),
    ];
    for (event, reason) in cases {
        let body = format!(r#"[{{"type":"track","event":"neighbour","userId":"u"}}, {event}]"#);
        let answered = send("POST", "/v1/segment", &[("x-signature", &signed(&body))], &body).await;
        let shown = &event[..event.len().min(80)];
        assert_eq!(answered.status, 200, "{shown} {}", answered.body);
        assert_eq!(answered.body["accepted"], json!(if reason.is_some() { 1 } else { 2 }), "{shown}");
        let said = answered.body["rejected"][0]["reason"].as_str();
        match reason {
            Some(reason) => assert!(said.is_some_and(|said| said.contains(reason)), "{shown}: {said:?}"),
            None => assert_eq!(said, None, "{shown}"),
        }
        // Of an SDK the same, where a batch says so; and what is added to an event never makes it too large.
        let body = format!(r#"{{"writeKey":"wk-new","batch":[{event},{{"type":"track","event":"n","userId":"u"}}]}}"#);
        let answered = send("POST", "/v1/batch", &[], body).await;
        assert_eq!(answered.body["accepted"], json!(if reason.is_some() { 1 } else { 2 }), "{shown} {}", answered.body);
    }
}
