//! Visitors: what they are called, and their timelines in words.

use koala_collector::intent::IntentRule;
use koala_destination::clock::{from_milliseconds, now_milliseconds};
use serde_json::{Value, json};

use crate::site::{Site, text};

const DEVICE: &str = "08ef55c6-6c13-4ee7-ab60-96f27ce7c8ff";

fn at(minutes_ago: i64) -> String {
    from_milliseconds(now_milliseconds() - minutes_ago * 60_000)
}

fn view(id: &str, minutes_ago: i64, page: &Value) -> Value {
    json!({"message_id": id, "sent_at": at(minutes_ago), "page": page})
}

/// Somebody comes by a newsletter, comes back after three days, and signs up.
async fn ada(site: &Site) {
    let first = json!({"path": "/blog", "title": "Blog", "url": "https://www.a.example/blog", "host": "www.a.example",
                       "utm": {"source": "newsletter", "medium": "email", "campaign": "november"}});
    let second = json!({"path": "/pricing", "title": "Pricing", "url": "https://www.a.example/pricing",
                        "host": "www.a.example", "referrer": "https://www.google.com/"});
    let day = 24 * 60;
    site.collect(
        json!({"profile_id": DEVICE, "page_views": [view("v-1", 3 * day + 60, &first), view("v-2", 60, &second)]}),
    )
    .await;
}

#[tokio::test]
async fn a_device_that_nobody_is_known_by_is_an_anonymous_visitor_with_the_end_of_its_id() {
    let site = Site::new();
    ada(&site).await;
    let html = site.page("/visitors").await;
    assert!(text(&html).contains("Anonymous visitor c8ff"), "{html}");
    assert!(!html.contains(DEVICE), "{html}");
    // The whole id stands on the visitor's own page.
    let html = site.page("/visitors/1").await;
    assert!(html.contains("<h1>Anonymous visitor c8ff</h1>") && html.contains(DEVICE), "{html}");
}

#[tokio::test]
async fn a_timeline_says_pages_referrers_campaigns_and_gaps_in_words_with_the_raw_json_below() {
    let site = Site::new();
    ada(&site).await;
    let html = site.page("/visitors/1").await;
    let said = text(&html);
    for words in [
        "Viewed /pricing Pricing from google.com Raw JSON",
        "↑ 3 days later",
        "Viewed /blog Blog by newsletter (email), campaign november Raw JSON",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Times say their zone, and can be read by a script.
    let minute = &at(60)[..16];
    assert!(html.contains(&format!("<time datetime=\"{minute}")), "{html}");
    assert!(html.contains(&format!("{} UTC</time>", minute.replace('T', " "))), "{html}");
}

#[tokio::test]
async fn traits_are_told_in_words_and_an_address_that_is_an_id_once() {
    let site = Site::new();
    let traits = json!({"email": "Ada@Acme.com", "firstName": "Ada", "title": "CTO",
                        "$account": "Acme", "company": {"name": "Acme", "domain": "acme.com", "employees": 180}});
    let identify = json!({"type": "identify", "message_id": "i-1", "traits": traits});
    site.collect(json!({"email": "ada@acme.com", "identifies": [identify]})).await;
    let said = text(&site.page("/visitors/1").await);
    assert!(said.contains("Company Acme (acme.com), employees: 180"), "{said}");
    assert!(!said.contains("Account Acme"), "the company stands above: {said}");
    assert!(said.contains("First name Ada") && said.contains("Title CTO"), "{said}");
    assert_eq!(said.to_lowercase().matches("email ada@acme.com").count(), 1, "{said}");
    assert!(text(&site.page("/visitors").await).contains("Ada CTO"), "the name, and the title beside it");
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_answered_by_a_page_that_names_what_is_wrong() {
    let site = Site::new();
    for path in ["/visitors?offset=-1", "/?offset=x"] {
        let (status, html) = site.refused(path).await;
        assert_eq!(status, 400, "{path}");
        assert!(text(&html).contains("This address cannot be read: offset") && html.contains("<nav"), "{path}: {html}");
    }
}

#[tokio::test]
async fn where_nobody_is_shown_the_page_says_what_to_do_next() {
    let site = Site::new();
    for (path, words) in [
        ("/", "No companies yet. Send your first event: Install"),
        ("/visitors", "No visitors yet. Send your first event: Install"),
        ("/visitors?q=nobody", "No visitors match. Show all visitors"),
        ("/deliveries", "No event was accepted yet. Install"),
    ] {
        let said = text(&site.page(path).await);
        assert!(said.contains(words), "{path}: {said}");
    }
}

#[tokio::test]
async fn visitors_are_found_by_strength_and_trend_on_the_page_in_the_api_and_in_a_file() {
    let site = Site::new();
    let rule = r#"{"trigger":"event = \"Demo\"","score":20}"#;
    site.store().follow_intent_rules(&[IntentRule::parse("demo", rule).unwrap().unwrap()]).await.unwrap();
    for (email, event) in [("ada@acme.com", "Demo"), ("grace@globex.com", "Other")] {
        let event = json!({"type": "track", "event": event, "message_id": email, "sent_at": at(1)});
        site.collect(json!({"email": email, "events": [event]})).await;
    }
    // 20 points now and none a week ago: half of what strength can be, and surging.
    let (status, list) = site.api("/api/visitors?strength=high&trend=surging", None).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((status, &list["total"]), (200, &json!(1)), "{list}");
    let ada = &list["visitors"][0];
    let said = [&ada["emails"][0], &ada["strength"], &ada["strength_label"], &ada["trend"]];
    assert_eq!(said, [&json!("ada@acme.com"), &json!(50), &json!("High"), &json!("Surging")]);
    for (asked, found, others) in [
        ("strength=HIGH", "ada@acme.com", "grace@globex.com"),
        ("trend=surging", "ada@acme.com", "grace@globex.com"),
        ("strength=low", "grace@globex.com", "ada@acme.com"),
        ("strength=low&trend=neutral", "grace@globex.com", "ada@acme.com"),
    ] {
        for path in ["/visitors", "/api/visitors", "/api/visitors.csv"] {
            let html = site.page(&format!("{path}?{asked}")).await;
            assert!(html.contains(found) && !html.contains(others), "{path}?{asked}: {html}");
        }
    }
    let (_, file) = site.api("/api/visitors.csv?strength=high", None).await;
    assert!(file.starts_with("\"id\"") && file.contains("\"50\",\"High\",\"Surging\""), "{file}");
    let html = site.page("/visitors?strength=high&trend=surging").await;
    assert!(text(&html).contains("1 visitor") && text(&html).contains("High · Surging"), "{html}");
    assert!(html.contains("/api/visitors.csv?strength=high&amp;trend=surging"), "{html}");
    // What is in force stands in the fields, as it may be written.
    let html = site.page("/visitors?strength=very_high&trend=Surging").await;
    assert!(html.contains("<option value=\"Very High\" selected>") && html.contains("No visitors match"), "{html}");
    assert!(html.contains("<option value=\"Surging\" selected>"), "{html}");
}
