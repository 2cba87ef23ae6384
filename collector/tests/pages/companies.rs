//! Companies: why each is where it is, who is there and what they looked at; search and filters.

use koala_destination::clock::{from_milliseconds, now_milliseconds};
use serde_json::{Value, json};

use crate::site::{Site, text};

fn at(minutes_ago: i64) -> String {
    from_milliseconds(now_milliseconds() - minutes_ago * 60_000)
}

fn event(id: &str, name: &str, minutes_ago: i64) -> Value {
    json!({"type": "track", "event": name, "message_id": id, "sent_at": at(minutes_ago), "properties": {}})
}

fn view(id: &str, path: &str, minutes_ago: i64) -> Value {
    json!({"message_id": id, "sent_at": at(minutes_ago), "page": {"path": path, "title": "A title"}})
}

/// Two people of Acme who looked at pricing, and somebody else.
async fn acme(site: &Site) {
    site.follow_presets().await;
    let traits = json!({"name": "Ada Lovelace", "title": "CTO", "company": {"name": "Acme", "domain": "acme.com"}});
    let identify = json!({"type": "identify", "message_id": "i-1", "sent_at": at(200), "traits": traits});
    let views = [view("v-1", "/docs/deploy", 180), view("v-2", "/pricing", 2)];
    site.collect(json!({"email": "ada@acme.com", "identifies": [identify], "page_views": views})).await;
    site.collect(json!({"email": "bob@acme.com", "page_views": [view("v-3", "/pricing", 3)]})).await;
    site.collect(json!({"email": "eve@other.org", "events": [event("e-1", "Read Blog", 5)]})).await;
}

#[tokio::test]
async fn a_company_s_page_says_why_it_is_where_it_is_in_sentences_before_all_else() {
    let site = Site::new();
    acme(&site).await;
    let said = text(&site.page("/companies/acme.com").await);
    let why = said.find("Why").unwrap();
    assert!(said.find("Points of intent").unwrap() < why && why < said.find("People Person").unwrap(), "{said}");
    for sentence in ["Looked at pricing: 2 people, last today", "Came by: 2 people, last today"] {
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
    assert!(said.contains("Read the docs: 1 person, last "), "{said}");
}

#[tokio::test]
async fn the_list_of_companies_says_why_each_is_where_it_is_on_the_page_in_the_api_and_in_a_file() {
    let site = Site::new();
    acme(&site).await;
    let sentence = "Looked at pricing: 2 people, last today";
    let said = text(&site.page("/").await);
    assert!(said.contains(&format!("acme.com {sentence}")), "{said}");
    assert!(said.contains("other.org Came by: 1 person, last today"), "{said}");
    let listed: Value = serde_json::from_str(&site.page("/api/companies").await).unwrap();
    let top = &listed["companies"][0]["top_reason"];
    assert_eq!((&top["rule"], &top["visitors"], &top["text"]), (&json!("pricing"), &json!(2), &json!(sentence)));
    let file = site.page("/api/companies.csv").await;
    assert!(file.lines().next().unwrap().ends_with("\"top_reason\""), "{file}");
    assert!(file.lines().any(|line| line.ends_with(&format!("\"{sentence}\""))), "{file}");
}

#[tokio::test]
async fn a_domain_is_shown_in_its_own_letters() {
    let site = Site::new();
    for (n, domain) in ["xn--bcher-kva.example", "xn--e1afmkfd.com"].iter().enumerate() {
        let company = json!({"name": format!("Name {n}"), "domain": domain});
        let identify =
            json!({"type": "identify", "message_id": "i-1", "sent_at": at(9), "traits": {"company": company}});
        site.collect(json!({"user_id": format!("u-{n}"), "identifies": [identify]})).await;
    }
    let said = text(&site.page("/").await);
    for words in ["Name 0 bücher.example", "Name 1 пример.com (xn--e1afmkfd.com)"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(text(&site.page("/companies/xn--bcher-kva.example").await).contains("bücher.example"));
    assert!(text(&site.page("/companies/b%C3%BCcher.example").await).contains("Name 0"));
}

#[tokio::test]
async fn a_company_s_page_says_which_pages_were_looked_at_by_whom_how_often_and_when_last() {
    let site = Site::new();
    acme(&site).await;
    let (google, utm) = ("https://www.google.com/", json!({"source": "newsletter", "medium": "email"}));
    let page = json!({"path": "/demo", "url": "https://www.a.example/demo", "referrer": google, "utm": utm});
    let views = json!([{"message_id": "v-4", "sent_at": at(1), "page": page}]);
    let traits = json!({"employees": 180, "industry": "Anvils"});
    let group =
        json!({"type": "group", "group_id": "g-1", "domain": "acme.com", "message_id": "g-1", "traits": traits});
    site.collect(json!({"email": "bob@acme.com", "page_views": views, "groups": [group]})).await;
    let said = text(&site.page("/companies/acme.com").await);
    for words in [
        "Viewed /pricing A title Ada Lovelace , bob@acme.com 2 2 minutes ago",
        "Viewed /docs/deploy A title Ada Lovelace 1 3 hours ago",
        "From google.com, by newsletter (email) 1 person 1 1 minute ago",
        "Employees 180 Industry Anvils",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn how_many_companies_and_visitors_are_excluded_is_said_and_leads_to_them() {
    let site = Site::new();
    acme(&site).await;
    site.exclude(&json!({"domains": ["acme.com"], "emails": ["eve@other.org"]})).await;
    let html = site.page("/").await;
    assert!(html.contains(r#"<a href="/?excluded=only">2 companies and 3 visitors are excluded</a>"#), "{html}");
    assert!(!html.contains("/companies/acme.com"), "{html}");
    let out = site.page("/?excluded=only").await;
    assert!(text(&out).contains("2 companies kept out of the ranking") && out.contains("/companies/acme.com"), "{out}");
    assert!(text(&site.page("/companies/acme.com").await).contains("kept out of the ranking by the parameter exclude"));
    assert!(text(&site.page("/visitors").await).contains("eve@other.org (excluded)"));
}

#[tokio::test]
async fn a_search_finds_companies_by_what_was_looked_at_and_says_so_where_there_are_none() {
    let site = Site::new();
    acme(&site).await;
    for (asked, companies) in [
        ("page=pricing", vec!["acme.com"]),
        ("event=blog", vec!["other.org"]),
        ("path=%2Fdocs", vec!["acme.com"]),
        ("q=ada%40acme", vec!["acme.com"]),
        ("rule=docs", vec!["acme.com"]),
        ("new=week", vec!["acme.com", "other.org"]),
        ("source=google", vec![]),
    ] {
        let html = site.page(&format!("/?{asked}")).await;
        for company in ["acme.com", "other.org"] {
            let is_shown = html.contains(&format!("href=\"/companies/{company}\""));
            assert_eq!(is_shown, companies.contains(&company), "{asked}: {html}");
        }
        assert_eq!(text(&html).contains("No companies match. Show all companies"), companies.is_empty(), "{asked}");
    }
}

#[tokio::test]
async fn a_company_s_people_have_their_title_and_the_page_that_they_looked_at_last() {
    let site = Site::new();
    acme(&site).await;
    let said = text(&site.page("/companies/acme.com").await);
    assert!(said.contains("Ada Lovelace CTO /pricing 2 minutes ago"), "{said}");
    assert!(said.contains("bob@acme.com /pricing 3 minutes ago"), "{said}");
    assert!(said.contains("Ada Lovelace · Viewed /pricing"), "{said}");
}

#[tokio::test]
async fn each_filter_of_companies_and_visitors_has_a_field_that_keeps_what_the_address_asks() {
    let site = Site::new();
    acme(&site).await;
    let asked = "q=acme&event=Read+Blog&page=pricing&path=%2Fdocs&rule=pricing&source=google.com&new=week";
    let html = site.page(&format!("/?{asked}")).await;
    for (name, value) in
        [("q", "acme"), ("event", "Read Blog"), ("page", "pricing"), ("path", "/docs"), ("source", "google.com")]
    {
        assert!(html.contains(&format!(r#"name="{name}" value="{value}""#)), "{name}: {html}");
    }
    assert!(html.contains(r#"<option value="pricing" selected>pricing</option>"#), "{html}");
    assert!(html.contains(r#"name="new" value="week" checked"#), "{html}");
    // What is asked stands in every address that leads on.
    assert!(html.contains("<details open"), "{html}");
    let html = site.page("/visitors?company=acme.com&user_id=u-1&who=known&offset=50").await;
    for (name, value) in [("company", "acme.com"), ("user_id", "u-1")] {
        assert!(html.contains(&format!(r#"name="{name}" value="{value}""#)), "{name}: {html}");
    }
    assert!(html.contains(r#"rel="prev" href="/visitors?who=known&amp;user_id=u-1&amp;company=acme.com""#), "{html}");
    // What cannot be read is said.
    assert!(text(&site.page("/?new=year").await).contains("new must be week, or be left out"));
    let hostile = site.page("/?q=%22%3E%3Cscript%3Ex%3C%2Fscript%3E&rule=%3Cb%3E").await;
    assert!(!hostile.contains("<script>x") && !hostile.contains("<b>"), "{hostile}");
}
