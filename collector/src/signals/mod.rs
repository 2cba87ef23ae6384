//! Signals: who is told when a company or a visitor shows intent, and what they read.
//!
//! | module | what it does |
//! |---|---|
//! | [`alert`] | a parameter `alerts/<name>`: what sets it off, and whom it tells |
//! | [`target`] | a parameter `alert-targets/<name>`: where it is sent, a secret |
//! | [`configured`] | both together, each with what is wrong |
//! | [`crossing`] | when a value that rises sets an alert off, and when it may again |
//! | [`week`] | when a week's digest is due |
//! | [`told`], [`message`], [`digest`] | what is told, in plain terms |
//! | [`slack`], [`webhook`], [`segment`] | the same as a Slack message, as signed JSON, and as calls of Segment's API |
//! | [`outbound`] | how it leaves |
//!
//! All but [`outbound`]'s client is pure. What is due is decided from what the store gives; what is sent is claimed there before.

pub mod alert;
pub mod configured;
pub mod crossing;
pub mod digest;
pub mod message;
pub mod outbound;
pub mod segment;
pub mod slack;
pub mod target;
pub mod told;
pub mod webhook;
pub mod week;

pub use configured::{Configured, RuleNames};
