//! The settings of the destination: one tree of parameters, read and validated whole.
//!
//! | parameter | meaning |
//! |---|---|
//! | `public-api-key` | required; the workspace's key at Koala |
//! | `webhook-secret` | signs requests (`X-Signature`); one a line, any of them serves |
//! | `bearer-token` | lets requests in by `Authorization: Bearer …`; one a line |
//! | `write-keys` | lets Segment's SDKs in; one a line |
//! | `collector-token` | shown to the stack's own collector; one a line, the first is shown and any is taken |
//! | `mappings/<name>` | a mapping as JSON; one of a preset's name replaces the preset |
//!
//! The collector's parameters are a tree of their own, which the collector reads.

mod cache;
mod public_api_key;
mod source;
mod token;
mod warnings;

pub use cache::{Freshness, SettingsCache, SettingsUnavailable};
pub use public_api_key::{ParsePublicApiKeyError, PublicApiKey};
pub use source::{Parameter, ParameterSource, ParameterTree, SourceError};
pub use token::Token;

use std::fmt;

use thiserror::Error;

use crate::collector_kind::CollectorKind;
use crate::segment::{Action, Event, Mapping, SharedSecret};

/// The most mappings that may be in force, presets counted, as in Segment
/// (<https://segment.com/docs/connections/destinations/actions/#faq-and-troubleshooting>).
pub const MOST_MAPPINGS: usize = 50;

/// A valid tree of parameters.
#[derive(Debug, Clone)]
pub struct Settings {
    public_api_key: PublicApiKey,
    credentials: Credentials,
    collector_tokens: Vec<Token>,
    /// Own ones and the presets that none of them replaces, by name.
    mappings: Vec<Mapping>,
    /// All presets, for messages that were queued before one was replaced.
    presets: [Mapping; 5],
}

/// The credentials that a request may have.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Any of these may have signed a body.
    pub webhook_secrets: Vec<SharedSecret>,
    /// Any of these may stand in `Authorization: Bearer …`.
    pub bearer_tokens: Vec<Token>,
    /// Any of these may be an SDK's write key.
    pub write_keys: Vec<Token>,
}

impl Credentials {
    /// Whether there is none, so that every request is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.webhook_secrets.is_empty() && self.bearer_tokens.is_empty() && self.write_keys.is_empty()
    }
}

/// The parameters that mean nothing here: a name that is mistyped, perhaps.
#[must_use]
pub fn unknown_parameters(parameters: &[Parameter]) -> Vec<&str> {
    let known = |name: &str| {
        matches!(name, "public-api-key" | "webhook-secret" | "bearer-token" | "write-keys" | "collector-token")
            || name.starts_with("mappings/")
    };
    parameters.iter().map(|parameter| parameter.name.as_str()).filter(|name| !known(name)).collect()
}

/// Everything that is wrong with a tree of parameters; never only the first problem.
#[derive(Debug, Error)]
pub struct InvalidSettings {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, by the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The parameter, relative to the tree's root.
    pub parameter: String,
    /// What is wrong and what to change.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.parameter, self.message)
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            write!(formatter, "{}{problem}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl ParameterTree for Settings {
    fn from_parameters(parameters: &[Parameter]) -> Result<Self, InvalidSettings> {
        Self::from_parameters(parameters, CollectorKind::Koala)
    }
}

impl Settings {
    /// Validates the whole tree, for this kind of collector at the other end.
    ///
    /// # Errors
    /// With every problem in it, each under the name of its parameter. Values of secrets are never repeated.
    pub fn from_parameters(parameters: &[Parameter], collector: CollectorKind) -> Result<Self, InvalidSettings> {
        let mut problems = Vec::new();
        let mut public_api_key = None;
        let mut credentials = Credentials::default();
        let mut collector_tokens = Vec::new();
        let mut mappings = Vec::new();

        for parameter in parameters {
            let (name, value) = (&parameter.name, parameter.value());
            let mut problem = |message: String| problems.push(Problem { parameter: name.clone(), message });
            match name.as_str() {
                "public-api-key" => match PublicApiKey::parse(value) {
                    Ok(key) => public_api_key = Some(key),
                    Err(error) => problem(error.to_string()),
                },
                "webhook-secret" => match lines(value).map(SharedSecret::parse).collect::<Result<Vec<_>, _>>() {
                    Ok(secrets) if !secrets.is_empty() => credentials.webhook_secrets = secrets,
                    Ok(_) => {
                        problem("is empty: remove it, or give it the secret of the webhook destination".to_owned());
                    }
                    Err(error) => problem(error.to_string()),
                },
                "bearer-token" | "write-keys" | "collector-token" => {
                    let tokens: Vec<Token> = lines(value).filter_map(Token::parse).collect();
                    if tokens.is_empty() {
                        problem("is empty: remove it, or give it at least one token, one a line".to_owned());
                    } else if name == "bearer-token" {
                        credentials.bearer_tokens = tokens;
                    } else if name == "write-keys" {
                        credentials.write_keys = tokens;
                    } else {
                        collector_tokens = tokens;
                    }
                }
                _ => {
                    if let Some(mapping) = name.strip_prefix("mappings/") {
                        match Mapping::parse(mapping, value) {
                            Ok(mapping) => mappings.push(mapping),
                            Err(found) => found.iter().for_each(|found| problem(found.to_string())),
                        }
                    }
                }
            }
        }

        let presets = Mapping::presets(collector);
        let is_replaced =
            |preset: &Mapping| parameters.iter().any(|it| it.name.strip_prefix("mappings/") == Some(preset.name()));
        mappings.extend(presets.iter().filter(|preset| preset.is_enabled() && !is_replaced(preset)).cloned());
        let in_force = mappings.iter().filter(|mapping| mapping.is_enabled()).count();
        if in_force > MOST_MAPPINGS {
            let message =
                format!("{in_force} are in force, presets counted, and at most {MOST_MAPPINGS} may be: remove some");
            problems.push(Problem { parameter: "mappings".to_owned(), message });
        }
        if public_api_key.is_none() && !problems.iter().any(|problem| problem.parameter == "public-api-key") {
            problems.push(Problem {
                parameter: "public-api-key".to_owned(),
                message: "is missing: put the workspace's Public API Key there".to_owned(),
            });
        }
        match public_api_key {
            Some(public_api_key) if problems.is_empty() => {
                mappings.sort_by(|a, b| a.name().cmp(b.name()));
                Ok(Self { public_api_key, credentials, collector_tokens, mappings, presets })
            }
            _ => Err(InvalidSettings { problems }),
        }
    }

    /// The workspace's key at Koala.
    #[must_use]
    pub fn public_api_key(&self) -> &PublicApiKey {
        &self.public_api_key
    }

    /// The credentials that a request may have.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What the stack's own handlers show to its collector: the first; any is taken, so that one can be replaced.
    #[must_use]
    pub fn collector_tokens(&self) -> &[Token] {
        &self.collector_tokens
    }

    /// The mappings by name: those of one's own, on or off, and the presets that are in force.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The presets that are off with this kind of collector, and that no parameter replaces.
    pub fn presets_off(&self) -> impl Iterator<Item = &Mapping> {
        let is_replaced = |preset: &Mapping| self.mappings.iter().any(|mapping| mapping.name() == preset.name());
        self.presets.iter().filter(move |preset| !preset.is_enabled() && !is_replaced(preset))
    }

    /// The mapping with that name; also a preset that is not in force, for messages that were queued while it was.
    #[must_use]
    pub fn mapping(&self, name: &str) -> Option<&Mapping> {
        self.mappings.iter().chain(&self.presets).find(|mapping| mapping.name() == name)
    }

    /// The enabled mappings that take the event, each with whether it is *another* one of its action: Koala keeps one entry
    /// of a message id, so the second and third of an action deliver under one of their own. A preset skips an event
    /// that a mapping of one's own takes with its action.
    pub fn mappings_that_take<'s>(&'s self, event: &'s Event<'_>) -> impl Iterator<Item = (&'s Mapping, bool)> {
        let mut actions_taken = [false; Action::ALL.len()];
        let mut taking = Vec::new();
        for own in self.mappings.iter().filter(|mapping| !mapping.is_preset() && mapping.takes(event)) {
            let another = std::mem::replace(&mut actions_taken[own.action() as usize], true);
            taking.push((own, another));
        }
        for preset in self.mappings.iter().filter(|mapping| mapping.is_preset()) {
            if !actions_taken[preset.action() as usize] && preset.takes(event) {
                taking.push((preset, false));
            }
        }
        taking.into_iter()
    }

    /// The mapping of one's own, of a preset's action, that takes an event which the preset would take else.
    #[must_use]
    pub fn own_in_place_of(&self, preset: &Mapping, event: &Event<'_>) -> Option<&Mapping> {
        let own = |mapping: &&Mapping| !mapping.is_preset() && mapping.action() == preset.action();
        let own = || self.mappings.iter().filter(own).find(|mapping| mapping.takes(event));
        (preset.is_preset() && preset.takes(event)).then(own).flatten()
    }
}

fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
