//! The page, in a real browser; and who may see it.

use serde_json::json;

use crate::clients;
use crate::koala::{Home, KEY};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_comes_in_without_a_reload_and_never_runs_it() {
    let home = Home::new();
    let koala = home.up(&[]);
    // One dead letter: a mapping that makes no name of this event. Mended, it can be sent again.
    home.set_parameter(
        "mappings/track",
        r#"{"trigger":"type = \"track\"","action":"track-event","fields":{"event":{"@path":"$.properties.n"}}}"#,
    );
    let event =
        json!({"type": "track", "messageId": "m-dead", "event": "Mended", "userId": "u-1", "properties": {"n": 5}});
    let begun = std::time::Instant::now();
    loop {
        let (_, before) = koala.get("/api/queues").await;
        if before["dead"] == 1 {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{before}");
        if before["waiting"] == 0 && before["in_flight"] == 0 && before["dead"] == 0 {
            koala.post(&event.to_string()).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    std::fs::remove_file(home.parameters().join("mappings/track")).unwrap();
    home.set_parameter("mappings/track", r#"{"trigger":"type = \"track\"","action":"track-event"}"#);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    forget_visitors(&home);
    clients::run("page.cjs", [&koala.url, KEY]).await;
}

/// Before the mapping was read anew an event may have gone through.
fn forget_visitors(home: &Home) {
    let file = rusqlite::Connection::open(home.data()).unwrap();
    file.execute_batch(
        "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; BEGIN; DELETE FROM entry; DELETE FROM intent; DELETE FROM identity;
         DELETE FROM trait; DELETE FROM visitor; DELETE FROM account; COMMIT",
    )
    .unwrap();
}

#[tokio::test]
async fn a_name_that_was_made_to_lead_to_this_machine_opens_nothing() {
    let home = Home::new();
    let koala = home.up(&[]);
    for (host, status) in [("localhost", 200), ("127.0.0.1:8787", 200), ("[::1]:8787", 200), ("evil.example:8787", 403)]
    {
        for path in ["/", "/api/visitors"] {
            assert_eq!(koala.request("GET", path, "", &[("host", host)]).await.0, status, "{host} {path}");
        }
    }
}

#[tokio::test]
async fn where_a_token_is_set_only_who_has_it_sees_the_page_and_the_api() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TOKEN", "a-token")]);
    for path in ["/", "/visitors", "/deliveries", "/live", "/api/visitors", "/api/queues", "/assets/style.css"] {
        assert_eq!(koala.get(path).await.0, 401, "{path}");
    }
    for (header, value, status) in [
        ("authorization", "Bearer a-token", 200),
        ("authorization", "Bearer a-tokenx", 401),
        ("cookie", "other=1; koala_token=a-token", 200),
        ("cookie", "koala_token=", 401),
    ] {
        assert_eq!(koala.request("GET", "/api/queues", "", &[(header, value)]).await.0, status, "{header} {value}");
    }
    // Intake and the collector have proofs of their own.
    assert_eq!(koala.post(&crate::koala::track("m-1", "ada@acme.com")).await.0, 200);
    let (status, _) = koala.request("POST", &format!("/web/projects/{KEY}/batch"), "{}", &[("user-agent", "x")]).await;
    assert_eq!(status, 400);

    let client =
        koala_destination::http_client::builder().unwrap().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let opened = client.get(format!("{}/?token=a-token", koala.url)).send().await.unwrap();
    let cookie = opened.headers()["set-cookie"].to_str().unwrap();
    assert_eq!(
        (opened.status().as_u16(), &opened.headers()["location"]),
        (303, &reqwest::header::HeaderValue::from_static("/"))
    );
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
}

#[tokio::test]
async fn on_an_address_that_others_can_reach_nothing_is_shown_without_a_token() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TEST_LISTEN", "0.0.0.0:0")]);
    assert_eq!((koala.get("/").await.0, koala.get("/api/visitors").await.0), (403, 403));
    assert_eq!(koala.post(&crate::koala::track("m-1", "ada@acme.com")).await.0, 200);
}
