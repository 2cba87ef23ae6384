//! Visitors: what they are called, and their timelines in words.

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
