//! What a batch came to, as metrics.
//!
//! | metric | unit | what it counts |
//! |---|---|---|
//! | `Delivered`, `Skipped`, `Retried`, `Dead` | Count | messages |
//! | `KoalaRequests`, `KoalaFailed` | Count | requests to the collector, and those that it did not take |
//! | `KoalaUnavailable`, `KeyRefused` | Count | of these, ingest suspended or host gone; key not taken |
//! | `KoalaLatency` | Milliseconds | each request's time |

use super::BatchCounts;
use crate::metrics::{Figures, Metric};

impl Figures for BatchCounts {
    fn metrics(&self) -> Vec<Metric> {
        let requests = &self.requests;
        let mut metrics = vec![
            Metric::Count("Delivered", self.delivered),
            Metric::Count("Skipped", self.skipped),
            Metric::Count("Retried", self.retried),
            Metric::Count("Dead", self.dead),
            Metric::Count("KoalaRequests", requests.latencies.len()),
            Metric::Count("KoalaFailed", requests.failed),
            Metric::Count("KoalaUnavailable", requests.unavailable),
            Metric::Count("KeyRefused", requests.key_refused),
        ];
        if !requests.latencies.is_empty() {
            metrics.push(Metric::Milliseconds("KoalaLatency", requests.latencies.clone()));
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::KoalaRequests;

    #[test]
    fn a_batch_s_metrics_are_its_counts() {
        let latencies = vec![Duration::from_millis(7); 130];
        let requests = KoalaRequests { latencies: latencies.clone(), failed: 4, unavailable: 2, key_refused: 1 };
        let counts = BatchCounts { delivered: 90, skipped: 1, retried: 7, dead: 2, requests };
        let metrics = counts.metrics();
        for (name, value) in [
            ("Delivered", 90),
            ("Skipped", 1),
            ("Retried", 7),
            ("Dead", 2),
            ("KoalaRequests", 130),
            ("KoalaFailed", 4),
            ("KoalaUnavailable", 2),
            ("KeyRefused", 1),
        ] {
            assert!(metrics.contains(&Metric::Count(name, value)), "{name}");
        }
        assert!(metrics.contains(&Metric::Milliseconds("KoalaLatency", latencies)));
    }

    #[test]
    fn a_batch_without_a_request_has_no_latency() {
        let metrics = BatchCounts::default().metrics();
        assert!(metrics.iter().all(|metric| matches!(metric, Metric::Count(_, 0))), "{metrics:?}");
    }
}
