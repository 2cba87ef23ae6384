//! Alerts: what goes off, once, and what is sent how often.

use std::sync::Arc;

use koala_collector::exclude::Exclude;
use koala_collector::intent::{IntentRule, Trend};
use koala_collector::settings::CollectorSettings;
use koala_collector::signals::told::Told;
use koala_collector::signals::watch::Watch;
use koala_collector::signals::{Configured, SignalsOptions};
use koala_collector::store::Store;
use koala_collector::store::alerts::{
    AlertStore, Evaluated, Fired, Look, MessageState, NewMessage, Standing, Stood, Unsettled,
};
use koala_collector::store::filter::Filter;
use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY, now_milliseconds};
use koala_destination::settings::Parameter;
use serde_json::{Value, json};

use super::alert_messages::{claim, message, messages};
use super::{ADA, Engine, GRACE, by_email, delete, ingest};

const SLACK: &str = "https://hooks.slack.com/services/T0/B0/x";
pub const HOUR: i64 = 60 * 60 * 1000;
/// Nothing waits.
const SETTLED: Unsettled<'_> = Unsettled { rules: &[], since: 0, before: 0 };

fn configured(parameters: &[(&str, &str)]) -> CollectorSettings {
    let parameter = |(name, value): &(&str, &str)| Parameter::new(*name, *value);
    let mut all: Vec<Parameter> = parameters.iter().map(parameter).collect();
    all.push(Parameter::new("alert-targets/sales", SLACK));
    let read = CollectorSettings::read(&all);
    assert!(read.problems().is_empty(), "{:?}", read.problems());
    read
}

/// A store that follows settings, and the watch over it.
pub struct Watched {
    store: Arc<dyn Engine>,
    watch: Watch,
    settings: CollectorSettings,
}

impl Watched {
    pub async fn new(store: &Arc<dyn Engine>, parameters: &[(&str, &str)]) -> Self {
        let settings = configured(parameters);
        store.follow_intent_rules(settings.intent_rules()).await.expect("rules");
        store.note_each_of(&settings.signals().rules_of_some());
        while store.look_back().await.expect("a piece") {}
        let (all, alerts): (Arc<dyn Store>, Arc<dyn AlertStore>) = (store.clone(), store.clone());
        let watch = Watch::new(all, alerts, SignalsOptions::default());
        let watched = Self { store: Arc::clone(store), watch, settings };
        // The first look, at what is there.
        watched.round().await;
        watched
    }

    fn signals(&self) -> &Configured {
        self.settings.signals()
    }

    /// When what was noted before is settled.
    pub async fn round(&self) {
        self.round_at(now_milliseconds() + 3100).await;
    }

    async fn round_at(&self, now: i64) {
        while self.watch.round(self.signals(), now).await.expect("a round") {}
    }

    /// The headlines of all messages, in order.
    pub async fn headlines(&self) -> Vec<String> {
        self.round().await;
        let mut headlines: Vec<_> = messages(&*self.store).await.into_iter().map(|it| it.headline).collect();
        headlines.sort();
        headlines
    }
}

pub fn ago(milliseconds: i64) -> String {
    clock::from_milliseconds(now_milliseconds() - milliseconds)
}

pub fn track(name: &str, id: &str, at: &str) -> Value {
    json!({"type": "track", "event": name, "message_id": id, "sent_at": at, "properties": {}})
}

pub fn page(path: &str, id: &str, at: &str) -> Value {
    json!({"message_id": id, "page": {"path": path, "title": "A page"}, "properties": {"path": path}, "visit_start": at})
}

pub async fn a_rule_goes_off_once_for_a_visitor_and_a_day_whatever_ids_they_are_known_by(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[("alerts/a", r#"{"on":"pricing","to":"sales"}"#)]).await;
    let now = ago(1000);
    ingest(&*store, &json!({"profile_id": ADA, "page_views": [page("/pricing", "p-1", &now)]})).await;
    assert_eq!(watched.headlines().await.len(), 1);
    // The same again, and under the address of the same person, who becomes known with it.
    ingest(&*store, &json!({"profile_id": ADA, "page_views": [page("/pricing", "p-2", &now)]})).await;
    let both = json!({"profile_id": ADA, "email": "ada@acme.example", "page_views": [page("/pricing", "p-3", &now)]});
    ingest(&*store, &both).await;
    assert_eq!(watched.headlines().await.len(), 1, "{:?}", messages(&*store).await);
    // Somebody else's device, who turns out to be the same person afterwards.
    ingest(&*store, &json!({"profile_id": GRACE, "page_views": [page("/pricing", "p-4", &now)]})).await;
    assert_eq!(watched.headlines().await.len(), 2);
    ingest(
        &*store,
        &json!({"profile_id": GRACE, "email": "ada@acme.example", "events": [track("Pricing", "e-1", &now)]}),
    )
    .await;
    assert_eq!(watched.headlines().await.len(), 2, "{:?}", messages(&*store).await);
}

pub async fn a_message_says_who_did_what_and_goes_to_each_target(store: Arc<dyn Engine>) {
    let webhook = r#"{"url":"https://crm.example/in","secret":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}"#;
    let parameters = [("alerts/a", r#"{"on":"demo","to":["sales","crm"]}"#), ("alert-targets/crm", webhook)];
    let watched = Watched::new(&store, &parameters).await;
    let now = ago(1000);
    let identify = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(2000),
                          "traits": {"name": "Ada Byron", "title": "CTO"}});
    let batch = json!({"user_id": "u-1", "email": "ada@acme.example", "identifies": [identify],
                       "page_views": [page("/pricing", "p-1", &ago(3000)), page("/pricing", "p-2", &ago(2500))],
                       "events": [track("Demo Requested", "e-1", &now)]});
    ingest(&*store, &batch).await;
    watched.round().await;
    let mut targets: Vec<_> = messages(&*store).await.into_iter().map(|it| (it.target, it.state)).collect();
    targets.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(targets, [("crm".to_owned(), MessageState::Due), ("sales".to_owned(), MessageState::Due)]);
    let claimed = claim(&*store, "sales", now_milliseconds() + 3100, true).await;
    let Ok(Told::Signal(told)) = serde_json::from_str(&claimed[0].told) else { panic!("{claimed:?}") };
    assert_eq!(told.user_ids, ["u-1"]);
    let deeds: Vec<_> = told.deeds.iter().map(|it| (it.who.as_str(), it.what.as_str(), it.times)).collect();
    let ada = "Ada Byron, CTO";
    assert_eq!(deeds, [(ada, "Demo Requested", 1), (ada, "viewed /pricing", 2)]);
    assert_eq!(told.company.expect("a company").domain.as_deref(), Some("acme.example"));
}

pub async fn what_happened_more_than_a_day_ago_sets_nothing_off(store: Arc<dyn Engine>) {
    let parameters = [
        ("alerts/rule", r#"{"on":"demo","to":"sales"}"#),
        ("alerts/points", r#"{"on":"points","over":5,"to":"sales"}"#),
        ("alerts/trend", r#"{"on":"trend","is":"surging","to":"sales"}"#),
    ];
    let watched = Watched::new(&store, &parameters).await;
    let old = ago(25 * HOUR);
    ingest(&*store, &json!({"email": "ada@acme.example", "events": [track("Demo Requested", "e-1", &old)]})).await;
    assert_eq!(watched.headlines().await, Vec::<String>::new());
    // Nor does what it brought cross a limit with the next event that is new.
    ingest(&*store, &json!({"email": "ada@acme.example", "events": [track("Read Blog", "e-2", &ago(1000))]})).await;
    assert_eq!(watched.headlines().await, Vec::<String>::new());
}

pub async fn points_and_a_trend_go_off_on_crossing_and_again_after_falling(store: Arc<dyn Engine>) {
    let rule = |name: &str, event: &str, score: f64| {
        let json = json!({"trigger": format!("event = \"{event}\""), "score": score, "half_life_days": 3000});
        IntentRule::parse(name, &json.to_string()).expect("a rule").expect("one that is on")
    };
    let alerts = [
        ("alerts/points", r#"{"on":"points","over":25,"to":"sales"}"#),
        ("alerts/trend", r#"{"on":"trend","is":"surging","to":"sales"}"#),
    ];
    let watched = Watched::new(&store, &alerts).await;
    store.follow_intent_rules(&[rule("buys", "Buys", 30.0), rule("goes", "Goes", -20.0)]).await.expect("rules");
    watched.round().await;
    let does = async |who: &str, what: &str| {
        let event = track(what, &format!("{who}-{what}"), &ago(1000));
        ingest(&*store, &json!({"email": format!("{who}@acme.example"), "events": [event]})).await;
        watched.headlines().await.len()
    };
    assert_eq!(does("a", "Buys").await, 2, "30 points, from none");
    assert_eq!(does("b", "Buys").await, 2, "60 points: it was above the limit");
    assert_eq!(does("a", "Goes").await, 2, "40 points");
    assert_eq!(
        does("b", "Goes").await,
        2,
        "20 points: not below 80 % of 25, but of the 30 when the trend went off, and still surging"
    );
    assert_eq!(does("c", "Goes").await, 2, "0 points: armed again");
    assert_eq!(does("c", "Buys").await, 4, "{:?}", messages(&*store).await);
}

pub async fn the_week_is_told_once(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[("alerts/monday", r#"{"on":"week","to":"sales"}"#)]).await;
    ingest(&*store, &json!({"email": "ada@acme.example", "events": [track("Demo Requested", "e-1", &ago(1000))]}))
        .await;
    // Who is only identified did nothing.
    let identify = json!({"type": "identify", "message_id": "i-1", "sent_at": ago(1000), "traits": {}});
    ingest(&*store, &json!({"email": "eve@acme.example", "identifies": [identify]})).await;
    // 1970-01-01 was a Thursday. The next digest is today's on a Monday before eight: the one after is more than seven days away.
    let (now, day) = (now_milliseconds(), now_milliseconds().div_euclid(MILLISECONDS_OF_A_DAY));
    let this_monday = (day - (day + 3).rem_euclid(7)) * MILLISECONDS_OF_A_DAY;
    let monday = if now < this_monday + 8 * HOUR { this_monday } else { this_monday + 7 * MILLISECONDS_OF_A_DAY };
    let before = messages(&*store).await.len();
    watched.round_at(monday + 8 * HOUR - 1000).await;
    assert_eq!(messages(&*store).await.len(), before);
    for minutes in [0, 1, 90] {
        watched.round_at(monday + 8 * HOUR + minutes * 60_000).await;
    }
    let told = messages(&*store).await;
    assert_eq!(told.len(), before + 1, "{told:?}");
    assert_eq!(told[0].headline, "The last week: 1 company new");
    let claimed = claim(&*store, "sales", monday + 10 * HOUR, true).await;
    let Ok(Told::Digest(digest)) = serde_json::from_str(&claimed[0].told) else { panic!("{claimed:?}") };
    let people = digest.parts().into_iter().flat_map(|(_, companies)| companies.iter().map(|company| company.people));
    assert_eq!(people.collect::<Vec<_>>(), [1]);
}

pub async fn of_two_who_evaluate_at_once_one_writes(store: Arc<dyn Engine>) {
    let _watched = Watched::new(&store, &[("alerts/a", r#"{"on":"demo","to":"sales"}"#)]).await;
    ingest(&*store, &json!({"email": "ada@acme.example", "events": [track("Demo Requested", "e-1", &ago(1000))]}))
        .await;
    let changed = store.changed(100, SETTLED).await.expect("changes");
    let rules: Vec<_> = changed.iter().filter_map(|one| one.rule.as_deref()).collect();
    assert!(rules.contains(&"demo"), "{changed:?}");
    let evaluated = |id: &str| Evaluated {
        changed: changed.iter().map(|one| one.token.clone()).collect(),
        messages: vec![NewMessage { occasion: id.to_owned(), ..message(id, "sales") }],
        ..Evaluated::default()
    };
    let (first, second) = tokio::join!(store.tell(evaluated("one")), store.tell(evaluated("two")));
    let written = [first.expect("an answer"), second.expect("an answer")];
    assert_eq!(written.iter().filter(|written| **written).count(), 1, "{written:?}");
    assert_eq!(messages(&*store).await.len(), 1);
    assert_eq!(store.changed(100, SETTLED).await.expect("changes"), []);
}

pub async fn of_two_who_look_at_one_company_at_once_one_writes(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[("alerts/a", r#"{"on":"points","over":25,"to":"sales"}"#)]).await;
    for who in ["ada", "bob"] {
        let demo = track("Demo Requested", &format!("e-{who}"), &ago(1000));
        ingest(&*store, &json!({"email": format!("{who}@acme.example"), "events": [demo]})).await;
    }
    let company = store.changed(1, SETTLED).await.expect("changes").remove(0).company.expect("a company");
    let before = store.standing(&company).await.expect("a standing");
    let look = Look { points: 40.0, trend: Trend::Surging };
    let fired = vec![Fired { alert: "a".to_owned(), condition: "points > 25".to_owned(), points: 40.1 }];
    let after = Standing { look: Some(look), fired };
    // Each of them has another row of what changed, and the same company.
    let changed = store.changed(100, SETTLED).await.expect("changes");
    let of = |visitor: usize| {
        let mut visitors: Vec<_> = changed.iter().map(|one| one.visitor.clone()).collect();
        visitors.sort();
        visitors.dedup();
        let rows = changed.iter().filter(|one| Some(&one.visitor) == visitors.get(visitor));
        let stood = Stood { company: company.clone(), before: before.clone(), after: after.clone() };
        Evaluated {
            changed: rows.map(|one| one.token.clone()).collect(),
            standings: vec![stood],
            messages: vec![message(&format!("m-{visitor}"), "sales")],
            ..Evaluated::default()
        }
    };
    let (first, second) = tokio::join!(store.tell(of(0)), store.tell(of(1)));
    let written = [first.expect("an answer"), second.expect("an answer")];
    assert_eq!(written.iter().filter(|written| **written).count(), 1, "{written:?}");
    assert_eq!(store.standing(&company).await.expect("a standing"), after);
    // What the other one had in its hands is looked at again, beside the company as it stands now.
    assert!(!store.changed(100, SETTLED).await.expect("changes").is_empty());
    watched.round().await;
    assert_eq!(messages(&*store).await.len(), 1, "{:?}", messages(&*store).await);
}

pub async fn who_is_kept_out_of_the_ranking_sets_nothing_off(store: Arc<dyn Engine>) {
    let parameters = [
        ("alerts/rule", r#"{"on":"demo","to":"sales"}"#),
        ("alerts/points", r#"{"on":"points","over":5,"to":"sales"}"#),
    ];
    let watched = Watched::new(&store, &parameters).await;
    store
        .follow_exclude(&Exclude::parse(r#"{"domains":["us.example"]}"#).expect("a parameter"))
        .await
        .expect("followed");
    while store.look_back().await.expect("a piece") {}
    for who in ["staff@us.example", "ada@acme.example"] {
        let demo = track("Demo Requested", &format!("e-{who}"), &ago(1000));
        ingest(&*store, &json!({"email": who, "events": [demo]})).await;
    }
    let told = watched.headlines().await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|headline| headline.starts_with("acme.example ")), "{told:?}");
}

pub async fn a_deleted_person_is_in_no_message(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[("alerts/a", r#"{"on":"demo","to":"sales"}"#)]).await;
    for who in ["ada@acme.example", "bob@other.example"] {
        let demo = track("Demo Requested", &format!("e-{who}"), &ago(1000));
        ingest(&*store, &json!({"email": who, "events": [demo]})).await;
    }
    assert_eq!(watched.headlines().await.len(), 2);
    ingest(&*store, &json!({"email": "ada@acme.example", "events": [track("Pricing", "e-9", &ago(500))]})).await;
    delete(&*store, &[by_email("ada@acme.example")]).await;
    assert_eq!(store.changed(100, SETTLED).await.expect("changes"), []);
    let left: Vec<_> = messages(&*store).await.into_iter().map(|it| it.headline).collect();
    assert!(left.len() == 1 && left[0].starts_with("other.example"), "{left:?}");
}

pub async fn who_is_named_beside_a_deleted_person_is_told_all_the_same_and_once(store: Arc<dyn Engine>) {
    let watched = Watched::new(&store, &[("alerts/a", r#"{"on":"demo","to":"sales"}"#)]).await;
    let asks = async |ids: Value, id: &str| {
        let mut body = ids;
        body["events"] = json!([track("Demo Requested", id, &ago(1000))]);
        ingest(&*store, &body).await;
        watched.headlines().await.len()
    };
    assert_eq!(asks(json!({"user_id": "u-ada", "email": "ada@acme.example"}), "e-1").await, 1);
    assert_eq!(asks(json!({"user_id": "u-dave", "email": "dave@acme.example"}), "e-2").await, 2);
    delete(&*store, &[by_email("ada@acme.example")]).await;
    let due = claim(&*store, "sales", now_milliseconds() + 10_000, false).await;
    assert_eq!(due.len(), 1, "{due:?}");
    assert!(!due[0].told.contains("ada@") && due[0].told.contains("dave@acme.example"), "{}", due[0].told);
    assert!(serde_json::from_str::<Told>(&due[0].told).is_ok());
    assert_eq!(asks(json!({"profile_id": ADA, "user_id": "u-dave"}), "e-3").await, 1, "once a day");
}

pub async fn what_names_somebody_who_was_deleted_since_they_were_looked_at_is_not_written(store: Arc<dyn Engine>) {
    ingest(&*store, &json!({"email": "ada@acme.example", "events": [track("Demo Requested", "e-1", &ago(1000))]}))
        .await;
    let (visitors, _) = store.list_visitors(Filter::default(), 0, 1).await.expect("visitors");
    let ada = visitors[0].id.clone();
    delete(&*store, &[by_email("ada@acme.example")]).await;
    for message in [
        NewMessage { named: vec![ada.clone()], ..message("m-1", "sales") },
        NewMessage { visitor: Some(ada), ..message("m-2", "sales") },
    ] {
        let evaluated = Evaluated { messages: vec![message], ..Evaluated::default() };
        assert!(!store.tell(evaluated).await.expect("it is told or not"));
    }
    assert_eq!(messages(&*store).await, []);
}

pub async fn who_says_who_they_are_a_moment_after_what_they_did_is_told_with_the_company(store: Arc<dyn Engine>) {
    let parameters = [("alerts/a", r#"{"on":"pricing","to":"sales"}"#)];
    let watched = Watched::new(&store, &parameters).await;
    let told = async |now: i64| {
        watched.round_at(now).await;
        let mut headlines: Vec<_> = messages(&*store).await.into_iter().map(|it| it.headline).collect();
        headlines.sort();
        headlines
    };
    let noted = now_milliseconds();
    ingest(&*store, &json!({"profile_id": ADA, "page_views": [page("/pricing", "p-1", &ago(1000))]})).await;
    // Another one who is known is told at once.
    let known = json!({"email": "bob@globex.example", "page_views": [page("/pricing", "p-2", &ago(1000))]});
    ingest(&*store, &known).await;
    let globex = "globex.example looks at pricing, 1 person, surging".to_owned();
    assert_eq!(told(now_milliseconds()).await, std::slice::from_ref(&globex));
    let rules = ["pricing".to_owned()];
    let unsettled = Unsettled { rules: &rules, since: noted, before: noted + 60_000 };
    assert!(store.is_any_unsettled(unsettled).await.expect("read"));
    ingest(&*store, &json!({"profile_id": ADA, "email": "ada@acme.example"})).await;
    assert!(!store.is_any_unsettled(unsettled).await.expect("read"));
    let acme = "acme.example looks at pricing, 1 person, surging".to_owned();
    assert_eq!(told(now_milliseconds()).await, [acme.clone(), globex.clone()]);
    // Who says nothing is told without a company three seconds later, and so is what was noted by a clock that is ahead.
    ingest(&*store, &json!({"profile_id": GRACE, "page_views": [page("/pricing", "p-3", &ago(1000))]})).await;
    let noted = now_milliseconds();
    assert_eq!(told(noted).await.len(), 2);
    let told_at_last = told(noted + 3100).await;
    assert!(
        told_at_last.len() == 3 && told_at_last.iter().any(|it| it.starts_with("Anonymous visitor")),
        "{told_at_last:?}"
    );
    let device = "0b6f0f0e-1a4e-4a1b-8a2f-0d7c9b1e4f03";
    ingest(&*store, &json!({"profile_id": device, "page_views": [page("/pricing", "p-4", &ago(1000))]})).await;
    assert_eq!(told(now_milliseconds() - 60_000).await.len(), 4);
}
