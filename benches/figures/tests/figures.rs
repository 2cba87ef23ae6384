//! What the benchmarks print, and what they hold the pipeline to, with fewer events than the figures are made of.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::{Value, json};

/// What `koala-bench` prints, where it ends well.
fn bench(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koala-bench"));
    let output = command.args(arguments).env_remove("RUST_LOG").env_remove("KOALA_URL").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said} {}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn a_benchmark_of_the_pipeline_loses_and_doubles_nothing() {
    let said = bench(&["pipeline", "--json", "--events", "1000", "--visitors", "50"]);
    let measured: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&measured["lost"], &measured["doubled"]), (&json!(0), &json!(0)));
    assert!(measured["requests_per_event"].as_f64().unwrap() <= 0.15, "{measured}");
}

#[test]
fn the_collector_s_benchmark_prints_its_figures() {
    let said = bench(&["collector", "--events", "3000", "--visitors", "100"]);
    for part in ["3000 events", "events/s taken", "ms p95 for /visitors", "bytes of the file an event"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_arithmetic_of_a_month_s_cost_holds_against_a_run_that_counts() {
    for options in [&["cost", "--json"][..], &["cost", "--json", "--events-per-request", "1"]] {
        let cost: Value = serde_json::from_str(&bench(options)).unwrap();
        for (name, arithmetic) in cost["arithmetic"].as_object().unwrap() {
            let ratio = cost["counted"][name].as_f64().unwrap() / arithmetic.as_f64().unwrap();
            assert!((0.9..1.1).contains(&ratio), "{name}: {ratio} with {options:?}");
        }
        assert_eq!(cost["bills"].as_array().map(Vec::len), Some(3));
    }
}
