//! Koala's collection API, its rules held strictly.
//!
//! What Koala refuses or silently throws away is answered with 400 and a reason here. The rules are those of Koala's
//! public guide (<https://getkoala.com/docs/developer-guides/server-side>).

mod accounts;
mod batch;
mod keys;
mod refusal;
mod routes;

pub use accounts::{ReceivedAccount, read_accounts};
pub use batch::{Batch, EntryKind, ReceivedEntry, read};
pub use keys::{Keys, KeysUnavailable};
pub use refusal::Refusal;
pub use routes::router;
