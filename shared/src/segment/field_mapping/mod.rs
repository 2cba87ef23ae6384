//! Field mappings: where each field of an action comes from, in the language of Segment's mapping kit
//! (<https://github.com/segmentio/action-destinations/tree/main/packages/core/src/mapping-kit>).
//!
//! A mapping is JSON whose objects may be directives: `{"@path":"$.properties.plan"}`, `{"@template":"Viewed {{name}}"}`.
//! It is checked and compiled once, when the settings load ([`validate`], [`compile`]), and rendered for each event
//! ([`render`]). What it gives is what the reference (npm `@segment/actions-core`) gives, error for error: a mapping that a
//! team brings along from Segment means the same here.
//!
//! Below all others are the [`budget`], the [`node`]s that a mapping is compiled to, and the [`path`]s that lead into an event.
//!
//! Known to differ, of all that random mappings against the reference have shown: a text that `@merge` takes apart gives
//! characters, where JavaScript gives halves of those outside the basic plane; and a Liquid template that prints an array of
//! objects prints what is in them, where liquidjs prints `[object Object]`.

mod budget;
mod compile;
mod flatten;
mod liquid;
mod node;
mod path;
mod problem;
mod render;
mod replace;
mod text_template;
mod validate;

pub use budget::RenderError;
pub use problem::FieldProblem;

use serde_json::Value as Json;

use super::value::Value;
use node::Node;

/// Objects and arrays inside each other beyond this are nobody's mapping.
const DEEPEST_NESTING: usize = 64;

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct FieldMapping(Node);

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
