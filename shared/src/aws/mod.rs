//! The adapters to AWS.
//!
//! [`sdk`] builds the SDK's clients, [`parameter_store`] and [`sqs`] are the ports over Parameter Store and SQS, and
//! [`consumer`] runs a delivering function with them. What an invocation does is in [`crate::lambda`].

pub mod consumer;
#[cfg(test)]
mod fake_sqs;
pub mod parameter_store;
pub mod sdk;
pub mod sqs;
