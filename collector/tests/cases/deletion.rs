//! A person deleted.

use koala_collector::intent::IntentRule;
use koala_collector::store::Store;
use koala_collector::store::decision::Decision;
use koala_collector::store::deletion::{DeletionId, DeletionStatus, Person, Retention};
use koala_collector::store::filter::Filter;
use koala_collector::store::visitor::VisitorId;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};

use super::{ADA, GRACE, by_email, delete, event, identify, ingest, only_visitor, person, until_completed, visitors};

const AT: &str = "2026-11-20T09:00:00Z";

async fn count(store: &dyn Store, text: &str) -> u64 {
    let filter = Filter { text: Some(text.into()), ..Filter::default() };
    store.list_visitors(filter, 0, 10).await.unwrap().1
}

/// The addresses of all visitors that are left, in order.
async fn addresses(store: &dyn Store) -> Vec<String> {
    let mut all: Vec<String> = visitors(store).await.into_iter().flat_map(|visitor| visitor.emails).collect();
    all.sort();
    all
}

fn said(user: &str, email: &str) -> Value {
    let message = format!("i-{user}-{email}");
    json!({"user_id": user, "email": email, "identifies": [identify(&message, AT, &json!({"email": email}))]})
}

fn did(ids: Value, message_id: &str) -> Value {
    let mut body = ids;
    body["events"] = json!([event(message_id, AT)]);
    body
}

pub async fn a_deleted_person_leaves_nothing(store: &dyn Store) {
    ingest(store, &json!({"profile_id": ADA, "events": [event("e-1", AT)]})).await;
    ingest(store, &json!({"profile_id": ADA, "email": "ada@acme.com", "identifies": [identify("i-1", AT, &json!({"name": "Ada Lovelace"}))]})).await;
    ingest(store, &json!({"email": "grace@navy.org", "events": [event("e-2", AT)]})).await;

    let filter = Filter { text: Some("lovelace".into()), ..Filter::default() };
    let id = store.list_visitors(filter, 0, 1).await.unwrap().0.remove(0).id;
    let deletion = delete(store, &[by_email("Ada@Acme.com")]).await;
    assert_eq!((deletion.visitors, deletion.entries, deletion.status), (1, 2, DeletionStatus::Completed));
    assert!(deletion.completed_at >= Some(deletion.requested_at));
    assert!(store.show_visitor(&id, 10).await.unwrap().is_none());
    assert!(store.show_company("acme.com", 10).await.unwrap().is_none());
    assert_eq!(only_visitor(store).await.emails, ["grace@navy.org"]);
    for text in ["lovelace", "ada@", &ADA[..8]] {
        assert_eq!(count(store, text).await, 0, "{text}");
    }
}

/// A group call as the destination sends it.
fn group(message: &str, id: &str, traits: &Value) -> Value {
    json!({"type": "group", "message_id": message, "sent_at": AT, "group_id": id, "traits": traits})
}

pub async fn what_a_deleted_person_said_of_a_company_is_gone(store: &dyn Store) {
    let of_ada = json!({"name": "Globex", "owner": "ada@globex.com", "owner_name": "Ada Zebra"});
    let by_ada = json!({"user_id": "ua", "email": "ada@globex.com", "groups": [group("g-1", "g", &of_ada)]});
    let by_bob =
        json!({"user_id": "ub", "email": "bob@globex.com", "groups": [group("g-2", "g", &json!({"plan": "team"}))]});
    ingest(store, &by_ada).await;
    ingest(store, &by_bob).await;
    ingest(store, &json!({"user_id": "uc", "email": "cleo@gmail.com", "groups": [group("g-3", "alone", &json!({"note": "Zebra"}))]})).await;
    let traits = async |key: &str| {
        let page = store.show_company(key, 10).await.unwrap();
        page.map(|page| Value::Object(page.company.traits).to_string())
    };
    assert!(traits("globex.com").await.unwrap().contains("Zebra"));
    assert!(traits("alone").await.unwrap().contains("Zebra"));
    delete(store, &[by_email("ada@globex.com")]).await;
    assert_eq!(traits("globex.com").await.as_deref(), Some(r#"{"plan":"team"}"#));
    // Of whom a company has nobody else, it is gone.
    delete(store, &[by_email("cleo@gmail.com")]).await;
    while store.sweep(Retention::of_days(36_500)).await.unwrap() {}
    assert_eq!(traits("alone").await, None);
    assert!(store.show_company("alone", 10).await.unwrap().is_none());
}

pub async fn whoever_says_an_address_as_a_trait_is_found_by_it(store: &dyn Store) {
    let says = |user: &str, name: &str, email: &str| {
        let traits = json!({name: email, "plan": "team"});
        json!({"user_id": user, "identifies": [identify(&format!("i-{user}"), AT, &traits)]})
    };
    ingest(store, &says("login@acme.com", "email", "Ada.B@Acme.com")).await;
    ingest(store, &says("u-2", "Email", "ada.b@acme.com")).await;
    ingest(store, &says("u-3", "email", "my-ada.b@acme.com")).await;
    ingest(store, &says("u-4", "Email", " ADA.B@acme.com")).await;
    assert_eq!(delete(store, &[by_email("ada.b@acme.com")]).await.visitors, 3);
    let left: Vec<String> = visitors(store).await.into_iter().flat_map(|visitor| visitor.user_ids).collect();
    assert_eq!(left, ["u-3"]);
    // In other letters, and where it is a role's, that joins nobody.
    for (user, email, asked) in [("u-5", "JÖRG@acme.com", "jörg@acme.com"), ("u-6", "sales@acme.com", "sales@acme.com")]
    {
        ingest(store, &says(user, "Email", email)).await;
        assert_eq!(delete(store, &[by_email(asked)]).await.visitors, 1, "{email}");
    }
    // As with accounts: what very many say is nobody's in particular.
    for n in 0..6 {
        ingest(store, &says(&format!("many-{n}@acme.com"), "email", "everyone.x@acme.com")).await;
    }
    let deletion = delete(store, &[by_email("everyone.x@acme.com")]).await;
    assert_eq!((deletion.visitors, deletion.others), (0, 6));
}

pub async fn a_visitor_without_an_address_is_deleted_by_id(store: &dyn Store) {
    ingest(store, &json!({"profile_id": ADA, "events": [event("e-1", AT)]})).await;
    let deletion = delete(store, &[Person::Visitor(only_visitor(store).await.id)]).await;
    assert_eq!((deletion.visitors, deletion.entries), (1, 1));
    assert!(visitors(store).await.is_empty());
    // By a device's id as well.
    ingest(store, &json!({"anonymous_id": "d-1", "events": [event("e-2", AT)]})).await;
    assert_eq!(delete(store, &[person(IdKind::Device, "d-1")]).await.entries, 1);
    assert!(visitors(store).await.is_empty());
}

pub async fn who_is_not_known_has_nothing_to_delete(store: &dyn Store) {
    let deletion = delete(store, &[by_email("nobody@acme.com")]).await;
    assert_eq!((deletion.visitors, deletion.entries, deletion.messages), (0, 0, 0));
    for id in ["no id", "7", ""] {
        assert_eq!(store.request_deletion(&[Person::Visitor(VisitorId::new(id))]).await.unwrap(), None, "{id}");
    }
    assert_eq!(store.request_deletion(&[]).await.unwrap(), None);
    assert!(store.deletion(&DeletionId::new("none")).await.unwrap().is_none());
}

pub async fn one_who_was_deleted_and_comes_back_is_new(store: &dyn Store) {
    ingest(store, &did(json!({"profile_id": ADA, "email": "ada@acme.com"}), "e-1")).await;
    let id = store.request_deletion(&[by_email("ada@acme.com")]).await.unwrap().expect("a deletion");
    // At once, and while it is under way.
    for n in 2..4 {
        ingest(store, &did(json!({"email": "ada@acme.com"}), &format!("e-{n}"))).await;
        store.sweep(Retention::of_days(400)).await.unwrap();
    }
    until_completed(store, &id).await;
    let visitor = only_visitor(store).await;
    assert_eq!((visitor.events, visitor.anonymous_ids.len(), visitor.traits.len()), (2, 0, 0));
    ingest(store, &did(json!({"email": "ada@acme.com", "profile_id": ADA}), "e-1")).await;
    let visitor = only_visitor(store).await;
    assert_eq!((visitor.events, visitor.anonymous_ids), (3, vec![ADA.to_owned()]));
}

pub async fn a_deletion_goes_on_in_pieces_and_is_completed_when_all_is_gone(store: &dyn Store) {
    let rule = IntentRule::parse("pricing", r#"{"trigger":"event = \"Viewed Pricing\"","score":8}"#).unwrap().unwrap();
    store.follow_intent_rules(&[rule]).await.unwrap();
    for batch in 0..90 {
        let events: Vec<Value> = (0..30).map(|n| event(&format!("e-{batch}-{n}"), AT)).collect();
        ingest(store, &json!({"email": "ada@acme.com", "anonymous_id": format!("d-{batch}"), "events": events})).await;
    }
    ingest(store, &did(json!({"email": "bob@acme.com"}), "e-b")).await;
    let id = store.request_deletion(&[by_email("ada@acme.com")]).await.unwrap().expect("a deletion");
    // Nobody sees the person any more, though the rows are there.
    assert_eq!(addresses(store).await, ["bob@acme.com"]);
    assert_eq!(store.show_company("acme.com", 10).await.unwrap().expect("a company").people.len(), 1);
    let under_way = store.deletion(&id).await.unwrap().expect("a deletion");
    assert_eq!((under_way.status, under_way.completed_at), (DeletionStatus::InProgress, None));

    let (mut pieces, mut before) = (0, 0);
    while before < 2700 {
        assert!(store.sweep(Retention::of_days(400)).await.unwrap(), "there is more");
        let now = store.deletion(&id).await.unwrap().expect("a deletion");
        assert_eq!(now.status, DeletionStatus::InProgress);
        assert!(now.entries - before <= 1000, "{now:?}");
        (pieces, before) = (pieces + 1, now.entries);
    }
    assert!(pieces >= 3, "{pieces}");
    assert_eq!(until_completed(store, &id).await.entries, 2700);
    assert_eq!(only_visitor(store).await.events, 1);
}

pub async fn addresses_that_look_alike_are_of_others(store: &dyn Store) {
    let others = ["ada@example.com", "a@example.com.au", "aa@example.com", "a@sub.example.com", "b@example.com"];
    for (n, email) in others.iter().enumerate() {
        ingest(store, &did(json!({"email": email, "anonymous_id": format!("d-{n}")}), &format!("e-{n}"))).await;
    }
    ingest(store, &did(json!({"user_id": "u-a", "email": "A@Example.com", "anonymous_id": "d"}), "e")).await;
    assert_eq!(delete(store, &[by_email("a@EXAMPLE.com")]).await.entries, 1);
    let mut left = others.map(str::to_owned);
    left.sort();
    assert_eq!(addresses(store).await, left);
    assert!(visitors(store).await.iter().all(|visitor| visitor.events == 1));
}

pub async fn a_person_of_two_accounts_with_one_address_is_deleted_whole(store: &dyn Store) {
    // The address was known alone, then of one account, then of another: three visitors by the rules, or two.
    ingest(store, &did(json!({"email": "ada@acme.com"}), "e-0")).await;
    ingest(store, &said("u1", "ada@acme.com")).await;
    ingest(store, &said("u2", "lovelace@acme.com")).await;
    ingest(store, &said("u2", "ada@acme.com")).await;
    ingest(store, &did(json!({"user_id": "u2", "anonymous_id": "d-2"}), "e-2")).await;
    ingest(store, &did(json!({"user_id": "u3", "email": "bob@acme.com"}), "e-3")).await;
    assert!(visitors(store).await.len() > 2);
    // By a user id it is that account alone.
    assert_eq!(delete(store, &[person(IdKind::User, "u1")]).await.visitors, 1);
    assert_eq!(count(store, "u2").await, 1);
    delete(store, &[by_email("ada@acme.com")]).await;
    assert_eq!(addresses(store).await, ["bob@acme.com"]);
    assert_eq!(only_visitor(store).await.events, 1);
}

pub async fn what_a_person_split_off_and_who_only_named_the_address_stay(store: &dyn Store) {
    ingest(store, &said("u1", "ada@acme.com")).await;
    ingest(store, &did(json!({"email": "ada@acme.com"}), "e-1")).await;
    ingest(store, &said("u2", "bob@acme.com")).await;
    let invited = json!({"user_id": "u2", "email": "ada@acme.com", "email_from": "properties"});
    ingest(store, &did(invited, "e-2")).await;
    let split = Decision::Detach { id: Id::parse(IdKind::Email, "ada@acme.com").unwrap() };
    store.decide(&split).await.unwrap().expect("it is decided");
    // A person said that the address is not u1's.
    assert_eq!(delete(store, &[by_email("ada@acme.com")]).await.entries, 1);
    let mut users: Vec<String> = visitors(store).await.into_iter().flat_map(|visitor| visitor.user_ids).collect();
    users.sort();
    assert_eq!((users, addresses(store).await), (vec!["u1".into(), "u2".into()], vec!["bob@acme.com".to_owned()]));
}

pub async fn an_address_that_many_accounts_say_takes_none_of_them_along(store: &dyn Store) {
    // A test account's address, as a team uses one.
    for n in 1..=7 {
        ingest(store, &said(&format!("u{n}"), &format!("own-{n}@acme.com"))).await;
        ingest(store, &said(&format!("u{n}"), "qa@acme.com")).await;
    }
    let before = visitors(store).await.len();
    let of_address = u64::from(count(store, "qa@acme.com").await > 0);
    let deletion = delete(store, &[by_email("qa@acme.com")]).await;
    assert!(visitors(store).await.len() as u64 + of_address >= before as u64);
    assert!(addresses(store).await.len() >= 6);
    // The receipt says how many say it all the same, and a user id deletes each.
    assert_eq!(deletion.others, visitors(store).await.len() as u64);
    let each: Vec<Person> = (1..=7).map(|n| person(IdKind::User, &format!("u{n}"))).collect();
    assert_eq!(delete(store, &each).await.others, 0);
    assert!(visitors(store).await.is_empty());
}

pub async fn several_people_are_deleted_at_once_by_addresses_and_user_ids(store: &dyn Store) {
    for (n, email) in ["ada@acme.com", "bob@acme.com", "eve@acme.com", "dan@acme.com"].iter().enumerate() {
        ingest(store, &said(&format!("u{n}"), email)).await;
    }
    ingest(store, &did(json!({"anonymous_id": GRACE}), "e-1")).await;
    let people = [
        by_email("ada@acme.com"),
        person(IdKind::User, "u0"), // the same person twice
        person(IdKind::User, "u2"),
        by_email("nobody@acme.com"),
        Person::Visitor(visitors(store).await.into_iter().find(|it| it.user_ids.is_empty()).unwrap().id),
    ];
    let deletion = delete(store, &people).await;
    assert_eq!((deletion.visitors, deletion.entries), (3, 3));
    assert_eq!(addresses(store).await, ["bob@acme.com", "dan@acme.com"]);
}

pub async fn a_link_to_a_deleted_visitor_leads_to_nobody_else(store: &dyn Store) {
    let (mut gone, mut known) = (Vec::new(), Vec::new());
    for n in 0..5 {
        ingest(store, &did(json!({"email": format!("a{n}@acme.com")}), &format!("e-{n}"))).await;
        let id = visitors(store).await.remove(0).id;
        assert!(!gone.contains(&id), "{id} was somebody's");
        if n == 2 {
            known.push(id);
        } else {
            delete(store, &[Person::Visitor(id.clone())]).await;
            gone.push(id);
        }
        for id in &gone {
            assert!(store.show_visitor(id, 1).await.unwrap().is_none(), "{id}");
            assert_eq!(store.request_deletion(&[Person::Visitor(id.clone())]).await.unwrap(), None);
        }
    }
    assert_eq!(only_visitor(store).await.id, known[0]);
}
