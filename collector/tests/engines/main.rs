//! The two engines beside each other: the same things happen in both, and a store moves from one into the other.

#![allow(clippy::similar_names)] // store and storm, name and named
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod archive;
mod equality;
mod happenings;
#[path = "../helpers/postgres.rs"]
mod postgres_server;
#[allow(dead_code)] // the page is looked at elsewhere
#[path = "../pages/site.rs"]
mod site;
