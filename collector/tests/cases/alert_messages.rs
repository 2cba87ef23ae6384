//! Messages of alerts on their way: claimed by one at a time, and what came of them.

use std::sync::Arc;

use koala_collector::store::alerts::{
    Claimed, Evaluated, MessageClaim, MessageState, NewMessage, Rest, Settled, StoredMessage,
};

use super::Engine;

pub fn message(id: &str, target: &str) -> NewMessage {
    NewMessage {
        id: id.to_owned(),
        alert: "a".to_owned(),
        target: target.to_owned(),
        occasion: id.to_owned(),
        visitor: None,
        company: None,
        named: Vec::new(),
        headline: id.to_owned(),
        told: "{}".to_owned(),
        at: 1000,
    }
}

async fn tell(store: &dyn Engine, messages: Vec<NewMessage>) {
    assert!(store.tell(Evaluated { messages, ..Evaluated::default() }).await.expect("it is told"));
}

pub async fn messages(store: &dyn Engine) -> Vec<StoredMessage> {
    store.messages(1000).await.expect("messages")
}

pub async fn claim(store: &dyn Engine, target: &str, now: i64, once: bool) -> Vec<Claimed> {
    let claim = MessageClaim { target, most: 9, now, until: now + 1000, once, turn_until: None };
    store.claim(claim).await.expect("claimed")
}

/// Takes the turn, and one message with it.
async fn take_turn(store: &dyn Engine, now: i64, turn_until: i64) -> Vec<String> {
    let turn_until = Some(turn_until);
    let claim = MessageClaim { target: "sales", most: 1, now, until: now + 120_000, once: true, turn_until };
    ids(&store.claim(claim).await.expect("claimed"))
}

fn ids(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|one| one.id.clone()).collect()
}

pub async fn a_message_is_in_one_s_hands_at_a_time_and_of_each_occasion_there_is_one(store: Arc<dyn Engine>) {
    let again = NewMessage { occasion: "m-1".to_owned(), ..message("m-1-again", "sales") };
    let other = NewMessage { occasion: "m-1".to_owned(), ..message("m-1-other", "other") };
    tell(&*store, vec![message("m-1", "sales"), message("m-2", "sales"), other, again]).await;
    assert_eq!(store.due_targets(999).await.expect("targets"), Vec::<String>::new());
    assert_eq!(store.due_targets(1000).await.expect("targets"), ["other", "sales"]);
    let mut at_once = Vec::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        at_once.push(tokio::spawn(async move { ids(&claim(&*store, "sales", 2000, true).await) }));
    }
    let mut all = Vec::new();
    for one in at_once {
        all.extend(one.await.expect("it ends"));
    }
    all.sort();
    assert_eq!(all, ["m-1", "m-2"]);
}

pub async fn what_a_process_that_ended_was_sending_is_due_again_unless_it_may_arrive_only_once(store: Arc<dyn Engine>) {
    tell(&*store, vec![message("slack", "slack"), message("hook", "hook")]).await;
    assert_eq!(
        (claim(&*store, "slack", 2000, true).await.len(), claim(&*store, "hook", 2000, false).await.len()),
        (1, 1)
    );
    assert_eq!(store.recover(2999).await.expect("nothing yet"), 0);
    assert_eq!(store.recover(3001).await.expect("both"), 2);
    let states: Vec<_> = messages(&*store).await.into_iter().map(|it| (it.id, it.state)).collect();
    assert!(states.contains(&("slack".to_owned(), MessageState::Unknown)), "{states:?}");
    let again = claim(&*store, "hook", 4000, false).await;
    assert_eq!(again.iter().map(|one| (one.id.as_str(), one.tries)).collect::<Vec<_>>(), [("hook", 2)]);
    assert_eq!(claim(&*store, "slack", 4000, true).await, []);
}

pub async fn what_came_of_a_message_is_written_with_the_reason_and_a_dead_one_can_be_sent_again(
    store: Arc<dyn Engine>,
) {
    tell(&*store, vec![message("m-1", "sales"), message("m-2", "sales")]).await;
    let claimed = MessageClaim { target: "sales", most: 1, now: 2000, until: 3000, once: true, turn_until: None };
    let claimed = store.claim(claimed).await.expect("claimed");
    let later = |at, alone| Settled::Later { reason: "the answer is 429".to_owned(), at, alone };
    store.settle("sales", &ids(&claimed), later(9000, false), None).await.expect("settled");
    // Who says when to come back means all messages, those too that come after that.
    tell(&*store, vec![message("m-3", "sales")]).await;
    assert_eq!(store.due_targets(8999).await.expect("targets"), Vec::<String>::new());
    // One that had to wait goes with the others; what was refused together goes one by one, and not with what is new.
    let claimed = claim(&*store, "sales", 9000, true).await;
    assert_eq!(ids(&claimed), ["m-1", "m-2", "m-3"]);
    store.settle("sales", &["m-1".to_owned()], later(9001, true), None).await.expect("settled");
    store.settle("sales", &["m-2".to_owned(), "m-3".to_owned()], later(9001, false), None).await.expect("settled");
    let claimed = claim(&*store, "sales", 9001, true).await;
    assert_eq!(ids(&claimed), ["m-1"]);
    store.settle("sales", &ids(&claimed), Settled::Sent { at: 9001 }, None).await.expect("settled");
    let claimed = claim(&*store, "sales", 9001, true).await;
    assert_eq!(ids(&claimed), ["m-2", "m-3"]);
    let dead = Settled::Dead { reason: "no_service".to_owned() };
    store.settle("sales", &ids(&claimed), dead, None).await.expect("settled");
    let shown = messages(&*store).await;
    let of = |id: &str| shown.iter().find(|it| it.id == id).expect("a message");
    assert_eq!((of("m-1").state, of("m-1").tries), (MessageState::Sent, 3));
    assert_eq!((of("m-2").state, of("m-2").reason.as_deref()), (MessageState::Dead, Some("no_service")));
    assert_eq!(store.redrive_messages(10_000).await.expect("two"), 2);
    assert_eq!(ids(&claim(&*store, "sales", 10_000, true).await), ["m-2", "m-3"]);
    assert_eq!(store.forget_messages(100_000, 10).await.expect("one"), 1);
    assert_eq!(messages(&*store).await.len(), 2);
}

pub async fn what_a_webhook_refuses_again_and_again_holds_back_nothing_behind_it(store: Arc<dyn Engine>) {
    tell(&*store, vec![message("m-1", "hook")]).await;
    assert_eq!(ids(&claim(&*store, "hook", 2000, false).await), ["m-1"]);
    let later = Settled::Later { reason: "the answer is 500".to_owned(), at: 9000, alone: false };
    store.settle("hook", &["m-1".to_owned()], later, None).await.expect("settled");
    tell(&*store, vec![message("m-2", "hook"), message("m-3", "hook")]).await;
    assert_eq!(ids(&claim(&*store, "hook", 9000, false).await), ["m-2", "m-3", "m-1"]);
}

pub async fn a_rest_that_a_wrong_clock_wrote_holds_nobody_back(store: Arc<dyn Engine>) {
    tell(&*store, vec![message("m-1", "sales"), message("m-2", "sales")]).await;
    let day = 24 * 60 * 60 * 1000;
    let claimed = MessageClaim {
        target: "sales",
        most: 1,
        now: day,
        until: day + 1000,
        once: true,
        turn_until: Some(day + 20_000),
    };
    let claimed = store.claim(claimed).await.expect("claimed");
    store.settle("sales", &ids(&claimed), Settled::Sent { at: day }, None).await.expect("settled");
    // Who has the time finds it a day ahead.
    assert_eq!(store.due_targets(2000).await.expect("targets"), ["sales"]);
    assert_eq!(ids(&claim(&*store, "sales", 2000, true).await), ["m-2"]);
}

pub async fn one_alone_sends_to_a_target_and_a_rest_and_a_delay_hold_for_all(store: Arc<dyn Engine>) {
    tell(&*store, (1..=6).map(|n| message(&format!("m-{n}"), "sales")).chain([message("o-1", "other")]).collect())
        .await;
    let settle = async |id: &str, settled: Settled, turn_until: i64, until: i64| {
        let rest = Rest { turn_until: Some(turn_until), until };
        store.settle("sales", &[id.to_owned()], settled, Some(rest)).await.expect("settled");
    };
    let due = async |now: i64| store.due_targets(now).await.expect("targets");
    // Of many at once one has the turn.
    let mut at_once = Vec::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        at_once.push(tokio::spawn(async move { take_turn(&*store, 2000, 22_000).await }));
    }
    let mut all = Vec::new();
    for one in at_once {
        all.extend(one.await.expect("it ends"));
    }
    assert_eq!(all, ["m-1"]);
    assert_eq!(due(2001).await, ["other"], "another target's turn is its own");
    assert_eq!(take_turn(&*store, 21_999, 30_000).await, Vec::<String>::new());
    // It ends with what came of it, and the target rests.
    settle("m-1", Settled::Sent { at: 2500 }, 22_000, 3600).await;
    assert_eq!((due(3599).await, take_turn(&*store, 3599, 30_000).await), (vec!["other".to_owned()], Vec::new()));
    assert_eq!((due(3600).await.len(), take_turn(&*store, 3600, 23_600).await), (2, vec!["m-2".to_owned()]));
    // Who says when to come back means everybody, and all messages.
    settle("m-2", Settled::Later { reason: "the answer is 429".to_owned(), at: 9000, alone: false }, 23_600, 4800)
        .await;
    tell(&*store, vec![message("m-7", "sales")]).await;
    assert_eq!((due(8999).await.len(), take_turn(&*store, 8999, 30_000).await), (1, Vec::new()));
    let shown = messages(&*store).await;
    let when = |id: &str| shown.iter().find(|it| it.id == id).and_then(|it| it.when.clone());
    assert_eq!(when("m-3").as_deref(), Some("1970-01-01T00:00:09.000Z"));
    assert_eq!(when("o-1").as_deref(), Some("1970-01-01T00:00:01.000Z"));
    assert_eq!(take_turn(&*store, 9000, 29_000).await, ["m-2"]);
    // Who ends in the middle keeps the others waiting until the end of the turn, and what is heard of it late shortens no other's.
    assert_eq!(take_turn(&*store, 28_999, 48_999).await, Vec::<String>::new());
    assert_eq!(take_turn(&*store, 29_000, 49_000).await, ["m-3"]);
    settle("m-2", Settled::Sent { at: 30_000 }, 29_000, 31_100).await;
    assert_eq!(take_turn(&*store, 31_100, 51_100).await, Vec::<String>::new());
    settle("m-3", Settled::Sent { at: 32_000 }, 49_000, 33_100).await;
    assert_eq!(take_turn(&*store, 33_100, 53_100).await, ["m-4"]);
    // Nobody has the turn of whom nothing is due.
    store.settle("m-4", &["m-4".to_owned()], Settled::Sent { at: 1 }, None).await.expect("settled");
    let nothing = MessageClaim { target: "none", most: 1, now: 1, until: 2, once: true, turn_until: Some(90_000) };
    assert_eq!(store.claim(nothing).await.expect("claimed"), []);
    tell(&*store, vec![message("n-1", "none")]).await;
    assert!(due(60_000).await.contains(&"none".to_owned()));
}
