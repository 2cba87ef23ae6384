//! The store in its database, connected when it is first needed, and again where the parameter names another one.

use koala_destination::aws::sdk::AwsEnvironment;
use koala_destination::settings::SettingsUnavailable;
use thiserror::Error;
use tokio::sync::Mutex;

use super::environment::CollectorEnvironment;
use super::parameters::SharedCollectorSettings;
use crate::store::postgres::token::{DsqlTokens, TokenError};
use crate::store::postgres::{DatabaseUrl, PostgresError, PostgresOptions, PostgresStore};
use crate::store::{Store, StoreError};

/// A function does one thing at a time, and a few of its statements beside each other.
const CONNECTIONS: usize = 4;

/// The database cannot be used now.
#[derive(Debug, Error)]
pub enum DatabaseUnavailable {
    /// Nobody says where it is.
    #[error("the parameter database-url is missing, or is not a database URL")]
    NotSaid,
    /// The parameters cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsUnavailable),
    /// No token opens it.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It cannot be reached, or refuses us.
    #[error(transparent)]
    Database(#[from] PostgresError),
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the store is.
pub struct Database {
    settings: SharedCollectorSettings,
    /// The cluster, where it is not the parameter that says so.
    cluster: Option<DatabaseUrl>,
    /// Who signs the tokens of a cluster.
    aws: AwsEnvironment,
    opened: Mutex<Option<(DatabaseUrl, PostgresStore)>>,
}

impl Database {
    /// That of a function.
    ///
    /// # Errors
    /// When the cluster's endpoint is no host.
    pub fn new(environment: &CollectorEnvironment, settings: SharedCollectorSettings) -> Result<Self, PostgresError> {
        let cluster = environment.dsql_endpoint.as_ref();
        let cluster = cluster
            .map(|host| DatabaseUrl::parse(&format!("postgres://{}@{host}/postgres", environment.database_user)));
        Ok(Self {
            settings,
            cluster: cluster.transpose()?,
            aws: environment.function.aws.clone(),
            opened: Mutex::default(),
        })
    }

    /// How it is connected to.
    ///
    /// # Errors
    /// When nobody says where it is.
    pub async fn options(&self) -> Result<PostgresOptions, DatabaseUnavailable> {
        let url = self.url().await?;
        let options = PostgresOptions::new(url.clone()).connections(CONNECTIONS);
        if url.is_dsql() && !url.has_password() {
            return Ok(options.passwords(DsqlTokens::new(&url, self.aws.credentials())?));
        }
        Ok(options)
    }

    async fn url(&self) -> Result<DatabaseUrl, DatabaseUnavailable> {
        match &self.cluster {
            Some(cluster) => Ok(cluster.clone()),
            None => self.settings.current().await?.database().cloned().ok_or(DatabaseUnavailable::NotSaid),
        }
    }

    /// The store, which keeps to the settings as they are now; and whether it is another one than before.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn store(&self) -> Result<(PostgresStore, bool), DatabaseUnavailable> {
        let options = self.options().await?;
        let url = options.url().clone();
        let mut opened = self.opened.lock().await;
        let before = opened.as_ref().filter(|(of, _)| *of == url).map(|(_, store)| store.clone());
        let is_new = before.is_none();
        let store = match before {
            Some(store) => store,
            None => PostgresStore::attach(options).await?,
        };
        if is_new {
            *opened = Some((url, store.clone()));
        }
        drop(opened);
        let settings = self.settings.current().await?;
        store.note_each_of(&settings.signals().rules_of_some());
        if let Some(exclude) = settings.exclude() {
            store.follow_exclude(exclude).await?;
        }
        Ok((store, is_new))
    }
}
