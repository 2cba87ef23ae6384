//! The request that tells the collector several entries of one visitor.

use super::sent_kind::SentKind;
use super::{Entry, Route, Subject};
use crate::json::ObjectWriter;

/// The most entries of a kind in one request.
pub const MOST_ENTRIES: usize = 30;

/// The request for entries of one subject.
#[must_use]
pub fn request(subject: &Subject, entries: &[&Entry]) -> (Route, String) {
    match subject {
        Subject::Account(_) => (Route::AccountsBatch, accounts_body(subject, entries)),
        Subject::Visitor(_) | Subject::KoalaVisitor { .. } => (Route::Batch, request_body(subject, entries)),
    }
}

/// The body of `POST …/batch` for entries of one visitor, in the order of their time.
///
/// Each entry says all it knows itself; at the top stand the visitor's identity, the newest address, and the newest
/// traits that say anything.
fn request_body(subject: &Subject, entries: &[&Entry]) -> String {
    let mut body = String::with_capacity(entries.iter().map(|entry| entry.json.len() + 1).sum::<usize>() + 512);
    let mut object = ObjectWriter::start(&mut body);
    subject.write(&mut object);
    let newest_traits = entries.iter().rev().filter_map(|entry| entry.traits.as_deref());
    if let Some(traits) = newest_traits.clone().find(|traits| *traits != "{}").or(newest_traits.clone().next()) {
        object.raw("traits", traits);
    }
    if let Some(ip) = entries.iter().rev().find_map(|entry| entry.ip.as_deref()) {
        object.string("ip", ip);
    }
    for kind in SentKind::OF_A_BATCH {
        let of_kind: Vec<&str> =
            entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.json.as_str()).collect();
        if !of_kind.is_empty() {
            write_list(object.key(kind.array()), &of_kind);
        }
    }
    object.end();
    body
}

/// The body of `POST …/accounts/batch` for entries of one company.
fn accounts_body(subject: &Subject, entries: &[&Entry]) -> String {
    let mut body = String::with_capacity(entries.iter().map(|entry| entry.json.len() + 1).sum::<usize>() + 64);
    let mut object = ObjectWriter::start(&mut body);
    subject.write(&mut object);
    let entries: Vec<&str> = entries.iter().map(|entry| entry.json.as_str()).collect();
    write_list(object.key(SentKind::Account.array()), &entries);
    object.end();
    body
}

fn write_list(out: &mut String, entries: &[&str]) {
    out.push('[');
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(entry);
    }
    out.push(']');
}
