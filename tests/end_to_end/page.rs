//! The page, in a real browser; and who may see it.

use serde_json::json;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::clients;
use crate::koala::{Home, KEY, Koala, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_comes_in_without_a_reload_and_never_runs_it() {
    let home = Home::new();
    let koala = home.up(&[]);
    // One dead letter: a mapping that makes no name of this event. Mended, it can be sent again.
    home.set_parameter(
        "mappings/track",
        r#"{"trigger":"type = \"track\"","action":"track-event","fields":{"event":{"@path":"$.properties.n"}}}"#,
    );
    let event = json!({"type": "track", "messageId": "m-dead", "event": "Mended", "userId": "u-1", "properties": {"n": [5, 6]}});
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

/// Before the mapping was read again an event may have gone through.
fn forget_visitors(home: &Home) {
    let file = rusqlite::Connection::open(home.data()).unwrap();
    file.execute_batch(
        "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; BEGIN; DELETE FROM entry; DELETE FROM intent; DELETE FROM trait;
         DELETE FROM claim; DELETE FROM decision; DELETE FROM done; DELETE FROM came_from; DELETE FROM topic; DELETE FROM source;
         DELETE FROM identity; DELETE FROM visitor; DELETE FROM company_said; DELETE FROM company_trait; DELETE FROM company;
         DELETE FROM company_key; COMMIT",
    )
    .unwrap();
}

/// In light and dark, as wide as a desk and as a phone, with nothing in the store and with the story of two weeks.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_and_used_by_keyboard_in_light_and_dark_and_on_a_phone() {
    let home = Home::new();
    let koala = home.up(&[]);
    clients::run("looked_at.cjs", [&koala.url, "empty"]).await;
    let visits = std::fs::read_to_string(crate::koala::root().join("tests/events/two-weeks/visits.jsonl")).unwrap();
    for batch in visits.lines().collect::<Vec<_>>().chunks(50) {
        assert_eq!(koala.post(&format!("[{}]", batch.join(","))).await.0, 200);
    }
    koala.post(r#"[{"type":"screen","messageId":"m-s","userId":"u-1"},{"event":"no type"},{"type":"track","messageId":"m-d","event":"A"}]"#).await;
    koala.until_queues(json!({"waiting": 0, "in_flight": 0})).await;
    home.set_parameter("mappings/checkout", "{");
    clients::run("looked_at.cjs", [&koala.url, "two-weeks"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_beside_a_million_events_shows_one_more_without_a_reload() {
    let home = Home::new();
    // The first start makes the file.
    drop(home.up(&[]));
    fill(&home, 50_000, 20);
    let koala = home.up(&[]);
    assert_eq!(koala.get("/api/visitors").await.1["total"], 50_000);
    // Ten days of activity and four of looks at prices are more than twenty points of each.
    for (asked, found) in [("strength=high", 50_000), ("strength=high&trend=surging", 50_000), ("strength=low", 0)] {
        assert_eq!(koala.get(&format!("/api/visitors?{asked}")).await.1["total"], found, "{asked}");
    }
    clients::run("full_page.cjs", [&koala.url, KEY]).await;
}

#[tokio::test]
async fn an_address_of_no_route_is_a_page_in_a_browser_and_json_for_a_program() {
    let home = Home::new();
    let koala = home.up(&[]);
    let http = crate::koala::client();
    for (path, accept, is_page) in [
        ("/nowhere", "text/html,application/xhtml+xml,*/*;q=0.8", true),
        ("/nowhere", "*/*", false),
        ("/v1/nowhere", "text/html", false),
        ("/api/nowhere", "text/html", false),
    ] {
        let answer = http.get(format!("{}{path}", koala.url)).header("accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path} {accept}");
        let text = answer.text().await.unwrap();
        assert_eq!(text.starts_with("<!DOCTYPE html>"), is_page, "{path} {accept}: {text}");
        assert_eq!(text.starts_with('{'), !is_page, "{path} {accept}: {text}");
    }
}

#[tokio::test]
async fn an_offset_far_behind_the_last_is_an_empty_page() {
    let home = Home::new();
    let koala = home.up(&[]);
    for place in ["/", "/visitors", "/api/visitors", "/api/companies"] {
        assert_eq!(koala.get(&format!("{place}?offset={}", u32::MAX)).await.0, 200, "{place}");
    }
}

/// Visitors of companies of ten with as many events each, on the days before today, as if the collector had taken them.
pub fn fill(home: &Home, visitors: u32, events: u32) {
    let file = rusqlite::Connection::open(home.data()).unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1000;
    file.execute_batch(&format!(
        "PRAGMA synchronous = OFF; BEGIN;
         CREATE TEMP TABLE visit AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {visitors})
             SELECT n, 'company-' || (n / 10) || '.example' AS company FROM n;
         INSERT INTO company_key (id, kind, value, company_id)
             SELECT DISTINCT n / 10 + 1, 'domain', company, n / 10 + 1 FROM visit;
         INSERT INTO company (id, key, domain, excluded) SELECT id, value, value, 0 FROM company_key;
         INSERT INTO visitor (id, first_seen, last_seen, company_key_id, company_id, excluded)
             SELECT n, {now} - 864000000, {now} - n * 1000, n / 10 + 1, n / 10 + 1, 0 FROM visit;
         INSERT INTO identity (id, kind, value, visitor_id, first_at, first_seen, last_seen)
             SELECT n, 'email', 'visitor-' || n || '@' || company, n, {now} - 864000000, {now} - 864000000, {now} - n * 1000
             FROM visit;
         INSERT INTO topic (id, kind, name, path, title)
             VALUES (1, 'event', 'Viewed Pricing', '/docs', ''), (2, 'event', 'Page Viewed', '/docs', '');
         WITH RECURSIVE e (e) AS (SELECT 1 UNION ALL SELECT e + 1 FROM e WHERE e < {events})
         INSERT INTO entry (identity_id, kind, name, message_id, at, json, topic_id)
             SELECT n, 'event', iif(e % 5 = 0, 'Viewed Pricing', 'Page Viewed'), n || '-' || e, {now} - n * 1000 - (e - 1) * 40000000,
                    '{{\"type\":\"track\",\"event\":\"Page Viewed\",\"properties\":{{\"path\":\"/docs\"}}}}', iif(e % 5 = 0, 1, 2)
             FROM visit, e ORDER BY n;
         INSERT INTO done (topic_id, identity_id, times, last_at)
             SELECT topic_id, identity_id, count(*), max(at) FROM entry GROUP BY topic_id, identity_id;
         INSERT INTO intent (identity_id, rule_id, day)
             SELECT DISTINCT identity_id, intent_rule.id, at / 86400000 FROM entry, intent_rule
             WHERE intent_rule.name = 'activity' OR intent_rule.name = 'pricing' AND entry.name = 'Viewed Pricing';
         COMMIT"
    ))
    .unwrap();
}

/// A reverse proxy that is set up in three lines: HTTP/1.0, this machine's name, and not a word of itself.
#[tokio::test]
async fn what_a_proxy_asks_by_http_1_0_is_refused_without_a_token() {
    let home = Home::new();
    let koala = home.up(&[]);
    for head in ["GET /api/queues HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", "GET /api/queues HTTP/1.0\r\n\r\n"] {
        let mut connection = tokio::net::TcpStream::connect(koala.url.trim_start_matches("http://")).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        connection.read_to_end(&mut said).await.unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains(" 403 "), "{said}");
    }
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
    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    for path in ["/", "/visitors", "/deliveries", "/live", "/api/visitors", "/api/queues", "/assets/live.js"] {
        assert_eq!(koala.get(path).await.0, 401, "{path}");
    }
    let session = sign_in(&koala).await;
    for (header, value, status) in [
        ("authorization", format!("Bearer {TOKEN}"), 200),
        ("authorization", format!("Bearer {TOKEN}x"), 401),
        ("cookie", format!("other=1; {session}"), 200),
        ("cookie", format!("{session}x"), 401),
        ("cookie", "koala_session=".to_owned(), 401),
    ] {
        assert_eq!(koala.request("GET", "/api/queues", "", &[(header, &value)]).await.0, status, "{header} {value}");
    }
    // Intake and the collector have credentials of their own.
    assert_eq!(koala.post(&crate::koala::track("m-1", "ada@acme.com")).await.0, 200);
    let (status, _) = koala.request("POST", &format!("/web/projects/{KEY}/batch"), "{}", &[("user-agent", "x")]).await;
    assert_eq!(status, 400);
}

/// Signs in as the page's form does; gives the cookie.
async fn sign_in(koala: &Koala) -> String {
    let client =
        koala_destination::http_client::builder().unwrap().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = client.post(format!("{}/sign-in", koala.url)).header("origin", &koala.url);
    let form =
        form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={TOKEN}&next=/visitors"));
    let answer = form.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/visitors"));
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && !cookie.contains(TOKEN), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// A session outlives a restart, by the key that is kept beside the data, and ends with its token.
#[tokio::test]
async fn a_browser_stays_signed_in_when_the_set_starts_again_and_no_longer_with_another_token() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    let session = sign_in(&koala).await;
    let status = async |koala: &Koala| koala.request("GET", "/visitors", "", &[("cookie", &session)]).await.0;
    assert_eq!(status(&koala).await, 200);
    drop(koala);
    assert_eq!(
        status(&home.up(&[("KOALA_TOKEN", &format!("another-token-of-this-set-0123456789\n{TOKEN}"))])).await,
        200
    );
    assert_eq!(status(&home.up(&[("KOALA_TOKEN", "another-token-of-this-set-0123456789")])).await, 401);
    home.set_parameter("collector/session-key", "another-key-than-the-one-kept-0123456789");
    assert_eq!(status(&home.up(&[("KOALA_TOKEN", TOKEN)])).await, 401);
    home.set_parameter("collector/session-key", "short");
    let (exit, said) = home.cannot_start(&[("KOALA_TOKEN", TOKEN)]);
    assert!(exit == 2 && said.contains("collector/session-key") && !said.contains("short\""), "{said}");
}

/// Behind a proxy the address that it has seen is whose tries are counted, where it is trusted.
#[tokio::test]
async fn who_tries_tokens_waits_after_ten_and_a_header_makes_nobody_another() {
    let home = Home::new();
    let try_as = async |koala: &Koala, address: &str| {
        let headers = [
            ("origin", &*koala.url),
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-forwarded-for", address),
        ];
        koala.request("POST", "/sign-in", "token=wrong", &headers).await.0
    };
    for (trust, others) in [("false", 429), ("true", 401)] {
        let koala = home.up(&[("KOALA_TOKEN", TOKEN), ("KOALA_TRUST_FORWARDED_FOR", trust)]);
        for _ in 0..10 {
            assert_eq!(try_as(&koala, "203.0.113.7").await, 401);
        }
        assert_eq!((try_as(&koala, "203.0.113.7").await, try_as(&koala, "203.0.113.8").await), (429, others));
    }
}

/// In a browser by keyboard: signed in, sent on to the page that was asked for, signed out; also by plain HTTP under a name that is
/// not this machine's, where a browser says less of itself. No address that it has kept has the token.
#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_and_out_by_keyboard_in_light_and_dark_and_on_a_phone() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    clients::run("sign_in.cjs", [&koala.url, TOKEN]).await;
}

#[tokio::test]
async fn on_an_address_that_others_can_reach_nothing_is_shown_without_a_token() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TEST_LISTEN", "0.0.0.0:0")]);
    assert_eq!((koala.get("/").await.0, koala.get("/api/visitors").await.0), (403, 403));
    assert_eq!(koala.post(&crate::koala::track("m-1", "ada@acme.com")).await.0, 200);
}

#[tokio::test]
async fn what_a_proxy_forwards_is_shown_only_to_who_has_the_token() {
    let home = Home::new();
    let koala = home.up(&[]);
    for header in ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via"] {
        for path in ["/", "/visitors", "/live", "/api/visitors", "/api/visitors.csv"] {
            let forwarded = [("host", "127.0.0.1"), (header, "for=203.0.113.7")];
            assert_eq!(koala.request("GET", path, "", &forwarded).await.0, 403, "{header} {path}");
        }
    }
    let delete = [("host", "127.0.0.1"), ("via", "1.1 proxy"), ("content-type", "application/json")];
    let deleted = koala.request("POST", "/api/v1/deletion-requests", r#"{"email":"ada@acme.com"}"#, &delete).await;
    assert_eq!(deleted.0, 403);
    // Intake stands behind a proxy as well as before it.
    let event = crate::koala::track("m-1", "ada@acme.com");
    let signed = [("x-signature", &*crate::koala::sign(&event)), ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(koala.post_with(&event, &signed).await.0, 200);
    drop(koala);

    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    let forwarded = [("x-forwarded-for", "203.0.113.7"), ("authorization", &*format!("Bearer {TOKEN}"))];
    assert_eq!(koala.request("GET", "/api/visitors", "", &forwarded).await.0, 200);
}

#[tokio::test]
async fn a_page_of_another_site_reads_nothing() {
    let home = Home::new();
    let koala = home.up(&[]);
    for (header, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", &koala.url, 200),
    ] {
        for path in ["/", "/api/visitors", "/api/visitors.csv"] {
            assert_eq!(koala.request("GET", path, "", &[(header, value)]).await.0, status, "{header}: {value} {path}");
        }
    }
    drop(koala);
    // With the cookie of a token as well; a link still opens the page, of which the other site sees nothing.
    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    let session = sign_in(&koala).await;
    let mut headers = vec![("cookie", &*session), ("sec-fetch-site", "same-site")];
    assert_eq!(koala.request("GET", "/api/visitors", "", &headers).await.0, 403);
    headers.extend([("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]);
    assert_eq!(koala.request("GET", "/", "", &headers).await.0, 200);
    assert_eq!(koala.request("POST", "/deliveries/redrive", "", &headers).await.0, 403);
}

#[tokio::test]
async fn every_answer_of_the_page_and_the_api_says_nosniff_and_no_store() {
    let home = Home::new();
    let koala = home.up(&[("KOALA_TOKEN", TOKEN)]);
    let client = koala_destination::http_client::builder().unwrap().build().unwrap();
    for (path, token, status) in [
        ("/", TOKEN, 200),
        ("/api/visitors", TOKEN, 200),
        ("/api/visitors.csv", TOKEN, 200),
        ("/api/visitors/999", TOKEN, 404),
        ("/api/visitors?since=x", TOKEN, 400),
        ("/api/redrive", TOKEN, 405),
        ("/api/visitors", "another", 401),
    ] {
        let answer = client.get(format!("{}{path}", koala.url)).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
            assert_eq!(answer.headers().get(name).and_then(|it| it.to_str().ok()), Some(value), "{name} of {path}");
        }
    }
}

#[test]
fn a_token_that_can_be_guessed_or_no_header_can_carry_is_refused_at_start() {
    let home = Home::new();
    for (token, why) in [
        ("hunter2", "of at least 32 random bytes"),
        ("a token of more than 32 bytes with spaces", "a header cannot carry"),
        ("gr\u{fc}n-0123456789-0123456789-0123456789", "a header cannot carry"),
    ] {
        let (status, said) = home.cannot_start(&[("KOALA_TOKEN", token)]);
        assert!(status == 2 && said.contains("KOALA_TOKEN") && said.contains(why), "{token}: {status} {said}");
        assert!(!said.contains(token), "{said}");
    }
}

#[test]
fn on_an_address_that_others_can_reach_the_start_says_that_the_page_is_closed_and_what_opens_it() {
    let home = Home::new();
    let said = home.up(&[("KOALA_TEST_LISTEN", "0.0.0.0:0")]).said.join("\n");
    assert!(said.contains("closed") && said.contains("--token"), "{said}");
    let said = home.up(&[("KOALA_TEST_LISTEN", "0.0.0.0:0"), ("KOALA_TOKEN", TOKEN)]).said.join("\n");
    assert!(!said.contains("closed") && said.contains("/api/visitors"), "{said}");
    assert!(!said.contains(TOKEN) && home.logged().contains("plain HTTP"), "{said}");
}

#[tokio::test]
async fn the_parameter_page_token_opens_the_page_and_one_that_is_replaced_no_longer() {
    let home = Home::new();
    home.set_parameter("collector/page-token", &format!("{TOKEN}\n"));
    let another = "another-token-of-this-set-0123456789";
    let koala = home.up(&[("KOALA_TEST_LISTEN", "0.0.0.0:0")]);
    let status = async |token: &str| {
        let header = format!("Bearer {token}");
        koala.request("GET", "/api/visitors", "", &[("authorization", &header)]).await.0
    };
    assert_eq!((status(TOKEN).await, status(another).await), (200, 401));
    home.set_parameter("collector/page-token", another);
    for _ in 0..100 {
        if status(another).await == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!((status(TOKEN).await, status(another).await), (401, 200));
    // What cannot be used opens nothing, and closes nothing either.
    home.set_parameter("collector/page-token", "not;usable");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!((status("not;usable").await, status(another).await), (401, 200));
    drop(koala);
    let (exit, said) = home.cannot_start(&[]);
    assert!(exit == 2 && said.contains("collector/page-token"), "{said}");
}
