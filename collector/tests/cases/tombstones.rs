//! What was under way when a person was deleted.

use koala_collector::store::Store;
use koala_collector::store::deletion::{Departed, Forgotten, Person};
use koala_collector::store::visitor::Visitor;
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};

use super::{by_email, delete, event, identify, ingest, only_visitor, person, visitors};

/// An event that our own handlers say was received at a time.
fn received(ids: Value, message_id: &str, at: &str) -> Value {
    let mut body = ids;
    body["received_at"] = at.into();
    body["events"] = json!([event(message_id, at)]);
    body
}

fn ids(user: &str, email: &str, device: &str) -> Value {
    let mut ids = json!({});
    for (key, value) in [("user_id", user), ("email", email.trim_start_matches('~')), ("anonymous_id", device)] {
        if !value.is_empty() {
            ids[key] = value.into();
        }
    }
    if email.starts_with('~') {
        ids["email_from"] = "properties".into();
    }
    ids
}

pub async fn what_was_received_before_a_deletion_does_not_come_back(store: &dyn Store) {
    let before = clock::now();
    ingest(store, &received(ids("u1", "ada@acme.com", "d1"), "e-1", &before)).await;
    delete(store, &[by_email("ada@acme.com")]).await;
    for (n, ids) in [
        ids("u1", "ada@acme.com", "d1"),
        ids("u1", "", ""),
        ids("", "Ada@Acme.com", ""),
        ids("", "", "d1"),
        ids("u1", "", "d2"),
        ids("u1", "~bob@acme.com", ""),
        ids("", "ada@acme.com", "d3"),
    ]
    .into_iter()
    .enumerate()
    {
        ingest(store, &received(ids, &format!("late-{n}"), &before)).await;
    }
    assert!(visitors(store).await.is_empty(), "{:?}", visitors(store).await);
    // An entry of a batch that was received later is a new person's, beside one that was received before.
    let now = clock::now();
    let both = json!({"user_id": "u1", "anonymous_id": "d1", "events": [
        {"event": "A", "message_id": "late", "sent_at": before, "received_at": before},
        {"event": "A", "message_id": "new", "sent_at": now, "received_at": now},
    ]});
    ingest(store, &both).await;
    let visitor = only_visitor(store).await;
    assert_eq!((visitor.events, visitor.user_ids, visitor.anonymous_ids), (1, vec!["u1".into()], vec!["d1".into()]));
    // What does not say when it was received is of now.
    ingest(store, &json!({"user_id": "u1", "events": [event("e-now", &before)]})).await;
    assert_eq!(only_visitor(store).await.events, 2);
}

pub async fn others_on_the_same_browser_lose_nothing(store: &dyn Store) {
    let before = clock::now();
    ingest(store, &received(ids("u1", "ada@acme.com", "shared"), "e-1", &before)).await;
    ingest(store, &received(ids("u2", "bob@acme.com", "shared"), "e-2", &before)).await;
    delete(store, &[by_email("ada@acme.com")]).await;
    // Somebody who was known, somebody who was not, and somebody by an address alone.
    for (n, ids) in
        [ids("u2", "", "shared"), ids("u3", "", "shared"), ids("", "dan@acme.com", "shared")].into_iter().enumerate()
    {
        ingest(store, &received(ids, &format!("late-{n}"), &before)).await;
    }
    let mut left: Vec<_> = visitors(store).await.into_iter().map(|it| (it.user_ids, it.emails, it.events)).collect();
    left.sort();
    let text = |text: &str| vec![text.to_owned()];
    assert_eq!(
        left,
        [(vec![], text("dan@acme.com"), 1), (text("u2"), text("bob@acme.com"), 2), (text("u3"), vec![], 1)]
    );
    // The browser is theirs who was there as well, by what was known of it.
    let of = |visitor: &Visitor| (visitor.user_ids.concat(), visitor.anonymous_ids.concat());
    let mut browsers: Vec<_> = visitors(store).await.iter().map(of).collect();
    browsers.sort();
    let text = |user: &str, device: &str| (user.to_owned(), device.to_owned());
    assert_eq!(browsers, [text("", ""), text("u2", "shared"), text("u3", "")]);
}

pub async fn a_browser_of_a_crowd_is_nobody_s_also_where_one_of_them_comes_late(store: &dyn Store) {
    let before = clock::now();
    for n in 0..6 {
        ingest(store, &received(ids(&format!("u{n}"), "", "kiosk"), &format!("e-{n}"), &before)).await;
    }
    ingest(store, &received(ids("", "", "kiosk"), "anonymous", &before)).await;
    ingest(store, &received(ids("ada", "ada@acme.com", ""), "e-ada", &before)).await;
    delete(store, &[by_email("ada@acme.com")]).await;
    ingest(store, &received(ids("ada", "", "kiosk"), "late", &before)).await;
    let left = visitors(store).await;
    assert_eq!(left.len(), 7, "{left:?}");
    let kiosk = left.iter().find(|visitor| visitor.user_ids.is_empty()).expect("nobody's browser");
    assert_eq!((kiosk.events, kiosk.anonymous_ids.clone()), (1, vec!["kiosk".to_owned()]));
}

pub async fn who_only_named_the_address_loses_nothing(store: &dyn Store) {
    let before = clock::now();
    ingest(store, &received(ids("u1", "ada@acme.com", ""), "e-1", &before)).await;
    ingest(store, &received(ids("u2", "bob@acme.com", ""), "e-2", &before)).await;
    delete(store, &[by_email("ada@acme.com")]).await;
    ingest(store, &received(ids("u2", "~ada@acme.com", ""), "late-1", &before)).await;
    let bob = only_visitor(store).await;
    assert_eq!((bob.events, bob.emails), (2, vec!["bob@acme.com".to_owned()]));
    // Of one of whom nothing was known the address would have been the first.
    ingest(store, &received(ids("u9", "~ada@acme.com", ""), "late-2", &before)).await;
    assert_eq!(only_visitor(store).await.user_ids, ["u2"]);
}

pub async fn an_unknown_account_of_the_address_does_not_bring_it_back(store: &dyn Store) {
    let before = clock::now();
    delete(store, &[by_email("ada@acme.com")]).await;
    let identify = identify("i-1", &before, &json!({"email": "ada@acme.com", "name": "Ada"}));
    let late = json!({"user_id": "u7", "email": "ada@acme.com", "anonymous_id": "d7", "received_at": before, "identifies": [identify]});
    ingest(store, &late).await;
    // And then what has only the user id, or the browser.
    ingest(store, &received(ids("u7", "", ""), "late-1", &before)).await;
    ingest(store, &received(ids("", "", "d7"), "late-2", &before)).await;
    assert!(visitors(store).await.is_empty());
    ingest(store, &received(ids("u7", "ada@acme.com", "d7"), "new", &clock::now())).await;
    assert_eq!(only_visitor(store).await.events, 1);
}

pub async fn an_account_whose_address_comes_late_goes_as_if_it_had_come_in_time(store: &dyn Store) {
    let before = clock::now();
    ingest(store, &received(ids("u7", "", "d7"), "e-1", &before)).await;
    ingest(store, &received(ids("u2", "bob@acme.com", ""), "e-2", &before)).await;
    delete(store, &[by_email("ada@acme.com")]).await;
    // One who only named the address is somebody else, as before.
    ingest(store, &received(ids("u2", "~ada@acme.com", ""), "late-1", &before)).await;
    ingest(store, &received(ids("u7", "ada@acme.com", ""), "late-2", &before)).await;
    ingest(store, &received(ids("u7", "", "d7"), "late-3", &before)).await;
    let left = only_visitor(store).await;
    assert_eq!((left.user_ids, left.events), (vec!["u2".to_owned()], 2));
    ingest(store, &received(ids("u7", "ada@acme.com", "d7"), "new", &clock::now())).await;
    assert_eq!(visitors(store).await.len(), 2);
}

pub async fn a_browser_whose_address_comes_late_goes_as_if_it_had_come_in_time(store: &dyn Store) {
    let before = clock::now();
    ingest(store, &received(ids("", "", "d7"), "e-1", &before)).await;
    ingest(store, &received(ids("", "", "d8"), "e-2", &before)).await;
    ingest(store, &received(ids("u2", "bob@acme.com", "d2"), "e-3", &before)).await;
    delete(store, &[by_email("ada@acme.com")]).await;
    // By an address alone, by an account of the address; and somebody else's browser.
    ingest(store, &received(ids("", "ada@acme.com", "d7"), "late-1", &before)).await;
    ingest(store, &received(ids("u7", "ada@acme.com", "d8"), "late-2", &before)).await;
    ingest(store, &received(ids("", "ada@acme.com", "d2"), "late-3", &before)).await;
    ingest(store, &received(ids("", "", "d7"), "late-4", &before)).await;
    let left = only_visitor(store).await;
    assert_eq!((left.user_ids, left.anonymous_ids, left.events), (vec!["u2".to_owned()], vec!["d2".to_owned()], 1));
    let id = store.request_deletion(&[by_email("ada@acme.com")]).await.unwrap().expect("a deletion");
    super::until_completed(store, &id).await;
}

pub async fn ids_that_come_late_are_looked_for_in_the_queues_again(store: &dyn Store) {
    let before = clock::now();
    let id = store.request_deletion(&[by_email("ada@acme.com")]).await.unwrap().expect("a deletion");
    let looked_for = store.departed().await.unwrap().expect("people");
    let gone = |departed: &Departed| {
        let mut ids: Vec<String> = departed.ids.keys().map(|id| id.value().to_owned()).collect();
        ids.sort();
        ids
    };
    let forgotten = |departed: &Departed| Forgotten { messages: 0, is_all: true, ids: departed.ids.len() };
    assert_eq!(gone(&looked_for), ["ada@acme.com"]);
    // While the queues are looked through: an account with a browser.
    ingest(store, &received(ids("u7", "ada@acme.com", "d7"), "late-1", &before)).await;
    store.forgotten(&id, forgotten(&looked_for)).await.unwrap();
    let looked_for = store.departed().await.unwrap().expect("people");
    assert_eq!((&looked_for.id, gone(&looked_for)), (&id, vec!["ada@acme.com".into(), "d7".into(), "u7".into()]));
    // What is known of late changes nothing.
    ingest(store, &received(ids("u7", "ada@acme.com", "d7"), "late-2", &before)).await;
    store.forgotten(&id, forgotten(&looked_for)).await.unwrap();
    assert!(store.departed().await.unwrap().is_none());
    // When they have been, before all is done: a browser by the address alone.
    ingest(store, &received(ids("", "ada@acme.com", "d8"), "late-3", &before)).await;
    let looked_for = store.departed().await.unwrap().expect("people");
    assert!(gone(&looked_for).contains(&"d8".to_owned()), "{looked_for:?}");
    assert_eq!(looked_for.id, id);
    super::until_completed(store, &id).await;
    // And when all was.
    ingest(store, &received(ids("", "ada@acme.com", "d9"), "late-4", &before)).await;
    let looked_for = store.departed().await.unwrap().expect("people");
    assert_eq!(gone(&looked_for), ["d9"]);
    super::until_completed(store, &looked_for.id).await;
    assert!(store.departed().await.unwrap().is_none());
}

pub async fn what_stands_beside_theirs_is_learned_unless_it_was_known(store: &dyn Store) {
    let before = clock::now();
    ingest(store, &received(ids("u1", "ada@acme.com", "d1"), "e-1", &before)).await;
    ingest(store, &received(ids("u2", "", "d2"), "e-2", &before)).await;
    let people = [by_email("ada@acme.com"), person(IdKind::User, "asked")];
    let id = store.request_deletion(&people).await.unwrap().expect("a deletion");
    let departed = store.departed().await.unwrap().expect("people");
    let mut gone: Vec<_> = departed.ids.iter().map(|(id, tombstone)| (id.value(), tombstone.is_whole)).collect();
    gone.sort_unstable();
    assert_eq!(
        (&departed.id, gone),
        (&id, vec![("ada@acme.com", true), ("asked", false), ("d1", false), ("u1", false)])
    );

    let id_of = |kind, value| Id::parse(kind, value).unwrap();
    let beside = [
        id_of(IdKind::User, "u2"),
        id_of(IdKind::Device, "d2"),
        id_of(IdKind::User, "u8"),
        id_of(IdKind::Device, "d8"),
    ];
    assert_eq!(store.learn(&id, &beside).await.unwrap(), beside[2..]);
    assert_eq!(store.departed().await.unwrap().expect("people").ids.len(), 6);
    super::until_completed(store, &id).await;
    assert!(store.departed().await.unwrap().is_none());
    for (n, ids) in
        [ids("u2", "", ""), ids("u8", "", ""), ids("", "", "d8"), ids("asked", "", "")].into_iter().enumerate()
    {
        ingest(store, &received(ids, &format!("late-{n}"), &before)).await;
    }
    let left = only_visitor(store).await;
    assert_eq!((left.user_ids, left.events), (vec!["u2".to_owned()], 2));
    delete(store, &[Person::Visitor(left.id)]).await;
}
