//! The parameter tree in Parameter Store.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::sdk::Lazy;
use crate::settings::{Parameter, ParameterSource, SourceError};

/// `GetParameters` takes at most ten names
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html>).
const MOST_NAMES: usize = 10;

/// The parameters below a path such as `/koala-destination/prod`: all of them, or some by their names.
#[derive(Debug)]
pub struct ParameterStore {
    client: Lazy<Client>,
    prefix: String,
    /// None for the whole tree.
    names: Option<&'static [&'static str]>,
}

impl ParameterStore {
    /// The tree below `prefix`.
    #[must_use]
    pub fn new(client: Lazy<Client>, prefix: &str) -> Self {
        Self { client, prefix: prefix.trim_end_matches('/').to_owned(), names: None }
    }

    /// Only these of them, at most ten: what a function does not need it may not read.
    #[must_use]
    pub fn only(self, names: &'static [&'static str]) -> Self {
        Self { names: Some(&names[..names.len().min(MOST_NAMES)]), ..self }
    }

    fn parameter(&self, parameter: aws_sdk_ssm::types::Parameter) -> Option<Parameter> {
        let name = parameter.name?.strip_prefix(&self.prefix)?.trim_start_matches('/').to_owned();
        Some(Parameter::new(name, parameter.value?))
    }

    fn unreadable(&self, reason: String) -> SourceError {
        SourceError { place: self.prefix.clone(), reason }
    }

    async fn read_named(&self, names: &[&str]) -> Result<Vec<Parameter>, SourceError> {
        let names = names.iter().map(|name| format!("{}/{name}", self.prefix)).collect();
        let read = self.client.get().get_parameters().set_names(Some(names)).with_decryption(true).send().await;
        let read = read.map_err(|error| self.unreadable(reason(&error)))?;
        Ok(read.parameters.unwrap_or_default().into_iter().filter_map(|it| self.parameter(it)).collect())
    }
}

impl ParameterSource for ParameterStore {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
        if let Some(names) = self.names {
            return self.read_named(names).await;
        }
        let mut parameters = Vec::new();
        // GetParametersByPath gives at most ten a page.
        let mut pages = self
            .client
            .get()
            .get_parameters_by_path()
            .path(&self.prefix)
            .recursive(true)
            .with_decryption(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.unreadable(reason(&error)))?;
            parameters.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|it| self.parameter(it)));
        }
        Ok(parameters)
    }
}

/// The service's code and message, else what the way to it failed with.
pub fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => DisplayErrorContext(error).to_string(),
    }
}
