//! Messages of alerts on their way: claimed by one at a time, and what came of them.

use std::sync::Arc;

use koala_collector::store::alerts::{Claimed, Evaluated, MessageState, NewMessage, Settled, StoredMessage};

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
    store.claim(target, 9, now, now + 1000, once).await.expect("claimed")
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
    let claimed = store.claim("sales", 1, 2000, 3000, true).await.expect("claimed");
    let later = Settled::Later { reason: "the answer is 429".to_owned(), at: 9000 };
    store.settle("sales", &ids(&claimed), later).await.expect("settled");
    // Who says when to come back means all messages, those too that come after that.
    tell(&*store, vec![message("m-3", "sales")]).await;
    assert_eq!(store.due_targets(8999).await.expect("targets"), Vec::<String>::new());
    let claimed = claim(&*store, "sales", 9000, true).await;
    assert_eq!(ids(&claimed), ["m-1"], "one that was tried goes by itself");
    store.settle("sales", &ids(&claimed), Settled::Sent { at: 9001 }).await.expect("settled");
    let claimed = claim(&*store, "sales", 9000, true).await;
    assert_eq!(ids(&claimed), ["m-2", "m-3"]);
    let dead = Settled::Dead { reason: "no_service".to_owned() };
    store.settle("sales", &ids(&claimed), dead).await.expect("settled");
    let shown = messages(&*store).await;
    let of = |id: &str| shown.iter().find(|it| it.id == id).expect("a message");
    assert_eq!((of("m-1").state, of("m-1").tries), (MessageState::Sent, 2));
    assert_eq!((of("m-2").state, of("m-2").reason.as_deref()), (MessageState::Dead, Some("no_service")));
    assert_eq!(store.redrive_messages(10_000).await.expect("two"), 2);
    assert_eq!(ids(&claim(&*store, "sales", 10_000, true).await), ["m-2", "m-3"]);
    assert_eq!(store.forget_messages(100_000, 10).await.expect("one"), 1);
    assert_eq!(messages(&*store).await.len(), 2);
}
