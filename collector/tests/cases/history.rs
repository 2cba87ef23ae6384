//! What people did, and what of it stays.

use koala_collector::credentials::fingerprint::Fingerprint;
use koala_collector::store::Store;
use koala_collector::store::decision::Decision;
use koala_collector::store::deletion::{Person, Retention};
use koala_collector::store::history::{Actor, HistoryCursor, What};
use koala_destination::ids::{Id, IdKind};
use serde_json::json;

use super::ingest;

fn id(kind: IdKind, value: &str) -> Id {
    Id::parse(kind, value).expect("an id")
}

#[allow(clippy::unnecessary_wraps)] // as the store takes it
fn by() -> Option<Actor> {
    Some(Actor { token: Some(Fingerprint::of(b"a token")) })
}

/// An identify of a user with an address.
async fn ada(store: &dyn Store) {
    let said = json!({
        "user_id": "ada", "email": "ada@acme.com",
        "identifies": [{"type": "identify", "message_id": "m-1", "traits": {"name": "Ada"}}],
    });
    ingest(store, &said).await;
}

pub async fn what_people_did_is_kept_with_their_token_and_no_id_of_anybody(store: &dyn Store) {
    ada(store).await;
    let [email, user] = [id(IdKind::Email, "ada@acme.com"), id(IdKind::User, "ada")];
    store.decide_by(&Decision::Detach { id: email.clone() }, by()).await.unwrap().expect("it is decided");
    store
        .decide_by(&Decision::Attach { id: email.clone(), to: user.clone() }, by())
        .await
        .unwrap()
        .expect("it is decided");
    store
        .decide_by(&Decision::Block { id: user.clone() }, Some(Actor::default()))
        .await
        .unwrap()
        .expect("it is decided");
    let deletion = store.request_deletion_by(&[Person::Id(email)], by()).await.unwrap().expect("a deletion");
    // What nobody did, and what could not be done, is not in it.
    store.decide(&Decision::Block { id: id(IdKind::User, "evil") }).await.unwrap().expect("it is decided");
    let nobody = Decision::Detach { id: id(IdKind::User, "nobody-there") };
    store.decide_by(&nobody, by()).await.unwrap().expect_err("nobody has the id");

    let deeds = store.history(None, 10).await.unwrap();
    let did: Vec<_> = deeds.iter().map(|deed| deed.what).collect();
    assert_eq!(did, [What::Deleted, What::Blocked, What::Joined, What::Split]);
    let token = Fingerprint::of(b"a token").to_string();
    let tokens: Vec<_> = deeds.iter().map(|deed| deed.token.as_deref()).collect();
    assert_eq!(tokens, [Some(&*token), None, Some(&*token), Some(&*token)]);
    assert_eq!(deeds[0].deletion_request_id.as_deref(), Some(deletion.as_str()));
    assert!(deeds[0].visitors.is_some() && deeds[0].id.is_none(), "{deeds:?}");
    // The same id has the same hash, whatever was done with it.
    assert_eq!((&deeds[2].id, &deeds[2].to), (&deeds[3].id, &deeds[1].id));
    assert_eq!(deeds[3].id.as_ref().map(|id| (id.kind.as_str(), id.hash.len())), Some(("email", 16)));
    // With what is around it: `ada` alone may stand in a random id as well.
    assert!(["ada@", "\"ada\""].iter().all(|id| !format!("{deeds:?}").contains(id)), "{deeds:?}");
}

pub async fn pages_of_the_history_hold_every_deed_once(store: &dyn Store) {
    for n in 0..7 {
        let block = Decision::Block { id: id(IdKind::User, &format!("u-{n}")) };
        store.decide_by(&block, by()).await.unwrap().expect("it is decided");
    }
    let all = store.history(None, 100).await.unwrap();
    assert_eq!(all.len(), 7);
    let (mut paged, mut behind) = (Vec::new(), None);
    loop {
        let page = store.history(behind, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        behind = HistoryCursor::parse(&last.cursor.to_string());
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

pub async fn the_history_is_kept_as_long_as_data_is(store: &dyn Store) {
    let block = Decision::Block { id: id(IdKind::User, "u-1") };
    store.decide_by(&block, by()).await.unwrap().expect("it is decided");
    assert_eq!(store.history(None, 10).await.unwrap().len(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    while store.sweep(Retention::of_days(0)).await.unwrap() {}
    assert_eq!(store.history(None, 10).await.unwrap(), []);
}
