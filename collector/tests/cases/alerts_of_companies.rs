//! Alerts about companies: what counts as news of a company, and who is counted in a message.

use std::sync::Arc;

use koala_collector::company::Guess;
use koala_collector::exclude::Exclude;
use koala_collector::signals::told::Told;
use koala_collector::store::filter::CompanyFilter;
use koala_destination::clock::now_milliseconds;
use serde_json::json;

use super::alert_messages::{claim, messages};
use super::alerts::{HOUR, Watched, ago, page, track};
use super::{ADA, Engine, GRACE, batch, ingest};

const OVER_4: (&str, &str) = ("alerts/hot", r#"{"on":"points","over":4,"to":"sales"}"#);

pub async fn what_is_imported_sets_nothing_off_also_of_a_company_that_was_looked_at(store: Arc<dyn Engine>) {
    let over = ("alerts/hot", r#"{"on":"points","over":12,"to":"sales"}"#);
    let surging = ("alerts/rise", r#"{"on":"trend","is":"surging","to":"sales"}"#);
    let watched = Watched::new(&store, &[over, surging]).await;
    let email = "ada@contoso.example";
    ingest(&*store, &json!({"email": email, "page_views": [page("/about", "p-0", &ago(1000))]})).await;
    let before = watched.headlines().await;
    for day in 2..7 {
        let old = page("/pricing", &format!("p-{day}"), &ago(day * 24 * HOUR));
        ingest(&*store, &json!({"email": email, "page_views": [old]})).await;
        assert_eq!(watched.headlines().await, before, "{day} days ago");
    }
    // Nor does the address of somebody who came long ago, said now.
    for day in 2..6 {
        let old = page("/pricing", &format!("q-{day}"), &ago(day * 24 * HOUR));
        ingest(&*store, &json!({"anonymous_id": "d-9", "page_views": [old]})).await;
    }
    let identify = json!({"type": "identify", "message_id": "i-9", "sent_at": ago(1000), "traits": {}});
    let known =
        json!({"anonymous_id": "d-9", "user_id": "u-9", "email": "eve@import.example", "identifies": [identify]});
    ingest(&*store, &known).await;
    assert_eq!(watched.headlines().await, before, "identified now");
    let points =
        store.show_company("contoso.example", 1).await.expect("a company").expect("it is there").company.intent;
    assert!(points > 12.0, "{points}");
}

pub async fn who_signs_up_after_having_looked_sets_points_off(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[OVER_4]).await;
    ingest(&*store, &json!({"profile_id": ADA, "page_views": [page("/pricing", "p-1", &ago(4000))]})).await;
    assert_eq!(watched.headlines().await, [""; 0]);
    let identify = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(1000), "traits": {"name": "Ada"}});
    let signs_up = json!({"profile_id": ADA, "user_id": "u-1", "email": "ada@late.example", "identifies": [identify]});
    ingest(&*store, &signs_up).await;
    assert_eq!(watched.headlines().await, ["late.example has more than 4 points, 1 person, surging"]);
}

pub async fn a_company_that_becomes_known_with_what_was_done_before_sets_points_off(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[OVER_4]).await;
    for days in 1..4 {
        let looked = page("/docs/a", &format!("p-{days}"), &ago(days * 24 * HOUR + HOUR));
        ingest(&*store, &json!({"profile_id": ADA, "page_views": [looked]})).await;
    }
    assert_eq!(watched.headlines().await, [""; 0]);
    let identify = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(1000), "traits": {}});
    let known = json!({"profile_id": ADA, "email": "ada@initech.example", "identifies": [identify],
                       "page_views": [page("/pricing", "p-9", &ago(1000))]});
    ingest(&*store, &known).await;
    assert_eq!(watched.headlines().await, ["initech.example has more than 4 points, 1 person, surging"]);
}

pub async fn two_companies_that_become_one_tell_once_what_one_of_them_has_told(store: Arc<dyn Engine>) {
    let surging = ("alerts/rise", r#"{"on":"trend","is":"surging","to":"sales"}"#);
    let watched = Watched::new(&store, &[OVER_4, surging]).await;
    // The one that is known first has done little.
    let group = |id: &str, domain: Option<&str>| {
        let call = json!({"type": "group", "message_id": id, "sent_at": ago(2000), "group_id": "g1", "domain": domain, "traits": {}});
        json!({"user_id": "u-1", "groups": [call]})
    };
    ingest(&*store, &group("g-1", None)).await;
    let looks = json!({"user_id": "u-1", "page_views": [page("/about", "p-0", &ago(1000))]});
    ingest(&*store, &looks).await;
    assert_eq!(watched.headlines().await, [""; 0]);
    let price = |id: &str| json!({"email": "ada@one.example", "page_views": [page("/pricing", id, &ago(1000))]});
    ingest(&*store, &price("p-1")).await;
    let told = watched.headlines().await;
    assert_eq!(told, ["one.example has more than 4 points, 1 person, surging", "one.example is surging, 1 person"]);
    ingest(&*store, &group("g-2", Some("one.example"))).await;
    assert_eq!(watched.headlines().await, told);
    ingest(&*store, &price("p-2")).await;
    assert_eq!(watched.headlines().await, told);
    assert_eq!(store.list_companies(CompanyFilter::default(), 0, 9).await.expect("companies").1, 1);
}

pub async fn what_a_network_alone_says_of_a_company_that_is_known_is_told_as_a_guess(store: Arc<dyn Engine>) {
    let segment = ("alert-targets/crm", r#"{"segment":"wk_0123456789"}"#);
    let watched = Watched::new(&store, &[("alerts/a", r#"{"on":"pricing","to":["sales","crm"]}"#), segment]).await;
    let identify =
        json!({"type": "identify", "message_id": "i-1", "sent_at": ago(2000), "traits": {"company": "Hooli"}});
    ingest(&*store, &json!({"user_id": "u-1", "email": "ceo@hooli.example", "identifies": [identify]})).await;
    let looks = json!({"anonymous_id": "d-1", "page_views": [page("/pricing", "p-1", &ago(1000))]});
    let mut looks = batch(&looks);
    looks.entries[0].guess = Some(Guess { domain: "hooli.example".to_owned(), name: None });
    store.ingest(looks).await.expect("it is kept");
    assert_eq!(watched.headlines().await, ["Hooli looks at pricing, 1 person, heating"]);
    let told = messages(&*store).await;
    assert_eq!(told.iter().map(|one| one.target.as_str()).collect::<Vec<_>>(), ["sales"]);
    let claimed = claim(&*store, "sales", now_milliseconds() + 3100, true).await;
    let Ok(Told::Signal(told)) = serde_json::from_str(&claimed[0].told) else { panic!("{claimed:?}") };
    assert!(told.company.expect("a company").is_guess);
}

pub async fn the_people_of_a_message_are_those_who_did_it_and_are_not_kept_out(store: Arc<dyn Engine>) {
    let alert = ("alerts/a", r#"{"on":"pricing","to":"sales"}"#);
    let watched = Watched::new(&store, &[alert]).await;
    let spy = Exclude::parse(r#"{"emails":["spy@many.example"]}"#).expect("one");
    store.follow_exclude(&spy).await.expect("it is followed");
    for n in 0..3 {
        let identify = json!({"type": "identify", "message_id": format!("i-{n}"), "sent_at": ago(2000), "traits": {}});
        ingest(&*store, &json!({"email": format!("crm-{n}@many.example"), "identifies": [identify]})).await;
    }
    let looks = |id: &str| page("/pricing", id, &ago(1000));
    ingest(&*store, &json!({"email": "spy@many.example", "page_views": [looks("p-1")]})).await;
    ingest(
        &*store,
        &json!({"profile_id": GRACE, "email": "ada@many.example", "page_views": [looks("p-2")],
                            "events": [track("Other", "e-1", &ago(900))]}),
    )
    .await;
    assert_eq!(watched.headlines().await, ["many.example looks at pricing, 1 person, surging"]);
    assert_eq!(messages(&*store).await.len(), 1);
}

pub async fn who_was_only_identified_is_none_of_the_people_of_a_busy_company(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[("alerts/a", r#"{"on":"points","over":4,"to":"sales"}"#)]).await;
    // All users are identified each night; she did something long ago.
    let identify = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(1000), "traits": {"plan": "team"}});
    let used = track("Feature Used", "of-grace", &ago(8 * 24 * HOUR));
    ingest(&*store, &json!({"email": "grace@acme.example", "events": [used], "identifies": [identify]})).await;
    for batch in 0..11 {
        let at = |n: i64| ago(HOUR - batch * 60_000 - n * 1000);
        let events: Vec<_> = (0..30).map(|n| track("Feature Used", &format!("{batch}-{n}"), &at(n))).collect();
        ingest(&*store, &json!({"email": "ada@acme.example", "events": events})).await;
    }
    ingest(&*store, &json!({"email": "ada@acme.example", "page_views": [page("/pricing", "p-1", &ago(2000))]})).await;
    let headlines = watched.headlines().await;
    assert!(headlines.len() == 1 && headlines[0].contains("1 person"), "{headlines:?}");
}
