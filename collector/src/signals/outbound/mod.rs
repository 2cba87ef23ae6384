//! How a message leaves: one HTTP request to a target, to public addresses alone, and what its answer means.
//!
//! | module | what it does |
//! |---|---|
//! | [`address`] | which addresses alerts may go to, also behind a name |
//! | [`response`] | what an answer means: delivered, later, refused, or nobody knows |
//! | [`client`] | the HTTP client |
//! | [`request`] | what a target is sent: its URL, headers and body |

pub mod address;
pub mod client;
pub mod request;
pub mod response;

pub use client::Client;
pub use request::TargetRequest;
pub use response::{Promise, SendOutcome, TargetResponse};
