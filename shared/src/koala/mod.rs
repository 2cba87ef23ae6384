//! Koala's side: who the visitor is, what an entry looks like, the batch request and the client that sends it.
//!
//! The source of every fact about the collection API is Koala's public guide
//! (<https://getkoala.com/docs/developer-guides/server-side>).

mod batch;
mod client;
mod collector;
mod entry;
mod visitor;

pub use batch::{MOST_ENTRIES, request_body};
pub use client::{COLLECTOR_TOKEN_HEADER, KoalaClient, KoalaUrl, ParseKoalaUrlError, USER_AGENT};
pub use collector::{Collector, SendError, UNKNOWN_KEY, classify};
pub use entry::{Delivered, Entry, EntryOptions, EntryProblem, entry};
pub use visitor::{Email, ProfileId, Visitor};
