//! What a mapping is compiled to.

use serde_json::Value as Json;

use super::liquid::LiquidTemplate;
use super::problem::FieldProblem;

/// A part of a mapping.
#[derive(Debug, Clone)]
pub enum Node {
    /// No directive inside: given as it is.
    Constant(Json),
    /// An object with a directive somewhere.
    Object(Vec<(String, Node)>),
    /// An array with a directive somewhere.
    Array(Vec<Node>),
    /// `@path` with a path that is written out.
    Path(Vec<String>),
    /// `@path` with a path that a directive gives.
    PathOf(Box<Node>),
    /// `@template`
    Template(Box<Node>),
    /// `@liquid`
    Liquid(LiquidTemplate),
    /// `@if`
    If(Box<If>),
    /// `@case`
    Case { value: Option<Box<Node>>, upper: Option<bool> },
    /// `@replace`
    Replace(Box<Replace>),
    /// `@arrayPath`
    ArrayPath { path: Box<Node>, shape: Option<Box<Node>> },
    /// `@merge`
    Merge { objects: Vec<Node>, reversed: bool },
    /// `@transform`
    Transform { apply: Box<Node>, mapping: Box<Node> },
    /// `@flatten`
    Flatten { value: Option<Box<Node>>, separator: String, keep_arrays: bool },
    /// `@json`
    Json { value: Box<Node>, mode: JsonMode },
    /// `@excludeWhenNull`
    ExcludeWhenNull(Box<Node>),
    /// Something that the reference only notices when an event leads there.
    Failure(String),
}

/// `@if`'s parts.
#[derive(Debug, Clone)]
pub struct If {
    /// What is looked at.
    pub condition: IfTest,
    /// What it gives when the condition holds.
    pub then: Option<Node>,
    /// What it gives when not.
    pub otherwise: Option<Node>,
}

/// What `@if` asks.
#[derive(Debug, Clone)]
pub enum IfTest {
    /// `exists`: neither undefined nor null.
    Exists(Node),
    /// `blank`: neither undefined, null nor empty. The reference has it this way round.
    NotBlank(Node),
}

/// `@replace`'s parts.
#[derive(Debug, Clone)]
pub struct Replace {
    /// Where; nothing when it is an empty string.
    pub value: Option<Node>,
    /// What for what.
    pub replacements: Vec<(String, String)>,
    /// Whether case counts not.
    pub ignore_case: bool,
    /// Whether every occurrence is meant.
    pub all: bool,
    /// A second pattern that is too long, which the reference notices when it is used.
    pub failure: Option<String>,
}

/// `@json`'s mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonMode {
    /// To text.
    Encode,
    /// From text.
    Decode,
    /// Neither, since it is written in capitals: gives nothing.
    Neither,
}

impl Node {
    /// Its JSON, where no directive is inside.
    pub fn constant(&self) -> Option<Json> {
        match self {
            Self::Constant(constant) => Some(constant.clone()),
            _ => None,
        }
    }

    /// The failures that lie in wait, with where they are.
    pub fn collect_failures(&self, path: &str, problems: &mut Vec<FieldProblem>) {
        let mut at = |key: &str, node: &Self| {
            let path = if path.is_empty() || key.is_empty() { format!("{path}{key}") } else { format!("{path}.{key}") };
            node.collect_failures(&path, problems);
        };
        match self {
            Self::Failure(message) => problems.push(FieldProblem { path: path.to_owned(), message: message.clone() }),
            Self::Constant(_) | Self::Path(_) | Self::Liquid(_) => {}
            Self::Object(fields) => fields.iter().for_each(|(key, field)| at(key, field)),
            Self::Array(items) => items.iter().enumerate().for_each(|(index, item)| at(&index.to_string(), item)),
            Self::PathOf(node) | Self::Template(node) | Self::ExcludeWhenNull(node) => at("", node),
            Self::Json { value, .. } => at("@json.value", value),
            Self::If(parts) => {
                let (IfTest::Exists(condition) | IfTest::NotBlank(condition)) = &parts.condition;
                at("@if", condition);
                parts.then.iter().for_each(|then| at("@if.then", then));
                parts.otherwise.iter().for_each(|otherwise| at("@if.else", otherwise));
            }
            Self::Case { value, .. } => value.iter().for_each(|value| at("@case.value", value)),
            Self::Flatten { value, .. } => value.iter().for_each(|value| at("@flatten.value", value)),
            Self::Replace(parts) => {
                parts.value.iter().for_each(|value| at("@replace.value", value));
                if let Some(message) = &parts.failure {
                    at("@replace", &Self::Failure(message.clone()));
                }
            }
            Self::ArrayPath { path, shape } => {
                at("@arrayPath.0", path);
                if let Some(shape) = shape {
                    at("@arrayPath.1", shape);
                }
            }
            Self::Merge { objects, .. } => objects.iter().for_each(|object| at("@merge.objects", object)),
            Self::Transform { apply, mapping } => {
                at("@transform.apply", apply);
                at("@transform.mapping", mapping);
            }
        }
    }
}
