//! Segment's side: what it posts and what a team builds there.

mod action;
mod event;
mod field_mapping;
mod mapping;
mod signature;
mod trigger;
mod value;

pub use action::{Action, Function, UnknownFunction};
pub use event::{
    Event, EventError, LARGEST_EVENT_BYTES, OWN_LIBRARY, fits, hashed_message_id, message_id_of, usable_message_id,
};
pub use field_mapping::{FieldMapping, FieldProblem, RenderError};
pub use mapping::{Given, MappedAccount, MappedAction, MappedEvent, MappedPage, Mapping, MappingProblem};
pub use signature::{ParseSecretError, SharedSecret, Signature};
pub use trigger::{Coverage, Trigger, TriggerError};
pub use value::Value;
