//! Which ids an event has.

use std::borrow::Cow;
use std::sync::Arc;

use super::id::text;
use super::{Id, IdKind};
use crate::json::{self, Kind, Object, RawJson};
use crate::segment::Event;

/// The ids of one event as they travel: events with equal ones go in one request.
///
/// All that an event says of its visitor is said by the tuple, so nothing may be derived from it on the way: an anonymous
/// event beside one with (device, email) would be filed under the email.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventIds {
    pub(super) user_id: Option<Id>,
    pub(super) anonymous_id: Option<Id>,
    pub(super) profile_id: Option<Id>,
    pub(super) email: Option<Id>,
    pub(super) email_from_properties: bool,
    pub(super) previous_id: Option<Arc<str>>,
    pub(super) group_id: Option<Arc<str>>,
}

/// What a mapping says of the visitor; it counts like what is found in the event, and goes before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct MappedIds<'a> {
    /// The mapping's `email`.
    pub email: Option<&'a str>,
    /// The mapping's `profile_id`.
    pub profile_id: Option<&'a str>,
}

impl EventIds {
    /// The ids of an event.
    ///
    /// Its email is the first address of a person among the `userId`, the mapping's, `traits.email` (but of a group, whose
    /// traits are the company's), `context.traits.email` and `properties.email`; where there is none, the first address of a
    /// role. The `profile_id` is the mapping's, else that of an identify's traits or of another event's properties.
    #[must_use]
    pub fn of(event: &Event<'_>, mapped: &MappedIds<'_>) -> Self {
        let fields = event.fields();
        let (properties, traits) = (fields.get_object("properties"), fields.get_object("traits"));
        let context_traits = fields.get_object("context").and_then(|context| context.get_object("traits"));
        let user_id = written(fields, "userId");
        let own_traits = traits.filter(|_| event.kind() != "group");
        let said = [
            user_id.as_deref().and_then(email),
            mapped.email.and_then(email),
            own_traits.and_then(email_in),
            context_traits.and_then(email_in),
        ];
        let said = said.into_iter().map(|email| (email, false)).chain([(properties.and_then(email_in), true)]);
        let profile = if event.kind() == "identify" { traits } else { properties };
        let profile_ids = ["profile_id", "ko_profile_id"].map(|key| profile.and_then(|object| written(object, key)));
        let profile_ids = profile_ids.iter().map(Option::as_deref);
        let previous_id = if event.kind() == "alias" { written(fields, "previousId") } else { None };
        let group_id = if event.kind() == "group" { written(fields, "groupId") } else { None };
        Self::settled(
            &Said {
                user: user_id.as_deref(),
                anonymous: written(fields, "anonymousId").as_deref(),
                previous: previous_id.as_deref(),
                group: group_id.as_deref(),
            },
            [mapped.profile_id].into_iter().chain(profile_ids),
            said,
        )
    }

    pub(super) fn settled<'a>(
        said: &Said<'_>,
        profile_ids: impl Iterator<Item = Option<&'a str>>,
        emails: impl Iterator<Item = (Option<Id>, bool)>,
    ) -> Self {
        let parse = |kind, value: Option<&str>| value.and_then(|value| Id::parse(kind, value));
        let mut email = None;
        for (address, from_properties) in emails {
            let Some(address) = address else { continue };
            let is_role = address.is_role_mailbox();
            if email.is_none() || !is_role {
                email = Some((address, from_properties));
            }
            if !is_role {
                break;
            }
        }
        let (email, email_from_properties) =
            email.map_or((None, false), |(address, from_properties)| (Some(address), from_properties));
        // One value for both is the user id.
        let user_as_device = parse(IdKind::Device, said.user);
        Self {
            user_id: parse(IdKind::User, said.user),
            anonymous_id: parse(IdKind::Device, said.anonymous).filter(|id| Some(id) != user_as_device.as_ref()),
            profile_id: profile_ids.filter_map(|value| parse(IdKind::Device, value)).find(Id::is_uuid),
            email,
            email_from_properties,
            previous_id: said.previous.and_then(text).map(Into::into),
            group_id: said.group.and_then(text).map(Into::into),
        }
    }

    /// The ids by which the event's visitor is known, the strongest first, without those that a person blocked. It may be
    /// none: then the event is nobody's.
    ///
    /// A `userId` that is an address is that email. The address of a role counts only where there is nothing else.
    #[must_use]
    pub fn strongest_first(&self, is_blocked: impl Fn(&Id) -> bool) -> Vec<Id> {
        let allowed = |id: &&Id| !is_blocked(id);
        let email = self.email.as_ref().filter(allowed);
        let person = email.filter(|email| !email.is_role_mailbox());
        let user = self.user_id.as_ref().filter(|user| !is_email_of(user, person));
        let mut ids = Vec::with_capacity(4);
        for id in [user, person, self.profile_id.as_ref(), self.anonymous_id.as_ref()].into_iter().flatten() {
            if !is_blocked(id) && !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        if ids.is_empty() {
            ids.extend(email.cloned());
        }
        ids
    }

    /// All of them that may be a visitor's, an alias's `previousId` as well.
    pub fn all(&self) -> impl Iterator<Item = Id> {
        let own = [&self.user_id, &self.email, &self.profile_id, &self.anonymous_id];
        own.into_iter().flatten().cloned().chain(self.previous_id())
    }

    /// The same without some of them.
    #[must_use]
    pub fn without(&self, is_left_out: impl Fn(&Id) -> bool) -> Self {
        let stays = |id: &Option<Id>| id.clone().filter(|id| !is_left_out(id));
        let email = stays(&self.email);
        // A user id that is the address goes with it.
        let is_address = |user: &Id| email.is_none() && is_email_of(user, self.email.as_ref());
        Self {
            user_id: stays(&self.user_id).filter(|user| !is_address(user)),
            anonymous_id: stays(&self.anonymous_id),
            profile_id: stays(&self.profile_id),
            email_from_properties: self.email_from_properties && email.is_some(),
            email,
            previous_id: self.previous_id.clone().filter(|_| self.previous_id().is_none_or(|id| !is_left_out(&id))),
            group_id: self.group_id.clone(),
        }
    }

    /// Whether they name anybody: a group or a previous id alone is not a visitor.
    #[must_use]
    pub fn name_a_visitor(&self) -> bool {
        [&self.user_id, &self.email, &self.profile_id, &self.anonymous_id].into_iter().any(Option::is_some)
    }

    /// The `userId`, whether it is an address or not.
    #[must_use]
    pub fn user_id(&self) -> Option<&Id> {
        self.user_id.as_ref()
    }

    /// The `anonymousId`, unless it says no more than the user id.
    #[must_use]
    pub fn anonymous_id(&self) -> Option<&Id> {
        self.anonymous_id.as_ref()
    }

    /// The `profile_id`, where the event has one: a UUID.
    #[must_use]
    pub fn profile_id(&self) -> Option<&Id> {
        self.profile_id.as_ref()
    }

    /// The address that the event speaks of: one, a person's where it has one.
    #[must_use]
    pub fn email(&self) -> Option<&Id> {
        self.email.as_ref()
    }

    /// Whether the email is loose: only the properties say it. Somebody was named, perhaps somebody else.
    #[must_use]
    pub fn email_is_loose(&self) -> bool {
        self.email_from_properties
    }

    /// An alias's `previousId`: a device's id or an address.
    #[must_use]
    pub fn previous_id(&self) -> Option<Id> {
        let previous = self.previous_id.as_deref()?;
        Id::parse(IdKind::Email, previous).or_else(|| Id::parse(IdKind::Device, previous))
    }

    /// A group's `groupId`: a company's, never a person's.
    #[must_use]
    pub fn group_id(&self) -> Option<&str> {
        self.group_id.as_deref()
    }
}

/// Whether a user id is an email, the same one.
pub(super) fn is_email_of(user: &Id, address: Option<&Id>) -> bool {
    address.is_some() && email(user.value()).as_ref() == address
}

/// What is said besides emails and profile ids.
pub(super) struct Said<'a> {
    pub user: Option<&'a str>,
    pub anonymous: Option<&'a str>,
    pub previous: Option<&'a str>,
    pub group: Option<&'a str>,
}

fn email(value: &str) -> Option<Id> {
    Id::parse(IdKind::Email, value)
}

fn email_in(object: &Object<'_>) -> Option<Id> {
    email(&written(object, "email")?)
}

/// A field as text. Segment's ids are strings, but some senders write whole numbers; nothing else is an id.
fn written<'a>(object: &Object<'a>, key: &str) -> Option<Cow<'a, str>> {
    let value: RawJson<'a> = object.get(key)?;
    match json::kind(value) {
        Kind::Number => Some(value.get()).filter(|text| !text.contains(['.', 'e', 'E'])).map(Cow::Borrowed),
        _ => json::string(value),
    }
}
