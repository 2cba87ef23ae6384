//! What a batch came to, as metrics.
//!
//! | metric | what it says |
//! |---|---|
//! | `Failing` | 1 when nothing was delivered and something has to be retried, for no reason that has a metric of its own |
//! | `CollectorUnavailable`, `KeyRefused` | requests that found ingest suspended or the host gone; whose key was not taken |
//! | `Dead` | dead letters, where there are some |
//!
//! | field | what it counts |
//! |---|---|
//! | `Delivered`, `Skipped`, `Retried` | messages |
//! | `CollectorRequests`, `CollectorFailed` | requests to the collector, and those that it did not take |
//! | `CollectorLatency` | each request's time in milliseconds |

use super::BatchCounts;
use crate::metrics::{Figures, Metric};
use crate::settings::Freshness;

impl Figures for BatchCounts {
    fn metrics(&self, settings: Freshness) -> Vec<Metric> {
        let requests = &self.requests;
        // Without any settings no delivery was tried, and `SettingsStale` says so.
        let failing = self.is_failing() && settings.age.is_some();
        let mut metrics = vec![
            Metric::Count("Delivered", self.delivered),
            Metric::Count("Skipped", self.skipped),
            Metric::Count("Retried", self.retried),
            Metric::Seldom("Dead", self.dead),
            Metric::Count("CollectorRequests", requests.latencies.len()),
            Metric::Count("CollectorFailed", requests.failed),
            Metric::Alarmed("Failing", usize::from(failing)),
            Metric::Alarmed("CollectorUnavailable", requests.unavailable),
            Metric::Alarmed("KeyRefused", requests.key_refused),
        ];
        if !requests.latencies.is_empty() {
            metrics.push(Metric::Milliseconds("CollectorLatency", requests.latencies.clone()));
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::CollectorRequests;

    const FRESH: Freshness = Freshness { age: Some(Duration::from_secs(1)), stale: false };

    #[test]
    fn a_batch_s_metrics_are_its_counts() {
        let latencies = vec![Duration::from_millis(7); 130];
        let requests = CollectorRequests { latencies: latencies.clone(), failed: 4, unavailable: 2, key_refused: 1 };
        let counts = BatchCounts { delivered: 90, skipped: 1, retried: 7, dead: 2, requests };
        let metrics = counts.metrics(FRESH);
        for metric in [
            Metric::Count("Delivered", 90),
            Metric::Count("Skipped", 1),
            Metric::Count("Retried", 7),
            Metric::Seldom("Dead", 2),
            Metric::Count("CollectorRequests", 130),
            Metric::Count("CollectorFailed", 4),
            Metric::Alarmed("CollectorUnavailable", 2),
            Metric::Alarmed("KeyRefused", 1),
        ] {
            assert!(metrics.contains(&metric), "{metric:?}");
        }
        assert!(metrics.contains(&Metric::Milliseconds("CollectorLatency", latencies)));
    }

    #[test]
    fn a_batch_without_a_request_has_no_latency() {
        let metrics = BatchCounts::default().metrics(FRESH);
        let none =
            |metric: &Metric| matches!(metric, Metric::Count(_, 0) | Metric::Alarmed(_, 0) | Metric::Seldom(_, 0));
        assert!(metrics.iter().all(none), "{metrics:?}");
    }

    #[test]
    fn a_batch_is_failing_when_it_delivered_nothing_and_no_other_metric_says_why() {
        let failing =
            |counts: &BatchCounts, settings| counts.metrics(settings).contains(&Metric::Alarmed("Failing", 1));
        let retried = BatchCounts { retried: 2, ..BatchCounts::default() };
        assert!(failing(&retried, FRESH));
        // Stale settings serve on.
        assert!(failing(&retried, Freshness { stale: true, ..FRESH }));
        assert!(!failing(&retried, Freshness { age: None, stale: true }));
        let unavailable = CollectorRequests { failed: 2, unavailable: 1, ..CollectorRequests::default() };
        let refused = CollectorRequests { failed: 2, key_refused: 2, ..CollectorRequests::default() };
        for counts in [
            BatchCounts::default(),
            BatchCounts { delivered: 1, ..retried.clone() },
            BatchCounts { requests: unavailable, ..retried.clone() },
            BatchCounts { requests: refused, ..retried },
        ] {
            assert!(!failing(&counts, FRESH), "{counts:?}");
        }
    }
}
