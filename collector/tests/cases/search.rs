//! Visitors listed, searched and exported.

use koala_collector::store::Store;
use koala_collector::store::filter::{Did, Filter, TraitFilter};
use koala_destination::clock;
use serde_json::json;

use super::{ADA, GRACE, event, identify, ingest};

async fn fill(store: &dyn Store, visitors: u32) {
    for n in 0..visitors {
        let at = format!("2026-11-20T10:{:02}:{:02}Z", n / 60, n % 60);
        ingest(store, &json!({"email": format!("v{n}@acme.com"), "events": [event(&format!("e-{n}"), &at)]})).await;
    }
}

pub async fn visitors_are_listed_with_the_one_seen_last_first(store: &dyn Store) {
    fill(store, 5).await;
    ingest(store, &json!({"email": "v1@acme.com", "events": [event("e-late", "2026-11-21T10:00:00Z")]})).await;
    let listed: Vec<_> = super::visitors(store).await.into_iter().map(|visitor| visitor.emails[0].clone()).collect();
    assert_eq!(listed, ["v1@acme.com", "v4@acme.com", "v3@acme.com", "v2@acme.com", "v0@acme.com"]);
}

pub async fn pages_hold_every_visitor_once(store: &dyn Store) {
    fill(store, 25).await;
    for filter in [Filter::default(), Filter { text: Some("ACME".into()), ..Filter::default() }] {
        let mut seen = Vec::new();
        for offset in [0, 10, 20, 30, u32::MAX] {
            let (page, total) = store.list_visitors(filter.clone(), offset, 10).await.unwrap();
            assert_eq!(total, 25);
            seen.extend(page.into_iter().map(|visitor| visitor.emails[0].clone()));
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((seen.len(), distinct.len()), (25, 25), "{filter:?}");
    }
}

pub async fn of_what_a_search_finds_no_more_is_counted_than_is_asked_for(store: &dyn Store) {
    fill(store, 7).await;
    let found = async |filter: &Filter, offset, limit, most| {
        let (page, total) = store.list_visitors_counting(filter.clone(), offset, limit, most).await.unwrap();
        (page.iter().map(|visitor| visitor.emails[0].clone()).collect::<Vec<_>>(), total)
    };
    let of_acme = Filter { text: Some("acme".into()), ..Filter::default() };
    let (first, total) = found(&of_acme, 0, 2, 3).await;
    assert_eq!((first, total), (vec!["v6@acme.com".to_owned(), "v5@acme.com".to_owned()], 4), "more than 3");
    let (third, total) = found(&of_acme, 4, 2, 3).await;
    assert_eq!(
        (third, total),
        (vec!["v2@acme.com".to_owned(), "v1@acme.com".to_owned()], 7),
        "and than on the pages so far"
    );
    assert_eq!(found(&of_acme, 0, 2, 7).await.1, 7, "no more than are counted");
    assert_eq!(found(&of_acme, 6, 2, 3).await, (vec!["v0@acme.com".to_owned()], 7));
    assert_eq!(found(&of_acme, 8, 2, 3).await, (vec![], 7));
}

pub async fn a_trait_is_found_however_many_have_it(store: &dyn Store) {
    for (who, plan) in [("a", "free"), ("b", "team"), ("c", "TEAM")] {
        let says = identify(&format!("i-{who}"), "2026-11-20T10:00:00Z", &json!({"plan": plan}));
        ingest(store, &json!({"email": format!("{who}@acme.com"), "identifies": [says]})).await;
    }
    let says = identify("i-late", "2026-11-20T11:00:00Z", &json!({"plan": "free"}));
    ingest(store, &json!({"email": "b@acme.com", "identifies": [says]})).await;
    let of_trait = TraitFilter { name: "Plan".into(), value: Some("team".into()) };
    let (found, total) =
        store.list_visitors(Filter { of_trait: Some(of_trait), ..Filter::default() }, 0, 10).await.unwrap();
    assert_eq!((found.len(), total), (1, 1));
    assert_eq!(found[0].emails, ["c@acme.com"]);
}

pub async fn an_export_goes_through_all_in_the_order_of_ids(store: &dyn Store) {
    fill(store, 25).await;
    for (filter, count) in [(Filter::default(), 25), (Filter { text: Some("v1".into()), ..Filter::default() }, 11)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.export_visitors(&filter, after.as_ref(), 10).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            seen.extend(page.into_iter().map(|visitor| visitor.emails[0].clone()));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{filter:?}");
    }
}

pub async fn a_filter_finds_by_text_trait_event_and_time(store: &dyn Store) {
    let people = [("ada", json!("Team"), 18), ("grace", json!("free"), 19), ("alan", json!(5), 20)];
    for (n, (who, plan, day)) in people.into_iter().enumerate() {
        let at = format!("2026-11-{day}T10:00:00Z");
        let said =
            identify(&format!("i-{n}"), &at, &json!({"plan": plan, "seats": 3, "gone": null, "note": "100 % of_it"}));
        ingest(store, &json!({"email": format!("{who}@acme.com"), "identifies": [said], "events": [event(&format!("e-{n}"), &at)]})).await;
    }
    let up = json!({"event": "Signed Up", "message_id": "e-up", "sent_at": "2026-11-10T09:00:00Z"});
    ingest(store, &json!({"email": "ada@acme.com", "events": [up]})).await;
    ingest(store, &json!({"profile_id": GRACE, "events": [event("e-x", "2026-11-21T00:00:00Z")]})).await;

    let time = |text: &str| clock::milliseconds(text);
    let none = Filter::default;
    let of_trait = |text| Filter { of_trait: TraitFilter::parse(text), ..none() };
    let text = |text: &str| Filter { text: Some(text.into()), ..none() };
    let event = |name: &str| Filter { did: Did { event: Some(name.into()), ..Did::default() }, ..none() };
    for (filter, found) in [
        (of_trait("plan=team"), vec!["ada"]),
        (of_trait("plan=5"), vec!["alan"]),
        (of_trait("PLAN"), vec!["alan", "grace", "ada"]),
        (of_trait("gone"), vec![]),
        (Filter { known: Some(false), ..none() }, vec![""]),
        (Filter { known: Some(true), ..none() }, vec!["alan", "grace", "ada"]),
        (event("signed up"), vec!["ada"]),
        (Filter { since: time("2026-11-11T00:00:00Z"), ..event("signed up") }, vec![]),
        (Filter { before: time("2026-11-11T00:00:00Z"), ..event("signed up") }, vec!["ada"]),
        (Filter { since: time("2026-11-19T10:00:00Z"), before: time("2026-11-20T10:00:00Z"), ..none() }, vec!["grace"]),
        // In between nobody did anything, though one was there before and after.
        (Filter { since: time("2026-11-12T00:00:00Z"), before: time("2026-11-16T00:00:00Z"), ..none() }, vec![]),
        (text("GRACE@"), vec!["grace"]),
        (text(&GRACE[..8]), vec![""]),
        (text("signed UP"), vec!["ada"]),
        // Signs of patterns are text.
        (text("100 % of_"), vec!["alan", "grace", "ada"]),
        (text("100 _ of%"), vec![]),
        (text(ADA), vec![]),
        (
            Filter { known: Some(true), since: time("2026-11-19T00:00:00Z"), ..of_trait("seats=3") },
            vec!["alan", "grace"],
        ),
    ] {
        let (visitors, total) = store.list_visitors(filter.clone(), 0, 100).await.unwrap();
        let name =
            |emails: &[String]| emails.first().map_or("", |email| email.trim_end_matches("@acme.com")).to_owned();
        let names: Vec<_> = visitors.iter().map(|visitor| name(&visitor.emails)).collect();
        assert_eq!(
            (names.iter().map(String::as_str).collect::<Vec<_>>(), total),
            (found.clone(), found.len() as u64),
            "{filter:?}"
        );
    }
}

pub async fn a_visitor_is_found_by_user_id_and_by_what_is_said_now(store: &dyn Store) {
    let said = |id: &str, at: &str, plan: &str| identify(id, at, &json!({"plan": plan}));
    ingest(store, &json!({"anonymous_id": "Device-7", "identifies": [said("i-1", "2026-11-20T09:00:00Z", "before")]}))
        .await;
    ingest(
        store,
        &json!({"anonymous_id": "Device-7", "user_id": "Customer-42",
                          "identifies": [said("i-2", "2026-11-20T10:00:00Z", "after")]}),
    )
    .await;
    let text = |text: &str| Filter { text: Some(text.into()), ..Filter::default() };
    let of_trait = |text: &str| Filter { of_trait: TraitFilter::parse(text), ..Filter::default() };
    let known = |known| Filter { known: Some(known), ..Filter::default() };
    for (filter, found) in [
        (text("customer-42"), 1),
        (text("Customer-4"), 1),
        (text("device-7"), 1),
        (text("after"), 1),
        (text("before"), 0),
        (of_trait("plan=after"), 1),
        (of_trait("plan=before"), 0),
        (known(true), 1),
        (known(false), 0),
    ] {
        let (visitors, total) = store.list_visitors(filter.clone(), 0, 10).await.unwrap();
        assert_eq!((visitors.len(), total), (found, found as u64), "{filter:?}");
    }
}
