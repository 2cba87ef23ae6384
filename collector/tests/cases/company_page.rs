//! What a company's page tells: what its people looked at, who they are, where they came from.

use koala_collector::about::Utm;
use koala_collector::store::Store;
use koala_collector::store::company::{CompanyPage, Interest};
use koala_collector::store::deletion::Retention;
use koala_collector::store::filter::{Did, Filter};
use koala_collector::store::visitor::VisitorId;
use serde_json::{Value, json};

use super::{ADA, days_ago, identify, ingest, timeline};

/// A page view as our own handlers write it.
fn view(message_id: &str, at: &str, page: &Value) -> Value {
    json!({"type": "page", "message_id": message_id, "sent_at": at, "visit_start": at, "page": page})
}

fn track(message_id: &str, at: &str, name: &str, path: &str) -> Value {
    json!({"type": "track", "event": name, "message_id": message_id, "sent_at": at, "context": {"page": {"path": path}}})
}

async fn acme(store: &dyn Store) -> CompanyPage {
    store.show_company("acme.com", 100).await.unwrap().expect("a company")
}

fn pricing(title: &str) -> Value {
    json!({"path": "/pricing", "title": title, "url": "https://shop.example/pricing"})
}

pub async fn a_company_s_page_tells_which_pages_and_events_by_whom_how_often_and_when_last(store: &dyn Store) {
    let ada = json!([
        view("p-1", "2026-11-20T09:00:00Z", &pricing("Pricing")),
        view("p-2", "2026-11-20T09:05:00Z", &json!({"path": "/docs", "title": "Docs"})),
        // The same path with another title is the same page.
        view("p-3", "2026-11-20T09:10:00Z", &pricing("Prices")),
    ]);
    let demo = [
        track("e-1", "2026-11-20T09:20:00Z", "Asked for Demo", "/demo"),
        track("e-2", "2026-11-20T09:21:00Z", "Asked for Demo", "/"),
    ];
    ingest(store, &json!({"email": "ada@acme.com", "page_views": ada, "events": demo})).await;
    // Anonymous, then known: one person.
    ingest(
        store,
        &json!({"anonymous_id": ADA, "page_views": [view("p-4", "2026-11-20T08:00:00Z", &pricing("Pricing"))]}),
    )
    .await;
    ingest(store, &json!({"anonymous_id": ADA, "email": "grace@acme.com", "page_views": [view("p-5", "2026-11-20T10:00:00Z", &pricing("Prices"))]})).await;
    ingest(
        store,
        &json!({"email": "alan@other.com", "page_views": [view("p-6", "2026-11-20T11:00:00Z", &pricing("Prices"))]}),
    )
    .await;

    let CompanyPage { interests, people, .. } = acme(store).await;
    let by: Vec<VisitorId> = people.iter().map(|member| member.visitor.id.clone()).collect();
    let [grace, ada] = &by[..] else { panic!("{people:?}") };
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        Interest {
            kind: "page_view".into(),
            name: None,
            path: text("/pricing"),
            title: text("Prices"),
            times: 4,
            visitors: 2,
            by: vec![grace.clone(), ada.clone()],
            last_at: "2026-11-20T10:00:00.000Z".into(),
        },
        Interest {
            kind: "event".into(),
            name: text("Asked for Demo"),
            path: None,
            title: None,
            times: 2,
            visitors: 1,
            by: vec![ada.clone()],
            last_at: "2026-11-20T09:21:00.000Z".into(),
        },
        Interest {
            kind: "page_view".into(),
            name: None,
            path: text("/docs"),
            title: text("Docs"),
            times: 1,
            visitors: 1,
            by: vec![ada.clone()],
            last_at: "2026-11-20T09:05:00.000Z".into(),
        },
    ];
    assert_eq!(interests, expected);
}

pub async fn a_company_s_people_have_their_title_and_the_page_that_they_looked_at_last(store: &dyn Store) {
    let views = [
        view("p-1", "2026-11-20T09:00:00Z", &pricing("Pricing")),
        view("p-2", "2026-11-20T08:00:00Z", &json!({"path": "/docs"})),
    ];
    let said = identify("i-1", "2026-11-20T09:30:00Z", &json!({"title": "VP Engineering"}));
    ingest(store, &json!({"email": "ada@acme.com", "page_views": views, "identifies": [said]})).await;
    ingest(store, &json!({"email": "grace@acme.com", "events": [track("e-1", "2026-11-20T09:00:00Z", "A", "/x")]}))
        .await;
    let people: Vec<_> = acme(store)
        .await
        .people
        .into_iter()
        .map(|it| (it.title, it.last_page.map(|page| (page.path, page.title, page.at))))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    let last = Some((text("/pricing"), text("Pricing"), "2026-11-20T09:00:00.000Z".to_owned()));
    assert_eq!(people, [(text("VP Engineering"), last), (None, None)]);
}

pub async fn a_company_s_sources_are_other_sites_and_campaigns(store: &dyn Store) {
    let from = |n: u32, url: &str, referrer: &str| {
        view(&format!("p-{n}"), "2026-11-20T09:00:00Z", &json!({"path": "/", "url": url, "referrer": referrer}))
    };
    let google = "https://www.google.com/search?q=engines";
    let mut campaign = track("e-1", "2026-11-20T09:00:00Z", "A", "/");
    campaign["context"]["campaign"] = json!({"source": "newsletter", "medium": "email", "name": "autumn"});
    let ada = json!({"email": "ada@acme.com", "events": [campaign], "page_views": [
        from(1, "https://shop.example/", google),
        from(2, "https://shop.example/docs", "https://shop.example/"),
        from(3, "https://shop.example/?utm_source=newsletter&utm_medium=email&utm_campaign=autumn", ""),
    ]});
    ingest(store, &ada).await;
    ingest(store, &json!({"email": "grace@acme.com", "page_views": [from(4, "https://shop.example/", google)]})).await;
    let sources: Vec<_> =
        acme(store).await.sources.into_iter().map(|it| (it.referrer, it.utm, it.times, it.visitors)).collect();
    let text = |text: &str| Some(text.to_owned());
    let autumn = Utm { source: text("newsletter"), medium: text("email"), campaign: text("autumn") };
    assert_eq!(sources, [(text("google.com"), Utm::default(), 2, 2), (None, autumn, 2, 1)]);
}

pub async fn a_timeline_says_page_referrer_and_campaign(store: &dyn Store) {
    let page = json!({"path": "/pricing", "title": "Pricing", "url": "https://shop.example/pricing?utm_source=x", "referrer": "https://www.google.com/"});
    ingest(store, &json!({"email": "ada@acme.com", "page_views": [view("p-1", "2026-11-20T09:00:00Z", &page)]})).await;
    let entry = timeline(store).await.remove(0);
    assert_eq!(
        (entry.path.as_deref(), entry.title.as_deref(), entry.referrer.as_deref()),
        (Some("/pricing"), Some("Pricing"), Some("https://www.google.com/"))
    );
    assert_eq!(entry.utm.source.as_deref(), Some("x"));
}

pub async fn a_page_view_that_grows_and_one_that_comes_twice_count_once(store: &dyn Store) {
    let view = |focused: &[u32], title: &str| {
        let view = json!({"message_id": "p-1", "visit_start": "2026-11-20T09:00:00.000Z", "focus_intervals": focused, "page": {"path": "/pricing", "title": title}});
        json!({"email": "ada@acme.com", "page_views": [view]})
    };
    for (focused, title) in [(&[1][..], "…"), (&[1], "…"), (&[1, 2], "Pricing"), (&[1, 2, 3], "Pricing")] {
        ingest(store, &view(focused, title)).await;
    }
    let [interest] = &acme(store).await.interests[..] else { panic!("one page") };
    assert_eq!((interest.times, interest.visitors, interest.title.as_deref()), (1, 1, Some("Pricing")));
}

pub async fn what_is_older_than_it_may_be_is_told_of_a_company_no_longer(store: &dyn Store) {
    for (n, days) in [(1, 40), (2, 40), (3, 1)] {
        let at = days_ago(days);
        let page = json!({"path": if n == 2 { "/old" } else { "/pricing" }, "url": "https://shop.example/", "referrer": format!("https://site-{days}.example/")});
        let view = view(&format!("p-{n}"), &at, &page);
        ingest(store, &json!({"email": "ada@acme.com", "received_at": at, "page_views": [view]})).await;
    }
    while store.sweep(Retention::of_days(30)).await.unwrap() {}
    let CompanyPage { interests, sources, .. } = acme(store).await;
    let shown: Vec<_> = interests.iter().map(|it| (it.path.as_deref().unwrap(), it.times)).collect();
    assert_eq!(shown, [("/pricing", 1)]);
    let from: Vec<_> = sources.iter().map(|it| it.referrer.as_deref().unwrap()).collect();
    assert_eq!(from, ["site-1.example"]);
    let old = Filter { did: Did { path: Some("/old".into()), ..Did::default() }, ..Filter::default() };
    assert_eq!(store.list_visitors(old, 0, 1).await.unwrap().1, 0);
}
