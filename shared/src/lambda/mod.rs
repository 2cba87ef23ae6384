//! Lambda's events as calls of the core: what the functions do in an invocation, without anything of AWS around it.
//!
//! [`dispatch`] answers a request of API Gateway, [`consumer`] a batch of SQS, each in the [`span`] of its invocation. Where the messages go and come from is handed in:
//! the functions give SQS and Parameter Store (`aws`), `koala invoke` what keeps in memory what it is told.

pub mod consumer;
pub mod dispatch;
pub mod span;
