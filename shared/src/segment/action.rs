//! What is done with an event, and which function does it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is done with an event: the two actions of Segment's Koala destination, and two for what Koala's own script did in
/// the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// *Identify Visitor*: the event's traits become the visitor's.
    IdentifyVisitor,
    /// *Track Event*: an event name with its properties joins the visitor's timeline.
    TrackEvent,
    /// *Page View*: a page that the visitor looked at.
    PageView,
    /// *Identify Account*: the company that the visitor belongs to, with its traits.
    IdentifyAccount,
}

/// A function that delivers, with a queue of its own. Each serves the actions whose entries it can put into its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// Serves *Identify Visitor* and *Identify Account*: who somebody is.
    IdentifyVisitor,
    /// Serves *Track Event* and *Page View*: what somebody did.
    TrackEvent,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::IdentifyVisitor, Self::TrackEvent, Self::PageView, Self::IdentifyAccount];

    /// The name in settings and logs: `identify-visitor`, `track-event`, `page-view`, `identify-account`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IdentifyVisitor => "identify-visitor",
            Self::TrackEvent => "track-event",
            Self::PageView => "page-view",
            Self::IdentifyAccount => "identify-account",
        }
    }

    /// Its name for people, as Segment's own destination has it: `Identify Visitor`, `Track Event`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::IdentifyVisitor => "Identify Visitor",
            Self::TrackEvent => "Track Event",
            Self::PageView => "Page View",
            Self::IdentifyAccount => "Identify Account",
        }
    }

    /// The function that serves it.
    #[must_use]
    pub fn function(self) -> Function {
        match self {
            Self::IdentifyVisitor | Self::IdentifyAccount => Function::IdentifyVisitor,
            Self::TrackEvent | Self::PageView => Function::TrackEvent,
        }
    }
}

impl Function {
    /// Both functions.
    pub const ALL: [Self; 2] = [Self::IdentifyVisitor, Self::TrackEvent];

    /// The name of the function and of its queue: `identify-visitor` or `track-event`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IdentifyVisitor => "identify-visitor",
            Self::TrackEvent => "track-event",
        }
    }
}

/// A name that no function has.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no function has the name {0:?}: it is identify-visitor or track-event")]
pub struct UnknownFunction(String);

impl FromStr for Function {
    type Err = UnknownFunction;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|function| function.name() == name).ok_or_else(|| UnknownFunction(name.to_owned()))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
