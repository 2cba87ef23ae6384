//! The AWS CLI, asked for JSON.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment::AwsShell;

/// Whoever can ask AWS.
pub trait Aws {
    /// What AWS answers to a command of the CLI, or why it refuses.
    ///
    /// # Errors
    /// When it cannot be asked at all.
    fn call(&self, arguments: &[&str]) -> Result<Result<Value, String>>;

    /// The region that is asked.
    fn region(&self) -> Option<String>;
}

/// How many messages a queue on AWS has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SqsCounts {
    /// Those that can be received.
    pub waiting: u64,
    /// Those that are being tried, or wait for the next try.
    pub in_flight: u64,
}

/// The program `aws`, version 1 or 2, in a person's shell.
#[derive(Debug)]
pub struct AwsCli {
    /// What the shell says to it.
    pub shell: AwsShell,
}

impl Aws for AwsCli {
    fn call(&self, arguments: &[&str]) -> Result<Result<Value, String>> {
        let output = Command::new("aws")
            .args(arguments)
            .args(["--output", "json"])
            .env("AWS_PAGER", "")
            .stdin(Stdio::null())
            .output()
            .context("the AWS CLI (aws) cannot be run; https://docs.aws.amazon.com/cli has it")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.contains("Unable to locate credentials") || said.contains("You must specify a region") {
                bail!("aws: {said}");
            }
            return Ok(Err(said));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        // Nothing is said where there is nothing to say.
        let text = if text.trim().is_empty() { "{}" } else { text.trim() };
        Ok(Ok(serde_json::from_str(text).with_context(|| format!("aws {} did not return JSON", arguments.join(" ")))?))
    }

    fn region(&self) -> Option<String> {
        let AwsShell { region, default_region, .. } = &self.shell;
        region.clone().or_else(|| default_region.clone()).or_else(|| {
            let output = Command::new("aws").args(["configure", "get", "region"]).stdin(Stdio::null()).output().ok()?;
            let region = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            (!region.is_empty()).then_some(region)
        })
    }
}
