//! Settings that stay fresh: read once, served from memory, refreshed in one call however many wait.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::Mutex;

use super::{InvalidSettings, Parameter, ParameterSource, ParameterTree, Problem, Settings, SourceError};
use crate::collector_kind::CollectorKind;

/// How long after a failed refresh the next is tried, so that an outage of the source is not met with a call an event.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long who has settings waits for fresher ones. A source that answers slower than this is down: nobody is kept waiting
/// for it, least of all Segment.
const LONGEST_REFRESH: Duration = Duration::from_millis(500);

/// The settings that `T` reads from a tree of parameters, cached for a time to live.
#[derive(Debug)]
pub struct SettingsCache<S, T = Settings> {
    source: S,
    time_to_live: Duration,
    /// What makes settings of a tree.
    read_tree: fn(&[Parameter]) -> Result<T, InvalidSettings>,
    cached: RwLock<Cached<T>>,
    /// Held while the source is read: those who wait for it find the fresh settings when they get it.
    refreshing: Mutex<()>,
}

#[derive(Debug)]
struct Cached<T> {
    settings: Option<Arc<T>>,
    fresh_until: Option<Instant>,
    read_at: Option<Instant>,
    /// Why what was read last could not be used; nothing while the settings are those of the source.
    problems: Vec<Problem>,
}

/// How fresh settings are, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// How long ago they were read; none when they never were.
    pub age: Option<Duration>,
    /// Whether the last try to read them failed, so that older ones serve on or none do.
    pub stale: bool,
}

/// There are no settings to serve with: passing, since the source may come back or the tree be fixed.
#[derive(Debug, Error)]
pub enum SettingsUnavailable {
    /// The source cannot be read, and nothing was read before.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The tree is not valid, and nothing valid was read before.
    #[error("the settings are not valid: {0}")]
    Invalid(#[from] InvalidSettings),
    /// A refresh failed a moment ago, and nothing was read before.
    #[error("the settings could not be read a moment ago; the next try is within {} s", PAUSE_AFTER_FAILURE.as_secs())]
    Lately,
}

impl SettingsUnavailable {
    fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Invalid(invalid) => invalid.problems.clone(),
            Self::Source(_) | Self::Lately => {
                vec![Problem { parameter: String::new(), message: self.to_string() }]
            }
        }
    }
}

impl<S: ParameterSource> SettingsCache<S> {
    /// A cache over `source` of the destination's settings, as they are with any collector; nothing is read yet.
    pub fn new(source: S, time_to_live: Duration) -> Self {
        Self::of(source, time_to_live)
    }

    /// The same, of the settings as they are with that kind of collector: its presets are others.
    #[must_use]
    pub fn with_collector(self, collector: CollectorKind) -> Self {
        let read_tree: fn(&[Parameter]) -> _ = match collector {
            CollectorKind::Own => |parameters| Settings::from_parameters(parameters, CollectorKind::Own),
            CollectorKind::Koala => |parameters| Settings::from_parameters(parameters, CollectorKind::Koala),
        };
        Self { read_tree, ..self }
    }
}

impl<S: ParameterSource, T: ParameterTree> SettingsCache<S, T> {
    /// A cache of other settings over `source`; nothing is read yet.
    pub fn of(source: S, time_to_live: Duration) -> Self {
        Self {
            source,
            time_to_live,
            read_tree: T::from_parameters,
            cached: RwLock::new(Cached { settings: None, fresh_until: None, read_at: None, problems: Vec::new() }),
            refreshing: Mutex::new(()),
        }
    }

    /// The settings: from memory while they are fresh, else read again. When that fails, or takes half a second, the last good
    /// ones serve on.
    ///
    /// # Errors
    /// Only when no good settings were ever read.
    pub async fn current(&self) -> Result<Arc<T>, SettingsUnavailable> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        if let Some(last_good) = self.last_good() {
            return Ok(self.refresh(last_good).await);
        }
        let _one_at_a_time = self.refreshing.lock().await;
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        if self.failed_lately() {
            return Err(SettingsUnavailable::Lately);
        }
        self.read().await
    }

    /// Reads the settings when the process begins. A failure is logged and no more: the first event retries.
    pub async fn load_at_init(&self) {
        if let Err(error) = self.current().await {
            tracing::error!(%error, "no settings at init; retrying with the first event");
        }
    }

    /// The settings read again, when `stale` did not serve: the collector refused its key, or it lacks a mapping. Many who ask at
    /// once cost one read.
    ///
    /// # Errors
    /// When they cannot be read; `stale` is then the best there is.
    pub async fn newer_than(&self, stale: &Arc<T>) -> Result<Arc<T>, SettingsUnavailable> {
        let _one_at_a_time = self.refreshing.lock().await;
        match self.last_good() {
            Some(newer) if !Arc::ptr_eq(&newer, stale) => Ok(newer),
            _ => self.read().await,
        }
    }

    /// Fresher settings than `last_good`, or those while somebody else reads or the source does not answer.
    async fn refresh(&self, last_good: Arc<T>) -> Arc<T> {
        let Ok(_one_at_a_time) = self.refreshing.try_lock() else { return last_good };
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        match tokio::time::timeout(LONGEST_REFRESH, self.read()).await {
            Ok(Ok(settings)) => return settings,
            Ok(Err(error)) => tracing::warn!(%error, "settings not refreshed; the last good ones serve on"),
            Err(_) => {
                let longest = LONGEST_REFRESH.as_millis();
                self.defer_refresh(format!("not read within {longest} ms"));
                tracing::warn!("settings not refreshed within {longest} ms; the last good ones serve on");
            }
        }
        last_good
    }

    async fn read(&self) -> Result<Arc<T>, SettingsUnavailable> {
        let read = match self.source.read().await {
            Ok(parameters) => (self.read_tree)(&parameters).map(Arc::new).map_err(SettingsUnavailable::from),
            Err(error) => Err(error.into()),
        };
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        cached.fresh_until = Some(Instant::now() + if read.is_ok() { self.time_to_live } else { PAUSE_AFTER_FAILURE });
        match &read {
            Ok(settings) => {
                cached.settings = Some(Arc::clone(settings));
                cached.read_at = Some(Instant::now());
                cached.problems.clear();
            }
            Err(error) => cached.problems = error.problems(),
        }
        read
    }

    fn defer_refresh(&self, message: String) {
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        cached.fresh_until = Some(Instant::now() + PAUSE_AFTER_FAILURE);
        cached.problems = vec![Problem { parameter: String::new(), message }];
    }

    /// What is wrong with the parameters as they are now, while the last good settings serve on: each problem under the name of its
    /// parameter, which is empty where the whole tree could not be read. Nothing while the settings are fresh.
    pub fn problems(&self) -> Vec<Problem> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).problems.clone()
    }

    fn fresh(&self) -> Option<Arc<T>> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        cached.settings.clone().filter(|_| cached.fresh_until.is_some_and(|until| Instant::now() < until))
    }

    /// How fresh the settings are.
    pub fn freshness(&self) -> Freshness {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        Freshness { age: cached.read_at.map(|read_at| read_at.elapsed()), stale: !cached.problems.is_empty() }
    }

    fn failed_lately(&self) -> bool {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        cached.settings.is_none() && cached.fresh_until.is_some_and(|until| Instant::now() < until)
    }

    /// The settings that were read last, however long ago; nothing is read.
    pub fn last_good(&self) -> Option<Arc<T>> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).settings.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::settings::Parameter;

    /// A source that counts its reads and gives a new key with each, or fails while `down`.
    #[derive(Default)]
    struct Counting {
        reads: AtomicUsize,
        down: std::sync::atomic::AtomicBool,
    }

    impl ParameterSource for &Counting {
        async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let read = self.reads.fetch_add(1, Ordering::SeqCst);
            if self.down.load(Ordering::SeqCst) {
                return Err(SourceError { place: "/tree".to_owned(), reason: "away".to_owned() });
            }
            Ok(vec![Parameter::new("public-api-key", format!("pk_{read}"))])
        }
    }

    fn key(settings: Result<Arc<Settings>, SettingsUnavailable>) -> String {
        settings.expect("settings").public_api_key().as_str().to_owned()
    }

    #[tokio::test]
    async fn many_who_wait_cost_one_read() {
        let source = Counting::default();
        let cache = SettingsCache::new(&source, Duration::from_mins(5));
        futures_util::future::join_all((0..50).map(|_| cache.current())).await;
        assert_eq!(source.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_last_good_settings_serve_on_when_a_refresh_fails() {
        let source = Counting::default();
        let cache = SettingsCache::new(&source, Duration::ZERO);
        assert_eq!(key(cache.current().await), "pk_0");
        assert!(!cache.freshness().stale);
        source.down.store(true, Ordering::SeqCst);
        assert_eq!(key(cache.current().await), "pk_0");
        assert_eq!(source.reads.load(Ordering::SeqCst), 2);
        assert!(cache.freshness().stale && cache.freshness().age.is_some());
    }

    #[tokio::test]
    async fn stale_settings_say_which_parameter_is_wrong_and_fresh_ones_nothing() {
        struct Written(std::sync::Mutex<&'static str>);
        impl ParameterSource for &Written {
            async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
                let value = (*self.0.lock().expect("a lock")).to_owned();
                Ok(vec![Parameter::new("public-api-key", value)])
            }
        }
        let source = Written(std::sync::Mutex::new("pk_1"));
        let cache = SettingsCache::new(&source, Duration::ZERO);
        cache.current().await.expect("settings");
        assert_eq!(cache.problems(), []);
        *source.0.lock().expect("a lock") = "a/b";
        assert_eq!(key(cache.current().await), "pk_1");
        let problems = cache.problems();
        assert_eq!(problems.iter().map(|problem| problem.parameter.as_str()).collect::<Vec<_>>(), ["public-api-key"]);
        assert!(problems[0].message.contains("character 2"), "{problems:?}");
        *source.0.lock().expect("a lock") = "pk_2";
        cache.newer_than(&cache.current().await.expect("settings")).await.expect("settings");
        assert_eq!(cache.problems(), []);
    }

    /// Reads once, then never answers.
    #[derive(Default)]
    struct Hanging {
        reads: AtomicUsize,
    }

    impl ParameterSource for &Hanging {
        async fn read(&self) -> Result<Vec<Parameter>, SourceError> {
            if self.reads.fetch_add(1, Ordering::SeqCst) > 0 {
                std::future::pending::<()>().await;
            }
            Ok(vec![Parameter::new("public-api-key", "pk_0")])
        }
    }

    #[tokio::test]
    async fn a_source_that_hangs_keeps_nobody_waiting_who_has_settings() {
        let source = Hanging::default();
        let cache = SettingsCache::new(&source, Duration::ZERO);
        cache.current().await.expect("settings");
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(key(cache.current().await), "pk_0");
        }
        // One of them waited for half a second, and the next is due after five.
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(source.reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_source_that_is_down_is_not_asked_for_every_event() {
        let source = Counting::default();
        source.down.store(true, Ordering::SeqCst);
        let cache = SettingsCache::new(&source, Duration::from_mins(5));
        for _ in 0..10 {
            cache.current().await.expect_err("no settings");
        }
        assert_eq!(source.reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_refused_key_is_read_again_once_for_all_who_were_refused() {
        let source = Counting::default();
        let cache = SettingsCache::new(&source, Duration::from_mins(5));
        let refused = cache.current().await.expect("settings");
        let after = futures_util::future::join_all((0..10).map(|_| cache.newer_than(&refused))).await;
        assert!(after.into_iter().all(|settings| key(settings) == "pk_1"));
        assert_eq!(source.reads.load(Ordering::SeqCst), 2);
    }
}
