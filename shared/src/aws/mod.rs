//! The adapters to AWS.
//!
//! [`sdk`] builds the SDK's clients, [`parameter_store`] and [`sqs`] are the ports over Parameter Store and SQS, and
//! [`dispatch`] and [`consumer`] turn Lambda's events into calls of the core.

pub mod consumer;
pub mod dispatch;
#[cfg(test)]
mod fake_sqs;
pub mod parameter_store;
pub mod sdk;
pub mod sqs;
