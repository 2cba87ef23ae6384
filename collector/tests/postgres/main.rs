//! The engine for PostgreSQL, with a server and a relay before it. All tests need the server: `postgres::` is in the name of each, by
//! which `.config/nextest.toml` leaves them out where there is Rust alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod postgres {
    mod conflicts;
    mod connections;
    mod tls;
}
#[path = "../helpers/postgres.rs"]
mod postgres_server;
#[path = "../helpers/relay.rs"]
mod relay;
