//! The settings of the destination: one tree of parameters, read and validated whole.
//!
//! | parameter | meaning |
//! |---|---|
//! | `public-api-key` | required; the workspace's key at Koala |
//! | `webhook-secret` | proves requests by `X-Signature`; one a line, any of them serves |
//! | `bearer-token` | proves requests by `Authorization: Bearer …`; one a line |
//! | `write-keys` | proves requests of Segment's SDKs; one a line |
//! | `mappings/<name>` | a mapping as JSON; none at all means the two presets |
//!
//! The collector's parameters are a tree of their own, which the collector reads.

mod cache;
mod directory;
mod public_api_key;
mod source;
mod token;

pub use cache::{SettingsCache, SettingsUnavailable};
pub use directory::{COLLECTOR_FOLDER, ParameterDirectory};
pub use public_api_key::{ParsePublicApiKeyError, PublicApiKey};
pub use source::{Parameter, ParameterSource, ParameterTree, SourceError};
pub use token::Token;

use std::fmt;

use thiserror::Error;

use crate::segment::{Action, Event, Mapping, SharedSecret};

/// The most mappings that a destination may have, as in Segment
/// (<https://segment.com/docs/connections/destinations/actions/#faq-and-troubleshooting>).
pub const MOST_MAPPINGS: usize = 50;

/// A valid tree of parameters.
#[derive(Debug, Clone)]
pub struct Settings {
    public_api_key: PublicApiKey,
    proofs: Proofs,
    mappings: Vec<Mapping>,
    presets: [Mapping; 2],
}

/// What a request can prove itself with.
#[derive(Debug, Clone, Default)]
pub struct Proofs {
    /// Any of these may have signed a body.
    pub webhook_secrets: Vec<SharedSecret>,
    /// Any of these may stand in `Authorization: Bearer …`.
    pub bearer_tokens: Vec<Token>,
    /// Any of these may be an SDK's write key.
    pub write_keys: Vec<Token>,
}

impl Proofs {
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
        matches!(name, "public-api-key" | "webhook-secret" | "bearer-token" | "write-keys")
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
        Self::from_parameters(parameters)
    }
}

impl Settings {
    /// Validates a whole tree.
    ///
    /// # Errors
    /// With every problem in it, each under the name of its parameter. Values of secrets are never repeated.
    pub fn from_parameters(parameters: &[Parameter]) -> Result<Self, InvalidSettings> {
        let mut problems = Vec::new();
        let mut public_api_key = None;
        let mut proofs = Proofs::default();
        let mut mappings = Vec::new();
        let mut mapping_count = 0;

        for Parameter { name, value } in parameters {
            let mut problem = |message: String| problems.push(Problem { parameter: name.clone(), message });
            match name.as_str() {
                "public-api-key" => match PublicApiKey::parse(value) {
                    Ok(key) => public_api_key = Some(key),
                    Err(error) => problem(error.to_string()),
                },
                "webhook-secret" => match lines(value).map(SharedSecret::parse).collect::<Result<Vec<_>, _>>() {
                    Ok(secrets) if !secrets.is_empty() => proofs.webhook_secrets = secrets,
                    Ok(_) => {
                        problem("is empty: remove it, or give it the secret of the webhook destination".to_owned());
                    }
                    Err(error) => problem(error.to_string()),
                },
                "bearer-token" | "write-keys" => {
                    let tokens: Vec<Token> = lines(value).filter_map(Token::parse).collect();
                    if tokens.is_empty() {
                        problem("is empty: remove it, or give it at least one token, one a line".to_owned());
                    } else if name == "bearer-token" {
                        proofs.bearer_tokens = tokens;
                    } else {
                        proofs.write_keys = tokens;
                    }
                }
                _ => {
                    if let Some(mapping) = name.strip_prefix("mappings/") {
                        mapping_count += 1;
                        match Mapping::parse(mapping, value) {
                            Ok(mapping) => mappings.push(mapping),
                            Err(found) => found.iter().for_each(|found| problem(found.to_string())),
                        }
                    }
                }
            }
        }

        if mapping_count > MOST_MAPPINGS {
            let message =
                format!("there are {mapping_count}, and a destination has at most {MOST_MAPPINGS}: remove some");
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
                let presets = Action::ALL.map(Mapping::preset);
                if mapping_count == 0 {
                    mappings = presets.to_vec();
                }
                Ok(Self { public_api_key, proofs, mappings, presets })
            }
            _ => Err(InvalidSettings { problems }),
        }
    }

    /// The workspace's key at Koala.
    #[must_use]
    pub fn public_api_key(&self) -> &PublicApiKey {
        &self.public_api_key
    }

    /// What a request can prove itself with.
    #[must_use]
    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// The mappings by name, the presets when none is configured.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The mapping with that name; also a preset that a mapping of one's own has replaced since, for messages that were
    /// queued before.
    #[must_use]
    pub fn mapping(&self, name: &str) -> Option<&Mapping> {
        self.mappings.iter().chain(&self.presets).find(|mapping| mapping.name() == name)
    }

    /// The enabled mappings whose trigger takes the event, each with whether it is *another* one of its action: Koala keeps
    /// one entry of a message id, so the second and third of an action deliver under one of their own.
    pub fn mappings_that_take<'s>(&'s self, event: &'s Event<'_>) -> impl Iterator<Item = (&'s Mapping, bool)> {
        let mut actions_taken = [false; Action::ALL.len()];
        self.mappings.iter().filter(|mapping| mapping.takes(event)).map(move |mapping| {
            let another = std::mem::replace(&mut actions_taken[mapping.action() as usize], true);
            (mapping, another)
        })
    }
}

fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, value: &str) -> Parameter {
        Parameter { name: name.to_owned(), value: value.to_owned() }
    }

    const TRACK: &str = r#"{"trigger":"type = \"track\"","action":"track-event"}"#;

    #[test]
    fn the_presets_serve_when_no_mapping_is_configured() {
        let settings = Settings::from_parameters(&[parameter("public-api-key", "pk_1")]).expect("settings");
        let names: Vec<_> = settings.mappings().iter().map(Mapping::name).collect();
        assert_eq!(names, ["identify-visitor", "track-event"]);
    }

    #[test]
    fn one_mapping_of_ones_own_replaces_both_presets() {
        let tree = [parameter("public-api-key", "pk_1"), parameter("mappings/mine", TRACK)];
        let settings = Settings::from_parameters(&tree).expect("settings");
        assert_eq!(settings.mappings().iter().map(Mapping::name).collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn every_problem_is_named_by_its_parameter_and_no_secret_is_repeated() {
        let mut tree = vec![
            parameter("public-api-key", "pk hunter2"),
            parameter("webhook-secret", " \n"),
            parameter("mappings/bad", "{"),
        ];
        tree.extend((0..MOST_MAPPINGS).map(|n| parameter(&format!("mappings/m{n}"), TRACK)));
        let error = Settings::from_parameters(&tree).expect_err("problems");
        let named: Vec<_> = error.problems.iter().map(|problem| problem.parameter.as_str()).collect();
        assert_eq!(named, ["public-api-key", "webhook-secret", "mappings/bad", "mappings"]);
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_missing_key_is_a_problem() {
        let error = Settings::from_parameters(&[]).expect_err("problems");
        assert!(error.to_string().starts_with("public-api-key: is missing"));
    }
}
