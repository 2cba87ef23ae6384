//! The function `collect`: Koala's protocol over the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use koala_destination::aws::init::before_the_first_event;
use lambda_http::Error;

use super::database::Database;
use super::doorbell::Doorbell;
use super::environment::CollectorEnvironment;
use super::parameters::SharedSettings;
use super::site::Site;
use crate::networks::{NetworkOptions, Networks};
use crate::protocol::keys::{Keys, KeysUnavailable};
use crate::protocol::routes;

/// What waking `signals` may add to a request.
const TIME_TO_RING: Duration = Duration::from_secs(1);

/// Runs the function.
///
/// # Errors
/// When the environment lacks something, which ends the function's init with the names of the variables.
#[allow(clippy::large_futures)] // once for the life of a function
pub async fn serve() -> Result<(), Error> {
    // `PUBLIC_COLLECT`, false: whether clients are served that have only the public key, as Koala's script in a browser.
    // `DOORBELL_QUEUE_URL`: where `signals` is woken.
    // `IP_DATABASE`, `IP_LOOKUP_URL`: what tells whose network an address is of.
    let (environment, (is_public, doorbell, networks)) = CollectorEnvironment::with(|variables| {
        let is_public = variables.flag("PUBLIC_COLLECT", false);
        (is_public, variables.optional("DOORBELL_QUEUE_URL"), NetworkOptions::read(variables))
    })?;
    let networks = networks.map(Networks::open).transpose()?.map(Arc::new);
    let sqs = environment.function.aws.sqs_within(TIME_TO_RING);
    let doorbell = doorbell.map(|url| Doorbell::new(sqs, url));
    let (settings, collector_settings) = environment.settings_by_name();
    let keys = Arc::new(OwnKeys { settings: Arc::clone(&settings), is_public });
    let database = Database::new(&environment, Arc::clone(&collector_settings))?;
    let keep_ip = environment.collector.keep_ip;
    let site = Site::new("collect", &environment, collector_settings, database, move |store| {
        routes::router_with(store, keys.clone(), keep_ip, networks.clone())
    });
    let site = site.with_doorbell(doorbell);
    before_the_first_event(settings.load_at_init(), site.connect()).await;
    site.serve().await
}

/// The keys of the workspace, and the token of the stack's own handlers.
struct OwnKeys {
    settings: SharedSettings,
    is_public: bool,
}

#[async_trait]
impl Keys for OwnKeys {
    async fn knows(&self, key: &str) -> Result<bool, KeysUnavailable> {
        self.settings.knows(key).await
    }

    async fn admits(&self, token: Option<&str>) -> Result<bool, KeysUnavailable> {
        match token {
            _ if self.is_public => Ok(true),
            Some(token) => self.is_of_own_handlers(token).await,
            None => Ok(false),
        }
    }

    async fn is_of_own_handlers(&self, token: &str) -> Result<bool, KeysUnavailable> {
        let settings = self.settings.current().await.map_err(|error| KeysUnavailable(error.to_string()))?;
        Ok(settings.collector_tokens().iter().any(|own| own.is(token.as_bytes())))
    }
}
