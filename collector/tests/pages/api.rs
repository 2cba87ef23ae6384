//! The API's errors, files in several parts, the history, and a page that asks.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use koala_collector::settings::CollectorSettings;
use koala_collector::web::{Access, Live, Presentation};
use koala_destination::settings::Parameter;
use serde_json::{Value, json};

use crate::site::{Site, body, text};

async fn get(site: &Site, path: &str) -> Response {
    site.ask(Request::get(path).header("host", "localhost").body(Body::empty()).unwrap()).await
}

async fn post(site: &Site, path: &str, json: &Value) -> Response {
    let request = Request::post(path).header("host", "localhost").header("content-type", "application/json");
    site.ask(request.body(Body::from(json.to_string())).unwrap()).await
}

async fn collect_people(site: &Site, count: usize) {
    for n in 0..count {
        let identify =
            json!({"type": "identify", "message_id": format!("m-{n}"), "traits": {"name": format!("P {n}")}});
        site.collect(json!({"email": format!("p{n}@company-{n}.example"), "identifies": [identify]})).await;
    }
}

#[tokio::test]
async fn a_bad_query_is_refused_in_json_that_names_the_parameter() {
    let site = Site::new();
    for (path, status, code, name) in [
        ("/api/visitors?limit=many", 400, "bad_request", "limit"),
        ("/api/visitors?offset=-1", 400, "bad_request", "offset"),
        ("/api/visitors?since=x", 400, "bad_request", "since"),
        ("/api/visitors?who=x", 400, "bad_request", "who"),
        ("/api/visitors?q=a&q=b", 400, "bad_request", "q"),
        ("/api/visitors?serch=ada", 400, "bad_request", "serch"),
        ("/api/visitors?excluded=only", 400, "bad_request", "excluded"),
        ("/api/companies?trend=up", 400, "bad_request", "trend"),
        ("/api/visitors?trend=up", 400, "bad_request", "trend"),
        ("/api/visitors.csv?strength=huge", 400, "bad_request", "strength"),
        ("/api/companies?who=known", 400, "bad_request", "who"),
        ("/api/visitors.csv?limit=1", 400, "bad_request", "limit"),
        ("/api/queues?token=abc", 400, "bad_request", "token"),
        ("/api/visitors/1?offset=1", 400, "bad_request", "offset"),
        ("/api/history?before=x", 400, "bad_request", "before"),
        ("/api/nothing", 404, "not_found", "no such route"),
        ("/api/redrive", 405, "method_not_allowed", "method not allowed; use POST"),
    ] {
        let answer = get(&site, path).await;
        assert_eq!(answer.status(), status, "{path}");
        let error: Value = serde_json::from_str(&body(answer).await).unwrap();
        assert_eq!(error["error"]["code"], code, "{path}: {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(name), "{path}: {error}");
    }
    for path in ["/api/visitors?q=&who=&limit=5&offset=0", "/api/companies?new=week", "/api/alerts?limit=1"] {
        assert_ne!(get(&site, path).await.status(), 400, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_long_for_an_answer_comes_in_several_with_every_row_once() {
    let presentation = Presentation { most_file_bytes: Some(700), ..Presentation::default() };
    let site = Site::with(Access::of_set(Ipv4Addr::LOCALHOST.into()), presentation);
    site.follow_presets().await;
    collect_people(&site, 12).await;
    for (path, first) in [("/api/visitors.csv?who=known", "id"), ("/api/companies.csv", "key")] {
        let (mut next, mut keys, mut files) = (Some(path.to_owned()), Vec::new(), 0);
        while let Some(path) = next {
            let answer = get(&site, &path).await;
            assert_eq!(answer.status(), 200, "{path}");
            let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
            next = link.map(|link| {
                let (address, rel) = link.split_once(">; ").unwrap();
                assert_eq!(rel, "rel=\"next\"");
                address.trim_start_matches('<').to_owned()
            });
            let text = body(answer).await;
            assert!(text.len() <= 700, "{path}: {}", text.len());
            let mut lines = text.lines().map(|line| line.split(',').next().unwrap().trim_matches('"').to_owned());
            assert_eq!(lines.next().as_deref(), Some(first));
            keys.extend(lines);
            files += 1;
        }
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((count, keys.len()), (12, 12), "{path}");
        assert!(files > 2, "{path}: {files}");
    }
    assert!(site.page("/visitors").await.contains("a file: the header"));
    assert!(!Site::new().page("/visitors").await.contains("a file: the header"));
}

#[tokio::test]
async fn a_page_of_a_function_asks_and_there_are_no_events() {
    let local = Access::of_set(Ipv4Addr::LOCALHOST.into());
    let site = Site::with(local, Presentation { live: Live::Asked, ..Presentation::default() });
    assert!(site.page("/").await.contains("data-live=\"asked\""));
    assert_eq!(get(&site, "/live").await.status(), 404);
    assert!(Site::new().page("/").await.contains("data-live=\"events\""));
}

#[tokio::test]
async fn what_somebody_did_stands_in_the_history_with_their_token_and_without_an_address() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let access = Access::of_function();
    let parameter = Parameter::new("page-token", TOKEN);
    access.follow(&CollectorSettings::read(&[parameter]));
    let site = Site::with_access(access);
    collect_people(&site, 2).await;
    let send = async |path: &str, json: Value| {
        let request = Request::post(path).header("authorization", format!("Bearer {TOKEN}"));
        let request = request.header("content-type", "application/json").body(Body::from(json.to_string()));
        assert_eq!(site.ask(request.unwrap()).await.status(), 200);
    };
    send("/api/identities/block", json!({"kind": "email", "value": "p1@company-1.example"})).await;
    send("/api/v1/deletion-requests", json!({"emails": ["p0@company-0.example"]})).await;
    let get = async |path: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {TOKEN}")).body(Body::empty());
        body(site.ask(request.unwrap()).await).await
    };
    let history: Value = serde_json::from_str(&get("/api/history?limit=1").await).unwrap();
    assert_eq!(history["history"].as_array().unwrap().len(), 1);
    assert_eq!((&history["history"][0]["what"], &history["history"][0]["visitors"]), (&json!("deleted"), &json!(1)));
    let older = format!("/api/history?before={}", history["next"].as_str().unwrap());
    let older: Value = serde_json::from_str(&get(&older).await).unwrap();
    assert_eq!((&older["history"][0]["what"], &older["next"]), (&json!("blocked"), &Value::Null));
    // printf %s 0123456789abcdef0123456789abcdef | sha256sum | cut -c -16
    assert_eq!(older["history"][0]["token"], "3eb1bd439947eb76");
    let page = get("/history").await;
    assert!(text(&page).contains("Deleted 1 visitor: status 3eb1bd439947eb76"), "{}", text(&page));
    assert!(!page.contains("p0@") && !page.contains("p1@") && !history.to_string().contains("p0@"));
}

#[tokio::test]
async fn without_a_token_the_history_says_so() {
    let site = Site::new();
    assert!(text(&site.page("/history").await).contains("No deletions or decisions yet."));
    collect_people(&site, 1).await;
    let blocked =
        post(&site, "/api/identities/block", &json!({"kind": "email", "value": "p0@company-0.example"})).await;
    assert_eq!(blocked.status(), 200);
    assert!(text(&site.page("/history").await).contains("Blocked email"));
}
