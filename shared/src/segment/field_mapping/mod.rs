//! Field mappings: where each field of an action comes from, in the language of Segment's mapping kit
//! (<https://github.com/segmentio/action-destinations/tree/main/packages/core/src/mapping-kit>).
//!
//! A mapping is JSON whose objects may be directives: `{"@path":"$.properties.plan"}`, `{"@template":"Viewed {{name}}"}`.
//! It is checked and compiled once, when the settings load ([`validate`], [`compile`]), and rendered for each event
//! ([`render`]). What it gives is what the reference (npm `@segment/actions-core`) gives, error for error: a mapping that a
//! team brings along from Segment means the same here.
//!
//! Known to differ, of all that random mappings against the reference have shown: a text that `@merge` takes apart gives
//! characters, where JavaScript gives halves of those outside the basic plane; and a Liquid template that prints an array of
//! objects prints what is in them, where liquidjs prints `[object Object]`.

mod compile;
mod flatten;
mod liquid;
mod liquid_filters;
mod path;
mod render;
mod replace;
mod text_template;
mod validate;

use std::fmt;

use serde_json::Value as Json;
use thiserror::Error;

use super::value::Value;
use compile::Node;

/// Objects and arrays inside each other beyond this are nobody's mapping.
const DEEPEST_NESTING: usize = 64;

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct FieldMapping(Node);

/// What is wrong with a mapping, and where inside it: `properties.@if: should be an object but it is a string`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The keys that lead there.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

/// Why a mapping gives nothing for an event. It is so each time, until the mapping is changed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RenderError(String);

impl FieldMapping {
    /// Checks and compiles a mapping.
    ///
    /// # Errors
    /// With every problem that the reference finds before it looks at an event.
    pub fn compile(written: &Json) -> Result<Self, Vec<FieldProblem>> {
        if depth(written) > DEEPEST_NESTING {
            let message = format!("has more than {DEEPEST_NESTING} objects and arrays inside each other");
            return Err(vec![FieldProblem { path: String::new(), message }]);
        }
        let written = compile::with_root_directive(written)
            .map_err(|message| vec![FieldProblem { path: String::new(), message }])?;
        let problems = validate::problems(&written);
        if problems.is_empty() { Ok(Self(compile::node(&written))) } else { Err(problems) }
    }

    /// Problems that only show when an event leads there, such as a Liquid template that cannot be parsed. The reference
    /// would notice them then; whoever writes a mapping wants to know before.
    #[must_use]
    pub fn lurking_problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        self.0.collect_failures("", &mut problems);
        problems
    }

    /// What the mapping gives for an event, or anything else that is an object.
    ///
    /// # Errors
    /// When a directive cannot be followed for this event.
    pub fn render<'a>(&'a self, event: &Value<'a>) -> Result<Value<'a>, RenderError> {
        render::whole(&self.0, event)
    }
}

/// The keys of a path as it is written in a mapping.
pub fn path_keys(path: &str) -> Vec<String> {
    path::keys_below_root(path)
}

/// The paths in a template's placeholders, and what is left of it without them.
pub fn placeholders(template: &str) -> (Vec<String>, String) {
    text_template::placeholders(template)
}

fn depth(written: &Json) -> usize {
    match written {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
