//! Who is who, beside the rules as a program (`tests/vectors/reference_identity.py`), beside examples (`journeys.jsonl`), and
//! in every order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod journeys;
mod limits;
mod parallel;
mod properties;
mod reading;
mod streams;
mod world;
