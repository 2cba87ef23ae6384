//! What requests to the collector came to, as metrics.
//!
//! | metric | what it says |
//! |---|---|
//! | `StoreUnavailable` | requests and rounds that found no database |
//!
//! | field | what it counts |
//! |---|---|
//! | `Requests` | requests and rounds |

use koala_destination::metrics::{Figures, Metric};
use koala_destination::settings::Freshness;

/// One request, or one round of work.
#[derive(Debug, Clone, Copy)]
pub struct Requested {
    /// Whether the database could not be reached.
    pub is_unavailable: bool,
}

impl Figures for Requested {
    fn metrics(&self, settings: Freshness) -> Vec<Metric> {
        // Without any settings nothing was asked of the database, and `SettingsStale` says so.
        let unavailable = self.is_unavailable && settings.age.is_some();
        vec![Metric::Count("Requests", 1), Metric::Alarmed("StoreUnavailable", usize::from(unavailable))]
    }
}
