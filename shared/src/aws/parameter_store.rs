//! The parameter tree in Parameter Store.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::sdk::Lazy;
use crate::settings::{Parameter, ParameterSource, SourceError};

/// The parameters below a path such as `/koala-destination/prod`.
#[derive(Debug)]
pub struct ParameterStore {
    client: Lazy<Client>,
    prefix: String,
}

impl ParameterStore {
    /// The tree below `prefix`.
    #[must_use]
    pub fn new(client: Lazy<Client>, prefix: &str) -> Self {
        Self { client, prefix: prefix.trim_end_matches('/').to_owned() }
    }
}

impl ParameterSource for ParameterStore {
    async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
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
            let page = page.map_err(|error| SourceError { place: self.prefix.clone(), reason: reason(&error) })?;
            parameters.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|parameter| {
                let name = parameter.name?.strip_prefix(&self.prefix)?.trim_start_matches('/').to_owned();
                Some(Parameter::new(name, parameter.value?))
            }));
        }
        Ok(parameters)
    }
}

/// The service's code and message, else what the way to it failed with.
pub(super) fn reason<E, R>(error: &SdkError<E, R>) -> String
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
