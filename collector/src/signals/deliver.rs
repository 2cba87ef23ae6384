//! Messages on their way out: claimed, sent, and what came of it written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use koala_destination::delivery::RetryPolicy;
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::configured::Configured;
use super::members::with_current_members;
use super::outbound::request::Unwritable;
use super::outbound::{Client, Promise, SendOutcome, TargetRequest, TargetResponse};
use super::target::Target;
use super::told::Told;
use crate::store::alerts::{AlertStore, Claimed, MessageClaim, Rest, Settled};
use crate::store::{Store, StoreError};

/// A claim holds longer than a request can take.
const CLAIM: i64 = 120_000;
/// Slack takes one message a second from a webhook (<https://docs.slack.dev/apis/web-api/rate-limits>).
const PAUSE_OF_SLACK: Duration = Duration::from_millis(1100);
/// It is one's turn to send to Slack for longer than a request can take: two processes beside each other keep to the pace together.
/// Who ends in the middle keeps the others waiting for no longer.
const TURN: i64 = 20_000;
/// What is due so soon is waited for, in milliseconds: a target rests after a request.
const SOON: i64 = 1500;
/// Messages are sent one by one to a webhook or a source, at most as many a second.
const PAUSE_OF_OTHERS: Duration = Duration::from_millis(100);
/// A message that could not be sent for so long is dead, in milliseconds: half a day, as a delivery is.
const GIVEN_UP_AFTER: i64 = 12 * 60 * 60 * 1000;
/// A dead letter that is retried after that has so many tries more.
const TRIES_OF_AN_OLD_ONE: u32 = 5;
/// How long the requests to a target go on before it is looked at anew what is due and how it is configured.
const LONGEST_RUN: Duration = Duration::from_secs(8);
/// No try follows another one sooner.
const SHORTEST_DELAY: Duration = Duration::from_secs(1);
/// The delays between tries.
const RETRY: RetryPolicy = RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_mins(15) };

/// Sends what is due.
pub struct Deliver {
    store: Arc<dyn Store>,
    alerts: Arc<dyn AlertStore>,
    client: Client,
    retry: RetryPolicy,
    /// When the next request to a target may begin; nothing while one is under way.
    targets: Arc<Mutex<HashMap<String, Option<Instant>>>>,
    under_way: JoinSet<()>,
}

impl Deliver {
    /// A sender of the messages of a store, which is one behind its two ports.
    pub fn new(store: Arc<dyn Store>, alerts: Arc<dyn AlertStore>, client: Client) -> Self {
        Self { store, alerts, client, retry: RETRY, targets: Arc::default(), under_way: JoinSet::new() }
    }

    /// The same with other delays between tries.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// Begins to send to each target that something is due for and that rests, until nothing is or a few seconds are over; it is not
    /// waited for, so that a target that hangs holds back no other. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn round(&mut self, configured: &Configured, now: i64) -> Result<(), StoreError> {
        let begun = Instant::now();
        while let Some(ended) = self.under_way.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "internal error while an alert was sent");
            }
        }
        self.alerts.recover(now).await?;
        for name in self.alerts.due_targets(now).await? {
            let Some(target) = configured.targets().get(&name).cloned() else {
                self.give_up_without_target(&name, now).await?;
                continue;
            };
            if !self.begins(&name) {
                continue;
            }
            let pause = pause(&target);
            let held = Held { name: name.clone(), targets: Arc::clone(&self.targets), pause };
            let (store, alerts) = (Arc::clone(&self.store), Arc::clone(&self.alerts));
            let one = One { store, alerts, client: self.client.clone(), retry: self.retry };
            let sending = async move {
                let _held = held;
                let end = Instant::now() + LONGEST_RUN;
                while Instant::now() < end {
                    match one.send(&name, &target, now + milliseconds(begun.elapsed())).await {
                        Ok(Went::On) => tokio::time::sleep(pause).await,
                        Ok(Went::NoFurther) => break,
                        Err(error) => {
                            tracing::error!(%error, target = name, "what came of an alert cannot be written");
                            break;
                        }
                    }
                }
            };
            self.under_way.spawn(sending.instrument(Span::current()));
        }
        Ok(())
    }

    /// Whether something is due for a target that there is, now or in a moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_any_due(&self, configured: &Configured, now: i64) -> Result<bool, StoreError> {
        let due = self.alerts.due_targets(now + SOON).await?;
        Ok(due.iter().any(|name| configured.targets().contains_key(name)))
    }

    /// Waits for the requests that are under way.
    pub async fn finish(&mut self) {
        while self.under_way.join_next().await.is_some() {}
    }

    /// A target that is no parameter any more may come back: its messages wait for half a day as for an outage.
    async fn give_up_without_target(&self, name: &str, now: i64) -> Result<(), StoreError> {
        let claim = MessageClaim { target: name, most: 100, now, until: now + CLAIM, once: false, turn_until: None };
        let claimed = self.alerts.claim(claim).await?;
        let (old, young): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|one| now - one.at >= GIVEN_UP_AFTER);
        let reason = || "the parameter of its target is missing or cannot be read".to_owned();
        let ids = |of: &[Claimed]| of.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        if !old.is_empty() {
            self.alerts.settle(name, &ids(&old), Settled::Dead { reason: reason() }, None).await?;
        }
        if !young.is_empty() {
            let at = now + milliseconds(self.retry.first_delay);
            self.alerts.settle(name, &ids(&young), Settled::Later { reason: reason(), at, alone: false }, None).await?;
        }
        Ok(())
    }

    /// Whether a request to a target may begin now; then it is under way.
    fn begins(&self, name: &str) -> bool {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        match targets.get(name) {
            Some(None) => return false,
            Some(Some(rests_until)) if *rests_until > Instant::now() => return false,
            Some(Some(_)) | None => {}
        }
        targets.insert(name.to_owned(), None);
        true
    }
}

/// A target whose request is under way; when that ends, however it does, the target rests.
struct Held {
    name: String,
    targets: Arc<Mutex<HashMap<String, Option<Instant>>>>,
    pause: Duration,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.insert(std::mem::take(&mut self.name), Some(Instant::now() + self.pause));
    }
}

fn pause(target: &Target) -> Duration {
    match target {
        Target::Slack { .. } => PAUSE_OF_SLACK,
        Target::Webhook { .. } | Target::Segment { .. } => PAUSE_OF_OTHERS,
    }
}

/// One request, from the claim to what came of it.
struct One {
    store: Arc<dyn Store>,
    alerts: Arc<dyn AlertStore>,
    client: Client,
    retry: RetryPolicy,
}

impl One {
    async fn send(&self, name: &str, target: &Target, now: i64) -> Result<Went, StoreError> {
        let begun = Instant::now();
        let promise = target.promise();
        let most = u32::try_from(target.most_folded()).unwrap_or(1);
        let once = promise == Promise::AtMostOnce;
        let turn_until = once.then_some(now + TURN);
        let claim = MessageClaim { target: name, most, now, until: now + CLAIM, once, turn_until };
        let claimed = self.alerts.claim(claim).await?;
        let rest_from = |now: i64| turn_until.map(|_| Rest { turn_until, until: now + milliseconds(pause(target)) });
        // One that cannot be read is dead alone; a Slack message is folded from the others.
        let mut told = Vec::new();
        let mut sent = Vec::new();
        let mut unreadable = Vec::new();
        for one in &claimed {
            if let Ok(one_told) = serde_json::from_str::<Told>(&one.told) {
                told.push(one_told);
                sent.push(one);
            } else {
                unreadable.push(one.id.clone());
            }
        }
        if !unreadable.is_empty() {
            let reason = "the message is of another release and cannot be read".to_owned();
            let rest = sent.is_empty().then_some(Rest { turn_until, until: now });
            self.alerts.settle(name, &unreadable, Settled::Dead { reason }, rest).await?;
        }
        let Some(first) = sent.first() else {
            return Ok(if claimed.is_empty() { Went::NoFurther } else { Went::On });
        };
        let outcome = match self.requested(target, told, first, now).await {
            Ok(Ok(request)) => self.client.send(request).await.outcome(promise),
            Ok(Err(error @ Unwritable::NobodyKnown)) => SendOutcome::Skipped { reason: error.to_string() },
            Ok(Err(error)) => SendOutcome::Refused { reason: error.to_string() },
            Err(error) => {
                tracing::error!(%error, target = name, "the members of a company cannot be read; retried later");
                SendOutcome::Later { reason: "the members of the company cannot be read".to_owned(), after: None }
            }
        };
        // A rest and a delay begin with the answer.
        let now = now + milliseconds(begun.elapsed());
        let settled = match outcome {
            // One of them is not taken, and it is not said which: each goes by itself.
            SendOutcome::Refused { reason } if sent.len() > 1 => {
                Settled::Later { reason, at: now.saturating_add(milliseconds(SHORTEST_DELAY)), alone: true }
            }
            outcome => settled(outcome, first, &self.retry, now, fastrand::f64()),
        };
        let ids: Vec<String> = sent.iter().map(|one| one.id.clone()).collect();
        report(name, &settled, ids.len());
        let went = if matches!(settled, Settled::Later { .. }) { Went::NoFurther } else { Went::On };
        self.alerts.settle(name, &ids, settled, rest_from(now)).await?;
        Ok(went)
    }

    async fn requested(
        &self,
        target: &Target,
        told: Vec<Told>,
        first: &Claimed,
        now: i64,
    ) -> Result<Result<TargetRequest, Unwritable>, StoreError> {
        let mut complete = Vec::with_capacity(told.len());
        for one in told {
            let is_of_members = matches!(target, Target::Segment { .. });
            complete.push(if is_of_members {
                with_current_members(&*self.store, one, first.visitor.as_ref()).await?
            } else {
                one
            });
        }
        Ok(TargetRequest::of(target, &complete, &first.id, first.at, now))
    }
}

/// How a request to a target went.
enum Went {
    /// The next one may follow.
    On,
    /// Nothing is due, or the target is to be left alone for a while.
    NoFurther,
}

/// What an outcome means for messages of which `first` is the oldest.
fn settled(outcome: SendOutcome, first: &Claimed, retry: &RetryPolicy, now: i64, jitter: f64) -> Settled {
    match outcome {
        SendOutcome::Delivered => Settled::Sent { at: now },
        SendOutcome::Ambiguous { reason } => Settled::Unknown { reason },
        SendOutcome::Skipped { reason } => Settled::Skipped { reason },
        SendOutcome::Refused { reason } => Settled::Dead { reason },
        SendOutcome::Later { reason, .. } if now - first.at >= GIVEN_UP_AFTER && first.tries >= TRIES_OF_AN_OLD_ONE => {
            Settled::Dead { reason: format!("given up after half a day: {reason}") }
        }
        SendOutcome::Later { reason, after } => {
            let delay = match after {
                // What the other end asks for is no failure that grows.
                Some(after) => after.max(SHORTEST_DELAY),
                None => retry.delay(first.tries, jitter),
            };
            Settled::Later { reason, at: now.saturating_add(milliseconds(delay)), alone: false }
        }
    }
}

/// Names and counts alone: what is told and whom is nobody's log's business.
fn report(target: &str, settled: &Settled, messages: usize) {
    match settled {
        Settled::Sent { .. } => tracing::info!(target, messages, "alerts are sent"),
        Settled::Later { reason, .. } => {
            tracing::warn!(target, messages, reason, "alerts cannot be sent; retried later");
        }
        Settled::Unknown { reason } => {
            tracing::warn!(target, messages, reason, "alert delivery status unknown; not retried");
        }
        Settled::Skipped { reason } => tracing::info!(target, messages, reason, "alerts are skipped"),
        Settled::Dead { reason } => tracing::error!(target, messages, reason, "alerts cannot be sent: dead letters"),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Sends a test of an alert to each of its targets at once, past the store: each with what came of it.
pub async fn test(
    configured: &Configured,
    client: &Client,
    alert: &str,
    now: i64,
) -> Option<Vec<(String, SendOutcome)>> {
    let alert = configured.alert(alert)?;
    let told = [Told::Test { alert: alert.name.clone() }];
    let mut outcomes = Vec::new();
    for name in &alert.to {
        let Some(target) = configured.targets().get(name) else { continue };
        let id = format!("msg_test_{now}");
        let answer: Result<TargetResponse, _> = match TargetRequest::of(target, &told, &id, now, now) {
            Ok(request) => Ok(client.send(request).await),
            Err(error) => Err(error),
        };
        let outcome = match answer {
            Ok(answer) => answer.outcome(Promise::AtMostOnce),
            Err(error) => SendOutcome::Refused { reason: error.to_string() },
        };
        outcomes.push((name.clone(), outcome));
    }
    Some(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::alerts::LONGEST_REST;

    fn claimed(tries: u32) -> Claimed {
        Claimed { id: "msg_1".to_owned(), told: String::new(), at: 0, tries, visitor: None, alone: false }
    }

    fn later(after: Option<Duration>) -> SendOutcome {
        SendOutcome::Later { reason: "the answer is 429".to_owned(), after }
    }

    #[test]
    fn delays_grow_and_half_a_day_later_a_message_is_dead_with_the_reason() {
        let at = |tries, now, after| match settled(later(after), &claimed(tries), &RETRY, now, 0.0) {
            Settled::Later { at, .. } => Ok(at - now),
            Settled::Dead { reason } => Err(reason),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(at(1, 0, None), Ok(30_000));
        assert_eq!(at(3, 0, None), Ok(120_000));
        assert_eq!(at(40, 0, None), Ok(900_000));
        assert_eq!(at(40, GIVEN_UP_AFTER - 1, None), Ok(900_000));
        let dead = "given up after half a day: the answer is 429".to_owned();
        assert_eq!(at(40, GIVEN_UP_AFTER, None), Err(dead));
        // A dead letter that is retried.
        assert_eq!(at(1, GIVEN_UP_AFTER * 3, None), Ok(30_000));
    }

    #[test]
    fn no_delay_is_taken_for_that_of_a_wrong_clock() {
        for tries in [1, 6, 40] {
            assert!(milliseconds(RETRY.delay(tries, 1.0)) < LONGEST_REST);
        }
    }

    #[test]
    fn who_says_when_to_come_back_is_heard() {
        let at = |after| match settled(later(Some(after)), &claimed(9), &RETRY, 1_000, 0.5) {
            Settled::Later { at, .. } => at,
            other => panic!("{other:?}"),
        };
        assert_eq!(at(Duration::from_secs(7)), 8_000);
        assert_eq!(at(Duration::ZERO), 2_000);
    }
}
