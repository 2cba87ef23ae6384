//! What the collector's functions are told; `infra/template.yaml` sets it.

use koala_destination::aws::environment::FunctionEnvironment;
use koala_destination::environment::{self, EnvironmentError, Variables};

use crate::CollectorOptions;

/// The user of the database that the functions are; `caretaker` alone is its administrator.
const DATABASE_USER: &str = "koala_app";

/// What all of the collector's functions are told.
#[derive(Debug)]
pub struct CollectorEnvironment {
    /// As every function.
    pub function: FunctionEnvironment,
    /// `COLLECTOR_PARAMETER_PREFIX`, required: the root of the collector's parameters, as `/koala-collector/prod`.
    pub collector_prefix: String,
    /// `DSQL_ENDPOINT`: the cluster of Aurora DSQL; without it the parameter `database-url` says where the database is.
    pub dsql_endpoint: Option<String>,
    /// Whom a cluster knows the function as.
    pub database_user: String,
    /// `PARAMETER_KEY_ARN`: the key of the parameters that are made, where it is not the account's own.
    pub parameter_key: Option<String>,
    /// `RETENTION_DAYS` and `KEEP_IP`.
    pub collector: CollectorOptions,
}

impl CollectorEnvironment {
    /// Reads it.
    pub fn read(variables: &mut Variables<'_>) -> Self {
        let collector_prefix = variables.required("COLLECTOR_PARAMETER_PREFIX");
        if !collector_prefix.is_empty() && !collector_prefix.starts_with('/') {
            variables.refuse("COLLECTOR_PARAMETER_PREFIX", "must begin with `/`, as in /koala-collector/prod");
        }
        Self {
            function: FunctionEnvironment::read(variables),
            collector_prefix,
            dsql_endpoint: variables.optional("DSQL_ENDPOINT"),
            database_user: DATABASE_USER.to_owned(),
            parameter_key: variables.optional("PARAMETER_KEY_ARN"),
            collector: CollectorOptions::read(variables),
        }
    }

    /// Whom a cluster knows the other functions as.
    #[must_use]
    pub fn application_user(&self) -> &'static str {
        DATABASE_USER
    }

    /// That of a function that is told more.
    ///
    /// # Errors
    /// With every variable that is missing or cannot be used.
    pub fn with<T>(more: impl FnOnce(&mut Variables<'_>) -> T) -> Result<(Self, T), EnvironmentError> {
        environment::read(environment::process, |variables| (Self::read(variables), more(variables)))
    }
}
