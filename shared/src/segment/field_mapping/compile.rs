//! A mapping's JSON → a tree of [`Node`]s, with all done that no event is needed for.

use serde_json::{Map, Value as Json};

use super::liquid::LiquidTemplate;
use super::node::{If, IfTest, JsonMode, Node, Replace};
use super::path;
use super::replace::LONGEST_PATTERN;

/// Where Segment puts a directive that is applied to the mapping as a whole.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// A mapping with its root directive unfolded: the directive gets the rest of the mapping as its `mapping`.
pub fn with_root_directive(written: &Json) -> Result<Json, String> {
    let Some(fields) = written.as_object().filter(|fields| fields.contains_key(ROOT_DIRECTIVE)) else {
        return Ok(written.clone());
    };
    let mut root = fields[ROOT_DIRECTIVE].clone();
    let directive = root.as_object_mut().filter(|directive| directive.len() == 1);
    let directive = directive.ok_or("the root mapping must have a single directive")?;
    let argument = directive.values_mut().next().and_then(Json::as_object_mut);
    let argument = argument.ok_or("the root directive must be an object")?;
    let mapping = fields.iter().filter(|(key, _)| *key != ROOT_DIRECTIVE);
    argument.insert("mapping".to_owned(), mapping.map(|(key, value)| (key.clone(), value.clone())).collect());
    Ok(root)
}

/// Compiles a mapping that [`super::validate`] has nothing against. What it does not look at may still be wrong, and
/// becomes a [`Node::Failure`].
pub fn node(written: &Json) -> Node {
    match written {
        Json::Array(items) => {
            let items: Vec<Node> = items.iter().map(node).collect();
            match items.iter().map(Node::constant).collect::<Option<Json>>() {
                Some(constant) => Node::Constant(constant),
                None => Node::Array(items),
            }
        }
        Json::Object(fields) if is_directive(fields) => directive(fields),
        Json::Object(fields) => {
            let fields: Vec<(String, Node)> = fields.iter().map(|(key, value)| (key.clone(), node(value))).collect();
            let constants = fields.iter().map(|(key, field)| Some((key.clone(), field.constant()?)));
            match constants.collect::<Option<Json>>() {
                Some(constant) => Node::Constant(constant),
                None => Node::Object(fields),
            }
        }
        constant => Node::Constant(constant.clone()),
    }
}

/// At run time only an object whose keys are all marked is a directive.
fn is_directive(fields: &Map<String, Json>) -> bool {
    fields.keys().any(|key| key.starts_with('@')) && fields.keys().all(|key| key.starts_with('@') || key == "_metadata")
}

fn directive(fields: &Map<String, Json>) -> Node {
    let Some((name, argument)) = fields.iter().find(|(key, _)| key.starts_with('@')) else {
        return Node::Constant(Json::Object(fields.clone()));
    };
    let compiled = match name.as_str() {
        "@path" => Ok(match argument {
            Json::String(path) => Node::Path(path::keys_below_root(path)),
            other => Node::PathOf(Box::new(node(other))),
        }),
        "@template" => Ok(Node::Template(Box::new(node(argument)))),
        "@literal" => Ok(node(argument)),
        "@excludeWhenNull" => Ok(Node::ExcludeWhenNull(Box::new(node(argument)))),
        "@liquid" => LiquidTemplate::parse(argument).map(Node::Liquid),
        "@arrayPath" => array_path(argument),
        "@if" => options(name, argument).and_then(if_),
        "@case" => options(name, argument).and_then(case),
        "@replace" => options(name, argument).and_then(replace),
        "@merge" => options(name, argument).and_then(merge),
        "@transform" => options(name, argument).and_then(transform),
        "@flatten" => options(name, argument).and_then(flatten),
        "@json" => options(name, argument).and_then(json),
        _ => Err(format!("{name} is not a directive")),
    };
    compiled.unwrap_or_else(Node::Failure)
}

fn options<'j>(name: &str, argument: &'j Json) -> Result<&'j Map<String, Json>, String> {
    argument.as_object().ok_or_else(|| format!("{name} requires an object"))
}

fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(value) => value.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(_) | Json::Object(_) => true,
    }
}

/// An option that JavaScript takes for true, compiled.
fn truthy(options: &Map<String, Json>, key: &str) -> Option<Node> {
    options.get(key).filter(|value| is_truthy(value)).map(node)
}

fn if_(options: &Map<String, Json>) -> Result<Node, String> {
    let asked = |key| options.get(key).is_some_and(is_truthy);
    if !asked("exists") && !asked("blank") {
        return Err("@if requires an \"exists\" key or a \"blank\" key".to_owned());
    }
    let condition = match (options.get("exists"), options.get("blank")) {
        (Some(exists), _) => IfTest::Exists(node(exists)),
        (None, blank) => IfTest::NotBlank(blank.map_or(Node::Constant(Json::Null), node)),
    };
    Ok(Node::If(Box::new(If { condition, then: options.get("then").map(node), otherwise: truthy(options, "else") })))
}

fn case(options: &Map<String, Json>) -> Result<Node, String> {
    if !options.get("operator").is_some_and(is_truthy) {
        return Err("@case requires an \"operator\" key".to_owned());
    }
    let upper = match options["operator"].as_str() {
        Some("upper") => Some(true),
        Some("lower") => Some(false),
        _ => None,
    };
    Ok(Node::Case { value: truthy(options, "value").map(Box::new), upper })
}

fn replace(options: &Map<String, Json>) -> Result<Node, String> {
    let text = |key| options.get(key).and_then(Json::as_str).map(str::to_owned);
    let pattern = text("pattern").filter(|pattern| !pattern.is_empty()).ok_or("@replace requires a \"pattern\" key")?;
    let mut replacements = vec![(pattern, text("replacement").unwrap_or_default())];
    let mut failure = None;
    // A second replacement that is not a string makes the reference ignore the second pattern.
    let second = options.get("replacement2").is_none_or(|value| value.is_null() || value.is_string());
    if let Some(pattern) = text("pattern2").filter(|pattern| !pattern.is_empty() && second) {
        let replacement = text("replacement2").unwrap_or_default();
        if [&pattern, &replacement].iter().any(|text| text.encode_utf16().count() > LONGEST_PATTERN) {
            failure = Some(format!("@replace takes patterns and replacements of at most {LONGEST_PATTERN} characters"));
        }
        replacements.push((pattern, replacement));
    }
    let flag = |key, default| options.get(key).and_then(Json::as_bool).unwrap_or(default);
    Ok(Node::Replace(Box::new(Replace {
        value: truthy(options, "value"),
        replacements,
        ignore_case: flag("ignorecase", false),
        all: flag("global", true),
        failure,
    })))
}

fn array_path(argument: &Json) -> Result<Node, String> {
    let items = argument.as_array().ok_or("@arrayPath expected an array")?;
    let path = match items.first() {
        Some(Json::String(path)) => Node::Path(path::keys_below_root(path)),
        other => node(other.unwrap_or(&Json::Null)),
    };
    let shape = items.get(1).and_then(Json::as_object).filter(|shape| !shape.is_empty());
    let shape = shape.map(|shape| Box::new(node(&Json::Object(shape.clone()))));
    Ok(Node::ArrayPath { path: Box::new(path), shape })
}

fn merge(options: &Map<String, Json>) -> Result<Node, String> {
    if !options.get("direction").is_some_and(is_truthy) {
        return Err("@merge requires a \"direction\" key".to_owned());
    }
    let objects = options.get("objects").and_then(Json::as_array).ok_or("@merge requires an array of objects")?;
    let reversed = options["direction"].as_str() == Some("left");
    Ok(Node::Merge { objects: objects.iter().map(node).collect(), reversed })
}

fn transform(options: &Map<String, Json>) -> Result<Node, String> {
    let part = |key: &str| {
        let part = options.get(key).filter(|part| part.is_object());
        part.ok_or_else(|| format!("@transform requires an object as \"{key}\""))
    };
    let apply = with_root_directive(part("apply")?)?;
    Ok(Node::Transform { apply: Box::new(node(&apply)), mapping: Box::new(node(part("mapping")?)) })
}

fn flatten(options: &Map<String, Json>) -> Result<Node, String> {
    let separator = options.get("separator").and_then(Json::as_str).filter(|separator| !separator.is_empty());
    Ok(Node::Flatten {
        value: options.get("value").map(|value| Box::new(node(value))),
        separator: separator.ok_or("@flatten requires a \"separator\" key")?.to_owned(),
        keep_arrays: options.get("omitArrays").is_some_and(is_truthy),
    })
}

fn json(options: &Map<String, Json>) -> Result<Node, String> {
    let mode = options.get("mode").and_then(Json::as_str).filter(|mode| !mode.is_empty());
    let mode = match mode.ok_or("@json requires a \"mode\" key")? {
        "encode" => JsonMode::Encode,
        "decode" => JsonMode::Decode,
        _ => JsonMode::Neither,
    };
    let value = truthy(options, "value").ok_or("@json requires a \"value\" key")?;
    Ok(Node::Json { value: Box::new(value), mode })
}
