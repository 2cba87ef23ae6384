//! A compiled mapping and an event → a value.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::budget::{Budget, DEEPEST_VALUE, RenderError};
use super::node::{If, IfTest, JsonMode, Node, Replace};
use super::path::{self, follow};
use super::replace::replace;
use super::{flatten, text_template};
use crate::json;
use crate::segment::value::{Value, in_order};

/// Renders a whole mapping: undefined fields are left out of what it gives.
pub fn whole<'a>(node: &'a Node, event: &Value<'a>) -> Result<Value<'a>, RenderError> {
    transform(node, event, &mut Budget::full())
}

fn transform<'a>(node: &'a Node, event: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    if matches!(event, Value::Undefined) {
        return transform(node, &Value::Object(Vec::new()), budget);
    }
    if !event.is_object() {
        return Err(RenderError::new("the data that a mapping works on must be an object"));
    }
    Ok(without_undefined(render(node, event, budget)?))
}

/// Undefined fields go; undefined items stay, and are null in JSON. What is the event's own has none.
fn without_undefined(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(without_undefined).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !matches!(value, Value::Undefined));
            Value::Object(fields.map(|(key, value)| (key, without_undefined(value))).collect())
        }
        value => value,
    }
}

fn render<'a>(node: &'a Node, event: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    budget.spend(1)?;
    Ok(match node {
        Node::Constant(constant) => constant_value(constant, budget)?,
        Node::Object(fields) => {
            let fields =
                fields.iter().map(|(key, node)| Ok((Cow::Borrowed(key.as_str()), render(node, event, budget)?)));
            Value::Object(in_order(fields.collect::<Result<_, RenderError>>()?))
        }
        Node::Array(items) => {
            Value::Array(items.iter().map(|item| render(item, event, budget)).collect::<Result<_, _>>()?)
        }
        Node::Path(keys) => follow(event, keys, budget)?,
        Node::PathOf(path) => {
            let path = text(&render(path, event, budget)?, "@path")?;
            follow(event, &path::keys_below_root(&path), budget)?
        }
        Node::Template(template) => {
            let template = text(&render(template, event, budget)?, "@template")?;
            Value::Text(Cow::Owned(text_template::fill(&template, event, budget)?))
        }
        Node::Liquid(template) => {
            let rendered = template.render(event).map_err(RenderError::new)?;
            budget.spend_bytes(rendered.len())?;
            Value::Text(Cow::Owned(rendered))
        }
        Node::If(parts) => if_(parts, event, budget)?,
        Node::Case { value, upper } => match value {
            Some(value) => case(render(value, event, budget)?, *upper, budget)?,
            None => Value::Undefined,
        },
        Node::Replace(parts) => replaced(parts, event, budget)?,
        Node::ArrayPath { path, shape } => array_path(render(path, event, budget)?, shape.as_deref(), budget)?,
        Node::Merge { objects, reversed } => {
            let mut objects =
                objects.iter().map(|object| render(object, event, budget)).collect::<Result<Vec<_>, _>>()?;
            if *reversed {
                objects.reverse();
            }
            let mut fields = Vec::new();
            for object in objects {
                let own = own_fields(object, budget)?;
                budget.spend(own.len())?;
                fields.extend(own);
            }
            Value::Object(in_order(fields))
        }
        Node::Transform { apply, mapping } => {
            let applied = transform(apply, event, budget)?;
            render(mapping, &applied, budget)?
        }
        Node::Flatten { value, separator, keep_arrays } => {
            let value = value.as_ref().map_or(Ok(Value::Undefined), |value| render(value, event, budget))?;
            flatten::flatten(value, separator, *keep_arrays, budget)?
        }
        Node::Json { value, mode } => as_json(render(value, event, budget)?, *mode, budget)?,
        Node::ExcludeWhenNull(value) => match render(value, event, budget)? {
            value if value.exists() => without_null_fields(value, budget, 0)?,
            _ => Value::Undefined,
        },
        Node::Failure(message) => return Err(RenderError::new(message.clone())),
    })
}

fn constant_value<'a>(constant: &'a Json, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    budget.spend(1)?;
    Ok(match constant {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(value) => Value::Number(value.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::Text(Cow::Borrowed(text)),
        Json::Array(items) => {
            Value::Array(items.iter().map(|item| constant_value(item, budget)).collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| Ok((Cow::Borrowed(key.as_str()), constant_value(value, budget)?)));
            Value::Object(in_order(fields.collect::<Result<_, RenderError>>()?))
        }
    })
}

fn text<'a>(value: &Value<'a>, directive: &str) -> Result<Cow<'a, str>, RenderError> {
    value.as_text().ok_or_else(|| RenderError::new(format!("{directive}: expected a string")))
}

fn if_<'a>(parts: &'a If, event: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    let holds = match &parts.condition {
        IfTest::Exists(node) => render(node, event, budget)?.exists(),
        IfTest::NotBlank(node) => {
            let value = render(node, event, budget)?;
            value.exists() && !equals_empty_text(&value)
        }
    };
    let branch = if holds { &parts.then } else { &parts.otherwise };
    branch.as_ref().map_or(Ok(Value::Undefined), |branch| render(branch, event, budget))
}

/// `value == ''` in JavaScript: also 0, false, and arrays that are empty as text.
fn equals_empty_text(value: &Value<'_>) -> bool {
    match value.clone().opened() {
        Value::Text(text) => text.is_empty(),
        Value::Number(number) => number == 0.0,
        Value::Boolean(value) => !value,
        array @ Value::Array(_) => array.to_text().is_empty(),
        _ => false,
    }
}

fn case<'a>(value: Value<'a>, upper: Option<bool>, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    let Some(text) = value.as_text() else { return Ok(value) };
    budget.spend_bytes(text.len())?;
    match upper {
        Some(true) => Ok(Value::Text(Cow::Owned(text.to_uppercase()))),
        Some(false) => Ok(Value::Text(Cow::Owned(text.to_lowercase()))),
        None => Err(RenderError::new("@case: the operator should be \"lower\" or \"upper\"")),
    }
}

fn replaced<'a>(parts: &'a Replace, event: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    let Some(node) = &parts.value else { return Ok(Value::Undefined) };
    let value = render(node, event, budget)?;
    let is_scalar = value.as_text().is_some() || value.as_number().is_some() || value.as_boolean().is_some();
    if !is_scalar {
        return Ok(Value::Text(Cow::Borrowed("")));
    }
    if let Some(failure) = &parts.failure {
        return Err(RenderError::new(failure.clone()));
    }
    let mut text = value.to_text().into_owned();
    for (pattern, replacement) in &parts.replacements {
        text = replace(&text, pattern, replacement, parts.ignore_case, parts.all, budget)?;
    }
    Ok(Value::Text(Cow::Owned(text)))
}

fn array_path<'a>(root: Value<'a>, shape: Option<&'a Node>, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    let Some(shape) = shape.filter(|_| root.is_object() || root.is_array()) else { return Ok(root) };
    let items = match root.opened() {
        Value::Array(items) => items,
        object => vec![object],
    };
    Ok(Value::Array(items.iter().map(|item| render(shape, item, budget)).collect::<Result<_, _>>()?))
}

/// The fields that `Object.assign` takes from a value. Of a text each character is one, at many times its size.
fn own_fields<'a>(value: Value<'a>, budget: &mut Budget) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, RenderError> {
    Ok(match value.opened() {
        Value::Object(fields) => fields,
        Value::Array(items) => {
            items.into_iter().enumerate().map(|(at, item)| (Cow::Owned(at.to_string()), item)).collect()
        }
        Value::Text(text) => {
            budget.spend(text.len())?;
            let units = text.chars().enumerate();
            units.map(|(at, unit)| (Cow::Owned(at.to_string()), Value::Text(Cow::Owned(unit.to_string())))).collect()
        }
        _ => Vec::new(),
    })
}

fn as_json<'a>(value: Value<'a>, mode: JsonMode, budget: &mut Budget) -> Result<Value<'a>, RenderError> {
    match mode {
        JsonMode::Encode => {
            let mut out = String::new();
            // As `JSON.stringify` writes it, so nothing may stay as the event had it.
            let written = parsed(value, budget, 0)?.write_json(&mut out);
            budget.spend_bytes(out.len())?;
            Ok(if written { Value::Text(Cow::Owned(out)) } else { Value::Undefined })
        }
        JsonMode::Decode => match value.as_text() {
            Some(text) => {
                budget.spend_bytes(text.len())?;
                Ok(match serde_json::from_str::<Json>(&json::without_lone_surrogates(&text)) {
                    Ok(decoded) => Value::from_json(decoded),
                    Err(_) => Value::Text(text),
                })
            }
            None => Ok(value),
        },
        JsonMode::Neither => Ok(Value::Undefined),
    }
}

/// A value with all its layers parsed.
fn parsed<'a>(value: Value<'a>, budget: &mut Budget, depth: usize) -> Result<Value<'a>, RenderError> {
    budget.spend(1)?;
    if depth > DEEPEST_VALUE {
        return Err(RenderError::too_deep());
    }
    Ok(match value.opened() {
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| parsed(item, budget, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| Ok((key, parsed(value, budget, depth + 1)?)));
            Value::Object(fields.collect::<Result<_, RenderError>>()?)
        }
        value => value,
    })
}

/// Null fields of an object, and of objects in it, become undefined; arrays are left alone.
fn without_null_fields<'a>(value: Value<'a>, budget: &mut Budget, depth: usize) -> Result<Value<'a>, RenderError> {
    budget.spend(1)?;
    if depth > DEEPEST_VALUE {
        return Err(RenderError::too_deep());
    }
    if !value.is_object() {
        return Ok(value);
    }
    let Value::Object(fields) = value.opened() else { return Ok(Value::Undefined) };
    let fields = fields.into_iter().map(|(key, value)| match value {
        value if value.exists() => Ok((key, without_null_fields(value, budget, depth + 1)?)),
        _ => Ok((key, Value::Undefined)),
    });
    Ok(Value::Object(fields.collect::<Result<_, RenderError>>()?))
}
