//! Which parameters each function may read: by name, but for those who need whole trees.

use std::sync::Arc;

use koala_destination::aws::parameter_store::ParameterStore;
use koala_destination::koala::CollectorKind;
use koala_destination::settings::SettingsCache;

use super::environment::CollectorEnvironment;
use crate::settings::CollectorSettingsCache;

/// What `collect` reads of the destination's: whose requests are taken. Secrets of intake are not among it.
const OF_DESTINATION: &[&str] = &["public-api-key", "collector-token"];
/// What `collect` reads of the collector's: where visitors are kept, and who is kept out of the ranking.
const OF_COLLECTOR: &[&str] = &["database-url", "exclude"];

/// The destination's settings.
pub type SharedSettings = Arc<SettingsCache<ParameterStore>>;
/// The collector's.
pub type SharedCollectorSettings = Arc<CollectorSettingsCache<ParameterStore>>;

impl CollectorEnvironment {
    /// What `collect` reads.
    #[must_use]
    pub fn settings_by_name(&self) -> (SharedSettings, SharedCollectorSettings) {
        let destination = self.store(&self.function.parameter_prefix).only(OF_DESTINATION);
        let collector = self.store(&self.collector_prefix).only(OF_COLLECTOR);
        (self.destination(destination), self.collector(collector))
    }

    /// The destination's whole tree.
    #[must_use]
    pub fn settings(&self) -> SharedSettings {
        self.destination(self.store(&self.function.parameter_prefix))
    }

    /// The collector's whole tree.
    #[must_use]
    pub fn collector_settings(&self) -> SharedCollectorSettings {
        self.collector(self.store(&self.collector_prefix))
    }

    fn store(&self, prefix: &str) -> ParameterStore {
        ParameterStore::new(self.function.aws.ssm(), prefix)
    }

    fn destination(&self, source: ParameterStore) -> SharedSettings {
        Arc::new(SettingsCache::new(source, self.function.settings_ttl).with_collector(CollectorKind::Own))
    }

    fn collector(&self, source: ParameterStore) -> SharedCollectorSettings {
        Arc::new(CollectorSettingsCache::of(source, self.function.settings_ttl))
    }
}
