//! Triggers: which events a mapping takes.
//!
//! The two triggers of the presets are known so far: `type = "identify"` and `type = "track"`.

use thiserror::Error;

use super::Event;

/// A condition on an event, parsed once when the settings load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The `type` that an event must have.
    kind: String,
}

/// What is wrong with a trigger's text.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("at character {position}: expected {expected}")]
pub struct TriggerError {
    /// Where, counted in characters from 1.
    pub position: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl Trigger {
    /// Parses `type = "…"`.
    ///
    /// # Errors
    /// With the position and what was expected there.
    pub fn parse(text: &str) -> Result<Self, TriggerError> {
        let mut rest = text;
        take(text, &mut rest, "type", "`type`, the field that the presets test")?;
        take(text, &mut rest, "=", "`=`")?;
        let kind = ["identify", "track"].into_iter().find_map(|kind| {
            let quoted = rest.trim_start().strip_prefix('"')?.strip_prefix(kind)?.strip_prefix('"')?;
            Some((kind, quoted))
        });
        let Some((kind, left)) = kind else {
            return Err(error_at(text, rest.trim_start(), "\"identify\" or \"track\""));
        };
        if !left.trim().is_empty() {
            return Err(error_at(text, left.trim_start(), "the end of the trigger"));
        }
        Ok(Self { kind: kind.to_owned() })
    }

    /// Whether the event is one that the trigger asks for.
    #[must_use]
    pub fn matches(&self, event: &Event<'_>) -> bool {
        event.kind() == self.kind
    }
}

fn take(text: &str, rest: &mut &str, token: &str, expected: &'static str) -> Result<(), TriggerError> {
    let trimmed = rest.trim_start();
    match trimmed.strip_prefix(token) {
        Some(left) => {
            *rest = left;
            Ok(())
        }
        None => Err(error_at(text, trimmed, expected)),
    }
}

fn error_at(text: &str, rest: &str, expected: &'static str) -> TriggerError {
    let before = text.len() - rest.len();
    TriggerError { position: text[..before].chars().count() + 1, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_parse_with_any_spacing() {
        assert!(Trigger::parse("type = \"track\"").is_ok());
        assert!(Trigger::parse(" type=\"identify\" ").is_ok());
    }

    #[test]
    fn an_error_names_the_place_and_what_was_expected() {
        let error = Trigger::parse("type = 'track'").expect_err("no trigger");
        assert_eq!(error.to_string(), "at character 8: expected \"identify\" or \"track\"");
        assert_eq!(Trigger::parse("").expect_err("no trigger").position, 1);
        assert_eq!(Trigger::parse("type = \"track\" x").expect_err("no trigger").position, 16);
    }
}
