//! End-to-end tests: the real `koala` process or the real functions, a collector on loopback that is not theirs, requests as
//! Segment sends them.

// A test that meets something else than it expects ends there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod alerts;
mod aws;
mod check_database;
mod clients;
mod collected;
mod collector;
mod command;
mod conformance;
mod decisions;
mod deletions;
mod durability;
mod exports;
mod faults;
mod functions;
mod hostile;
mod intake;
mod intent;
mod journeys;
mod koala;
mod lambda;
mod logs;
mod machine;
mod memory;
mod page;
mod postgres;
#[path = "../../collector/tests/helpers/postgres.rs"]
mod postgres_server;
mod preview;
mod queues;
mod release;
#[cfg(target_os = "linux")]
mod segment;
mod set;
mod site;
mod soak;
#[cfg(target_os = "linux")]
mod soak_of_all_faults;
mod tallies;
