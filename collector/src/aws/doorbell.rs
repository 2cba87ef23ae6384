//! How `collect` wakes `signals`: a message says that something changed, and not what. That stands in the database, and a schedule
//! each minute rings for what was forgotten.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::Client;
use koala_destination::aws::parameter_store::reason;
use koala_destination::aws::sdk::Lazy;

/// How often one process rings at most. The queue holds a message back for longer (`DelaySeconds`, 3 s): whoever is woken sees all
/// that came within this time.
const EVERY: Duration = Duration::from_secs(2);

/// The queue of `signals`.
pub struct Doorbell {
    sqs: Lazy<Client>,
    url: String,
    /// By the clock of the wall, since a frozen process has no other.
    rung_at: Mutex<Option<SystemTime>>,
}

impl Doorbell {
    /// That with this URL.
    #[must_use]
    pub fn new(sqs: Lazy<Client>, url: String) -> Self {
        Self { sqs, url, rung_at: Mutex::default() }
    }

    /// Rings, unless it was done a moment ago. A failure is logged: the schedule rings within a minute.
    pub async fn ring(&self) {
        if !self.is_due(SystemTime::now()) {
            return;
        }
        if let Err(error) = self.sqs.get().send_message().queue_url(&self.url).message_body("{}").send().await {
            tracing::warn!(
                reason = reason(&error),
                "cannot wake the function signals; its schedule runs it within a minute"
            );
        }
    }

    fn is_due(&self, now: SystemTime) -> bool {
        let mut rung_at = self.rung_at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back says nothing: then it rings.
        let is_due = rung_at.is_none_or(|at| now.duration_since(at).map_or(true, |passed| passed >= EVERY));
        if is_due {
            *rung_at = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use koala_destination::aws::sdk::AwsEnvironment;
    use koala_destination::environment;

    use super::*;

    #[test]
    fn many_requests_ring_once_in_two_seconds_also_after_the_clock_was_set_back() {
        let set = |name: &str| name.starts_with("AWS_").then(|| "x".to_owned()).filter(|_| !name.contains("CA_"));
        let aws = environment::read(set, AwsEnvironment::read).expect("an environment");
        let doorbell = Doorbell::new(aws.sqs_within(EVERY), String::new());
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let due: Vec<_> = [100, 101, 102, 103, 50, 51].map(|seconds| doorbell.is_due(at(seconds))).into();
        assert_eq!(due, [true, false, true, false, true, false]);
    }
}
