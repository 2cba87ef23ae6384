//! What the page says, through the router with a store and a pipeline that is made up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod api;
mod companies;
mod install;
mod site;
mod visitors;
