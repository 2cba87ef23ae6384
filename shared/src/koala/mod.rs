//! Koala's side: who the visitor is, what an entry looks like, the batch request and the client that sends it.
//!
//! The source of every fact about the collection API is Koala's public guide
//! (<https://getkoala.com/docs/developer-guides/server-side>).

mod account;
mod address;
mod batch;
mod client;
mod collector;
mod entry;
mod entry_options;
mod ip;
mod page_view;
mod sent_kind;
mod subject;
mod write;

pub use address::{CollectorAddress, KoalaUrl, ParseKoalaUrlError};
pub use batch::{MOST_ENTRIES, request};
pub use client::{COLLECTOR_TOKEN_HEADER, KoalaClient, LONGEST_ANSWER_BODY, USER_AGENT};
pub use collector::{Collector, Route, SendError, classify, retry_after};
pub use entry::{Delivered, Entry, EntryProblem, entry};
pub use entry_options::EntryOptions;
pub use sent_kind::SentKind;
pub use subject::Subject;

pub use crate::collector_kind::{CollectorKind, UnknownCollectorKind};
pub use crate::ids::{Email, ProfileId};
