//! How long to wait: before the next request in an invocation, and in the queue.

use std::time::Duration;

/// The first pause between two requests of an invocation; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longer pauses belong to the queue, where waiting costs nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// SQS hides a message for at most 12 hours, counted from its receipt
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>).
const LONGEST_VISIBILITY_TIMEOUT: Duration = Duration::from_mins(719);

/// How long a message that failed stays out of sight, by how often it was received.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// After the first failure; it doubles with each.
    pub first_delay: Duration,
    /// The delay grows no further; short enough that a recovery is noticed soon.
    pub longest_delay: Duration,
}

impl RetryPolicy {
    /// The delay after the `receive_count`th failure, up to half as long again by `jitter` (0 to 1), so that what failed
    /// together does not come back together.
    #[must_use]
    pub fn delay(&self, receive_count: u32, jitter: f64) -> Duration {
        let doublings = receive_count.saturating_sub(1).min(31);
        let delay = self.first_delay.saturating_mul(1 << doublings).min(self.longest_delay);
        // Cut before it is multiplied, so that no setting overflows.
        let delay = delay.min(LONGEST_VISIBILITY_TIMEOUT);
        delay.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0).min(LONGEST_VISIBILITY_TIMEOUT)
    }

    /// The delay of what has to be retried of one visitor: that of the message received most often, or what the collector
    /// asks for where that is longer.
    #[must_use]
    pub fn delay_of_visitor(&self, receive_count: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
        self.delay(receive_count, jitter).max(retry_after.unwrap_or_default()).min(LONGEST_VISIBILITY_TIMEOUT)
    }
}

/// The pause before the next request of an invocation: full jitter (0 to 1) over a doubling range, and never shorter than
/// what the collector asks for.
pub fn pause(attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let range = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    range.mul_f64(jitter.clamp(0.0, 1.0)).max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { first_delay: Duration::from_secs(30), longest_delay: Duration::from_mins(15) };

    #[test]
    fn the_delay_doubles_from_30_s_to_15_min() {
        let seconds: Vec<u64> = (1..=7).map(|count| POLICY.delay(count, 0.0).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(POLICY.delay(u32::MAX, 1.0).as_secs(), 1350);
    }

    #[test]
    fn no_setting_makes_a_delay_overflow() {
        let policy = RetryPolicy { first_delay: Duration::MAX, longest_delay: Duration::MAX };
        assert!(policy.delay(u32::MAX, 1.0) < Duration::from_hours(12));
        assert!(policy.delay_of_visitor(1, Some(Duration::MAX), 1.0) < Duration::from_hours(12));
    }

    /// `maxReceiveCount` in infra/template.yaml is five times as many, since crashes and throttled polls count as well.
    #[test]
    fn sixty_receipts_ride_out_twelve_hours() {
        let total: Duration = (1..=60).map(|count| POLICY.delay(count, 0.0)).sum();
        assert!(total >= Duration::from_hours(12), "{total:?}");
    }

    #[test]
    fn a_pause_is_as_long_as_koala_asks_at_least() {
        assert_eq!(pause(1, Some(Duration::from_secs(3)), 0.5), Duration::from_secs(3));
        assert_eq!(pause(1, None, 1.0), Duration::from_millis(200));
        assert_eq!(pause(40, None, 1.0), LONGEST_PAUSE);
    }
}
