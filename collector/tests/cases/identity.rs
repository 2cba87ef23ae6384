//! Who is who.

use futures_util::future::join_all;
use koala_collector::store::Store;
use serde_json::json;

use super::{ADA, batch, event, identify, ingest, only_visitor};

pub async fn one_visitor_is_known_by_all_its_ids(store: &dyn Store) {
    ingest(
        store,
        &json!({"profile_id": ADA, "email": "Ada@Acme.com", "events": [event("e-1", "2026-11-20T09:00:00Z")]}),
    )
    .await;
    ingest(store, &json!({"email": "ada@acme.com", "events": [event("e-2", "2026-11-20T10:00:00Z")]})).await;
    ingest(store, &json!({"profile_id": ADA, "events": [event("e-3", "2026-11-20T08:00:00Z")]})).await;
    let visitor = only_visitor(store).await;
    assert_eq!(
        (visitor.events, visitor.anonymous_ids, visitor.emails),
        (3, vec![ADA.into()], vec!["ada@acme.com".into()])
    );
    assert_eq!(visitor.first_seen, "2026-11-20T08:00:00.000Z");
    assert_eq!(visitor.last_seen, "2026-11-20T10:00:00.000Z");
}

pub async fn an_identify_that_links_two_histories_makes_them_one_whatever_the_order(store: &dyn Store) {
    let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]];
    for (n, order) in orders.into_iter().enumerate() {
        let id = format!("6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0b0{n}");
        let email = format!("ada@acme-{n}.com");
        let parts = [
            json!({"profile_id": id, "events": [event(&format!("e-1-{n}"), "2026-11-20T09:00:00Z")]}),
            json!({"email": email, "events": [event(&format!("e-2-{n}"), "2026-11-20T10:00:00Z")]}),
            json!({"profile_id": id, "email": email,
                   "identifies": [identify(&format!("i-{n}"), "2026-11-20T11:00:00Z", &json!({"name": "Ada"}))]}),
        ];
        for part in order {
            ingest(store, &parts[part]).await;
        }
    }
    let visitors = super::visitors(store).await;
    assert_eq!(visitors.len(), orders.len());
    for visitor in visitors {
        assert_eq!((visitor.events, visitor.identifies, visitor.traits.len()), (2, 1, 1), "{visitor:?}");
    }
}

pub async fn what_is_said_of_two_at_once_is_of_one_in_the_end(store: &dyn Store) {
    let said = (0..60).map(|n| {
        let event = event(&format!("e-{n}"), "2026-11-20T09:00:00Z");
        batch(&match n % 3 {
            0 => json!({"profile_id": ADA, "events": [event]}),
            1 => json!({"email": "ada@acme.com", "events": [event]}),
            _ => json!({"profile_id": ADA, "email": "ada@acme.com", "events": [event]}),
        })
    });
    for kept in join_all(said.map(|batch| store.ingest(batch))).await {
        kept.expect("it is kept");
    }
    assert_eq!(only_visitor(store).await.events, 60);
}
