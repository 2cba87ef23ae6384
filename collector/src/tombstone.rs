//! What keeps a person who was deleted from coming back with what was under way: a tombstone for each of their ids.
//!
//! A tombstone is a hash, and says until when what was received does not count. It stays as long as data is kept
//! (`RETENTION_DAYS`). What was received later is a new person's, whatever ids it has.
//!
//! The ids that get one are all that a person had: user ids, addresses, devices; and those that were asked for, whether they
//! were known or not. Of an entry that is late:
//!
//! | the id that it would be filed under | then |
//! |---|---|
//! | has a tombstone | it is dropped |
//! | is a user id beside an address that was asked for by itself, and that the event says is its own (or was, in an alias) | it is dropped: it is another account of the person, and what was filed under it goes as well |
//! | is a user id beside another address with a tombstone (or a device beside one), of whom nothing was known before | it is dropped: it would have joined the person |
//! | is anybody else's | it is kept without the ids that have one: a colleague on the same browser, somebody who named the address |
//!
//! The ids of an entry that is dropped, of which nothing was known before, get a tombstone as well; but an address that was only
//! named, which may be anybody's, does not, and neither does a user id that only named one. They are ids of the deletion from then
//! on: messages in queues that have only them are looked for again. A device of the entry that was known, and is no known
//! visitor's, goes with what was filed under it.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use koala_destination::ids::{EventIds, Id, IdKind};
use sha2::Sha256;

/// The bytes of the key: as many as the hash has.
pub const KEY_BYTES: usize = 32;

/// Makes the hashes of an installation its own: equal ids of two installations have nothing in common.
#[derive(Clone)]
pub struct TombstoneKey(Hmac<Sha256>);

impl TombstoneKey {
    /// The key that is kept in a store.
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        // HMAC fills a key up with zeros to a block of its hash (RFC 2104).
        let mut block = [0; 64];
        block[..KEY_BYTES].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    /// A new key, for a store that has none yet.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<[u8; KEY_BYTES], getrandom::Error> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)?;
        Ok(key)
    }

    /// What stands in a store in place of an id.
    #[must_use]
    pub fn hash(&self, id: &Id) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(id.kind().name().as_bytes());
        mac.update(&[0]);
        mac.update(id.value().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for TombstoneKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TombstoneKey(…)")
    }
}

/// What is left of an id of a person who was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// What was received by then is late, in milliseconds since 1970.
    pub at: i64,
    /// It is an address that was asked for by itself: whoever says that it is theirs is the same person.
    pub is_whole: bool,
}

/// Whose an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A person's who was deleted.
    Theirs(Tombstone),
    /// The same, unless something was filed under this id before the deletion; then it is kept without those ids.
    TheirsUnlessKnown(Id, Tombstone, BTreeSet<Id>),
    /// Somebody else's, without these ids; mostly there are none.
    Another(BTreeSet<Id>),
}

/// Whose an entry with these ids is, that was received at a time. `tombstone` finds that of an id, and `is_blocked` whether a
/// person said that it is none.
#[must_use]
pub fn whose(
    ids: &EventIds,
    received_at: i64,
    tombstone: impl Fn(&Id) -> Option<Tombstone>,
    is_blocked: impl Fn(&Id) -> bool,
) -> Whose {
    let of = |id: &Id| tombstone(id).filter(|tombstone| received_at <= tombstone.at);
    let gone: BTreeSet<Id> = ids.all().filter(|id| of(id).is_some()).collect();
    if gone.is_empty() {
        return Whose::Another(gone);
    }
    let Some(strongest) = ids.strongest_first(&is_blocked).into_iter().next() else { return Whose::Another(gone) };
    if let Some(tombstone) = of(&strongest) {
        return Whose::Theirs(tombstone);
    }
    // A role's address joins nothing. What an alias says somebody was before is theirs.
    let is_persons = |id: &&Id| id.kind() == IdKind::Email && !id.is_role_mailbox() && !is_blocked(id);
    let previous = ids.previous_id();
    let said = ids.email().filter(|_| !ids.email_is_loose()).into_iter().chain(previous.as_ref());
    let said = said.filter(is_persons).filter_map(of).max_by_key(|tombstone| tombstone.is_whole);
    let named = ids.email().filter(is_persons).and_then(of);
    match strongest.kind() {
        IdKind::User => match said.or(named).or(previous.as_ref().and_then(of)) {
            Some(tombstone) if tombstone.is_whole && said.is_some() => Whose::Theirs(tombstone),
            Some(tombstone) => Whose::TheirsUnlessKnown(strongest, tombstone, gone),
            None => Whose::Another(gone),
        },
        IdKind::Email => Whose::Another(gone),
        // Two devices on one event are one browser.
        IdKind::Device => match ids.anonymous_id().and_then(of) {
            Some(tombstone) => Whose::TheirsUnlessKnown(strongest, tombstone, gone),
            None => Whose::Another(gone),
        },
    }
}

/// The account that a late entry of a person says is theirs, by an address that was asked for by itself: what was filed under it
/// before goes as well, as if the entry had come in time. So does what was filed under a device of such an entry that is no
/// known visitor's.
#[must_use]
pub fn account(ids: &EventIds, tombstone: &Tombstone) -> Option<Id> {
    ids.user_id().filter(|_| tombstone.is_whole).cloned()
}

/// The ids of an entry that are the person's whose it is, beside the one that said so: not an address that was only named, and
/// not a role's.
pub fn beside(ids: &EventIds) -> impl Iterator<Item = Id> {
    let is_loose = |id: &Id| ids.email_is_loose() && Some(id) == ids.email();
    ids.all().filter(move |id| !id.is_role_mailbox() && !is_loose(id))
}

#[cfg(test)]
mod tests {
    use koala_destination::ids::WrittenIds;

    use super::*;

    fn ids(user: &str, email: &str, anonymous: &str) -> EventIds {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let written = WrittenIds {
            user_id: some(user),
            email: some(email.trim_start_matches('~')),
            email_from: email.starts_with('~').then(|| "properties".to_owned()),
            anonymous_id: some(anonymous),
            ..WrittenIds::default()
        };
        EventIds::from(&written)
    }

    /// What becomes of an entry received at 5 when Ada (u1, ada@acme.com, d1) was deleted at 9.
    fn fate(user: &str, email: &str, anonymous: &str) -> &'static str {
        fate_at(5, user, email, anonymous)
    }

    fn fate_at(received_at: i64, user: &str, email: &str, anonymous: &str) -> &'static str {
        let gone = |id: &Id| {
            let is_whole = id.value() == "ada@acme.com";
            ["u1", "ada@acme.com", "old@acme.com", "d1"].contains(&id.value()).then_some(Tombstone { at: 9, is_whole })
        };
        match whose(&ids(user, email, anonymous), received_at, gone, |id| id.value() == "blocked") {
            Whose::Theirs(_) => "theirs",
            Whose::TheirsUnlessKnown(..) => "theirs unless known",
            Whose::Another(without) if without.is_empty() => "another's",
            Whose::Another(_) => "another's without",
        }
    }

    #[test]
    fn what_is_filed_under_an_id_of_the_person_is_theirs_and_only_if_it_is_late() {
        for (user, email, anonymous) in [
            ("u1", "", ""),
            ("u1", "bob@acme.com", "d2"),
            ("", "Ada@Acme.com", ""),
            ("", "", "d1"),
            ("blocked", "", "d1"),
        ] {
            assert_eq!(fate(user, email, anonymous), "theirs", "{user} {email} {anonymous}");
            assert_eq!(fate_at(9, user, email, anonymous), "theirs");
            assert_eq!(fate_at(10, user, email, anonymous), "another's");
        }
    }

    #[test]
    fn who_says_the_address_is_the_person_and_who_names_it_is_somebody_else_if_known() {
        assert_eq!(fate("u2", "ada@acme.com", ""), "theirs");
        assert_eq!(fate("u2", "~ada@acme.com", ""), "theirs unless known");
        // Not asked for by itself: an address of a person who was deleted by another id.
        assert_eq!(fate("u2", "old@acme.com", ""), "theirs unless known");
        assert_eq!(fate("u2", "adam@acme.com", ""), "another's");
    }

    #[test]
    fn what_an_alias_says_somebody_was_before_is_theirs() {
        let alias = |user: &str, previous: &str| {
            let some = |text: &str| Some(text.to_owned());
            let written = WrittenIds { user_id: some(user), previous_id: some(previous), ..WrittenIds::default() };
            let gone = |id: &Id| {
                let is_whole = id.value() == "ada@acme.com";
                ["ada@acme.com", "d1"].contains(&id.value()).then_some(Tombstone { at: 9, is_whole })
            };
            whose(&EventIds::from(&written), 5, gone, |_| false)
        };
        assert!(matches!(alias("u9", "Ada@acme.com"), Whose::Theirs(_)));
        assert!(matches!(alias("u9", "d1"), Whose::TheirsUnlessKnown(id, ..) if id.value() == "u9"));
        assert!(matches!(alias("u9", "d2"), Whose::Another(without) if without.is_empty()));
    }

    #[test]
    fn a_colleague_on_the_same_browser_is_kept_without_it() {
        assert_eq!(fate("u2", "bob@acme.com", "d1"), "another's without");
        assert_eq!(fate("", "bob@acme.com", "d1"), "another's without");
        assert_eq!(fate("u2", "", "d2"), "another's");
    }

    #[test]
    fn the_hash_of_an_id_is_its_kinds_and_its_installations() {
        let (one, two) = (TombstoneKey::new(&[1; 32]), TombstoneKey::new(&[2; 32]));
        let id = |kind| Id::stored(kind, "ada@acme.com");
        assert_eq!(one.hash(&id(IdKind::Email)), one.hash(&id(IdKind::Email)));
        assert_ne!(one.hash(&id(IdKind::Email)), one.hash(&id(IdKind::User)));
        assert_ne!(one.hash(&id(IdKind::Email)), two.hash(&id(IdKind::Email)));
        // HMAC-SHA256 of "email\0ada@acme.com" under 32 bytes of 1, by Python's hmac.
        let expected = "d3f28c09211704cdad02361927237b502e0fab12dbff9a8c13bec228ed455df9";
        let expected =
            expected.as_bytes().chunks(2).map(|hex| u8::from_str_radix(str::from_utf8(hex).expect("hex"), 16));
        let expected = expected.collect::<Result<Vec<u8>, _>>().expect("hex");
        assert_eq!(one.hash(&id(IdKind::Email))[..], expected);
    }
}
