//! Alerts in this process: evaluated and sent beside the requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use koala_collector::settings::CollectorSettingsCache;
use koala_collector::signals::SignalsOptions;
use koala_collector::signals::deliver::Deliver;
use koala_collector::signals::desk::{Desk, SignalsDesk};
use koala_collector::signals::outbound::Client;
use koala_collector::signals::watch::Watch;
use koala_collector::signals::work::SignalsWork;
use koala_collector::store::Store;
use koala_collector::store::alerts::AlertStore;
use tokio::sync::{Mutex, watch};

use crate::parameter_directory::ParameterDirectory;

/// How often it is looked whether an alert goes off, and whether one is due.
const EVERY: Duration = Duration::from_millis(500);

/// The alerts at work, and as people look at them.
pub struct Signals {
    work: Arc<Mutex<SignalsWork>>,
    /// For the page and the API.
    pub desk: Arc<dyn Desk>,
}

impl Signals {
    /// Alerts over a store, which is one behind its two ports. Links lead to where the set listens, where nothing else is set.
    pub fn new(
        (store, alerts): (Arc<dyn Store>, Arc<dyn AlertStore>),
        settings: Arc<CollectorSettingsCache<ParameterDirectory>>,
        mut options: SignalsOptions,
        reachable: SocketAddr,
    ) -> Result<Self> {
        if options.page_url.is_none() {
            options.page_url = format!("http://{reachable}").parse().ok();
        }
        let client = Client::new(options.reach)?;
        let watch = Watch::new(Arc::clone(&store), Arc::clone(&alerts), options);
        let deliver = Deliver::new(store, Arc::clone(&alerts), client.clone());
        let work = SignalsWork::new(settings.clone(), watch, deliver);
        let desk = Arc::new(SignalsDesk::new(settings, alerts, client));
        Ok(Self { work: Arc::new(Mutex::new(work)), desk })
    }

    /// Evaluates and sends until the set ends; what is on its way then is waited for.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let more = self.work.lock().await.round().await.unwrap_or_else(|error| {
                tracing::error!(%error, "alerts cannot be evaluated; retrying");
                false
            });
            let pause = if more { Duration::ZERO } else { EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.changed() => break,
            }
        }
        self.work.lock().await.finish().await;
    }
}
