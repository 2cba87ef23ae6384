//! What a mapping may do for one event, and the error of one that cannot be followed.

use std::borrow::Cow;

use thiserror::Error;

use crate::segment::value::Value;

/// What a mapping may do for one event; a hundred times what a large one does. `@transform` can double its input with each
/// layer, so without a bound a mapping of a few lines would never end.
const MOST_STEPS: usize = 200_000;
/// What a mapping may write for one event.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The deepest value that a directive goes into; JSON of an event may be nested deeper than a stack bears.
pub const DEEPEST_VALUE: usize = 128;

/// What is left of the bounds.
#[derive(Debug)]
pub struct Budget {
    steps: usize,
    bytes: usize,
}

impl Budget {
    /// What a mapping has for one event.
    pub fn full() -> Self {
        Self { steps: MOST_STEPS, bytes: MOST_BYTES }
    }

    /// Takes `steps` off.
    pub fn spend(&mut self, steps: usize) -> Result<(), RenderError> {
        self.steps = self.steps.checked_sub(steps).ok_or_else(RenderError::too_much)?;
        Ok(())
    }

    /// Takes `bytes` off.
    pub fn spend_bytes(&mut self, bytes: usize) -> Result<(), RenderError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(RenderError::too_much)?;
        Ok(())
    }

    /// Takes off what a copy of a value costs.
    pub fn spend_copy(&mut self, value: &Value<'_>, depth: usize) -> Result<(), RenderError> {
        if depth > DEEPEST_VALUE {
            return Err(RenderError::too_deep());
        }
        self.spend(1)?;
        match value {
            Value::Text(Cow::Owned(text)) => self.spend_bytes(text.len()),
            Value::Array(items) => items.iter().try_for_each(|item| self.spend_copy(item, depth + 1)),
            Value::Object(fields) => fields.iter().try_for_each(|(_, field)| self.spend_copy(field, depth + 1)),
            _ => Ok(()),
        }
    }
}

/// Why a mapping gives nothing for an event. It is so each time, until the mapping is changed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RenderError(String);

impl RenderError {
    /// A directive that cannot be followed, and why.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The bounds are reached.
    pub(super) fn too_much() -> Self {
        Self::new("the mapping does too much for one event")
    }

    /// A value is nested deeper than [`DEEPEST_VALUE`].
    pub(super) fn too_deep() -> Self {
        Self::new(format!("a value has more than {DEEPEST_VALUE} objects and arrays inside each other"))
    }
}
