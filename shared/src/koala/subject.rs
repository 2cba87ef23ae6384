//! Whom a request is about.

use super::{CollectorKind, ProfileId};
use crate::ids::{EventIds, Id};
use crate::json::ObjectWriter;

/// Whom a request is about, and so what stands at its top. Entries of equal subjects go in one request, of unequal ones never.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A visitor, towards our own collector: the ids of the event as they are, nothing derived.
    Visitor(EventIds),
    /// A visitor, towards another collector: what Koala's server-side guide names, and nothing else.
    KoalaVisitor {
        /// `profile_id`
        profile_id: Option<ProfileId>,
        /// `email`
        email: Option<Id>,
    },
    /// A company, towards another collector: its domain.
    Account(String),
}

impl Subject {
    /// The visitor of these ids, as a collector of this kind knows it; none where they name nobody.
    #[must_use]
    pub fn of(ids: EventIds, collector: CollectorKind) -> Option<Self> {
        match collector {
            CollectorKind::Own => ids.name_a_visitor().then_some(Self::Visitor(ids)),
            CollectorKind::Koala => {
                let (profile_id, email) = (ids.koala_profile_id(), ids.koala_email().cloned());
                (profile_id.is_some() || email.is_some()).then_some(Self::KoalaVisitor { profile_id, email })
            }
        }
    }

    /// Writes it at the top of a request.
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        match self {
            Self::Visitor(ids) => ids.write(object),
            Self::KoalaVisitor { profile_id, email } => {
                if let Some(profile_id) = profile_id {
                    object.string("profile_id", &profile_id.to_string());
                }
                if let Some(email) = email {
                    object.string("email", email.value());
                }
            }
            Self::Account(domain) => object.string("domain", domain),
        }
    }

    /// The visitor's address, where it is known.
    pub(super) fn email(&self) -> Option<&str> {
        match self {
            Self::Visitor(ids) => ids.email().map(Id::value),
            Self::KoalaVisitor { email, .. } => email.as_ref().map(Id::value),
            Self::Account(_) => None,
        }
    }
}
