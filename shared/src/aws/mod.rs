//! The adapters to AWS.
//!
//! [`environment`] has the settings of each function, [`sdk`] builds the SDK's clients, [`parameter_store`] and [`sqs`] are the ports
//! over Parameter Store and SQS, [`init`] is what a function does before its first event, and [`consumer`] runs a delivering function with them. What an invocation does is in [`crate::lambda`].

pub mod consumer;
pub mod environment;
#[cfg(test)]
mod fake_sqs;
pub mod init;
pub mod parameter_store;
pub mod sdk;
pub mod sqs;
