//! What a request came to, as metrics.
//!
//! | metric | what it says |
//! |---|---|
//! | `CredentialsRefused` | requests answered with 401, where there are some |
//! | `GzipReadAsText` | requests whose packed body was made text on its way here, where there are some |
//!
//! | field | what it counts |
//! |---|---|
//! | `Received`, `Accepted`, `Skipped`, `Rejected` | events |
//! | `SkippedNoMapping`, `SkippedIntegrations`, `SkippedConsent`, `SkippedBot`, `SkippedPixelInstalled` | events skipped, by reason, where there are some |
//! | `QueuedIdentifyVisitor`, `QueuedTrackEvent` | messages, by function |
//! | `Refused`, `Unavailable` | requests answered with 4xx, with 503 |

use super::Answer;
use super::refusals::GZIP_READ_AS_TEXT;
use crate::metrics::{Figures, Metric};
use crate::segment::Function;
use crate::settings::Freshness;

impl Figures for Answer {
    fn metrics(&self, _: Freshness) -> Vec<Metric> {
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
            Metric::Seldom("CredentialsRefused", usize::from(self.status == 401)),
            Metric::Seldom("GzipReadAsText", usize::from(self.code() == Some(GZIP_READ_AS_TEXT))),
        ];
        metrics.extend(counts.skipped.iter().map(|(reason, count)| Metric::Count(reason.metric(), count)));
        metrics
    }
}
