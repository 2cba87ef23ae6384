//! The ids of an event: which it has, how each is written, and how they travel to a collector.
//!
//! An event names its visitor by several ids at once (`userId`, an email address, `profile_id`, `anonymousId`), and what one
//! event says of all of them is how they come to belong together. So they are read once, by the rules of [`Id`], and travel
//! as one tuple, [`EventIds`]: events with equal tuples go in one request, and our own collector decides who is who.
//!
//! ```
//! use koala_destination::ids::{EventIds, IdKind, MappedIds, WrittenIds};
//! use koala_destination::json::ObjectWriter;
//! use koala_destination::segment::Event;
//!
//! let event = Event::parse(
//!     r#"{"type":"identify","userId":7,"anonymousId":" \"anon-1\" ","traits":{"email":"Ada@Acme.com"}}"#,
//! )?;
//! let ids = EventIds::of(&event, &MappedIds::default());
//! let strongest = ids.strongest_first(|_| false);
//! assert_eq!(strongest[0].kind(), IdKind::User);
//! assert_eq!(strongest.iter().map(|id| id.value()).collect::<Vec<_>>(), ["7", "ada@acme.com", "anon-1"]);
//!
//! let mut body = String::new();
//! let mut object = ObjectWriter::start(&mut body);
//! ids.write(&mut object);
//! object.end();
//! assert_eq!(body, r#"{"user_id":"7","anonymous_id":"anon-1","email":"ada@acme.com"}"#);
//!
//! let written: WrittenIds = serde_json::from_str(&body)?;
//! assert_eq!(EventIds::from(&written), ids);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod id;
mod lists;
mod visitor;
mod wire;

pub use event::{EventIds, MappedIds};
pub use id::{Id, IdKind, LONGEST_ID_BYTES};
pub use visitor::{Email, ProfileId};
pub use wire::{WrittenIds, text_if_any};
