//! Signals: who is told when a company or a visitor shows intent, and what they read.
//!
//! | module | what it does |
//! |---|---|
//! | [`alert`] | a parameter `alerts/<name>`: what sets it off, and whom it tells |
//! | [`target`] | a parameter `alert-targets/<name>`: where it is sent, a secret |
//! | [`configured`] | both together, each with what is wrong |
//! | [`options`] | what is set beside the parameters |
//! | [`watch`] | what changed is looked at, all companies at the day's turn, and the week |
//! | [`fresh`] | what is recent enough to set anything off |
//! | `new_messages` | what goes off as messages of the store |
//! | [`crossing`], [`stand`] | when a value that rises sets an alert off, and when it may again |
//! | [`week`] | when a week's digest is due |
//! | [`told`], [`signal`], [`digest`] | what is told, in plain terms |
//! | [`slack`], [`webhook`], [`segment`] | the same as a Slack message, as signed JSON, and as calls of Segment's API |
//! | [`facts`], `members` | what of a company and its people is told |
//! | [`deliver`], [`outbound`] | how it leaves |
//! | [`work`], [`desk`] | all of it at work, and as people look at it |
//!
//! All but [`watch`], `members`, [`deliver`], [`work`], [`desk`] and [`outbound`]'s client is pure. What is due is decided from what the store gives; what is sent is
//! claimed there before.

pub mod alert;
pub mod configured;
pub mod crossing;
pub mod deliver;
pub mod desk;
pub mod digest;
pub mod facts;
pub mod fresh;
mod members;
mod new_messages;
pub mod options;
pub mod outbound;
pub mod segment;
pub mod signal;
pub mod slack;
pub mod stand;
pub mod target;
pub mod told;
pub mod watch;
pub mod webhook;
pub mod week;
pub mod work;

pub use configured::{Configured, RuleNames};
pub use options::SignalsOptions;
