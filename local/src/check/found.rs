//! What `koala check` found, as it prints it.

use koala_destination::plural::counted;
use koala_destination::segment::Mapping;
use koala_destination::settings::{Problem, Settings};
use serde_json::{Value, json};

use super::database::Looked;
use crate::deployed::Finding;
use crate::output::outln;

/// All that was found.
pub struct Found<'a> {
    pub settings: Option<&'a Settings>,
    pub problems: &'a [Problem],
    pub warnings: &'a [Problem],
    pub findings: &'a [Finding],
    pub database: Option<Looked>,
}

impl Found<'_> {
    /// How many problems.
    pub fn count(&self) -> usize {
        self.problems.len() + self.findings.len() + self.database.as_ref().map_or(0, Looked::problems)
    }

    fn mappings(&self) -> &[Mapping] {
        self.settings.map(Settings::mappings).unwrap_or_default()
    }

    fn json(&self) -> Value {
        let named = |problems: &[Problem]| -> Vec<_> {
            problems.iter().map(|p| json!({"parameter": p.parameter, "message": p.message})).collect()
        };
        let mapping = |it: &Mapping| {
            json!({
                "mapping": it.name(), "action": it.action().name(), "trigger": it.trigger().as_str(),
                "enabled": it.is_enabled(), "preset": it.is_preset(),
            })
        };
        let mappings: Vec<_> = self.mappings().iter().map(mapping).collect();
        let (problems, warnings) = (named(self.problems), named(self.warnings));
        let mut found =
            json!({"problems": problems, "warnings": warnings, "mappings": mappings, "findings": self.findings});
        if let Some(database) = &self.database {
            found["database"] = database.json();
        }
        found
    }

    /// As a program reads it, or a person, who is told what puts it right in the stack that was looked at.
    pub fn print(&self, json: bool, stack: Option<&str>) {
        if json {
            outln!("{}", self.json());
            return;
        }
        for problem in self.problems {
            outln!("{problem}");
            if let Some(stack) = stack {
                let stage = stack.strip_prefix("koala-destination-").unwrap_or("STAGE");
                // A problem of the collector's names its parameter in full.
                let is_full = problem.parameter.starts_with('/');
                let folder = if is_full { String::new() } else { format!("/koala-destination/{stage}/") };
                let name = format!("{folder}{}", problem.parameter);
                let is_plain =
                    ["mappings/", "/intent/", "/alerts/"].iter().any(|part| problem.parameter.contains(part));
                let kind = if is_plain { "String" } else { "SecureString" };
                outln!("    aws ssm put-parameter --overwrite --name {name} --type {kind} --value NEW_VALUE");
            }
        }
        for Finding { about, message, command } in self.findings {
            outln!("{about}: {message}\n    {command}");
        }
        for warning in self.warnings {
            outln!("warning: {warning}");
        }
        for mapping in self.mappings() {
            let kind = match (mapping.is_preset(), mapping.is_enabled()) {
                (_, false) => "off",
                (true, _) => "preset",
                (false, _) => "own",
            };
            outln!("{kind:<8}{:<18}{} → {}", mapping.name(), mapping.trigger().as_str(), mapping.action());
        }
        if let Some(database) = &self.database {
            database.print();
        }
        match (self.count(), self.settings) {
            (0, Some(_)) => {
                let in_force: Vec<_> = self.mappings().iter().filter(|mapping| mapping.is_enabled()).collect();
                let presets = in_force.iter().filter(|mapping| mapping.is_preset()).count();
                outln!("No problem: {} in force, {}.", counted(in_force.len(), "mapping"), counted(presets, "preset"));
            }
            (many, _) => outln!("{}.", counted(many, "problem")),
        }
    }
}
