//! What the collector makes of what it gets: visitors merged by identity, their latest traits, their companies.

use serde_json::{Value, json};

use crate::koala::text;
use crate::koala::{Home, KEY, Koala};

pub const ADA: &str = "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a01";

/// Sends a batch request as a client of Koala does.
pub async fn batch(koala: &Koala, body: Value) {
    let headers = [("user-agent", "test"), ("content-type", "application/json")];
    let path = format!("/web/projects/{KEY}/batch");
    let (status, answer) = koala.request("POST", &path, &body.to_string(), &headers).await;
    assert_eq!((status, &answer), (200, &json!({"ok": true})));
}

pub fn identify(id: &str, sent_at: &str, traits: &Value) -> Value {
    json!({"type": "identify", "message_id": id, "sent_at": sent_at, "traits": traits})
}

pub fn event(id: &str, sent_at: &str) -> Value {
    json!({"type": "track", "event": "Viewed Pricing", "message_id": id, "sent_at": sent_at, "properties": {}})
}

pub async fn only_visitor(koala: &Koala) -> Value {
    let (_, listed) = koala.get("/api/visitors").await;
    assert_eq!(listed["total"], 1, "{listed}");
    listed["visitors"][0].clone()
}

#[tokio::test]
async fn an_identify_that_links_two_histories_makes_them_one_whatever_order_they_come_in() {
    let parts = [
        json!({"profile_id": ADA, "events": [event("e-1", "2026-11-20T09:00:00Z")]}),
        json!({"email": "ada@acme.com", "events": [event("e-2", "2026-11-20T10:00:00Z")], "identifies": [identify("i-1", "2026-11-20T10:00:00Z", &json!({"plan": "team"}))]}),
        json!({"profile_id": ADA, "email": "Ada@Acme.com", "identifies": [identify("i-2", "2026-11-20T11:00:00Z", &json!({"name": "Ada"}))]}),
    ];
    let mut seen = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let home = Home::new();
        let koala = home.up(&[]);
        for part in order {
            batch(&koala, parts[part].clone()).await;
        }
        let mut visitor = only_visitor(&koala).await;
        assert_eq!((&visitor["events"], &visitor["identifies"]), (&json!(2), &json!(2)), "{order:?} {visitor}");
        assert_eq!(visitor["account"], "acme.com");
        visitor["id"] = json!(null);
        seen.push(visitor);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    assert_eq!(seen[0]["traits"], json!({"name": "Ada", "plan": "team"}));
}

#[tokio::test]
async fn an_older_identify_overwrites_no_trait_that_a_newer_one_said_and_fills_in_the_others() {
    let home = Home::new();
    let koala = home.up(&[]);
    for (id, hour, traits) in [
        ("i-1", 10, json!({"plan": "free", "city": "Paris"})),
        ("i-2", 20, json!({"name": "Ada", "city": null})),
        ("i-3", 15, json!({"plan": "team", "name": "A.", "seats": 5, "city": "Rome"})),
    ] {
        let at = format!("2026-11-20T{hour}:00:00Z");
        batch(&koala, json!({"email": "ada@acme.com", "identifies": [identify(id, &at, &traits)]})).await;
    }
    // The plan of 15 h is newer than that of 10 h, the name of 20 h than that of 15 h; null at 20 h took the city away.
    assert_eq!(only_visitor(&koala).await["traits"], json!({"name": "Ada", "plan": "team", "seats": 5}));
}

#[tokio::test]
async fn an_event_that_comes_twice_is_kept_once_also_by_way_of_another_identity() {
    let home = Home::new();
    let koala = home.up(&[]);
    let entry = event("e-1", "2026-11-20T09:00:00Z");
    batch(&koala, json!({"email": "ada@acme.com", "events": [entry, entry]})).await;
    batch(&koala, json!({"email": "ada@acme.com", "profile_id": ADA, "events": [entry]})).await;
    assert_eq!(only_visitor(&koala).await["events"], 1);
}

#[tokio::test]
async fn companies_are_those_of_their_visitors_addresses_and_traits_and_never_free_mail() {
    let home = Home::new();
    let koala = home.up(&[]);
    for (n, (email, traits)) in [
        ("ada@acme.com", json!({})),
        ("grace@acme.com", json!({"company": {"name": "Acme", "domain": "acme.com"}})),
        ("alan@gmail.com", json!({})),
        ("edsger@gmail.com", json!({"company": "Dijkstra BV"})),
    ]
    .into_iter()
    .enumerate()
    {
        let at = format!("2026-11-20T1{n}:00:00Z");
        let entries = json!({"email": email, "identifies": [identify(&format!("i-{n}"), &at, &traits)], "events": [event(&format!("e-{n}"), &at)]});
        batch(&koala, entries).await;
    }
    let (_, companies) = koala.get("/api/companies").await;
    let listed: Vec<_> = companies["companies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["key"], &it["visitors"], &it["events"]))
        .collect();
    assert_eq!(listed, [(&json!("acme.com"), &json!(2), &json!(2)), (&json!("dijkstra bv"), &json!(1), &json!(1))]);
    let (_, acme) = koala.get("/api/companies/Acme.com").await;
    assert_eq!((&acme["name"], &acme["people"][0]["emails"]), (&json!("Acme"), &json!(["grace@acme.com"])));
    assert_eq!(koala.get("/api/companies/gmail.com").await.0, 404);

    // A visitor who moves takes the old company away when nobody else is of it.
    let moved = identify("i-9", "2026-11-20T20:00:00Z", &json!({"company": "Acme", "domain": "acme.com"}));
    batch(&koala, json!({"email": "edsger@gmail.com", "identifies": [moved]})).await;
    let (_, companies) = koala.get("/api/companies").await;
    assert_eq!((&companies["total"], &companies["companies"][0]["visitors"]), (&json!(1), &json!(3)));
}

#[tokio::test]
async fn accounts_and_page_views_of_koalas_protocol_are_taken() {
    let home = Home::new();
    let koala = home.up(&[]);
    let headers = [("user-agent", "test")];
    let path = format!("/web/projects/{KEY}/accounts/batch");
    let body =
        json!({"accounts": [{"domain": "https://www.acme.com", "traits": {"name": "Acme", "seats": 5}}]}).to_string();
    assert_eq!(koala.request("POST", &path, &body, &headers).await.0, 200);
    assert_eq!(
        koala
            .request("POST", &path, &json!({"domain": "acme.com", "traits": {"seats": 6}}).to_string(), &headers)
            .await
            .0,
        200
    );
    let (_, acme) = koala.get("/api/companies/acme.com").await;
    assert_eq!((&acme["name"], &acme["traits"]), (&json!("Acme"), &json!({"name": "Acme", "seats": 6})));
    for (body, code) in
        [("{}", 400), ("[1]", 400), (r#"{"domain":"no domain"}"#, 400), (r#"{"accounts":[{"domain":5}]}"#, 400)]
    {
        let (status, answer) = koala.request("POST", &path, body, &headers).await;
        assert_eq!(status, code, "{answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.len() > 10), "{answer}");
    }
    batch(&koala, json!({"email": "ada@acme.com", "page_views": [{"message_id": "p-1", "sent_at": "2026-11-20T09:00:00Z", "path": "/pricing"}]})).await;
    assert_eq!(only_visitor(&koala).await["page_views"], 1);
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_brought_up_to_date_with_what_it_has() {
    let home = Home::new();
    let old = home.data();
    std::fs::create_dir_all(old.parent().unwrap()).unwrap();
    {
        let file = rusqlite::Connection::open(&old).unwrap();
        file.execute_batch(include_str!("../../collector/src/store/sqlite/migrations/1.sql")).unwrap();
        file.execute_batch(
            "INSERT INTO visitor (id, traits, traits_at, first_seen, last_seen)
                 VALUES (1, '{\"plan\":\"team\",\"paid\":true,\"tags\":[1,{\"a\":null}]}', 1763632800000, 1763632800000, 1763632800000);
             INSERT INTO identity (kind, value, visitor_id) VALUES ('email', 'ada@acme.com', 1);
             INSERT INTO entry (visitor_id, kind, name, message_id, at, json) VALUES (1, 'event', 'A', 'e-1', 1763632800000, '{}');",
        )
        .unwrap();
    }
    let koala = home.up(&[]);
    let visitor = only_visitor(&koala).await;
    assert_eq!(visitor["traits"], json!({"plan": "team", "paid": true, "tags": [1, {"a": null}]}));
    assert_eq!((&visitor["emails"], &visitor["events"]), (&json!(["ada@acme.com"]), &json!(1)));
    assert_eq!(visitor["account"], "acme.com");
    drop(koala);

    rusqlite::Connection::open(&old).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let (status, said) = home.cannot_start(&[]);
    assert_eq!(status, 2);
    assert!(said.contains("written by a later version"), "{said}");
}

#[tokio::test]
async fn a_deleted_person_leaves_no_trace_that_the_api_can_show() {
    let home = Home::new();
    let koala = home.up(&[]);
    batch(&koala, json!({"profile_id": ADA, "events": [event("e-1", "2026-11-20T09:00:00Z")]})).await;
    let named = identify("i-1", "2026-11-20T09:00:00Z", &json!({"name": "Ada Lovelace", "work": "ada@acme.com"}));
    batch(&koala, json!({"profile_id": ADA, "email": "ada@acme.com", "identifies": [named]})).await;
    batch(&koala, json!({"email": "grace@navy.org", "events": [event("e-2", "2026-11-20T09:00:00Z")]})).await;
    // A dead letter and a rejected event of hers.
    let dead = json!({"type": "track", "messageId": "m-1", "event": {"no": "name"}, "userId": "u", "properties": {"email": "ADA@acme.com"}});
    koala.post(&json!([dead, {"email": "ada@acme.com"}]).to_string()).await;
    koala.until_queues(json!({"waiting": 0, "dead": 1, "rejected": 1})).await;

    let id = koala.ask_to_delete(json!({"emails": ["Ada@Acme.com"]})).await;
    // At once, though what was kept is yet to be deleted.
    assert_eq!(only_visitor(&koala).await["emails"], json!(["grace@navy.org"]));
    let receipt = koala.until_deleted(&id).await;
    assert_eq!(receipt["deletion_request_id"], json!(id));
    assert_eq!((&receipt["visitors"], &receipt["entries"], &receipt["messages"]), (&json!(1), &json!(2), &json!(2)));
    assert!(!receipt.to_string().to_lowercase().contains("ada@"), "{receipt}");

    for path in ["/api/visitors", "/api/companies", "/api/dead-letters"] {
        let (_, shown) = koala.get(path).await;
        let shown = shown.to_string().to_lowercase();
        assert!(!shown.contains("ada") && !shown.contains("acme") && !shown.contains(ADA), "{path}: {shown}");
    }
    assert_eq!((koala.get("/api/visitors/1").await.0, koala.get("/api/companies/acme.com").await.0), (404, 404));
    assert_eq!(koala.queues().await, json!({"waiting": 0, "in_flight": 0, "dead": 0, "rejected": 0}));
    assert_eq!(only_visitor(&koala).await["emails"], json!(["grace@navy.org"]));

    // Who is not known is deleted just as well; what is not an address is not.
    let id = koala.ask_to_delete(json!({"emails": ["nobody@acme.com"], "user_ids": ["u-nobody"]})).await;
    assert_eq!(koala.until_deleted(&id).await["visitors"], 0);
    let headers = [("content-type", "application/json")];
    let delete = async |body: &str| koala.request("POST", "/api/v1/deletion-requests", body, &headers).await;
    let many = json!({"emails": vec!["a@acme.com"; 51]}).to_string();
    for body in [
        r#"{"emails":["nobody"]}"#,
        r#"{"emails":[]}"#,
        "{}",
        r#"{"email":"grace@navy.org"}"#,
        r#"{"emails":["grace@navy.org",7]}"#,
        &many,
    ] {
        let (status, answer) = delete(body).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")), "{body}");
    }
    let body = r#"{"emails":["grace@navy.org"]}"#;
    assert_eq!(koala.request("POST", "/api/v1/deletion-requests", body, &[]).await.0, 400);
    assert_eq!(only_visitor(&koala).await["emails"], json!(["grace@navy.org"]));
    assert_eq!(koala.get("/api/v1/deletion-requests/nothing").await.0, 404);
}

#[tokio::test]
async fn visitors_are_found_by_trait_event_and_time() {
    let home = Home::new();
    let koala = home.up(&[]);
    for (n, (who, plan, day)) in
        [("ada", json!("Team"), 18), ("grace", json!("free"), 19), ("alan", json!(5), 20)].into_iter().enumerate()
    {
        let at = format!("2026-11-{day}T10:00:00Z");
        let identify = identify(&format!("i-{n}"), &at, &json!({"plan": plan, "seats": 3, "gone": null}));
        let mut events = vec![event(&format!("e-{n}"), &at)];
        if who == "ada" {
            events.push(
                json!({"type": "track", "event": "Signed Up", "message_id": "e-up", "sent_at": "2026-11-10T09:00:00Z"}),
            );
        }
        batch(&koala, json!({"email": format!("{who}@acme.com"), "identifies": [identify], "events": events})).await;
    }
    batch(&koala, json!({"profile_id": ADA, "events": [event("e-x", "2026-11-21T00:00:00Z")]})).await;
    for (query, found) in [
        ("trait=plan%3Dteam", vec!["ada"]),
        ("trait=plan%3D5", vec!["alan"]),
        ("trait=PLAN", vec!["alan", "grace", "ada"]),
        ("trait=gone", vec![]),
        ("trait=plan%3Dteam&event=viewed+pricing", vec!["ada"]),
        ("event=signed+up", vec!["ada"]),
        ("event=signed+up&since=2026-11-11", vec![]),
        ("event=signed+up&since=2026-11-10&until=2026-11-10", vec!["ada"]),
        ("since=2026-11-19&who=known", vec!["alan", "grace"]),
        ("since=2026-11-20&until=2026-11-20", vec!["alan"]),
        ("until=2026-11-19", vec!["grace", "ada"]),
        // In between nobody did anything, though one was there before and after.
        ("since=2026-11-12&until=2026-11-15", vec![]),
        ("since=2026-11-20T10:00:00Z&until=2026-11-20T23:59:59Z", vec!["alan"]),
        ("who=anonymous", vec![""]),
        ("q=acme&trait=seats%3D3&until=2026-11-18", vec!["ada"]),
    ] {
        let (status, listed) = koala.get(&format!("/api/visitors?{query}")).await;
        let visitors = listed["visitors"].as_array().unwrap_or_else(|| panic!("{query} {listed}"));
        let names = visitors.iter().map(|it| it["emails"][0].as_str().unwrap_or("").trim_end_matches("@acme.com"));
        assert_eq!((status, names.collect::<Vec<_>>()), (200, found.clone()), "{query}");
        assert_eq!(listed["total"], found.len(), "{query}");
    }
    for query in ["who=me", "since=yesterday", "until=2026-13-01"] {
        let (status, answer) = koala.get(&format!("/api/visitors?{query}")).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")), "{query}");
    }
    let csv = text(&format!("{}/api/visitors.csv?trait=plan%3Dteam", koala.url)).await;
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

/// What analytics.js sends of a page, a server of a company and of an alias, as Segment's webhook posts them.
#[tokio::test]
async fn page_views_and_companies_arrive_without_any_setting() {
    let home = Home::new();
    let koala = home.up(&[]);
    let page = json!({"type": "page", "name": "Pricing", "messageId": "p-1", "anonymousId": ADA, "properties": {"path": "/pricing", "url": "https://shop.example/pricing"}});
    let group = json!({"type": "group", "messageId": "g-1", "anonymousId": ADA, "groupId": "g-1", "traits": {"name": "Analytical Engines", "domain": "analytical.example"}});
    let alias = json!({"type": "alias", "messageId": "a-1", "userId": "u-1", "previousId": ADA});
    let answer = koala.post(&json!([page, group, alias]).to_string()).await.1;
    assert_eq!((&answer["accepted"], &answer["skipped"]), (&json!(3), &json!(0)));
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
    let (_, company) = koala.get("/api/companies/analytical.example").await;
    assert_eq!(
        (&company["name"], &company["people"][0]["page_views"]),
        (&json!("Analytical Engines"), &json!(1)),
        "{company}"
    );
    // The preset rule `pricing` counts page views.
    assert!(company.to_string().contains("pricing"), "{company}");
}
