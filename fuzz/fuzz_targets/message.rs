//! A message from SQS → its outcome: never a panic, and never neither delivered nor dead.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use koala_destination::delivery::{Delivery, DeliveryOptions, Outcome, ReceivedMessage, RetryPolicy};
use koala_destination::koala::{Collector, EntryOptions, Route, SendError};
use koala_destination::segment::Function;
use koala_destination::settings::PublicApiKey;
use koala_fuzz::{Tree, block_on, settings};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use tokio::time::Instant;

static SENT: Mutex<usize> = Mutex::new(0);

/// Takes every request that is JSON.
struct Strict;

impl Collector for Strict {
    async fn send(&self, _: &PublicApiKey, _: Route, body: Bytes) -> Result<(), SendError> {
        serde_json::from_slice::<&RawValue>(&body).expect("a request's body is JSON");
        *SENT.lock().expect("a lock") += 1;
        Ok(())
    }
}

static DELIVERIES: LazyLock<[Delivery<Tree, Strict>; 2]> = LazyLock::new(|| {
    let retry = RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_secs(900) };
    let options = DeliveryOptions { entry: EntryOptions::default(), retry, concurrent_requests: 8 };
    let settings = Arc::new(settings());
    Function::ALL.map(|function| Delivery::new(function, Arc::clone(&settings), Strict, options.clone()))
});

fuzz_target!(|data: &[u8]| {
    let [choice, body @ ..] = data else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    // A message of its own making, or an event in a right one.
    let mapping = ["track", "viewed", "identify", "unknown"][usize::from(choice & 3)];
    let body = if choice & 0x80 == 0 {
        format!(r#"{{"mapping":"{mapping}","received_at":"2026-11-20T09:00:00.000Z","request_id":"r","event":{body}}}"#)
    } else {
        body.to_owned()
    };
    let message = ReceivedMessage { id: "1", receipt: "1", body: &body, receive_count: 1 };
    let delivery = &DELIVERIES[usize::from(mapping == "identify")];
    let sent = *SENT.lock().expect("a lock");
    let outcomes =
        block_on(delivery.deliver(&[message], Instant::now() + Duration::from_secs(1000), &Mutex::default(), &()));
    assert_eq!(outcomes.len(), 1);
    match &outcomes[0] {
        Outcome::Dead(reason) => assert!(!reason.reason.contains("internal error"), "{reason:?}"),
        Outcome::Delivered => assert!(*SENT.lock().expect("a lock") > sent),
        _ => {}
    }
});
