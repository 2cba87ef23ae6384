//! `koala-bench cost`: what a month costs on AWS, by arithmetic, beside a run of the same pipeline that counts.

mod own;
mod prices;
mod run;
mod usage;

pub use usage::Options;

use std::process::ExitCode;

use anyhow::Result;
use koala_local::output::outln;

use self::own::OwnBill;
use self::prices::{Bill, bill};
use self::usage::Usage;

/// Runs it.
pub async fn run(options: Options) -> Result<ExitCode> {
    let arithmetic = Usage::by_arithmetic(&options);
    let counted = run::usage(&options).await?;
    let bills = [0.0, 1e6, 1e8, 1e10].map(|events| bill(&arithmetic, events));
    let own = [0.0, 1e6, 1e8, 1e10].map(|events| OwnBill::of(&arithmetic, events));
    if options.json {
        let all =
            serde_json::json!({"arithmetic": arithmetic, "counted": counted, "bills": bills, "own_collector": own});
        outln!("{all}");
        return Ok(ExitCode::SUCCESS);
    }
    outln!("An event takes, with {} in a request:", options.events_per_request);
    outln!("  {:<28} {:>12} {:>12} {:>8}", "", "arithmetic", "counted", "ratio");
    for (name, by_arithmetic, by_count) in [
        ("API requests", arithmetic.api_requests, counted.api_requests),
        ("SQS calls", arithmetic.sqs_calls, counted.sqs_calls),
        ("delivery invocations", arithmetic.batches, counted.batches),
        ("requests to the collector", arithmetic.koala_requests, counted.koala_requests),
        ("Lambda, GB-s", arithmetic.gb_seconds, counted.gb_seconds),
        ("logs, bytes", arithmetic.log_bytes, counted.log_bytes),
        ("sent to the collector, bytes", arithmetic.sent_bytes, counted.sent_bytes),
    ] {
        outln!("  {name:<28} {by_arithmetic:>12.5} {by_count:>12.5} {:>8.2}", by_count / by_arithmetic);
    }
    outln!("\nUS dollars a month ({}):", prices::OF);
    outln!("  {:<28} {:>8} {:>8} {:>8} {:>8}", "", "none", "1 M", "100 M", "10 B");
    for (at, (name, _)) in bills[0].lines().iter().enumerate() {
        let of = |bill: &Bill| bill.lines()[at].1;
        let [none, million, hundred, billions] = bills.each_ref().map(of);
        outln!("  {name:<28} {none:>8.2} {million:>8.2} {hundred:>8.2} {billions:>8.0}");
    }
    outln!("\nAnd with Collector=own on Aurora DSQL, for data out:");
    for (at, (name, _)) in own[0].lines().iter().enumerate() {
        let [none, million, hundred, billions] = own.each_ref().map(|bill| bill.lines()[at].1);
        outln!("  {name:<28} {none:>8.2} {million:>8.2} {hundred:>8.2} {billions:>8.0}");
    }
    Ok(ExitCode::SUCCESS)
}
