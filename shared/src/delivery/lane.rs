//! Which messages have to keep their order among each other, told before they are mapped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::koala::Visitor;
use crate::message::Message;
use crate::segment::{Action, Event, Function};

/// The lane of a message: messages of one visitor have the same, and go one after the other.
///
/// It is read from the event's own ids. Nothing of a mapping runs for it, so that a message that crashes its function when it
/// is mapped does not crash who only puts messages in order. Two visitors may share a lane (a hash), which costs no more than
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u64);

impl Lane {
    /// The lane of a message for `function`; nothing where the message cannot be read or names nobody: it goes as it comes.
    #[must_use]
    pub fn of(body: &str, function: Function) -> Option<Self> {
        catch_unwind(AssertUnwindSafe(|| {
            let message = Message::parse(body).ok()?;
            let event = Event::from_json(message.event.get()).ok()?;
            // The two actions of a function look for ids in the same place.
            let action = match function {
                Function::IdentifyVisitor => Action::IdentifyVisitor,
                Function::TrackEvent => Action::TrackEvent,
            };
            Visitor::of(&event, action, &Visitor::mapped(None, None), true)
        }))
        .ok()
        .flatten()
        .map(|visitor| {
            let mut hasher = DefaultHasher::new();
            visitor.hash(&mut hasher);
            Self(hasher.finish())
        })
    }
}
