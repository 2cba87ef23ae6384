//! What an event takes of AWS, by arithmetic.

use clap::Args;
use serde::Serialize;

#[derive(Args)]
#[command(after_help = "Examples:
  cargo koala-bench cost                             none, 1 M, 100 M and 10 B events a month, a hundred in a request
  cargo koala-bench cost --events-per-request 1      Segment's webhook without batching
  cargo koala-bench cost --json                      a line for a script

docs/cost.md has the words to it, and what the ceilings are.")]
pub struct Options {
    /// How many events Segment sends in a request.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub events_per_request: u32,
    /// How many events of one visitor come together, as a session's do.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub events_per_visitor: u32,
    /// Koala's time for a request.
    #[arg(long, default_value_t = 50, value_name = "MS")]
    pub koala_milliseconds: u32,
    /// One line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// What an event takes of AWS, on average.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// Requests to API Gateway, and invocations of dispatch.
    pub api_requests: f64,
    /// Calls of SQS: sends by dispatch, receipts and deletions by Lambda's poller.
    pub sqs_calls: f64,
    /// Invocations of the delivering functions.
    pub batches: f64,
    /// Requests to Koala.
    pub koala_requests: f64,
    /// What is billed of Lambda's time, in GB-seconds, at 256 MB.
    pub gb_seconds: f64,
    /// What is logged.
    pub log_bytes: f64,
    /// What leaves AWS for Koala.
    pub sent_bytes: f64,
}

/// A full batch of the event source mapping, as in `infra/template.yaml`.
const BATCH: f64 = 100.0;
/// SQS sends, gives out and deletes ten messages in a call.
pub const SQS_BATCH: f64 = 10.0;
/// What an invocation of dispatch takes: its own work is microseconds, its calls of SQS run at once.
pub const DISPATCH_SECONDS: f64 = 0.015;
/// What an invocation of delivery takes beside Koala's time.
pub const DELIVERY_SECONDS: f64 = 0.010;
/// Requests to Koala at once, as `CONCURRENT_REQUESTS`.
pub const CONCURRENT_REQUESTS: f64 = 8.0;
/// Memory of each function in GB.
pub const MEMORY_GB: f64 = 0.25;
/// The lines that the core logs: of a request with its metrics, of a batch with its metrics, of a request to Koala; and what
/// Lambda adds to each invocation (START, END, REPORT) and API Gateway to each request.
const LINES_OF_A_REQUEST: f64 = 813.0 + 380.0 + 210.0;
const LINES_OF_A_BATCH: f64 = 899.0 + 380.0;
const LINE_OF_A_KOALA_REQUEST: f64 = 338.0;
/// An entry of a request to Koala: an event of 1.5 KB without what Koala has no use for.
const ENTRY_BYTES: f64 = 1350.0;

impl Usage {
    /// The arithmetic of docs/cost.md.
    pub fn by_arithmetic(options: &Options) -> Self {
        let requests = 1.0 / f64::from(options.events_per_request);
        // A request's events go to two queues, a call for every ten of each.
        let in_a_call = (f64::from(options.events_per_request) / 2.0).clamp(1.0, SQS_BATCH);
        let batches = 1.0 / BATCH;
        let koala_requests = 1.0 / f64::from(options.events_per_visitor).min(30.0);
        let rounds = (koala_requests * BATCH / CONCURRENT_REQUESTS).ceil();
        let batch_seconds = DELIVERY_SECONDS + rounds * f64::from(options.koala_milliseconds) / 1000.0;
        Self {
            api_requests: requests,
            sqs_calls: 1.0 / in_a_call + 2.0 / SQS_BATCH,
            batches,
            koala_requests,
            gb_seconds: (requests * DISPATCH_SECONDS + batches * batch_seconds) * MEMORY_GB,
            log_bytes: requests * LINES_OF_A_REQUEST
                + batches * LINES_OF_A_BATCH
                + koala_requests * LINE_OF_A_KOALA_REQUEST,
            sent_bytes: ENTRY_BYTES,
        }
    }
}
