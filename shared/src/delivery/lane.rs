//! Which messages have to keep their order among each other, told before they are mapped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ids::{EventIds, MappedIds};
use crate::message::Message;
use crate::segment::Event;

/// The lane of a message: messages of one visitor have the same, and go one after the other.
///
/// It is read from the event's own ids. Nothing of a mapping runs for it, so that a message that crashes its function when it
/// is mapped does not crash who only puts messages in order. Two visitors may share a lane (a hash), which costs no more than
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u64);

impl Lane {
    /// The lane of a message, by the tuple of its event's ids; nothing where the message cannot be read or names nobody: it goes as it comes.
    #[must_use]
    pub fn of(body: &str) -> Option<Self> {
        catch_unwind(AssertUnwindSafe(|| {
            let message = Message::parse(body).ok()?;
            let event = Event::from_json(message.event.get()).ok()?;
            Some(EventIds::of(&event, &MappedIds::default())).filter(EventIds::name_a_visitor)
        }))
        .ok()
        .flatten()
        .map(|ids| {
            let mut hasher = DefaultHasher::new();
            ids.hash(&mut hasher);
            Self(hasher.finish())
        })
    }
}
