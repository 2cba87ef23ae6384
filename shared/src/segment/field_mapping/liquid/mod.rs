//! `@liquid`: templates of the Liquid language, through liquid's own crates, as the reference's engine (liquidjs) reads
//! them.
//!
//! The reference disables the tags that loop or include and the filters that work on whole arrays; here they do not exist.
//! A variable that is not there is nothing, as in liquidjs, and no error. What a render may write is bounded ([`bound`]).

mod bound;
mod convert;
mod date;
mod filters;
mod lenient;
mod text;

use std::fmt;
use std::sync::{Arc, OnceLock};

use liquid_core::model::{KString, Object, Value as LiquidValue};
use liquid_core::runtime::RuntimeBuilder;
use liquid_core::{Language, Renderable, Template};
use liquid_lib::stdlib;
use serde_json::Value as Json;

use self::bound::{Bounded, BoundedCapture};
use self::lenient::Lenient;
use super::budget::{DEEPEST_VALUE, RenderError};
use crate::segment::value::Value;

/// The reference's limit, in UTF-16 units.
const LONGEST_TEMPLATE: usize = 1000;
/// A parsed template.
#[derive(Clone)]
pub struct LiquidTemplate {
    template: Arc<Template>,
    /// The event's fields that it may speak of.
    roots: Vec<String>,
}

impl fmt::Debug for LiquidTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LiquidTemplate").field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl LiquidTemplate {
    /// Parses a template.
    pub fn parse(written: &Json) -> Result<Self, String> {
        let text = written.as_str().ok_or("a liquid template must be a string")?;
        if text.encode_utf16().count() > LONGEST_TEMPLATE {
            return Err(format!("liquid templates are limited to {LONGEST_TEMPLATE} characters"));
        }
        let elements = liquid_core::parser::parse(text, language()).map_err(|error| first_line(&error))?;
        Ok(Self { template: Arc::new(Template::new(elements)), roots: words(text) })
    }

    /// Renders it for an event.
    pub fn render(&self, event: &Value<'_>) -> Result<String, String> {
        let mut globals = Object::new();
        for root in &self.roots {
            let value = event.get(root);
            if !matches!(value, Value::Undefined) {
                globals.insert(KString::from_ref(root), to_liquid(value, 0)?);
            }
        }
        let runtime = RuntimeBuilder::new().set_globals(&globals).build();
        let mut out = Bounded::default();
        self.template.render_to(&mut out, &Lenient(&runtime)).map_err(|error| first_line(&error))?;
        out.into_text()
    }
}

/// The tags and filters that are allowed, registered once.
fn language() -> &'static Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    LANGUAGE.get_or_init(|| {
        let mut language = Language::empty();
        language.tags.register("assign".to_owned(), Box::new(stdlib::AssignTag));
        language.tags.register("cycle".to_owned(), Box::new(stdlib::CycleTag));
        language.tags.register("increment".to_owned(), Box::new(stdlib::IncrementTag));
        language.tags.register("decrement".to_owned(), Box::new(stdlib::DecrementTag));
        language.blocks.register("if".to_owned(), Box::new(stdlib::IfBlock));
        language.blocks.register("unless".to_owned(), Box::new(stdlib::UnlessBlock));
        language.blocks.register("raw".to_owned(), Box::new(stdlib::RawBlock));
        language.blocks.register("comment".to_owned(), Box::new(stdlib::CommentBlock));
        language.blocks.register("capture".to_owned(), Box::new(BoundedCapture));
        for filter in filters::all() {
            language.filters.register(filter.name().to_owned(), filter.boxed());
        }
        language
    })
}

/// Liquid's errors have several lines; the first says what is wrong.
fn first_line(error: &liquid_core::Error) -> String {
    let said = error.to_string();
    let mut lines = said.lines().map(|line| line.trim().trim_start_matches("liquid:").trim());
    lines.find(|line| !line.is_empty()).unwrap_or("not a liquid template").to_owned()
}

/// Every word of a template: the names of variables are among them.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    let mut words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn to_liquid(value: Value<'_>, depth: usize) -> Result<LiquidValue, String> {
    if depth > DEEPEST_VALUE {
        return Err(RenderError::too_deep().to_string());
    }
    Ok(match value.opened() {
        Value::Boolean(value) => LiquidValue::scalar(value),
        Value::Number(number) => convert::number(number),
        Value::Text(text) => LiquidValue::scalar(text.into_owned()),
        Value::Array(items) => {
            LiquidValue::Array(items.into_iter().map(|item| to_liquid(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let mut object = Object::new();
            for (key, value) in fields {
                object.insert(KString::from_ref(&key), to_liquid(value, depth + 1)?);
            }
            LiquidValue::Object(object)
        }
        _ => LiquidValue::Nil,
    })
}
