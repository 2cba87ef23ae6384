//! Alerts on a rule that counts: with the entry that is enough, however that comes, and once a day.

use std::sync::Arc;

use serde_json::{Value, json};

use super::alerts::{HOUR, Watched, ago, track};
use super::{ADA, Engine, GRACE, ingest};

/// An alert on three looks within a week.
async fn keen(store: &Arc<dyn Engine>) -> Watched {
    let rule = r#"{"trigger":"event = \"Looks\"","score":9,"at_least":3,"within_days":7}"#;
    Watched::new(store, &[("intent/keen", rule), ("alerts/a", r#"{"on":"keen","to":"sales"}"#)]).await
}

/// A look of a visitor, and how many messages there are then.
async fn looks(store: &Arc<dyn Engine>, watched: &Watched, visitor: &Value, (id, at): (&str, &str)) -> usize {
    let mut batch = visitor.clone();
    batch["events"] = json!([track("Looks", id, at)]);
    ingest(&**store, &batch).await;
    watched.headlines().await.len()
}

pub async fn a_rule_that_counts_goes_off_with_the_entry_that_is_enough(store: Arc<dyn Engine>) {
    let watched = keen(&store).await;
    let looks =
        async |id: &str, at: String| looks(&store, &watched, &json!({"email": "ada@acme.example"}), (id, &at)).await;
    assert_eq!(looks("e-1", ago(3 * 24 * HOUR)).await, 0);
    assert_eq!(looks("e-2", ago(2000)).await, 0);
    assert_eq!(looks("e-2", ago(2000)).await, 0, "a repeat is no third");
    assert_eq!(looks("e-3", ago(1000)).await, 1);
    assert_eq!(looks("e-4", ago(500)).await, 1);
    let reasons = store.show_company("acme.example", 1).await.expect("a company").expect("it is there").reasons;
    let keen = reasons.iter().find(|reason| reason.rule == "keen").expect("it counts");
    assert!((keen.points - 9.0).abs() < 1e-9 && keen.visitors == 1, "one day counts: {keen:?}");
}

pub async fn a_rule_that_counts_goes_off_when_two_visitors_who_did_enough_together_are_one(store: Arc<dyn Engine>) {
    let watched = keen(&store).await;
    let (phone, laptop) = (ADA, GRACE);
    let looks =
        async |device: &str, id: &str| looks(&store, &watched, &json!({"profile_id": device}), (id, &ago(1000))).await;
    for (device, id) in [(phone, "p-1"), (phone, "p-2"), (laptop, "l-1")] {
        assert_eq!(looks(device, id).await, 0, "neither did enough");
    }
    for device in [phone, laptop] {
        let says = json!({"type": "identify", "message_id": format!("i-{device}"), "sent_at": ago(500), "traits": {}});
        let batch = json!({"profile_id": device, "email": "ada@acme.example", "identifies": [says]});
        ingest(&*store, &batch).await;
    }
    assert_eq!(watched.headlines().await.len(), 1, "both are one, who did");
    assert_eq!(looks(phone, "p-3").await, 1, "once a day");
}

pub async fn a_rule_that_counts_goes_off_when_what_makes_it_enough_comes_late(store: Arc<dyn Engine>) {
    let watched = keen(&store).await;
    let looks =
        async |id: &str, at: String| looks(&store, &watched, &json!({"email": "ada@acme.example"}), (id, &at)).await;
    assert_eq!(looks("e-1", ago(50)).await, 0);
    assert_eq!(looks("e-2", ago(40)).await, 0);
    // Of yesterday, unless the day is about to end.
    assert_eq!(looks("e-0", ago(23 * HOUR)).await, 1);
    assert_eq!(looks("e-3", ago(30)).await, 1, "once a day, whichever entry came last");
    assert_eq!(looks("e-00", ago(22 * HOUR)).await, 1);
}
