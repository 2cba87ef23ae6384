//! What can be sent with a key that everybody can read in a page, and does no harm.

use koala_collector::store::Store;
use koala_destination::clock;
use serde_json::{Map, Value, json};

use super::{ADA, GRACE, event, identify, ingest, only_visitor, visitors};

const AT: &str = "2026-11-20T09:00:00Z";

pub async fn nobody_takes_another_s_event_by_sending_its_message_id_first(store: &dyn Store) {
    ingest(store, &json!({"anonymous_id": GRACE, "events": [event("e-1", AT)]})).await;
    ingest(store, &json!({"anonymous_id": ADA, "events": [event("e-1", AT)]})).await;
    let visitors = visitors(store).await;
    assert_eq!(visitors.iter().map(|visitor| visitor.events).collect::<Vec<_>>(), [1, 1]);
}

pub async fn a_forged_identify_joins_no_two_who_are_known(store: &dyn Store) {
    for (user, email) in [("u1", "ada@acme.com"), ("u2", "grace@navy.org")] {
        let said = identify(&format!("i-{user}"), AT, &json!({}));
        ingest(store, &json!({"user_id": user, "email": email, "identifies": [said]})).await;
    }
    for (user, email) in [("u1", "grace@navy.org"), ("u2", "ada@acme.com")] {
        let said = identify(&format!("x-{user}"), "2026-11-20T10:00:00Z", &json!({}));
        ingest(store, &json!({"user_id": user, "email": email, "identifies": [said]})).await;
    }
    ingest(
        store,
        &json!({"user_id": "u1", "previous_id": "grace@navy.org", "identifies": [identify("a", "2026-11-20T11:00:00Z", &json!({}))]}),
    )
    .await;
    let shown: Vec<_> = visitors(store).await.into_iter().map(|visitor| (visitor.user_ids, visitor.emails)).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    for (user, email) in [("u1", "ada@acme.com"), ("u2", "grace@navy.org")] {
        assert!(shown.contains(&(vec![user.to_owned()], vec![email.to_owned()])), "{shown:?}");
    }
}

pub async fn traits_without_end_do_not_shut_out_the_name_and_the_company(store: &dyn Store) {
    for n in 0..3 {
        let junk: Map<String, Value> = (0..400).map(|at| (format!("junk-{n}-{at}"), json!("x".repeat(400)))).collect();
        ingest(store, &json!({"user_id": "u1", "identifies": [identify(&format!("x-{n}"), AT, &Value::Object(junk))]}))
            .await;
    }
    let real = json!({"name": "Ada Lovelace", "title": "CTO", "company": {"name": "Acme", "domain": "acme.com"}});
    ingest(store, &json!({"user_id": "u1", "identifies": [identify("i-1", AT, &real)]})).await;
    let visitor = only_visitor(store).await;
    assert_eq!((&visitor.traits["name"], visitor.account.as_deref()), (&json!("Ada Lovelace"), Some("acme.com")));
}

/// As many as a thousand identifies of as many traits.
pub async fn traits_of_a_visitor_do_not_grow_without_end(store: &dyn Store) {
    let now = clock::now();
    ingest(store, &json!({"user_id": "u1", "identifies": [identify("i-0", AT, &json!({"plan": "free"}))]})).await;
    for n in 0..30 {
        let traits: Map<String, Value> =
            (0..100).map(|at| (format!("trait-{n}-{at}"), json!("x".repeat(500)))).collect();
        let said = identify(&format!("x-{n}"), AT, &Value::Object(traits));
        let device = format!("d-{n}");
        ingest(store, &json!({"user_id": "u1", "identifies": [said]})).await;
        let said = identify(&format!("y-{n}"), &now, &json!({format!("of-{n}"): "y".repeat(100_000)}));
        ingest(store, &json!({"anonymous_id": device, "identifies": [said]})).await;
        ingest(store, &json!({"anonymous_id": device, "user_id": "u1", "identifies": [identify(&format!("z-{n}"), AT, &json!({}))]})).await;
    }
    let visitor = only_visitor(store).await;
    assert_eq!(visitor.anonymous_ids.len(), 30);
    let bytes = serde_json::to_string(&visitor.traits).unwrap().len();
    assert!(visitor.traits.len() <= 300 && bytes <= 140_000, "{} in {bytes} bytes", visitor.traits.len());
    // What is known can still change.
    ingest(store, &json!({"user_id": "u1", "identifies": [identify("i-1", &now, &json!({"plan": "team"}))]})).await;
    assert_eq!(only_visitor(store).await.traits["plan"], "team");
}
