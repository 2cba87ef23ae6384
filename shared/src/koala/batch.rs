//! The request that tells Koala several entries of one visitor.

use super::{Entry, Visitor};
use crate::json::ObjectWriter;
use crate::segment::Action;

/// The most entries of a kind in one request.
pub const MOST_ENTRIES: usize = 30;

/// The body of `POST …/batch` for entries of one visitor, in the order of their time.
///
/// Each entry says all it knows itself; at the top stand the visitor's identity, the newest address, and the newest
/// traits that say anything.
#[must_use]
pub fn request_body(action: Action, visitor: &Visitor, entries: &[&Entry]) -> String {
    let mut body = String::with_capacity(entries.iter().map(|entry| entry.json.len() + 1).sum::<usize>() + 512);
    let mut object = ObjectWriter::start(&mut body);
    if let Some(profile_id) = visitor.profile_id() {
        object.string("profile_id", &profile_id.to_string());
    }
    if let Some(email) = visitor.email() {
        object.string("email", email.as_str());
    }
    let newest_traits = entries.iter().rev().filter_map(|entry| entry.traits.as_deref());
    if let Some(traits) = newest_traits.clone().find(|traits| *traits != "{}").or(newest_traits.clone().next()) {
        object.raw("traits", traits);
    }
    if let Some(ip) = entries.iter().rev().find_map(|entry| entry.ip.as_deref()) {
        object.string("ip", ip);
    }
    let list = object.key(match action {
        Action::IdentifyVisitor => "identifies",
        Action::TrackEvent => "events",
    });
    list.push('[');
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            list.push(',');
        }
        list.push_str(&entry.json);
    }
    list.push(']');
    object.end();
    body
}
