//! What opens the page and the API, read once where it comes in.
//!
//! | module | what it is |
//! |---|---|
//! | [`page_token`] | the tokens of the parameter `page-token` |
//! | [`session`] | what a browser keeps in a token's place, and the keys of the parameter `session-key` that sign it |
//! | [`fingerprint`] | which token somebody has, and nothing of it |

pub mod fingerprint;
pub mod page_token;
pub mod session;

pub use page_token::{PageTokenError, PageTokens};
pub use session::{SessionKeyError, SessionKeys};
