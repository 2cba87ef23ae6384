//! Visitors and companies found by what they did, by where they came from, by whose they are.

use koala_collector::intent::IntentRule;
use koala_collector::store::Store;
use koala_collector::store::filter::{CompanyFilter, Did, Filter};
use koala_destination::clock;
use serde_json::json;

use super::{ADA, ingest};

/// Ada views a page, Grace an event, Alan something else, somebody unknown the page.
async fn fill(store: &dyn Store) {
    let rule = IntentRule::parse("pricing", r#"{"trigger":"contains(properties.path, \"/pricing\")","score":8}"#)
        .unwrap()
        .unwrap();
    store.follow_intent_rules(&[rule]).await.unwrap();
    let page = |n: u32, at: &str, path: &str, title: &str| {
        let page = json!({"path": path, "title": title, "url": format!("https://shop.example{path}"), "referrer": "https://www.google.com/"});
        json!({"message_id": format!("p-{n}"), "sent_at": at, "type": "page", "page": page, "properties": {"path": path}})
    };
    let ada = json!({"user_id": "Customer-42", "email": "ada@acme.com", "page_views": [page(1, "2026-11-10T09:00:00Z", "/pricing", "What it costs")]});
    let viewed = json!({"type": "track", "event": "Viewed Pricing", "message_id": "e-1", "sent_at": "2026-11-11T09:00:00Z", "context": {"campaign": {"source": "Newsletter", "name": "autumn"}}});
    let grace = json!({"email": "grace@globex.com", "events": [viewed]});
    let docs = json!({"message_id": "p-2", "sent_at": clock::now(), "page": {"path": "/docs", "title": "Docs", "url": "https://shop.example/docs"}, "name": "Guide"});
    let alan = json!({"email": "alan@initech.com", "page_views": [docs]});
    let unknown =
        json!({"anonymous_id": ADA, "page_views": [page(3, "2026-11-12T09:00:00Z", "/pricing/teams", "Teams")]});
    for body in [ada, grace, alan, unknown] {
        ingest(store, &body).await;
    }
    ingest(store, &json!({"user_id": "u-9", "groups": [{"type": "group", "message_id": "g-1", "sent_at": "2026-11-01T09:00:00Z", "group_id": "Workspace-7", "domain": "acme.com", "name": "Acme Corporation"}]})).await;
}

#[allow(clippy::unnecessary_wraps)] // as the fields of a filter are
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn event(part: &str) -> Did {
    Did { event: text(part), ..Did::default() }
}

fn page(part: &str) -> Did {
    Did { page: text(part), ..Did::default() }
}

fn path(part: &str) -> Did {
    Did { path: text(part), ..Did::default() }
}

fn source(part: &str) -> Did {
    Did { source: text(part), ..Did::default() }
}

fn rule(name: &str) -> Did {
    Did { rule: text(name), ..Did::default() }
}

pub async fn a_part_of_an_event_s_name_of_a_page_and_of_a_path_finds_visitors(store: &dyn Store) {
    fill(store).await;
    let did = |did| Filter { did, ..Filter::default() };
    let all = |part: &str| Filter { text: text(part), ..Filter::default() };
    let time = clock::milliseconds;
    for (filter, found) in [
        // Viewed Pricing and /pricing alike, whatever the case.
        (all("PRICING"), &["", "ada", "grace"][..]),
        (all("what it"), &["ada"]),
        (all("guide"), &["alan"]),
        (did(event("pricing")), &["grace"]),
        (did(event("view")), &["grace"]),
        (did(page("pricing")), &["", "ada"]),
        (did(page("costs")), &["ada"]),
        (did(page("guide")), &["alan"]),
        (did(path("/pricing")), &["", "ada"]),
        (did(path("teams")), &[""]),
        (did(source("GOOGLE")), &["", "ada"]),
        (did(source("newsletter")), &["grace"]),
        (did(source("autumn")), &["grace"]),
        (did(rule("pricing")), &["", "ada"]),
        (did(rule("demo")), &[]),
        (Filter { known: Some(true), ..did(path("/pricing")) }, &["ada"]),
        (Filter { user_id: text("customer-4"), ..Filter::default() }, &["ada"]),
        (Filter { company: text("workspace"), ..Filter::default() }, &["", "ada"]),
        (Filter { company: text("acme corp"), ..Filter::default() }, &["", "ada"]),
        (Filter { company: text("globex"), ..did(event("pricing")) }, &["grace"]),
        (Filter { company: text("acme"), ..did(event("pricing")) }, &[]),
        (Filter { first_seen_since: time(&clock::now()).map(|now| now - 3_600_000), ..Filter::default() }, &["alan"]),
        // At that time.
        (
            Filter {
                since: time("2026-11-10T00:00:00Z"),
                before: time("2026-11-11T00:00:00Z"),
                ..did(page("pricing"))
            },
            &["ada"],
        ),
        (Filter { since: time("2026-11-11T00:00:00Z"), ..did(path("/pricing")) }, &[""]),
        (Filter { before: time("2026-11-11T00:00:00Z"), ..did(event("pricing")) }, &[]),
        // Signs of patterns are text.
        (did(event("%")), &[]),
        (did(path("_pricing")), &[]),
    ] {
        let (visitors, total) = store.list_visitors(filter.clone(), 0, 100).await.unwrap();
        let name =
            |emails: &[String]| emails.first().map_or("", |it| it.split('@').next().unwrap_or_default()).to_owned();
        let mut names: Vec<_> = visitors.iter().map(|visitor| name(&visitor.emails)).collect();
        names.sort();
        assert_eq!(
            (&names.iter().map(String::as_str).collect::<Vec<_>>()[..], total),
            (found, found.len() as u64),
            "{filter:?}"
        );
    }
    let acme = store.show_company("acme.com", 1).await.unwrap().unwrap().company.id;
    let by_id = Filter { company: Some(acme.as_str().to_owned()), ..Filter::default() };
    assert_eq!(store.list_visitors(by_id.clone(), 0, 10).await.unwrap().1, 2);
    assert_eq!(store.export_visitors(&by_id, None, 10).await.unwrap().len(), 2);
}

pub async fn companies_are_found_by_text_by_what_their_people_did_and_by_when_they_came(store: &dyn Store) {
    fill(store).await;
    let did = |did| CompanyFilter { did, ..CompanyFilter::default() };
    let all = |part: &str| CompanyFilter { text: text(part), ..CompanyFilter::default() };
    let an_hour_ago = Some(clock::now_milliseconds() - 3_600_000);
    for (filter, found) in [
        (CompanyFilter::default(), &["acme.com", "globex.com", "initech.com"][..]),
        (all("GLOBEX"), &["globex.com"]),
        (all("corporation"), &["acme.com"]),
        (all("workspace-7"), &["acme.com"]),
        (all("alan@"), &["initech.com"]),
        (all("customer-42"), &["acme.com"]),
        (all("pricing"), &["acme.com", "globex.com"]),
        (all("nothing of it"), &[]),
        (did(page("pricing")), &["acme.com"]),
        (did(event("pricing")), &["globex.com"]),
        (did(path("/docs")), &["initech.com"]),
        (did(rule("pricing")), &["acme.com"]),
        (did(source("google")), &["acme.com"]),
        (did(source("autumn")), &["globex.com"]),
        (CompanyFilter { first_seen_since: an_hour_ago, ..CompanyFilter::default() }, &["initech.com"]),
        (CompanyFilter { first_seen_since: an_hour_ago, ..did(page("pricing")) }, &[]),
    ] {
        let (companies, total) = store.list_companies(filter.clone(), 0, 100).await.unwrap();
        let mut keys: Vec<_> = companies.iter().map(|company| company.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!((&keys[..], total), (found, found.len() as u64), "{filter:?}");
    }
    let (second, total) = store.list_companies(all("pricing"), 1, 1).await.unwrap();
    assert_eq!((second.len(), total), (1, 2));
}
