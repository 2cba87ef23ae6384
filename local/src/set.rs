//! The whole set in one process: started together, stopped together.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use koala_collector::credentials::PageTokens;
use koala_collector::networks::Networks;
use koala_collector::settings::CollectorSettingsCache;
use koala_collector::store::Store;
use koala_collector::store::alerts::AlertStore;
use koala_collector::store::postgres::DatabaseUrl;
use koala_collector::store::sqlite::file::SqliteFile;
use koala_collector::store::sqlite::{MIGRATIONS, SqliteStore};
use koala_collector::upkeep::Upkeep;
use koala_collector::web::{Access, Pipeline};
use koala_collector::{Extras, router_with};
use koala_destination::delivery::{Delivery, LONGEST_REQUEST};
use koala_destination::koala::{CollectorAddress, CollectorKind, KoalaClient, KoalaUrl};
use koala_destination::segment::Function;
use koala_destination::settings::{ParameterSource, SettingsCache};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bodies::Bodies;
use crate::consumer;
use crate::database;
use crate::environment::Environment;
use crate::gateway::{self, Intake};
use crate::own_handlers::OwnHandlers;
use crate::parameter_directory::{COLLECTOR_FOLDER, ParameterDirectory};
use crate::pipeline::LocalPipeline;
use crate::queue::Queues;
use crate::server::Server;
use crate::session_key;
use crate::signals::Signals;
use crate::unknown_parameters;

/// How often it is looked whether the collector's settings are others.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// How often pages are told at most that something changed in the queues.
const QUEUE_CHANGES_EVERY: Duration = Duration::from_millis(250);
/// How long a stop waits for deliveries under way: as long as a request may take, since one that is cut off may have arrived
/// and would be doubled after the next start; and then as long as the file may be busy before what came of it is recorded.
const GRACE_OF_DELIVERIES: Duration = LONGEST_REQUEST.saturating_add(Duration::from_secs(6));
/// How long a stop waits for requests to the gateway.
const GRACE: Duration = Duration::from_secs(5);

/// What a set is started with. Without `Debug`: the token and the database's password are among it.
pub struct Options<'a> {
    /// Where to listen.
    pub listen: &'a str,
    /// The parameter tree.
    pub parameters: &'a Path,
    /// The file that keeps visitors where there is no database; the queues are in one beside it.
    pub data: &'a Path,
    /// The database that keeps visitors, which several sets may share.
    pub database: Option<DatabaseUrl>,
    /// What opens the page and the API where others can reach them.
    pub token: Option<PageTokens>,
    /// Whether a proxy before the set is trusted to say whom a request comes from.
    pub trust_forwarded_for: bool,
    /// Where to deliver, and what kind of collector is there; none for `KOALA_URL`, or the collector in here.
    pub deliver_to: Option<CollectorAddress>,
}

/// Has the pages of a store look again.
type LookAgain = Box<dyn Fn() + Send + Sync>;

/// A running set.
pub struct LocalSet {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it delivers to.
    pub koala_url: KoalaUrl,
    /// The parameters.
    pub settings: Arc<SettingsCache<ParameterDirectory>>,
    /// Who may see the page and the API.
    pub page: PageState,
    /// The queues.
    pub queues: Queues,
    /// What the collector has.
    pub store: Arc<dyn Store>,
    stop_consumers: watch::Sender<bool>,
    consumers: JoinSet<()>,
    gateway: Server,
}

impl LocalSet {
    /// Starts the gateway and the consumers of both functions.
    ///
    /// `KOALA_URL` and the other environment variables hold here as they do for the functions.
    ///
    /// # Errors
    /// With what keeps it from starting: a variable, a parameter, the file, the address.
    pub async fn start(options: Options<'_>) -> Result<Self> {
        let Options { listen, parameters, data, database, deliver_to, token, trust_forwarded_for } = options;
        let Environment {
            settings_ttl,
            collector: address,
            intake: intake_options,
            mut delivery,
            own_collector,
            signals,
            networks,
        } = Environment::of_process()?;
        let CollectorAddress { url: koala_url, kind: collector } = deliver_to.unwrap_or(address);
        delivery.entry.collector = collector;

        let settings = SettingsCache::new(ParameterDirectory::new(parameters), settings_ttl);
        let settings = Arc::new(settings.with_collector(collector));
        settings.current().await?;
        warn_of_unknown(parameters).await?;
        let collector_settings =
            Arc::new(CollectorSettingsCache::of(ParameterDirectory::of_collector(parameters), settings_ttl));
        let of_page = collector_settings.current().await?;
        if token.is_none() {
            of_page.page_tokens().context("collector/page-token")?;
        }
        of_page.session_keys().context("collector/session-key")?;
        let file = SqliteFile::open(data, &MIGRATIONS)?;
        let networks = networks.map(Networks::open).transpose()?.map(Arc::new);
        let queues = Queues::open(&file).await?.keeping_ip(own_collector.keep_ip);
        let Kept { store, alerts, look_again } = Kept::open(database.as_ref(), file).await?;

        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let handlers = OwnHandlers::new(Arc::clone(&settings))?;
        let delivers_to = koala_url.as_ref().map(ToString::to_string);
        let koala_url = koala_url.map_or_else(|| KoalaUrl::parse(&format!("http://{}", reachable(address))), Ok)?;
        let client = KoalaClient::new(koala_url.clone())?;
        let client = match collector {
            CollectorKind::Own => client.with_collector_token(handlers.token()?),
            CollectorKind::Koala => client,
        };

        let pipeline = LocalPipeline {
            settings: Arc::clone(&settings),
            collector_settings: Arc::clone(&collector_settings),
            queues: queues.clone(),
            intake: intake_options,
            entry: delivery.entry.clone(),
            delivers_to,
        };
        let access = Access::of_set(address.ip()).with_session_keys(session_key::kept_beside(data)?);
        let access = token.into_iter().fold(access, Access::with_tokens);
        access.follow(&of_page);
        let page = PageState::of(&access);
        let pipeline: Arc<dyn Pipeline> = Arc::new(pipeline);
        let signals =
            Signals::new((Arc::clone(&store), alerts), Arc::clone(&collector_settings), signals, reachable(address))?;
        let extras = Extras { desk: Some(Arc::clone(&signals.desk)), networks, ..Extras::default() };
        let mut upkeep = Upkeep::new(
            collector_settings,
            Arc::clone(&store),
            access.clone(),
            Arc::clone(&pipeline),
            own_collector.retention,
        );
        upkeep.round().await?;
        let collector = router_with(Arc::clone(&store), pipeline, Arc::new(handlers), access, own_collector, extras);
        let intake = Intake {
            settings: Arc::clone(&settings),
            queues: queues.clone(),
            options: intake_options,
            trust_forwarded_for,
            bodies: Bodies::default(),
        };
        let router = gateway::router(intake, collector);
        let gateway = Server::start(listener.into_std()?, router)?;

        let (stop_consumers, stopping) = watch::channel(false);
        let mut consumers = JoinSet::new();
        let options = delivery;
        for function in Function::ALL {
            let delivery = Delivery::new(function, Arc::clone(&settings), client.clone(), options.clone());
            let delivery = Arc::new(delivery);
            let (queues, stopping) = (queues.clone(), stopping.clone());
            consumers.spawn(async move {
                let run = || consumer::run(queues.clone(), Arc::clone(&delivery), stopping.clone());
                consumer::keep_running(function.name(), stopping.clone(), run).await;
            });
        }
        work_beside(&mut consumers, upkeep, Arc::new(signals), &stopping);
        consumers.spawn(tell_pages(queues.changes(), look_again, stopping));
        Ok(Self { address, koala_url, settings, page, queues, store, stop_consumers, consumers, gateway })
    }

    /// The gateway's URL, as a client on this machine reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// Whether it delivers to the collector in here.
    #[must_use]
    pub fn delivers_to_itself(&self) -> bool {
        self.koala_url.to_string() == self.url()
    }

    /// Stops the set: the consumers after the batches that they have, then the gateway. The collector runs until then, so
    /// that what is under way can still arrive.
    pub async fn stop(mut self) {
        self.stop_consumers.send_replace(true);
        if timeout(GRACE_OF_DELIVERIES, async { while self.consumers.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("deliveries in flight are stopped; they are retried after the next start");
            self.consumers.shutdown().await;
        }
        self.gateway.stop(GRACE).await;
        if let Err(error) = self.queues.flush().await {
            tracing::warn!(%error, "the last counts are not kept");
        }
    }
}

/// Who may see the page and the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// Nobody, since others could reach them and no token is set.
    Closed,
    /// Who has a token.
    AsksForToken,
    /// Everybody on this machine.
    Open,
}

impl PageState {
    fn of(access: &Access) -> Self {
        match (access.is_closed(), access.asks_for_token()) {
            (true, _) => Self::Closed,
            (_, true) => Self::AsksForToken,
            _ => Self::Open,
        }
    }
}

/// What keeps the visitors of a set.
struct Kept {
    store: Arc<dyn Store>,
    /// The same, where alerts are kept.
    alerts: Arc<dyn AlertStore>,
    /// Has pages look again.
    look_again: LookAgain,
}

impl Kept {
    /// The database, or else the file.
    async fn open(database: Option<&DatabaseUrl>, file: SqliteFile) -> Result<Self> {
        let Some(url) = database else {
            let store = Arc::new(SqliteStore::new(file.clone()));
            let look_again = Box::new(move || file.have_pages_look_again());
            return Ok(Self { store: store.clone(), alerts: store, look_again });
        };
        let store = Arc::new(database::open(url).await?);
        let look_again = Arc::clone(&store);
        let look_again = Box::new(move || look_again.have_pages_look_again());
        Ok(Self { store: store.clone(), alerts: store, look_again })
    }
}

/// Says which parameters nobody reads: one that has moved would be missed without a word.
async fn warn_of_unknown(parameters: &Path) -> Result<()> {
    let of_collector = format!("{COLLECTOR_FOLDER}/");
    let destination = ParameterDirectory::new(parameters).read().await?;
    let collector = ParameterDirectory::of_collector(parameters).read().await?;
    let mut unknown = unknown_parameters::of_destination(&destination, &of_collector);
    unknown.extend(unknown_parameters::of_collector(&collector, &of_collector));
    for problem in unknown {
        tracing::warn!(%problem, "unknown parameter ignored");
    }
    Ok(())
}

/// What the collector does beside its requests.
fn work_beside(
    consumers: &mut JoinSet<()>,
    upkeep: Upkeep<ParameterDirectory>,
    signals: Arc<Signals>,
    stopping: &watch::Receiver<bool>,
) {
    let (upkeep, stopping_upkeep) = (Arc::new(Mutex::new(upkeep)), stopping.clone());
    consumers.spawn(async move {
        let run = || keep_up(Arc::clone(&upkeep), stopping_upkeep.clone());
        consumer::keep_running("upkeep", stopping_upkeep.clone(), run).await;
    });
    let stopping = stopping.clone();
    consumers.spawn(async move {
        let run = || Arc::clone(&signals).run(stopping.clone());
        consumer::keep_running("alerts", stopping.clone(), run).await;
    });
}

/// Keeps the collector to its settings until the set ends.
async fn keep_up(upkeep: Arc<Mutex<Upkeep<ParameterDirectory>>>, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        let more = upkeep.lock().await.round().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the collector's upkeep cannot go on; retrying");
            false
        });
        let pause = if more { Duration::ZERO } else { UPKEEP_EVERY };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.changed() => break,
        }
    }
}

/// Has pages look again when something changed in the queues, which are in a file of their own.
async fn tell_pages(mut changes: watch::Receiver<()>, look_again: LookAgain, mut stopping: watch::Receiver<bool>) {
    while !*stopping.borrow() {
        tokio::select! {
            told = changes.changed() => {
                if told.is_err() {
                    return;
                }
                look_again();
                tokio::time::sleep(QUEUE_CHANGES_EVERY).await;
            }
            _ = stopping.changed() => return,
        }
    }
}

/// `0.0.0.0` and `[::]` are addresses to listen on, not to send to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
