//! Triggers: which events a mapping takes, in the language of Segment's destination subscriptions (FQL,
//! <https://segment.com/docs/api/public-api/fql-and-subscriptions/>).
//!
//! A trigger is parsed once, when the settings load, and matched without allocation as long as no text in the event has an
//! escape. It means what Segment's own implementation (npm `@segment/destination-subscriptions`) makes of it, also where
//! that surprises: `properties.seats = "5"` is not true of the number 5, and `!contains(…)` not of what is not a string.

mod advice;
mod condition;
mod cursor;
mod error;
mod groups;
mod parser;

use crate::json::Object;
pub use advice::Coverage;
use condition::Condition;
pub use error::TriggerError;

/// The longest trigger; Segment's own have a few hundred characters.
const LONGEST_TRIGGER: usize = 10_000;

/// A condition on an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    text: Box<str>,
    condition: Condition,
}

impl Trigger {
    /// Parses a trigger such as `type = "track" and match(event, "Order*")`.
    ///
    /// # Errors
    /// With the position and what was expected there.
    pub fn parse(text: &str) -> Result<Self, TriggerError> {
        if text.len() > LONGEST_TRIGGER {
            return Err(TriggerError { position: LONGEST_TRIGGER + 1, expected: "at most 10000 characters" });
        }
        Ok(Self { text: text.into(), condition: parser::parse(text)? })
    }

    /// The trigger as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the trigger asks for an event with these fields.
    #[must_use]
    pub fn matches(&self, event: &Object<'_>) -> bool {
        self.condition.holds(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(trigger: &str, event: &str) -> bool {
        Trigger::parse(trigger).expect("a trigger").matches(&Object::from_json(event).expect("an event"))
    }

    #[test]
    fn what_is_not_well_formed_is_an_error_with_the_place_and_what_was_expected() {
        for (trigger, position, expected) in [
            ("", 1, "a field"),
            ("kind = \"track\"", 1, "a field"),
            ("type", 5, "an operator"),
            ("type = ", 8, "a value"),
            ("type = track", 8, "a value"),
            ("type = \"track", 14, "the quote"),
            ("type = \"track\" x", 16, "`and`, `or`, or the end"),
            ("type = \"track\" and", 19, "a field"),
            ("(type = \"track\"", 16, "`)`"),
            ("type = \"a\" and event = \"b\" or name = \"c\"", 28, "`and`: parentheses say"),
            ("properties = 1", 11, "`.` and a key"),
            ("properties. = 1", 12, "a key after"),
            ("event.x = 1", 8, "an operator, since"),
            ("contains(event \"x\")", 16, "`,`"),
            ("match(event, \"x\")", 14, "a pattern with `*`"),
            ("!(type = \"track\")", 2, "contains(…) or match(…)"),
            ("contains(type, \"x\")", 10, "event, name, userId"),
            ("properties.seats > 5.", 20, "a value"),
            ("Grüße", 1, "a field"),
        ] {
            let error = Trigger::parse(trigger).expect_err(trigger);
            assert_eq!(error.position, position, "{trigger}: {error}");
            assert!(error.expected.starts_with(expected), "{trigger}: {error}");
        }
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        let nested = |depth| format!("{}type = \"a\"{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Trigger::parse(&nested(50)).is_ok());
        assert!(Trigger::parse(&nested(51)).is_err());
        assert!(Trigger::parse(&"(".repeat(1_000_000)).is_err());
    }

    #[test]
    fn parentheses_inside_parentheses_hold_together() {
        let trigger = "((type = \"a\" or type = \"b\") and name = \"n\") or userId = \"u\"";
        assert!(matches(trigger, r#"{"type":"b","name":"n"}"#));
        assert!(!matches(trigger, r#"{"type":"b","name":"m"}"#));
        assert!(matches(trigger, r#"{"type":"c","userId":"u"}"#));
    }

    #[test]
    fn an_escape_in_the_event_is_read_by_its_meaning() {
        assert!(matches(r#"event = "Signed Up""#, r#"{"event":"Signed\u0020Up"}"#));
        assert!(matches(r#"properties.plan = "x""#, r#"{"properties":{"pl\u0061n":"x"}}"#));
    }

    #[test]
    fn keys_may_be_escaped_and_have_dashes() {
        assert!(matches("properties.is-new = true", r#"{"properties":{"is-new":true}}"#));
        assert!(matches(r"properties.a\ b = 1", r#"{"properties":{"a b":1}}"#));
    }
}
