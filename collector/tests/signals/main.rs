//! Alerts from the event to a Slack on loopback that holds Slack's limits and rates, and to a webhook.

// A test that meets something else than it expects ends there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../helpers/deletions.rs"]
mod deletions;
#[path = "../helpers/place.rs"]
mod place;
#[path = "../helpers/postgres.rs"]
mod postgres_server;
#[path = "../helpers/receiver.rs"]
mod receiver;
mod segment;

use std::sync::Arc;
use std::time::{Duration, Instant};

use koala_collector::protocol::batch;
use koala_collector::settings::CollectorSettings;
use koala_collector::signals::SignalsOptions;
use koala_collector::signals::deliver::Deliver;
use koala_collector::signals::outbound::Client;
use koala_collector::signals::outbound::address::Reach;
use koala_collector::signals::watch::Watch;
use koala_collector::store::alerts::{MessageState, StoredMessage};
use koala_destination::clock::{self, now_milliseconds};
use koala_destination::delivery::RetryPolicy;
use koala_destination::settings::Parameter;
use serde_json::{Value, json};

use self::place::{Engine, Place, on_each_engine};
use self::receiver::Receiver;
use self::segment::{
    a_member_who_was_deleted_while_a_segment_source_was_down_is_not_sent_to_it,
    what_a_segment_source_gets_is_of_known_members_alone,
    who_is_excluded_before_a_segment_source_is_told_is_not_sent_to_it,
};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

on_each_engine! {
    a_burst_goes_to_slack_in_few_messages_at_its_pace_and_each_is_told_once,
    slack_says_when_to_come_back_and_nothing_is_sent_before,
    two_processes_keep_to_slack_s_pace_together,
    what_slack_said_to_one_process_the_other_keeps,
    what_slack_may_have_taken_is_shown_and_not_repeated_and_what_it_refused_is_dead,
    a_message_that_slack_does_not_take_costs_no_other_of_its_burst,
    a_key_that_the_other_end_repeats_is_nowhere,
    a_webhook_gets_a_message_at_least_once_under_an_id_that_stays_the_same,
    redelivery_and_a_new_start_tell_nothing_twice,
    a_target_that_is_down_for_half_a_day_gives_dead_letters_with_the_reason,
    what_a_segment_source_gets_is_of_known_members_alone,
    a_member_who_was_deleted_while_a_segment_source_was_down_is_not_sent_to_it,
    who_is_excluded_before_a_segment_source_is_told_is_not_sent_to_it,
    a_burst_that_has_to_wait_is_folded_all_the_same,
    one_webhook_under_two_names_is_told_once_at_its_pace,
}

/// A collector's store with alerts at work.
struct Set {
    store: Arc<dyn Engine>,
    settings: CollectorSettings,
    watch: Watch,
    deliver: Deliver,
    place: Option<Place>,
}

impl Set {
    /// In an empty place, or in that of a set that was there before.
    async fn on(place: Place, parameters: &[(&str, String)]) -> Self {
        Self::over(place.open().await, Some(place), parameters).await
    }

    async fn over(store: Arc<dyn Engine>, place: Option<Place>, parameters: &[(&str, String)]) -> Self {
        let parameter = |(name, value): &(&str, String)| Parameter::new(*name, value.clone());
        let settings = CollectorSettings::read(&parameters.iter().map(parameter).collect::<Vec<_>>());
        assert!(settings.problems().is_empty(), "{:?}", settings.problems());
        store.follow_intent_rules(settings.intent_rules()).await.unwrap();
        while store.look_back().await.unwrap() {}
        let options = SignalsOptions { page_url: "https://koala.example".parse().ok(), ..SignalsOptions::default() };
        let watch = Watch::new(store.clone(), store.clone(), options);
        let retry = RetryPolicy { first_delay: Duration::from_millis(50), longest_delay: Duration::from_millis(200) };
        let deliver =
            Deliver::new(store.clone(), store.clone(), Client::new(Reach::Private).unwrap()).with_retry(retry);
        let set = Self { store, settings, watch, deliver, place };
        set.look().await;
        set
    }

    async fn look(&self) {
        while self.watch.round(self.settings.signals(), now_milliseconds()).await.unwrap() {}
    }

    async fn ingest(&self, body: &Value) {
        self.store.ingest(batch::read(body.to_string().as_bytes()).unwrap()).await.unwrap();
    }

    /// Works until nothing is due any more, or for some seconds.
    async fn work(&mut self) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            self.look().await;
            self.deliver.round(self.settings.signals(), now_milliseconds()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            let messages = self.messages().await;
            let is_open = |it: &StoredMessage| matches!(it.state, MessageState::Due | MessageState::Sending);
            if !messages.iter().any(is_open) || Instant::now() > end {
                break;
            }
        }
        self.deliver.finish().await;
    }

    async fn messages(&self) -> Vec<StoredMessage> {
        self.store.messages(1000).await.unwrap()
    }

    async fn states(&self) -> Vec<(MessageState, Option<String>)> {
        self.messages().await.into_iter().map(|it| (it.state, it.reason)).collect()
    }
}

fn looks_at_pricing(email: &str) -> Value {
    let now = clock::now();
    json!({"email": email, "events": [{"type": "track", "event": "Viewed Pricing", "message_id": email, "sent_at": now}]})
}

fn alert_to(url: &str) -> [(&'static str, String); 2] {
    [("alerts/prices", r#"{"on":"pricing","to":"sales"}"#.to_owned()), ("alert-targets/sales", url.to_owned())]
}

async fn a_burst_goes_to_slack_in_few_messages_at_its_pace_and_each_is_told_once(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    let mut set = Set::on(place, &alert_to(&slack.clone().start().await)).await;
    for n in 0..20 {
        set.ingest(&looks_at_pricing(&format!("someone@company-{n}.example"))).await;
    }
    set.work().await;
    assert!(set.states().await.iter().all(|(state, _)| *state == MessageState::Sent), "{:?}", set.states().await);
    let texts: Vec<String> = slack.bodies().iter().map(|it| it["text"].as_str().unwrap().to_owned()).collect();
    assert!(texts.len() <= 4, "a burst is folded: {} requests", texts.len());
    for n in 0..20 {
        let told = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| line.starts_with(&format!("company-{n}.example ")));
        assert_eq!(told.count(), 1, "{n}: {texts:?}");
    }
    let blocks = slack.bodies()[0]["blocks"].to_string();
    assert!(blocks.contains("<https://koala.example/companies/company-"), "{blocks}");
}

async fn slack_says_when_to_come_back_and_nothing_is_sent_before(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    slack.answers.lock().unwrap().push((429, Some("2")));
    let mut set = Set::on(place, &alert_to(&slack.clone().start().await)).await;
    set.ingest(&looks_at_pricing("ada@acme.example")).await;
    let begun = Instant::now();
    set.work().await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(slack.bodies().len(), 1);
    assert_eq!(set.messages().await[0].tries, 2);
}

/// Two processes with one store, each at work until nothing is due any more.
async fn work_beside_each_other(one: &mut Set, other: &mut Set) {
    tokio::join!(one.work(), other.work());
}

/// Another process on the store; a file has one process alone, so that there the two share it.
async fn beside(set: &Set, parameters: &[(&str, String)]) -> Set {
    let store = match &set.place {
        Some(place @ Place::Database(_)) => place.open().await,
        _ => Arc::clone(&set.store),
    };
    Set::over(store, None, parameters).await
}

async fn two_processes_keep_to_slack_s_pace_together(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    let parameters = alert_to(&slack.clone().start().await);
    let mut one = Set::on(place, &parameters).await;
    let mut other = beside(&one, &parameters).await;
    for n in 0..50 {
        one.ingest(&looks_at_pricing(&format!("someone@company-{n}.example"))).await;
    }
    work_beside_each_other(&mut one, &mut other).await;
    let states = one.states().await;
    assert!(states.len() == 50 && states.iter().all(|(state, _)| *state == MessageState::Sent), "{states:?}");
    let asked = slack.asked.lock().unwrap().clone();
    let refused = asked.iter().filter(|(_, status)| *status == 429).count();
    assert!(refused == 0 && asked.len() >= 6, "{refused} of {} requests came too early", asked.len());
}

async fn what_slack_said_to_one_process_the_other_keeps(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    slack.answers.lock().unwrap().push((429, Some("4")));
    let parameters = alert_to(&slack.clone().start().await);
    let mut one = Set::on(place, &parameters).await;
    let mut other = beside(&one, &parameters).await;
    one.ingest(&looks_at_pricing("ada@acme.example")).await;
    one.look().await;
    one.deliver.round(one.settings.signals(), now_milliseconds()).await.unwrap();
    one.deliver.finish().await;
    assert_eq!(slack.asked.lock().unwrap().len(), 1);
    // The other one has something new to tell.
    one.ingest(&looks_at_pricing("grace@globex.example")).await;
    other.look().await;
    let is_due = async |now: i64| other.deliver.is_any_due(other.settings.signals(), now).await.unwrap();
    let now = now_milliseconds();
    // A function stays for what is due in a moment, and not for what is due later.
    assert_eq!((is_due(now).await, is_due(now + 3000).await), (false, true));
    work_beside_each_other(&mut other, &mut one).await;
    let states = one.states().await;
    assert!(states.len() == 2 && states.iter().all(|(state, _)| *state == MessageState::Sent), "{states:?}");
    let asked = slack.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|(_, status)| *status == 429).count(), 1, "{asked:?}");
    let waited = asked[1].0.duration_since(asked[0].0);
    assert!(waited >= Duration::from_millis(3900), "{waited:?}");
}

async fn a_message_that_slack_does_not_take_costs_no_other_of_its_burst(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    // The burst as a whole, and one by itself.
    slack.answers.lock().unwrap().extend([(400, None), (200, None), (400, None)]);
    let mut set = Set::on(place, &alert_to(&slack.clone().start().await)).await;
    for n in 0..4 {
        set.ingest(&looks_at_pricing(&format!("someone@company-{n}.example"))).await;
    }
    set.work().await;
    let mut states: Vec<_> = set.states().await.into_iter().map(|(state, _)| state.name()).collect();
    states.sort_unstable();
    assert_eq!(states, ["dead", "sent", "sent", "sent"]);
}

async fn a_key_that_the_other_end_repeats_is_nowhere(place: Place) {
    let receiver = Receiver::default();
    receiver.answers.lock().unwrap().push((400, None));
    let target = json!({"segment": "hunter2writekey", "url": receiver.start().await}).to_string();
    let mut set = Set::on(place, &alert_to(&target)).await;
    let mut known = looks_at_pricing("ada@acme.example");
    known["user_id"] = "u-1".into();
    set.ingest(&known).await;
    set.work().await;
    let shown = format!("{:?}", set.messages().await);
    assert!(shown.contains("Dead") && !shown.contains("hunter2"), "{shown}");
}

async fn what_slack_may_have_taken_is_shown_and_not_repeated_and_what_it_refused_is_dead(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    slack.answers.lock().unwrap().extend([(500, None), (404, None)]);
    let mut set = Set::on(place, &alert_to(&slack.clone().start().await)).await;
    for email in ["ada@acme.example", "bob@other.example"] {
        set.ingest(&looks_at_pricing(email)).await;
        set.work().await;
    }
    let mut states = set.states().await;
    states.sort_by_key(|(state, _)| state.name());
    let reason = |text: &str| Some(text.to_owned());
    let expected =
        [(MessageState::Dead, reason("the answer is 404")), (MessageState::Unknown, reason("the answer is 500"))];
    assert_eq!(states, expected);
    assert_eq!(slack.bodies(), Vec::<Value>::new());
    // A person who has put the webhook right sends what is dead again; what may have arrived stays.
    set.store.redrive_messages(now_milliseconds()).await.unwrap();
    set.work().await;
    assert_eq!(slack.bodies().len(), 1);
    assert!(!format!("{:?}", set.messages().await).contains("hunter2"));
}

async fn a_webhook_gets_a_message_at_least_once_under_an_id_that_stays_the_same(place: Place) {
    let receiver = Receiver::default();
    receiver.answers.lock().unwrap().extend([(503, None), (404, None)]);
    let url = receiver.clone().start().await;
    let target = json!({"url": url, "secret": SECRET}).to_string();
    let mut set = Set::on(place, &alert_to(&target)).await;
    set.ingest(&looks_at_pricing("ada@acme.example")).await;
    set.work().await;
    let mut all = std::mem::take(&mut *receiver.received.lock().unwrap());
    assert_eq!(all.len(), 1);
    let first = all.remove(0);
    let verified =
        standardwebhooks::Webhook::new(SECRET).unwrap().verify(first.body.to_string().as_bytes(), &first.headers);
    assert!(verified.is_ok(), "{verified:?}");
    assert_eq!(first.body["type"], "visitor.signal");
    assert_eq!(first.body["data"]["company"]["domain"], "acme.example");
    let messages = set.messages().await;
    assert_eq!((messages[0].state, messages[0].tries), (MessageState::Sent, 3));
}

async fn redelivery_and_a_new_start_tell_nothing_twice(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    let parameters = alert_to(&slack.clone().start().await);
    let mut set = Set::on(place, &parameters).await;
    for _ in 0..3 {
        set.ingest(&looks_at_pricing("ada@acme.example")).await;
        set.work().await;
    }
    // The file is closed when the last who has the store lets go of it.
    let Set { place, store, watch, deliver, .. } = set;
    drop((store, watch, deliver));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut again = Set::on(place.expect("a place"), &parameters).await;
    again.ingest(&looks_at_pricing("ada@acme.example")).await;
    again.work().await;
    assert_eq!(slack.bodies().len(), 1, "{:?}", slack.bodies());
}

async fn a_target_that_is_down_for_half_a_day_gives_dead_letters_with_the_reason(place: Place) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services/hunter2", listener.local_addr().unwrap());
    drop(listener);
    let mut set = Set::on(place, &alert_to(&url)).await;
    set.ingest(&looks_at_pricing("ada@acme.example")).await;
    set.look().await;
    let now = now_milliseconds();
    set.deliver.round(set.settings.signals(), now).await.unwrap();
    set.deliver.finish().await;
    assert_eq!(set.states().await[0].0, MessageState::Due);
    // One that is sent again after half a day has a few tries more.
    for hours in 13..18 {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        set.deliver.round(set.settings.signals(), now + hours * 60 * 60 * 1000).await.unwrap();
        set.deliver.finish().await;
    }
    let (state, reason) = set.states().await.remove(0);
    assert_eq!(state, MessageState::Dead);
    assert_eq!(reason.as_deref(), Some("given up after half a day: no connection: connection refused"));
}

async fn a_burst_that_has_to_wait_is_folded_all_the_same(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    slack.answers.lock().unwrap().push((429, Some("1")));
    let mut set = Set::on(place, &alert_to(&slack.clone().start().await)).await;
    for n in 0..5 {
        set.ingest(&looks_at_pricing(&format!("someone@company-{n}.example"))).await;
    }
    set.work().await;
    assert_eq!((slack.bodies().len(), slack.asked.lock().unwrap().len()), (1, 2));
    assert!(set.states().await.iter().all(|(state, _)| *state == MessageState::Sent));
}

async fn one_webhook_under_two_names_is_told_once_at_its_pace(place: Place) {
    let slack = Receiver { holds_slack_s_rate: true, ..Receiver::default() };
    let url = slack.clone().start().await;
    let parameters = [
        ("alerts/prices", r#"{"on":"pricing","to":["sales","vip"]}"#.to_owned()),
        ("alerts/hot", r#"{"on":"points","over":4,"to":"vip"}"#.to_owned()),
        ("alert-targets/sales", url.clone()),
        ("alert-targets/vip", url),
    ];
    let mut set = Set::on(place, &parameters).await;
    set.ingest(&looks_at_pricing("ada@acme.example")).await;
    set.work().await;
    let of_alert: Vec<String> = set.messages().await.into_iter().map(|it| it.alert).collect();
    assert_eq!(of_alert.iter().filter(|alert| *alert == "prices").count(), 1, "{of_alert:?}");
    let asked = slack.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(_, status)| *status == 200), "{asked:?}");
}
