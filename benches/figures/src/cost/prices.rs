//! What AWS takes for it.

use serde::Serialize;

use super::usage::Usage;

/// Which prices these are.
pub const OF: &str = "list prices of us-east-1, arm64, without the free tier";

/// HTTP API, a million requests: up to 300 million, and above (<https://aws.amazon.com/api-gateway/pricing/>).
pub const API: [f64; 2] = [1.00, 0.90];
/// Lambda, a million requests, and a GB-second on arm64 (<https://aws.amazon.com/lambda/pricing/>).
pub const LAMBDA_REQUESTS: f64 = 0.20;
pub const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
/// SQS standard queues, a million calls of up to 64 KB (<https://aws.amazon.com/sqs/pricing/>).
pub const SQS: f64 = 0.40;
/// `CloudWatch` Logs, a GB taken in (<https://aws.amazon.com/cloudwatch/pricing/>), a metric and an alarm's metric a month.
pub const LOGS_GB: f64 = 0.50;
/// a dashboard, of which an account has three free.
pub const METRIC: f64 = 0.30;
const ALARM_METRIC: f64 = 0.10;
const DASHBOARD: f64 = 3.00;
/// The metrics that have a value whenever a function runs, of the table in `metrics`; one without a value in an hour costs nothing
/// in it. And the alarms of infra/template.yaml, each on one metric.
const METRICS: f64 = 4.0;
const ALARM_METRICS: f64 = 15.0;
/// Lambda's poller asks an empty queue from five connections, each of which waits for 10 s
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>).
pub const IDLE_POLLS_PER_SECOND: f64 = 5.0 / 10.0;
const QUEUES: f64 = 2.0;
/// KMS, ten thousand calls: a read of the settings decrypts three parameters, each warm instance reads every 300 s.
const KMS: f64 = 0.03;
/// X-Ray, a million traces, of which its default rule keeps 5 % (<https://aws.amazon.com/xray/pricing/>).
pub const TRACES: f64 = 5.00;
const SAMPLED: f64 = 0.05;
/// Data out to the internet, a GB.
const OUT_GB: f64 = 0.09;

pub const MILLION: f64 = 1e6;
pub const GB: f64 = 1e9;
pub const SECONDS_OF_A_MONTH: f64 = 30.0 * 24.0 * 3600.0;

/// A month's bill, in US dollars.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bill {
    api_gateway: f64,
    lambda: f64,
    sqs: f64,
    parameter_store: f64,
    logs: f64,
    metrics_and_alarms: f64,
    dashboard: f64,
    traces: f64,
    data_out: f64,
}

impl Bill {
    /// Each line with its name, the sum last.
    pub fn lines(&self) -> [(&'static str, f64); 10] {
        let lines = [
            ("API Gateway", self.api_gateway),
            ("Lambda", self.lambda),
            ("SQS", self.sqs),
            ("Parameter Store (KMS)", self.parameter_store),
            ("Logs", self.logs),
            ("Metrics and alarms", self.metrics_and_alarms),
            ("Dashboard", self.dashboard),
            ("X-Ray", self.traces),
            ("Data out to the collector", self.data_out),
        ];
        let mut all = [("All", lines.iter().map(|(_, dollars)| dollars).sum()); 10];
        all[..9].copy_from_slice(&lines);
        all
    }
}

/// The bill of so many events a month.
pub fn bill(usage: &Usage, events: f64) -> Bill {
    let requests = events * usage.api_requests / MILLION;
    // Without events no function runs. Else at least one instance of each is warm all month; at more load, as many as its time
    // needs.
    let runs = f64::from(u8::from(events > 0.0));
    let warm = runs * 3.0_f64.max(events * usage.gb_seconds / 0.25 / SECONDS_OF_A_MONTH * 2.0);
    let decryptions = warm * SECONDS_OF_A_MONTH / 300.0 * 3.0;
    Bill {
        api_gateway: requests.min(300.0) * API[0] + (requests - 300.0).max(0.0) * API[1],
        lambda: events * (usage.api_requests + usage.batches) / MILLION * LAMBDA_REQUESTS
            + events * usage.gb_seconds * LAMBDA_GB_SECOND,
        sqs: (events * usage.sqs_calls + QUEUES * IDLE_POLLS_PER_SECOND * SECONDS_OF_A_MONTH) / MILLION * SQS,
        parameter_store: decryptions / 10_000.0 * KMS,
        logs: events * usage.log_bytes / GB * LOGS_GB,
        metrics_and_alarms: runs * METRICS * METRIC + ALARM_METRICS * ALARM_METRIC,
        dashboard: DASHBOARD,
        traces: requests * SAMPLED * TRACES,
        data_out: events * usage.sent_bytes / GB * OUT_GB,
    }
}
