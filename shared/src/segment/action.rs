//! The two actions of Segment's Koala destination.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is done with an event: the destination's two actions, each with a function and a queue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// *Identify Visitor*: the event's traits become the visitor's.
    IdentifyVisitor,
    /// *Track Event*: an event name with its properties joins the visitor's timeline.
    TrackEvent,
}

impl Action {
    /// Both actions.
    pub const ALL: [Self; 2] = [Self::IdentifyVisitor, Self::TrackEvent];

    /// The name in settings, logs and queues: `identify-visitor` or `track-event`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IdentifyVisitor => "identify-visitor",
            Self::TrackEvent => "track-event",
        }
    }

    /// The trigger of Segment's preset for this action.
    #[must_use]
    pub fn preset_trigger(self) -> &'static str {
        match self {
            Self::IdentifyVisitor => "type = \"identify\"",
            Self::TrackEvent => "type = \"track\"",
        }
    }
}

/// A name that no action has.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no action has the name {0:?}: it is identify-visitor or track-event")]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|action| action.name() == name).ok_or_else(|| UnknownAction(name.to_owned()))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
