//! Who is who: which ids are one visitor's.
//!
//! One row for each id, and one pointer (`into`) from a weaker id to its owner. An entry is filed under its event's strongest
//! id and never moves, so that a merge or a split writes pointers only. Who belongs together is a function of the **set** of
//! events: neither order, nor repetition, nor batching matters. The rules stand as a program in
//! `tests/vectors/reference_identity.py`, and what comes of them in the vectors beside it.
//!
//! | module | what it does |
//! |---|---|
//! | `claim` | what one id says of another, how good that is, and the limits |
//! | `resolve` | an event's ids → what they claim → the rows that change |
//! | `view` | whom an id belongs to, as things will be |
//! | `decision` | what a person decides: attach, detach, block |
//! | `known`, `change` | what has to be loaded for it, and what has to be written |
//! | [`memory`] | the same tables in memory: a model to test with |
//!
//! Everything but [`memory`] is pure. A decision is asked for with what is [`Known`] of the store, and where that is not enough
//! it says what it [`Wants`]; the store loads that and asks again:
//!
//! ```
//! use koala_collector::identity::memory::Memory; // or an engine, in a transaction
//! use koala_collector::identity::{Known, Reading, Wants, claim_time};
//! use koala_destination::ids::{EventIds, Id, IdKind, WrittenIds};
//!
//! let mut store = Memory::default();
//! let login = WrittenIds { user_id: Some("u1".into()), anonymous_id: Some("a-1".into()), ..WrittenIds::default() };
//! let ids = EventIds::from(&login);
//!
//! let mut known = Known::default();
//! store.load(&Wants::of(&ids), &mut known);
//! let Ok(Some(reading)) = Reading::of(&ids, &known) else { return };
//! assert_eq!(reading.filed_under().value(), "u1"); // insert the entries under it; of what is new:
//! let (sent_at, received_at) = (Some(1_700_000_000_000), 1_700_000_001_000);
//! let at = claim_time(sent_at, received_at);
//! let change = loop {
//!     match reading.resolve(at, &known) {
//!         Ok(change) => break change,
//!         Err(wants) => store.load(&wants, &mut known),
//!     }
//! };
//! store.apply(&change);
//! assert_eq!(store.visitor_of(&Id::stored(IdKind::Device, "a-1")), Id::stored(IdKind::User, "u1"));
//! ```
//!
//! # What a store does
//!
//! **Tables.** `identity(kind, value, into, first_at, decision)` and `claim(id, owner, rank, at)`, with an index by owner (better:
//! by owner, the kind of the id, rank, time, id). Ids are compared byte by byte (collation `C`, `BINARY`). They have at most 255
//! bytes and no NUL, so that they need not be hashed in keys. An id that has a claim, or is claimed, always has a row.
//!
//! **Loading.** [`Wants`] asks for two things, each a query for the whole set:
//! - `ids`: the row, and all claims, each with whether its owner is blocked:
//!   `SELECT c.*, o.decision = 'blocked' FROM claim c JOIN identity o ON o.id = c.owner WHERE c.id IN (…)`. An id that has no row
//!   is put in as the default.
//! - `lines`: the best [`line_length`] members of a kind that are free:
//!   `… FROM claim c JOIN identity i ON i.id = c.id WHERE c.owner = ? AND i.kind = ? AND (i.decision IS NULL OR i.decision =
//!   'attached' AND i.into = c.owner) ORDER BY c.rank, c.at, i.value LIMIT ?`. The claim's rank and time, not its owner's.
//!
//! What is asked for is bounded, whatever is stored. A user id claims nothing; an email has at most [`OWNERS_OF_AN_EMAIL`] claims;
//! a device has at most [`OWNERS_OF_A_DEVICE`] on owners of each kind. Of an event with nothing new the rows of its ids (at most
//! five) are all. Otherwise up to three more rounds follow, most often one: the lines of the owners, and the devices beside
//! (at most six of each device of the event); whom the new claims displaced from the head or the limit of a line, and the devices
//! beside those beside; and the lines of the owners of a displaced address. With the transaction's begin in the first round trip,
//! the entries in the second, rows and commit at the end, an ingest has eight at most, and four where nothing is new; the tests of
//! the engine for PostgreSQL count them.
//!
//! **Entries first.** The same message under the same id is kept once, and what is not kept claims nothing: `at` is the smallest
//! `sent_at` of the entries that were inserted, as [`claim_time`] has it; where none was, there is nothing to resolve.
//!
//! **Writing.** Every row of [`Change::identities`] is written, changed or not, in its order, together with the claims, in the
//! transaction that loaded what it was made from. On a conflict the whole transaction is tried again, with a new [`Known`]. At
//! snapshot isolation some histories come out otherwise without that; the tests show one. A [`Known`] is stale when something of
//! it was written: the next request begins with a new one.
//!
//! **Reading a visitor.** Follow `into` to the root, and from there to all that lead to it, recursively. By claims that is device,
//! device, email, user, but devices that were each seen beside the next can make a longer way, and so can ids that were attached
//! by hand: bound the recursion, and take the last that is reached.
//!
//! **A person's decisions.** [`Decision::rows`] in the same way. After a block [`recompute`] all that claim the id, in pieces of
//! some hundred, each in a transaction of its own; if that is interrupted, the same block again does all of it. After ids were
//! deleted with their claims, [`recompute`] what else claimed the owners that they claimed.
//!
//! # Where it differs from the program
//!
//! - For a device six owners of each kind are kept, the best ones, for an email twenty. A crowd is a crowd all the same; but when a
//!   person blocks some of it, those who were not kept are not counted again until they are seen again.
//! - An event with two addresses travels with the first. If a person blocked that one, the second does not take its place.
//! - A device that a person attached to another device leads nobody: a circle could come of it.

mod change;
mod claim;
mod decision;
mod known;
pub mod memory;
mod resolve;
mod view;

pub use change::{Change, IdentityChange};
pub use claim::{
    CROWD, Claim, Claimant, LATEST, MOST_DEVICES, MOST_EMAILS, OWNERS_OF_A_DEVICE, OWNERS_OF_AN_EMAIL, Rank,
    claim_time, line_length,
};
pub use decision::{Decision, Refused, Undecided, recompute};
pub use known::{Decided, Identity, Known, Wants};
pub use resolve::Reading;
