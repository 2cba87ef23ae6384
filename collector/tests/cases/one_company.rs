//! What belongs together as one company, by the rules of `docs/companies.md`.

use koala_collector::protocol::accounts;
use koala_collector::store::Store;
use koala_collector::store::company::{Company, CompanyId};
use koala_collector::store::decision::Decision;
use koala_collector::store::deletion::Person;
use koala_collector::store::filter::{CompanyFilter, Filter};
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{event, identify, ingest, visitors};

/// One minute after another, so that each event has a time of its own.
fn minute(n: usize) -> String {
    format!("2026-11-20T{:02}:{:02}:00Z", 9 + n / 60, n % 60)
}

fn says(n: usize, ids: &Value, traits: &Value) -> Value {
    let mut body = ids.clone();
    body["received_at"] = json!(minute(n));
    body["identifies"] = json!([identify(&format!("i-{n}"), &minute(n), traits)]);
    body
}

fn calls(n: usize, ids: &Value, group: &Value) -> Value {
    let mut body = ids.clone();
    let mut group = group.clone();
    (group["type"], group["message_id"], group["sent_at"]) =
        (json!("group"), json!(format!("g-{n}")), json!(minute(n)));
    body["received_at"] = json!(minute(n));
    body["groups"] = json!([group]);
    body
}

async fn companies(store: &dyn Store) -> Vec<Company> {
    store.list_companies(CompanyFilter::default(), 0, 1000).await.expect("companies").0
}

/// Key, name and visitors of each company, by key.
async fn shown(store: &dyn Store) -> Vec<(String, String, i64)> {
    let shown = |company: Company| (company.key, company.name.unwrap_or_default(), company.visitors);
    let mut shown: Vec<_> = companies(store).await.into_iter().map(shown).collect();
    shown.sort();
    shown
}

fn row(key: &str, name: &str, visitors: i64) -> (String, String, i64) {
    (key.to_owned(), name.to_owned(), visitors)
}

async fn tell(store: &dyn Store, all: &[Value]) {
    for body in all {
        ingest(store, body).await;
    }
}

fn globex() -> Vec<Value> {
    vec![
        says(1, &json!({"email": "hank@gmail.com"}), &json!({"company": "Globex"})),
        says(2, &json!({"email": "homer@globex.com"}), &json!({"company": "globex "})),
        says(3, &json!({"email": "frank@mail.globex.com"}), &json!({"company": {"name": "Globex"}})),
        says(4, &json!({"email": "lenny@other.com"}), &json!({})),
    ]
}

pub async fn a_name_said_by_a_gmail_user_is_the_company_of_the_domain_that_two_others_gave_with_it(store: &dyn Store) {
    let all = globex();
    tell(store, &all[..2]).await;
    // One visitor's word moves nobody.
    assert_eq!(shown(store).await, [row("globex", "Globex", 1), row("globex.com", "globex", 1)]);
    tell(store, &all[2..]).await;
    assert_eq!(shown(store).await, [row("globex.com", "Globex", 3), row("other.com", "", 1)]);
}

pub async fn a_group_call_s_name_and_id_are_the_company_of_its_domain_at_once(store: &dyn Store) {
    tell(
        store,
        &[
            calls(1, &json!({"user_id": "u1"}), &json!({"group_id": "g1", "name": "Globex"})),
            says(2, &json!({"email": "hank@gmail.com"}), &json!({"company": "Globex"})),
        ],
    )
    .await;
    // Without a domain the name is the group's.
    assert_eq!(shown(store).await, [row("g1", "Globex", 2)]);
    let call = calls(3, &json!({"user_id": "u2"}), &json!({"group_id": "g1", "domain": "https://www.globex.com"}));
    tell(store, &[call, says(4, &json!({"email": "homer@globex.com"}), &json!({}))]).await;
    assert_eq!(shown(store).await, [row("globex.com", "Globex", 4)]);
    let company = companies(store).await.remove(0);
    assert_eq!((company.domain.as_deref(), company.group_ids), (Some("globex.com"), vec!["g1".to_owned()]));
}

pub async fn a_group_without_a_domain_is_the_company_of_its_members_addresses(store: &dyn Store) {
    tell(
        store,
        &[
            calls(1, &json!({"user_id": "u1", "email": "homer@globex.com"}), &json!({"group_id": 7, "name": "Globex"})),
            calls(2, &json!({"user_id": "u2", "email": "hank@gmail.com"}), &json!({"group_id": "7"})),
            says(3, &json!({"user_id": "u3", "email": "frank@globex.com"}), &json!({})),
        ],
    )
    .await;
    assert_eq!(shown(store).await, [row("globex.com", "Globex", 3)]);
}

pub async fn one_forged_event_moves_no_established_name_or_domain<G>(open: impl AsyncFn() -> (Arc<dyn Store>, G)) {
    let mut established = globex();
    established.push(calls(
        5,
        &json!({"user_id": "u5"}),
        &json!({"group_id": "g1", "domain": "acme.com", "name": "Acme"}),
    ));
    established.push(says(6, &json!({"user_id": "u6"}), &json!({"company": "Acme"})));
    let evil = json!({"anonymous_id": "d-evil"});
    for (n, forged) in [
        calls(60, &evil, &json!({"group_id": "g1", "domain": "evil.com"})),
        calls(61, &evil, &json!({"group_id": "g1", "domain": "evil.com", "name": "Globex"})),
        calls(62, &evil, &json!({"group_id": "g2", "domain": "evil.com", "name": "Acme"})),
        calls(63, &evil, &json!({"domain": "globex.com", "name": "Evil"})),
        says(64, &evil, &json!({"company": "Globex", "domain": "acme.com"})),
        says(65, &json!({"user_id": "u5"}), &json!({"company": "Acme", "domain": "evil.com"})),
        says(66, &json!({"user_id": "u5", "email": "a@evil.com"}), &json!({"company": "Globex"})),
    ]
    .into_iter()
    .enumerate()
    {
        let (store, _until_the_end) = open().await;
        tell(&*store, &established).await;
        tell(&*store, &[forged]).await;
        let of = async |key: &str| store.show_company(key, 1).await.unwrap().expect("a company").company;
        let (globex, acme) = (of("globex.com").await, of("acme.com").await);
        assert_eq!((globex.name.as_deref(), acme.name.as_deref()), (Some("Globex"), Some("Acme")), "{n}");
        assert_eq!(
            (of("Globex").await.id, of("g1").await.id, of("ACME").await.id),
            (globex.id, acme.id.clone(), acme.id),
            "{n}"
        );
    }
}

pub async fn calls_that_never_happened_take_nothing_from_whom_it_was_known_of_before<G>(
    open: impl AsyncFn() -> (Arc<dyn Store>, G),
) {
    let (device, user) = (json!({"anonymous_id": "d-evil"}), json!({"user_id": "u-evil"}));
    let backdated = |ids: &Value, group: &Value| {
        let mut call = calls(60, ids, group);
        call["groups"][0]["sent_at"] = json!("2026-11-19T09:00:00Z");
        call
    };
    for evil in [&device, &user] {
        let (store, _until_the_end) = open().await;
        let name_of = async |key: &str| store.show_company(key, 1).await.unwrap().expect("a company").company.name;
        let call = json!({"group_id": "g1", "domain": "acme.com", "name": "Acme"});
        tell(&*store, &[calls(5, &json!({"user_id": "u5"}), &call)]).await;
        // One that says it was made before.
        let forged = json!({"group_id": "g1", "domain": "evil.com", "name": "Evil"});
        tell(&*store, &[backdated(evil, &forged)]).await;
        tell(&*store, &[backdated(evil, &json!({"domain": "acme.com", "name": "Evil"}))]).await;
        let (acme, g1) = (store.show_company("acme.com", 1).await.unwrap(), store.show_company("g1", 1).await.unwrap());
        assert_eq!(acme.expect("a company").company.id, g1.expect("a company").company.id, "{evil}");
        assert_eq!(name_of("acme.com").await.as_deref(), Some("Acme"), "{evil}");

        // One that takes the name which somebody has said of their own company.
        tell(&*store, &[says(6, &json!({"email": "homer@globex.com"}), &json!({"company": "Globex"}))]).await;
        assert_eq!(name_of("globex.com").await.as_deref(), Some("Globex"));
        tell(&*store, &[backdated(evil, &json!({"domain": "evil.com", "name": "Globex"}))]).await;
        assert_eq!(name_of("globex.com").await.as_deref(), Some("Globex"), "{evil}");
    }
    // Many from devices that nobody is known by, against two people.
    let (store, _until_the_end) = open().await;
    let named = json!({"company": "Globex", "domain": "globex.com"});
    tell(&*store, &[says(1, &json!({"user_id": "u1"}), &named), says(2, &json!({"user_id": "u2"}), &named)]).await;
    for n in 0..4 {
        let evil = json!({"anonymous_id": format!("d-evil-{n}")});
        tell(&*store, &[calls(70 + n, &evil, &json!({"domain": "globex.com", "name": "Evil"}))]).await;
        tell(&*store, &[calls(80 + n, &evil, &json!({"domain": "evil.com", "name": "Globex"}))]).await;
    }
    let of = async |key: &str| store.show_company(key, 1).await.unwrap().expect("a company").company;
    let globex = of("globex.com").await;
    assert_eq!((globex.name.as_deref(), of("Globex").await.id), (Some("Globex"), globex.id));
}

pub async fn a_group_s_id_that_is_a_domain_is_that_domain_s_company(store: &dyn Store) {
    let evil = json!({"group_id": "acme.com", "domain": "evil.com"});
    tell(
        store,
        &[
            calls(1, &json!({"user_id": "u1"}), &json!({"group_id": "acme.com", "name": "Acme"})),
            says(2, &json!({"email": "ada@acme.com"}), &json!({})),
            calls(3, &json!({"user_id": "u3"}), &json!({"group_id": "Acme.com"})),
            // Ids that only look like one: a number with a point, a host below a domain.
            calls(4, &json!({"user_id": "u4"}), &json!({"group_id": "acct.42"})),
            calls(5, &json!({"user_id": "u5"}), &json!({"group_id": "eu.acme.com"})),
        ],
    )
    .await;
    let rows = [row("acct.42", "", 1), row("acme.com", "Acme", 3), row("eu.acme.com", "", 1)];
    assert_eq!(shown(store).await, rows);
    tell(store, &[calls(6, &json!({"anonymous_id": "d-evil"}), &evil)]).await;
    assert_eq!(shown(store).await[..3], rows);
}

pub async fn two_groups_of_one_name_have_it_both(store: &dyn Store) {
    let named = |group: &str| json!({"group_id": group, "name": "Acme"});
    tell(
        store,
        &[calls(1, &json!({"user_id": "u1"}), &named("g1")), calls(2, &json!({"user_id": "u2"}), &named("g2"))],
    )
    .await;
    assert_eq!(shown(store).await, [row("g1", "Acme", 1), row("g2", "Acme", 1)]);
}

pub async fn companies_are_the_same_in_any_order_and_told_twice<G>(open: impl AsyncFn() -> (Arc<dyn Store>, G)) {
    let mut told = globex();
    told.extend([
        calls(5, &json!({"user_id": "u1", "anonymous_id": "d1"}), &json!({"group_id": "g1", "name": "Acme"})),
        calls(6, &json!({"anonymous_id": "d2"}), &json!({"group_id": "g1", "name": "ACME Inc"})),
        says(7, &json!({"user_id": "u1", "email": "ada@acme.com"}), &json!({})),
        says(8, &json!({"user_id": "u2", "anonymous_id": "d2", "email": "grace@acme.io"}), &json!({"company": "Acme"})),
        says(9, &json!({"user_id": "u3", "email": "alan@gmail.com"}), &json!({"company": "acme"})),
        calls(10, &json!({"user_id": "u4"}), &json!({"group_id": "g2", "domain": "acme.io", "name": "Acme"})),
        calls(11, &json!({"user_id": "u5", "email": "eve@agency.com"}), &json!({"group_id": "g2", "name": "Acme"})),
        says(12, &json!({"user_id": "u5"}), &json!({"company": "Globex"})),
        says(13, &json!({"anonymous_id": "d3"}), &json!({"company": "Globex"})),
        says(14, &json!({"anonymous_id": "d3", "user_id": "u6", "email": "bart@globex.com"}), &json!({})),
    ]);
    let mut expected = None;
    for seed in 0..12 {
        let (store, _until_the_end) = open().await;
        let mut events = told.clone();
        if seed % 2 == 1 {
            events.extend(told.clone());
        }
        if seed > 0 {
            fastrand::Rng::with_seed(seed).shuffle(&mut events);
        }
        tell(&*store, &events).await;
        let mut shown: Vec<String> = Vec::new();
        for company in companies(&*store).await {
            let page = store.show_company(&company.key, 100).await.unwrap().expect("a company");
            let mut people: Vec<_> =
                page.people.into_iter().map(|it| (it.visitor.user_ids, it.visitor.emails)).collect();
            people.sort();
            shown.push(format!("{} {:?} {:?} {people:?}", company.key, company.name, company.group_ids));
        }
        shown.sort();
        assert_eq!(expected.get_or_insert_with(|| shown.clone()), &shown, "order {seed}");
    }
}

pub async fn an_old_id_and_an_old_address_lead_to_the_merged_company(store: &dyn Store) {
    let all = globex();
    tell(store, &all[..2]).await;
    let before: Vec<_> = companies(store).await.into_iter().map(|company| company.id).collect();
    assert_eq!(before.len(), 2);
    tell(store, &all[2..3]).await;
    let one = companies(store).await.remove(0);
    for address in before.iter().map(CompanyId::as_str).chain(["globex.com", "mail.globex.com", "Globex", "GLOBEX"]) {
        let page = store.show_company(address, 10).await.unwrap().expect("a company");
        assert_eq!((&page.company.id, page.people.len()), (&one.id, 3), "{address}");
    }
    let shown: Vec<_> = visitors(store).await.into_iter().map(|it| (it.account, it.company_id, it.company)).collect();
    assert!(
        shown.iter().all(|it| *it == (Some("globex.com".into()), Some(one.id.clone()), Some("Globex".into()))),
        "{shown:?}"
    );
    assert!(store.show_company("co_999999", 1).await.unwrap().is_none());
}

pub async fn what_was_joined_by_somebody_s_word_comes_apart_when_they_are_deleted_or_blocked(store: &dyn Store) {
    for person in ["u-deleted", "u-blocked"] {
        let body =
            calls(1, &json!({"user_id": person}), &json!({"group_id": "g1", "domain": "globex.com", "name": "Globex"}));
        tell(store, &[body, says(2, &json!({"email": "hank@gmail.com"}), &json!({"company": "Globex"}))]).await;
        assert_eq!(shown(store).await, [row("globex.com", "Globex", 2)], "{person}");
        if person == "u-deleted" {
            let who = Filter { user_id: Some(person.into()), ..Filter::default() };
            let who = store.list_visitors(who, 0, 1).await.unwrap().0.remove(0).id;
            store.request_deletion(&[Person::Visitor(who)]).await.unwrap().expect("a request");
            assert_eq!(shown(store).await, [row("globex", "Globex", 1)]);
        } else {
            let id = Id::parse(IdKind::User, person).expect("an id");
            store.decide(&Decision::Block { id }).await.unwrap().expect("it is decided");
            // What was filed under it stays its own.
            assert!(shown(store).await.contains(&row("globex", "Globex", 1)), "{:?}", shown(store).await);
        }
    }
}

pub async fn two_domains_never_become_one_company(store: &dyn Store) {
    let (ada, grace) =
        (json!({"user_id": "u1", "email": "ada@acme.com"}), json!({"user_id": "u2", "email": "grace@acme.io"}));
    let call = json!({"group_id": "g1", "name": "Acme"});
    tell(store, &[calls(1, &ada, &call), calls(2, &grace, &call), says(3, &ada, &json!({"domain": "acme.io"}))]).await;
    tell(
        store,
        &[
            says(4, &json!({"email": "alan@acme.com"}), &json!({})),
            says(5, &json!({"email": "bob@acme.io"}), &json!({})),
        ],
    )
    .await;
    let keys: Vec<_> = shown(store).await.into_iter().map(|(key, ..)| key).collect();
    assert_eq!(keys, ["acme.com", "acme.io"]);
}

pub async fn what_group_calls_say_of_a_company_is_its_traits_the_newest_first(store: &dyn Store) {
    tell(
        store,
        &[
            calls(
                5,
                &json!({"user_id": "u1"}),
                &json!({"group_id": "g1", "traits": {"plan": "team", "employees": 180}}),
            ),
            calls(
                1,
                &json!({"user_id": "u2"}),
                &json!({"group_id": "g1", "domain": "acme.com", "traits": {"plan": "trial", "industry": "Computing"}}),
            ),
        ],
    )
    .await;
    let told = accounts::read_accounts(
        json!({"domain": "acme.com", "identifies": [{"traits": {"group_id": "g1", "seats": 5}}]})
            .to_string()
            .as_bytes(),
    );
    store.ingest_accounts(told.expect("accounts")).await.unwrap();
    let acme = store.show_company("g1", 10).await.unwrap().expect("a company").company;
    assert_eq!(
        Value::Object(acme.traits),
        json!({"plan": "team", "employees": 180, "industry": "Computing", "group_id": "g1", "seats": 5})
    );
    assert_eq!((acme.key.as_str(), acme.visitors), ("acme.com", 2));
    // No trait of a visitor.
    assert!(visitors(store).await.iter().all(|visitor| !visitor.traits.contains_key("plan")));
}

pub async fn a_company_has_the_time_that_its_first_visitor_came(store: &dyn Store) {
    for (email, at) in [("a@acme.com", "2026-11-20T09:00:00Z"), ("b@acme.com", "2026-11-01T09:00:00Z")] {
        ingest(store, &json!({"email": email, "events": [event(email, at)]})).await;
    }
    assert_eq!(companies(store).await[0].first_seen.as_deref(), Some("2026-11-01T09:00:00.000Z"));
    let new =
        CompanyFilter { first_seen_since: clock::milliseconds("2026-11-10T00:00:00Z"), ..CompanyFilter::default() };
    assert_eq!(store.list_companies(new, 0, 10).await.unwrap().1, 0);
}
