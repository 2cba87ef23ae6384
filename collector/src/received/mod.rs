//! What comes in, as the store takes it: one visitor's entries, or what is said of companies. Requests of Koala's protocol are read into
//! it, and so are entries that a store has.

pub mod entry;
pub mod kind;
pub mod page_view;

use std::borrow::Cow;

use koala_destination::ids::EventIds;
use koala_destination::json::{remove_ip_addresses, without_ip_addresses};
use serde_json::{Map, Value};

pub use entry::ReceivedEntry;
pub use kind::EntryKind;

use crate::company::Account;

/// A company, with what is said of it.
pub type ReceivedAccount = (Account, Map<String, Value>);

/// What one request says of one visitor.
#[derive(Debug)]
pub struct Batch {
    /// The ids of its visitor: all that the events of the request said of who it is.
    pub ids: EventIds,
    /// When intake took the events, in milliseconds since 1970, as the sender says; to be believed of our own handlers alone.
    pub received_at: Option<i64>,
    /// The visitor's traits, at the top of the request.
    pub traits: Option<Map<String, Value>>,
    /// Its entries of every kind.
    pub entries: Vec<ReceivedEntry>,
}

impl Batch {
    /// Takes out what the sender says of when the events were taken in: a stranger's word on that counts for nothing.
    pub fn forget_arrival(&mut self) {
        self.received_at = None;
        for entry in &mut self.entries {
            entry.received_at = None;
        }
    }

    /// Takes out the IP addresses that the events came from.
    pub fn forget_addresses(&mut self) {
        self.traits.iter_mut().for_each(remove_ip_addresses);
        for entry in &mut self.entries {
            entry.traits.iter_mut().for_each(remove_ip_addresses);
            entry.traits_of_company.iter_mut().for_each(remove_ip_addresses);
            if let Cow::Owned(json) = without_ip_addresses(&entry.json) {
                entry.json = json;
            }
        }
    }
}
