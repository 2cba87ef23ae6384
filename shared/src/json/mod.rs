//! Reading JSON without building a tree: a view of an object's fields, each still the bytes that it came in.
//!
//! An event is read once at intake and once at delivery, and most of it goes through unchanged. So values stay
//! [`RawJson`], numbers keep all their digits, and only what a decision needs is looked into.
//!
//! | module | what it does |
//! |---|---|
//! | [`scan`] | goes over JSON text: is it well-formed, where does each value end |
//! | [`raw`] | a value that is still its bytes: its kind, its text |
//! | [`object`], [`elements`] | the fields of an object, the elements of an array |
//! | [`write`](mod@write) | an object, field after field |
//! | [`surrogates`], [`numbers`] | what other readers would refuse |
//! | [`parameter`] | what a person writes into a parameter |
//! | [`ip_addresses`] | what is kept of no event |

mod elements;
mod ip_addresses;
mod numbers;
mod object;
mod parameter;
mod raw;
mod scan;
mod surrogates;
mod write;

pub use elements::{Elements, elements};
pub use ip_addresses::{remove_ip_addresses, text_without_ip_addresses, without_ip_addresses};
pub use numbers::number_out_of_range;
pub use object::{Object, ObjectError, find};
pub use parameter::read_parameter;
pub use raw::{Kind, RawJson, kind, string, trim};
pub use scan::DEEPEST;
pub use surrogates::without_lone_surrogates;
pub use write::{ObjectWriter, write_string};
