//! Delivery: a batch of messages in, one outcome for each out; the same for both functions.
//!
//! [`Delivery::deliver`] reads and maps each message ([`prepare`]), groups the entries by visitor ([`group`]), sends them
//! ([`send`]), and tells each message's [`Outcome`] as soon as it is known ([`Outcomes`]). What has to be retried of one
//! visitor is retried together, and what is newer waits for it. While nobody answers at the collector's address the [`breaker`]
//! spares the asking.
//!
//! [`consume`] is what a function does with a batch of its queue: it delivers, puts dead letters into their queue, gives back
//! what has to be retried, and takes what may have crashed a function before (`suspects`) last and one by one.

mod batch;
mod breaker;
mod consume;
mod deliver;
mod figures;
mod function;
mod group;
mod lane;
mod ledger;
mod options;
mod outcome;
mod prepare;
mod received;
mod retry;
mod send;
mod suspects;

pub use consume::{Consumed, DeadLetter, Retried, SourceQueue, consume};
pub use function::Delivery;
pub use lane::Lane;
pub use options::DeliveryOptions;
pub use outcome::{BatchCounts, CollectorRequests, DeadReason, Outcome, Outcomes};
pub use received::ReceivedMessage;
pub use retry::RetryPolicy;
pub use send::{LONGEST_REQUEST, TIME_TO_TELL_THE_QUEUE};
