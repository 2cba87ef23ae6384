//! What the collector of the stack adds to a month, on Aurora DSQL.

use serde::Serialize;

use super::prices::{
    API, GB, IDLE_POLLS_PER_SECOND, LAMBDA_GB_SECOND, LAMBDA_REQUESTS, LOGS_GB, METRIC, MILLION, SECONDS_OF_A_MONTH,
    SQS, TRACES,
};
use super::usage::{MEMORY_GB, Usage};

/// Aurora DSQL, a million DPU, and a GB a month (<https://aws.amazon.com/rds/aurora/dsql/pricing/>).
const DPU: f64 = 8.00;
const STORED_GB: f64 = 0.33;
/// DPU of a row that is written, and of one that is read: by its bytes, at least so many
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/understanding-dpus.html>).
const DPU_OF_A_WRITTEN_BYTE: f64 = 0.000_048_83;
const LEAST_WRITTEN_BYTES: f64 = 1024.0;
const DPU_OF_A_READ_BYTE: f64 = 0.000_001_83;
const LEAST_READ_BYTES: f64 = 2048.0;
/// Compute is billed beside them; as much again is what to plan with until `TotalDPU` in `CloudWatch` says better.
const WITH_COMPUTE: f64 = 2.0;
/// Rows that a request of one visitor writes beside its entries (what was done, where from, intent, identity, words), and that it reads.
const WRITTEN_BESIDE: f64 = 40.0;
const READ: f64 = 20.0;
/// An entry with its indexes and all that hangs on it.
const STORED_BYTES: f64 = 3000.0;
/// `RetentionDays`, as a month has 30.
const KEPT_MONTHS: f64 = 400.0 / 30.0;
/// A request of `collect`.
const COLLECT_SECONDS: f64 = 0.05;
/// `signals` and `caretaker` run each minute, for so long when nothing is to be done.
const SCHEDULED_A_MINUTE: f64 = 2.0;
const SCHEDULED_SECONDS: f64 = 0.05;
/// Bytes in the logs of one of these: the platform's lines and that of the metrics.
const SCHEDULED_LOG_BYTES: f64 = 1500.0;
/// The metrics that have a value each minute: `StoreUnavailable`, and `SettingsStale`, which the other functions give as well once events
/// come.
const METRICS_OF_ALL: f64 = 1.0;
const METRICS_WITHOUT_EVENTS: f64 = 2.0;
/// The alarms of infra/template.yaml that the collector adds.
const ALARMS: f64 = 5.0 * 0.10;

/// What a month adds, in US dollars.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OwnBill {
    database: f64,
    storage: f64,
    collect: f64,
    schedules: f64,
    doorbell: f64,
    metrics_and_alarms: f64,
}

impl OwnBill {
    /// That of so many events a month, when as much is stored as is kept.
    pub fn of(usage: &Usage, events: f64) -> Self {
        let requests = events * usage.koala_requests;
        let written = events + requests * WRITTEN_BESIDE;
        let dpu = written * LEAST_WRITTEN_BYTES * DPU_OF_A_WRITTEN_BYTE
            + requests * READ * LEAST_READ_BYTES * DPU_OF_A_READ_BYTE;
        let scheduled = SECONDS_OF_A_MONTH / 60.0 * SCHEDULED_A_MINUTE;
        let metrics = if events > 0.0 { METRICS_OF_ALL } else { METRICS_WITHOUT_EVENTS };
        let lambda = |count: f64, seconds: f64| {
            count / MILLION * LAMBDA_REQUESTS + count * seconds * MEMORY_GB * LAMBDA_GB_SECOND
        };
        Self {
            database: dpu * WITH_COMPUTE / MILLION * DPU,
            storage: events * KEPT_MONTHS * STORED_BYTES / 1e9 * STORED_GB,
            collect: requests / MILLION * API[0] + lambda(requests, COLLECT_SECONDS),
            // X-Ray keeps the first request of each second, which nearly all of these are.
            schedules: lambda(scheduled, SCHEDULED_SECONDS)
                + scheduled * (TRACES / MILLION + SCHEDULED_LOG_BYTES / GB * LOGS_GB),
            doorbell: IDLE_POLLS_PER_SECOND * SECONDS_OF_A_MONTH / MILLION * SQS,
            metrics_and_alarms: metrics * METRIC + ALARMS,
        }
    }

    /// Each line with its name, the sum last.
    pub fn lines(&self) -> [(&'static str, f64); 7] {
        let Self { database, storage, collect, schedules, doorbell, metrics_and_alarms } = *self;
        [
            ("Aurora DSQL, DPU", database),
            ("Aurora DSQL, storage", storage),
            ("collect", collect),
            ("signals and caretaker", schedules),
            ("Doorbell, polled", doorbell),
            ("Metrics and alarms", metrics_and_alarms),
            ("All", database + storage + collect + schedules + doorbell + metrics_and_alarms),
        ]
    }
}
