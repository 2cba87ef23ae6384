//! The core of the Koala destination for Segment.
//!
//! Modules in the order of an event's way:
//!
//! | module | what it does |
//! |---|---|
//! | [`intake`] | an HTTP request of Segment's → credentials, events, one message for each (event, mapping) → the answer |
//! | [`segment`] | Segment's side: the event, the webhook signature, triggers, actions and their mappings |
//! | [`ids`] | the ids of an event: which it has, how each is written, how they travel to a collector |
//! | [`message`] | what stands in the queue between intake and delivery |
//! | [`koala`] | Koala's side: the visitor's identity, the entry, the batch request, the client and what an answer means |
//! | [`delivery`] | a batch of messages → mapped, grouped by visitor, sent → one outcome for each message |
//! | [`preview`] | what would happen to an event, without sending it |
//! | [`settings`] | the parameter tree: read, validated whole, cached |
//! | [`environment`] | how environment variables are read, and all that cannot be used are named |
//! | [`http_client`] | what every HTTP client of ours has in common: TLS, the resolver |
//! | [`resolver`] | host names → addresses, and whether a name that has none does not exist |
//! | [`metrics`] | counts and times in the embedded format of `CloudWatch` |
//! | [`telemetry`] | the logs |
//! | [`json`], [`clock`], [`plural`] | JSON read without building a tree; points in time; how many there are, in words |
//! | `collector_kind` | which collector is at the other end |
//! | [`patience`] | an answer waited for in a process that may stand still |
//! | [`public_address`] | which addresses are of the internet |
//! | `lambda` (feature) | what a function does with an event of API Gateway or SQS |
//! | `aws` (feature) | the adapters to AWS: Parameter Store, SQS, the Lambda runtime |
//!
//! Decisions are pure functions. What does I/O stands behind small traits, as [`settings::ParameterSource`],
//! [`intake::Outbox`], [`delivery::SourceQueue`] and [`koala::Collector`], each with an AWS (or HTTP) implementation and one in memory or
//! on one machine.

// The futures of the AWS SDK are nested deeply.
#![recursion_limit = "256"]

#[cfg(feature = "aws")]
pub mod aws;
pub mod clock;
mod collector_kind;
pub mod delivery;
pub mod environment;
pub mod http_client;
pub mod ids;
pub mod intake;
pub mod json;
pub mod koala;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod message;
pub mod metrics;
pub mod patience;
pub mod plural;
pub mod preview;
pub mod public_address;
pub mod resolver;
pub mod segment;
pub mod settings;
pub mod telemetry;
