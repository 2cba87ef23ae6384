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
fn a_stack_that_nobody_sends_to_costs_at_most_six_dollars_a_month() {
    let cost: Value = serde_json::from_str(&bench(&["cost", "--json"])).unwrap();
    let all = |bill: &Value| bill.as_object().unwrap().values().map(|dollars| dollars.as_f64().unwrap()).sum::<f64>();
    let idle = &cost["bills"][0];
    assert!(all(idle) <= 6.0, "{idle}");
    // What it counts is what the template has: alarms at 0.10 $ each, a dashboard, two queues that are polled.
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/template.yaml")).unwrap();
    // A line that begins with two spaces and a name begins a resource. What goes with the collector of the stack is not in this bill.
    let mut resources: Vec<String> = Vec::new();
    for line in template.lines() {
        if line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  #") {
            resources.push(String::new());
        }
        if let Some(resource) = resources.last_mut() {
            resource.push_str(line);
            resource.push('\n');
        }
    }
    let is_of_own_collector = |resource: &str| resource.contains("Condition: Own");
    let count = |kind: &str| {
        let of_all = resources.iter().filter(|it| !is_of_own_collector(it)).map(|it| it.matches(kind).count());
        f64::from(u32::try_from(of_all.sum::<usize>()).unwrap())
    };
    let dollars = |name: &str| idle[name].as_f64().unwrap();
    assert!((dollars("metrics_and_alarms") - count("Type: AWS::CloudWatch::Alarm") * 0.10).abs() < 1e-9, "{idle}");
    assert!((dollars("dashboard") - count("Type: AWS::CloudWatch::Dashboard") * 3.0).abs() < 1e-9, "{idle}");
    // A poll is a call of SQS, at 0.40 $ a million.
    let polls = count("Type: SQS\n") * 5.0 * 30.0 * 86_400.0 / 10.0;
    assert!((dollars("sqs") - polls * 0.40 / 1e6).abs() < 1e-9, "{idle}");
}

#[test]
fn the_arithmetic_of_a_month_s_cost_holds_against_a_run_that_counts() {
    for options in [&["cost", "--json"][..], &["cost", "--json", "--events-per-request", "1"]] {
        let cost: Value = serde_json::from_str(&bench(options)).unwrap();
        for (name, arithmetic) in cost["arithmetic"].as_object().unwrap() {
            let ratio = cost["counted"][name].as_f64().unwrap() / arithmetic.as_f64().unwrap();
            assert!((0.9..1.1).contains(&ratio), "{name}: {ratio} with {options:?}");
        }
        assert_eq!(cost["bills"].as_array().map(Vec::len), Some(4));
        // Storage is most of what the collector of the stack adds: 13.3 months of 3 KB an event, at 0.33 $ a GB.
        let storage = cost["own_collector"][1]["storage"].as_f64().unwrap();
        assert!((storage - 13.2).abs() < 0.01, "{storage}");
    }
}
