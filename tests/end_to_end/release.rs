//! What cargo-lambda makes of the workspace's release profile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::koala::root;

/// Stands in for cargo: of a build it tells what would be built (`--unit-graph`), all else is cargo's.
const SHIM: &str = r#"#!/bin/sh
[ "$1" = build ] || exec "$REAL_CARGO" "$@"
RUSTC_BOOTSTRAP=1 exec "$REAL_CARGO" "$@" --unit-graph -Z unstable-options > "$UNIT_GRAPH"
"#;

/// What cargo-lambda has cargo build, by its own command, as `sam build` runs it.
fn unit_graph(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (shim, graph) = (folder.path().join("cargo"), folder.path().join("graph.json"));
    fs::write(&shim, SHIM).unwrap();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
    // As .ci/run has it: cargo-lambda looks for Zig beside itself.
    let tools = root().join("target/venv/bin");
    let path = format!("{}:{}:{}", folder.path().display(), tools.display(), std::env::var("PATH").unwrap());
    let output = Command::new(root().join("target/venv/bin/cargo-lambda"))
        .current_dir(root())
        .args(["lambda", "build", "--release", "--package", "track-event", "--bin", "track-event"])
        .args(arguments)
        .env("PATH", path)
        // Cargo sets it for what it runs, and cargo-lambda goes by it.
        .env("CARGO", &shim)
        .env("REAL_CARGO", env!("CARGO"))
        .env("UNIT_GRAPH", &graph)
        .output()
        .expect("tests/environment installs target/venv");
    // Nothing is built, so that it finds nothing in the end.
    let graph = fs::read(&graph).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_slice(&graph).unwrap()
}

/// The unit that is the function itself.
fn function(graph: &Value) -> &Value {
    &graph["units"][usize::try_from(graph["roots"][0].as_u64().unwrap()).unwrap()]
}

/// Where the profile does not say how panics end, cargo-lambda passes `--config profile.release.panic="abort"`.
#[test]
fn functions_that_cargo_lambda_builds_unwind_on_a_panic() {
    let graph = unit_graph(&[]);
    let function = function(&graph);
    assert_eq!((&function["target"]["name"], &function["profile"]["name"]), (&"track-event".into(), &"release".into()));
    let units = graph["units"].as_array().unwrap();
    let aborting = units.iter().filter(|unit| unit["profile"]["panic"] != "unwind");
    let aborting: Vec<_> = aborting.map(|unit| &unit["target"]["name"]).collect();
    assert!(aborting.is_empty(), "abort on a panic: {aborting:?}");
}

/// `--arm64` is what SAM's `rust-cargolambda` passes for `Architecture=arm64`, the default. What is built is linked in CI and runs
/// in Lambda alone.
#[test]
fn functions_for_arm64_are_built_for_it_with_the_same_profile() {
    let (arm, here) = (unit_graph(&["--arm64"]), unit_graph(&[]));
    assert_eq!(function(&arm)["platform"], "aarch64-unknown-linux-gnu");
    assert_eq!(function(&arm)["profile"], function(&here)["profile"]);
    assert_eq!(function(&arm)["features"], function(&here)["features"]);
}
