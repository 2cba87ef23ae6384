//! What people decide of ids, by the page and by the API.

use serde_json::{Value, json};

use crate::collected::{ADA, batch, event, identify, only_visitor};
use crate::koala::{Home, Koala};

const AT: &str = "2026-11-20T09:00:00Z";
const JSON: (&str, &str) = ("content-type", "application/json");

/// One visitor, of a user id with an address and a device.
async fn ada(koala: &Koala) {
    batch(koala, json!({"anonymous_id": ADA, "events": [event("e-1", AT)]})).await;
    let said = identify("i-1", AT, &json!({"name": "Ada"}));
    batch(koala, json!({"user_id": "U-1", "anonymous_id": ADA, "email": "ada@acme.com", "identifies": [said]})).await;
}

#[tokio::test]
async fn a_visitor_is_shown_with_all_its_ids_and_its_timeline_with_kinds_names_and_message_ids() {
    let home = Home::new();
    let koala = home.up(&[]);
    ada(&koala).await;
    let view = json!({"message_id": "p-1", "sent_at": AT, "name": "Pricing", "path": "/pricing"});
    batch(&koala, json!({"anonymous_id": ADA, "page_views": [view]})).await;
    let listed = only_visitor(&koala).await;
    let (_, shown) = koala.get(&format!("/api/visitors/{}", listed["id"])).await;
    for visitor in [&listed, &shown] {
        assert_eq!(visitor["user_ids"], json!(["U-1"]));
        assert_eq!(visitor["emails"], json!(["ada@acme.com"]));
        assert_eq!(visitor["anonymous_ids"], json!([ADA]));
    }
    let mut timeline: Vec<Value> = shown["timeline"].as_array().unwrap().clone();
    timeline.sort_by_key(|entry| entry["message_id"].as_str().unwrap().to_owned());
    let of = |key: &str| timeline.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("kind"), ["event", "identify", "page_view"]);
    assert_eq!(of("message_id"), ["e-1", "i-1", "p-1"]);
    assert_eq!(of("name")[0], "Viewed Pricing");
    assert!(of("at").iter().all(|at| at == "2026-11-20T09:00:00.000Z"), "{timeline:?}");
    for q in ["u-1", "U-1"] {
        assert_eq!(koala.get(&format!("/api/visitors?q={q}")).await.1["total"], 1, "{q}");
    }
    let csv = crate::koala::text(&format!("{}/api/visitors.csv", koala.url)).await;
    assert!(csv.contains(&format!("\"U-1\",\"Ada\",\"ada@acme.com\",\"{ADA}\",\"acme.com\"")), "{csv}");
}

#[tokio::test]
async fn an_id_is_split_off_by_the_api_and_attached_again() {
    let home = Home::new();
    let koala = home.up(&[]);
    ada(&koala).await;
    let post = async |path: &str, body: Value| koala.request("POST", path, &body.to_string(), &[JSON]).await;
    let (status, answer) = post("/api/identities/split", json!({"kind": "device", "value": ADA})).await;
    assert_eq!((status, &answer["kind"], &answer["value"]), (200, &json!("device"), &json!(ADA)), "{answer}");
    let (_, device) = koala.get(&format!("/api/visitors/{}", answer["visitor_id"])).await;
    assert_eq!((&device["events"], &device["anonymous_ids"]), (&json!(1), &json!([ADA])));
    assert_eq!(koala.get("/api/visitors").await.1["total"], 2);
    // The same id again, as a pair.
    assert_eq!(post("/api/identities/split", json!({"id": ["device", ADA]})).await.0, 200);
    let attach = json!({"id": ["device", ADA], "to": ["user", "U-1"]});
    assert_eq!(post("/api/identities/attach", attach).await.0, 200);
    assert_eq!(only_visitor(&koala).await["anonymous_ids"], json!([ADA]));

    for (path, body, status, code) in [
        ("split", json!({"kind": "device", "value": "unknown-device"}), 404, "not_found"),
        ("split", json!({"kind": "phone", "value": "1"}), 400, "bad_request"),
        ("split", json!({"kind": "user"}), 400, "bad_request"),
        ("block", json!("U-1"), 400, "bad_request"),
        ("attach", json!({"id": ["user", "U-1"], "to": ["device", ADA]}), 409, "refused"),
    ] {
        let (answered, answer) = post(&format!("/api/identities/{path}"), body.clone()).await;
        assert_eq!((answered, &answer["error"]["code"]), (status, &json!(code)), "{path} {body} {answer}");
    }
    // Another site's page can send a form, and no JSON.
    let body = json!({"kind": "device", "value": ADA}).to_string();
    for headers in [vec![("content-type", "text/plain")], vec![JSON, ("origin", "https://evil.example")]] {
        assert!(
            matches!(koala.request("POST", "/api/identities/split", &body, &headers).await.0, 400 | 403),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn a_button_on_the_page_splits_an_id_off_and_another_blocks_it() {
    let home = Home::new();
    let koala = home.up(&[]);
    ada(&koala).await;
    let id = only_visitor(&koala).await["id"].clone();
    let page = crate::koala::text(&format!("{}/visitors/{id}", koala.url)).await;
    assert!(page.contains("Split off this identity") && page.contains("U-1"), "{page}");
    let body = format!("kind=device&value={ADA}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = ("origin", koala.url.as_str());
    let path = format!("/visitors/{id}/split");
    for foreign in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(koala.request("POST", &path, &body, &[form, foreign]).await.0, 403);
    }
    assert_eq!(koala.get("/api/visitors").await.1["total"], 1);
    assert_eq!(koala.request("POST", &path, &body, &[form, own]).await.0, 200);
    assert_eq!(koala.get("/api/visitors").await.1["total"], 2);

    assert_eq!(
        koala.request("POST", &format!("/visitors/{id}/block"), "kind=user&value=U-1", &[form, own]).await.0,
        200
    );
    batch(&koala, json!({"user_id": "U-1", "events": [event("e-9", AT)]})).await;
    let (_, listed) = koala.get("/api/visitors?event=viewed+pricing").await;
    assert_eq!(listed["total"], 1, "what is of nobody was not kept: {listed}");

    let file = rusqlite::Connection::open(home.data()).unwrap();
    let mut kept = file.prepare("SELECT what, at > 1700000000000 FROM decision ORDER BY id").unwrap();
    let kept = kept.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let kept: Vec<(String, bool)> = kept.collect::<Result<_, _>>().unwrap();
    assert_eq!(kept, [("split".to_owned(), true), ("block".to_owned(), true)]);
}
