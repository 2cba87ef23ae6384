//! Koala's collection API, its rules held strictly.
//!
//! What Koala refuses or silently throws away is answered with 400 and a reason here. The rules are those of Koala's
//! public guide (<https://getkoala.com/docs/developer-guides/server-side>).
//!
//! | module | what it does |
//! |---|---|
//! | [`batch`], [`accounts`] | a request read: one visitor's entries, or what is said of companies |
//! | [`refusal`] | why one is refused |
//! | [`keys`] | whose requests are taken |
//! | [`routes`] | the routes |

pub mod accounts;
pub mod batch;
pub mod keys;
pub mod refusal;
pub mod routes;
