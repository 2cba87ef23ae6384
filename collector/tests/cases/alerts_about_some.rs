//! Alerts that are only about some: by what is known of the visitor and the company, also where that is said later.

use std::sync::Arc;

use serde_json::json;

use super::alert_messages::messages;
use super::alerts::{Watched, ago, track};
use super::{Engine, ingest};

pub async fn an_alert_is_only_about_whom_it_names(store: Arc<dyn Engine>) {
    let only =
        r#"{"on":"demo","only":"traits.plan = \"team\" and context.company.domain = \"acme.example\"","to":"sales"}"#;
    let watched = Watched::new(&store, &[("alerts/a", only)]).await;
    for (who, plan) in [("a@acme.example", "free"), ("b@acme.example", "team"), ("c@other.example", "team")] {
        let identify = json!({"type": "identify", "message_id": format!("i-{who}"), "sent_at": ago(2000),
                              "traits": {"plan": plan, "name": who}});
        let demo = track("Demo Requested", &format!("e-{who}"), &ago(1000));
        ingest(&*store, &json!({"email": who, "identifies": [identify], "events": [demo]})).await;
    }
    watched.round().await;
    let told: Vec<_> = messages(&*store).await;
    assert_eq!(told.len(), 1, "{told:?}");
}

pub async fn an_alert_is_not_used_up_while_it_is_about_others(store: Arc<dyn Engine>) {
    let only = r#"{"on":"points","over":4,"only":"context.company.owner = \"ada\"","to":"sales"}"#;
    let not_free = r#"{"on":"points","over":4,"only":"traits.plan != \"free\"","to":"sales"}"#;
    let watched = Watched::new(&store, &[("alerts/hers", only), ("alerts/paying", not_free)]).await;
    let demo = |id: &str| track("Demo Requested", id, &ago(1000));
    let says = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(3000), "traits": {"plan": "free"}});
    ingest(&*store, &json!({"email": "bob@acme.example", "identifies": [says], "events": [demo("e-1")]})).await;
    assert_eq!(watched.headlines().await, Vec::<String>::new(), "nobody is whom either is about");
    let group = json!({"type": "group", "message_id": "g-1", "sent_at": ago(2000), "group_id": "g",
                       "traits": {"domain": "acme.example", "owner": "ada"}});
    ingest(&*store, &json!({"email": "bob@acme.example", "groups": [group], "events": [demo("e-2")]})).await;
    assert_eq!(watched.headlines().await.len(), 1, "it has an owner now");
}

pub async fn who_an_alert_is_about_later_that_day_sets_it_off_once(store: Arc<dyn Engine>) {
    let hers = r#"{"on":"pricing","only":"context.company.owner = \"ada\"","to":"sales"}"#;
    let teams = r#"{"on":"pricing","only":"traits.plan = \"team\"","to":"sales"}"#;
    let watched = Watched::new(&store, &[("alerts/hers", hers), ("alerts/teams", teams)]).await;
    let looks = async |id: &str| {
        let view = track("Viewed Pricing", id, &ago(1000));
        ingest(&*store, &json!({"email": "bob@acme.example", "events": [view]})).await;
        watched.headlines().await.len()
    };
    assert_eq!(looks("e-1").await, 0, "nobody's owner, on no plan");
    let group = json!({"type": "group", "message_id": "g-1", "sent_at": ago(900), "group_id": "g",
                       "traits": {"domain": "acme.example", "owner": "ada"}});
    ingest(&*store, &json!({"email": "bob@acme.example", "groups": [group]})).await;
    assert_eq!(looks("e-2").await, 1, "it has an owner now");
    let says = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(800), "traits": {"plan": "team"}});
    ingest(&*store, &json!({"email": "bob@acme.example", "identifies": [says]})).await;
    assert_eq!(looks("e-3").await, 2, "and is on the plan");
    assert_eq!(looks("e-4").await, 2, "once a day");
}
