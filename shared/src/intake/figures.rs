//! What a request came to, as metrics.
//!
//! | metric | unit | what it counts |
//! |---|---|---|
//! | `Received`, `Accepted`, `Skipped`, `Rejected` | Count | events |
//! | `SkippedNoMapping`, `SkippedIntegrations`, `SkippedConsent`, `SkippedBot`, `SkippedPixelInstalled` | Count | events skipped, by reason, where there are some |
//! | `QueuedIdentifyVisitor`, `QueuedTrackEvent` | Count | messages, by function |
//! | `Refused`, `Unavailable` | Count | requests answered with 4xx, with 503 |

use super::Answer;
use crate::metrics::{Figures, Metric};
use crate::segment::Function;

impl Figures for Answer {
    fn metrics(&self) -> Vec<Metric> {
        let counts = self.counts();
        let queued = |function: Function| counts.queued.iter().filter(|queued| **queued == function).count();
        let mut metrics = vec![
            Metric::Count("Received", counts.accepted + counts.skipped.total() + counts.rejected),
            Metric::Count("Accepted", counts.accepted),
            Metric::Count("Skipped", counts.skipped.total()),
            Metric::Count("Rejected", counts.rejected),
            Metric::Count("QueuedIdentifyVisitor", queued(Function::IdentifyVisitor)),
            Metric::Count("QueuedTrackEvent", queued(Function::TrackEvent)),
            Metric::Count("Refused", usize::from((400..500).contains(&self.status))),
            Metric::Count("Unavailable", usize::from(self.status >= 500)),
        ];
        metrics.extend(counts.skipped.iter().map(|(reason, count)| Metric::Count(reason.metric(), count)));
        metrics
    }
}
