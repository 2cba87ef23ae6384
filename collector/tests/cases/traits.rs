//! Traits: what was said last.

use koala_collector::store::Store;
use serde_json::{Value, json};

use super::{ADA, identify, ingest, only_visitor, visitors};

/// One identify of Ada's for each hour and what it says.
async fn said(store: &dyn Store, identities: &Value, said: &[(u32, Value)]) {
    for (hour, traits) in said {
        let at = format!("2026-11-20T{hour:02}:00:00Z");
        let mut body = identities.clone();
        body["identifies"] = json!([identify(&format!("i-{hour}"), &at, traits)]);
        ingest(store, &body).await;
    }
}

pub async fn what_was_said_last_counts_whatever_order_it_comes_in(store: &dyn Store) {
    let (early, late, between) =
        (json!({"plan": "free", "city": "Paris"}), json!({"name": "Ada"}), json!({"plan": "team", "name": "A."}));
    said(store, &json!({"email": "ada@acme.com"}), &[(10, early), (20, late), (15, between)]).await;
    assert_eq!(
        Value::Object(only_visitor(store).await.traits),
        json!({"city": "Paris", "name": "Ada", "plan": "team"})
    );
}

pub async fn of_two_at_one_time_the_same_counts_whatever_order_they_come_in(store: &dyn Store) {
    let at = "2026-11-20T10:00:00Z";
    for (email, order) in [("ada@acme.com", ["free", "team"]), ("bob@acme.com", ["team", "free"])] {
        for plan in order {
            let identify = identify(&format!("{email}-{plan}"), at, &json!({"plan": plan}));
            ingest(store, &json!({"email": email, "identifies": [identify]})).await;
        }
    }
    let plans: Vec<_> = visitors(store).await.iter().map(|visitor| visitor.traits["plan"].clone()).collect();
    assert_eq!(plans, ["team", "team"]);
}

pub async fn null_takes_a_trait_away_until_it_is_said_anew(store: &dyn Store) {
    let ada = json!({"email": "ada@acme.com"});
    said(store, &ada, &[(10, json!({"city": "Paris"})), (12, json!({"city": null})), (11, json!({"city": "Rome"}))])
        .await;
    assert_eq!(Value::Object(only_visitor(store).await.traits), json!({}));
    said(store, &ada, &[(13, json!({"city": "Oslo"}))]).await;
    assert_eq!(Value::Object(only_visitor(store).await.traits), json!({"city": "Oslo"}));
}

pub async fn traits_of_two_who_become_one_are_merged_by_time(store: &dyn Store) {
    said(
        store,
        &json!({"profile_id": ADA}),
        &[(10, json!({"plan": "free", "seats": 1})), (14, json!({"name": "Ada"}))],
    )
    .await;
    said(store, &json!({"email": "ada@acme.com"}), &[(12, json!({"plan": "team", "name": "A."}))]).await;
    ingest(store, &json!({"profile_id": ADA, "email": "ada@acme.com"})).await;
    assert_eq!(Value::Object(only_visitor(store).await.traits), json!({"name": "Ada", "plan": "team", "seats": 1}));
}
