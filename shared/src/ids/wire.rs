//! How the ids stand at the top of a batch request, and how they are read there.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::event::{Said, is_email_of};
use super::visitor::ProfileId;
use super::{EventIds, Id, IdKind};
use crate::json::ObjectWriter;

/// What `email_from` says of an address that only the properties have.
const FROM_PROPERTIES: &str = "properties";

impl EventIds {
    /// Writes them for our own collector: each as it is, nothing derived.
    pub fn write(&self, object: &mut ObjectWriter<'_>) {
        let ids = [
            ("profile_id", &self.profile_id),
            ("user_id", &self.user_id),
            ("anonymous_id", &self.anonymous_id),
            ("email", &self.email),
        ];
        for (key, id) in ids {
            if let Some(id) = id {
                object.string(key, id.value());
            }
        }
        if self.email_from_properties {
            object.string("email_from", FROM_PROPERTIES);
        }
        for (key, value) in [("previous_id", &self.previous_id), ("group_id", &self.group_id)] {
            if let Some(value) = value {
                object.string(key, value);
            }
        }
    }

    /// Writes them for another collector: `profile_id` and `email`, both where both are known, and nothing else
    /// (<https://getkoala.com/docs/developer-guides/server-side>).
    pub fn write_for_koala(&self, object: &mut ObjectWriter<'_>) {
        if let Some(profile_id) = self.koala_profile_id() {
            object.string("profile_id", &profile_id.to_string());
        }
        if let Some(email) = self.koala_email() {
            object.string("email", email.value());
        }
    }

    /// The UUID by which another collector knows the visitor: the `profile_id`, else the `anonymousId` where it is a UUID,
    /// else one derived from it, else one derived from the user id.
    #[must_use]
    pub fn koala_profile_id(&self) -> Option<ProfileId> {
        if let Some(id) = self.profile_id.as_ref().and_then(|id| ProfileId::parse(id.value())) {
            return Some(id);
        }
        if let Some(id) = &self.anonymous_id {
            return ProfileId::parse(id.value()).or_else(|| Some(ProfileId::derived("anonymousId", id.value())));
        }
        let user = self.user_id.as_ref().filter(|user| !is_email_of(user, self.email.as_ref()));
        user.map(|user| ProfileId::derived("userId", user.value()))
    }

    /// The address by which another collector knows the visitor: a role's only where nothing else is known, since such a
    /// collector would take all who name it for one.
    #[must_use]
    pub fn koala_email(&self) -> Option<&Id> {
        let email = self.email.as_ref()?;
        (!email.is_role_mailbox() || self.koala_profile_id().is_none()).then_some(email)
    }
}

/// The ids at the top of a batch request, as they are written there; its other fields are ignored.
///
/// A field of another type than expected says nothing, and costs the request nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WrittenIds {
    /// `profile_id`
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<String>,
    /// `user_id`
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// `anonymous_id`
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
    /// `email`
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `email_from`: `properties` where the address is loose.
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub email_from: Option<String>,
    /// `previous_id`, of an alias.
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub previous_id: Option<String>,
    /// `group_id`
    #[serde(deserialize_with = "text_if_any", skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
}

impl From<&WrittenIds> for EventIds {
    fn from(written: &WrittenIds) -> Self {
        let email = written.email.as_deref().and_then(|email| Id::parse(IdKind::Email, email));
        Self::settled(
            &Said {
                user: written.user_id.as_deref(),
                anonymous: written.anonymous_id.as_deref(),
                previous: written.previous_id.as_deref(),
                group: written.group_id.as_deref(),
            },
            [written.profile_id.as_deref()].into_iter(),
            [(email, written.email_from.as_deref() == Some(FROM_PROPERTIES))].into_iter(),
        )
    }
}

/// Reads an id where it is text or a whole number, and ignores anything else.
///
/// For a field of a struct of one's own: `#[serde(default, deserialize_with = "koala_destination::ids::text_if_any")]`.
///
/// # Errors
/// When the JSON itself is not well-formed.
pub fn text_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct TextIfAny;

    impl<'de> Visitor<'de> for TextIfAny {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an id")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
            Ok(Some(text))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
            while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    }

    deserializer.deserialize_any(TextIfAny)
}
