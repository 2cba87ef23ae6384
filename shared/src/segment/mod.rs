//! Segment's side: what it posts and what a team builds there.

mod action;
mod event;
mod mapping;
mod signature;
mod trigger;
pub mod value;

pub use action::Action;
pub use event::{Event, EventError, LARGEST_EVENT_BYTES, message_id_of};
pub use mapping::{Fields, MappedEvent, Mapping, MappingError, MappingProblem};
pub use signature::{ParseSecretError, SharedSecret, Signature};
pub use trigger::{Trigger, TriggerError};
