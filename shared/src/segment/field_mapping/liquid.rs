//! `@liquid`: templates of the Liquid language, through liquid's own crates, as the reference's engine (liquidjs) reads
//! them.
//!
//! The reference disables the tags that loop or include and the filters that work on whole arrays; here they do not exist.
//! A variable that is not there is nothing, as in liquidjs, and no error. What a render may write is bounded: `capture` and
//! `append` can double a text again and again.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use liquid_core::error::ResultLiquidReplaceExt;
use liquid_core::model::{
    ArrayView, DisplayCow, KString, KStringCow, Object, ScalarCow, State, Value as LiquidValue, ValueCow, ValueView,
};
use liquid_core::parser::{BlockReflection, ParseBlock, TagBlock, TagTokenIter};
use liquid_core::runtime::{PartialStore, Registers, RuntimeBuilder};
use liquid_core::{Language, Renderable, Runtime, Template};
use liquid_lib::stdlib;
use serde_json::Value as Json;

use super::liquid_filters;
use super::render::DEEPEST_VALUE;
use crate::segment::value::Value;

/// The reference's limit, in UTF-16 units.
const LONGEST_TEMPLATE: usize = 1000;
/// What a template may write, and how long any text in it may grow.
pub const MOST_BYTES: usize = 1024 * 1024;

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
        for filter in liquid_filters::all() {
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
        return Err(super::RenderError::too_deep().to_string());
    }
    Ok(match value.opened() {
        Value::Boolean(value) => LiquidValue::scalar(value),
        Value::Number(number) => liquid_filters::number(number),
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

/// A runtime in which a variable that is not there is nothing.
struct Lenient<R>(R);

impl<R: Runtime> Runtime for Lenient<R> {
    fn partials(&self) -> &dyn PartialStore {
        self.0.partials()
    }

    fn name(&self) -> Option<liquid_core::model::KStringRef<'_>> {
        self.0.name()
    }

    fn roots(&self) -> std::collections::BTreeSet<liquid_core::model::KStringCow<'_>> {
        self.0.roots()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        let found = self.0.try_get(path).filter(|found| !found.is_nil());
        Some(found.unwrap_or(ValueCow::Borrowed(&Nothing)))
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> liquid_core::Result<ValueCow<'_>> {
        self.try_get(path).ok_or_else(|| liquid_core::Error::with_msg("no variable"))
    }

    fn set_global(&self, name: KString, value: LiquidValue) -> Option<LiquidValue> {
        self.0.set_global(name, value)
    }

    fn set_index(&self, name: KString, value: LiquidValue) -> Option<LiquidValue> {
        self.0.set_index(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.0.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.0.registers()
    }
}

/// What a variable is that is not there: nil, and also an array without items, so that `contains` says no of it.
#[derive(Debug, Clone, Copy)]
struct Nothing;

impl ValueView for Nothing {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        DisplayCow::Borrowed(&"")
    }

    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Borrowed(&"nil")
    }

    fn type_name(&self) -> &'static str {
        "nil"
    }

    fn query_state(&self, state: State) -> bool {
        state != State::Truthy
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        KStringCow::from_static("")
    }

    fn to_value(&self) -> LiquidValue {
        LiquidValue::Nil
    }

    fn as_array(&self) -> Option<&dyn ArrayView> {
        Some(self)
    }

    fn is_nil(&self) -> bool {
        true
    }
}

impl ArrayView for Nothing {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        0
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(std::iter::empty())
    }

    fn contains_key(&self, _: i64) -> bool {
        false
    }

    fn get(&self, _: i64) -> Option<&dyn ValueView> {
        None
    }
}

/// A text that grows no longer than [`MOST_BYTES`].
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Bounded {
    fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.0).map_err(|_| "the liquid template gives no text".to_owned())
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::other("the liquid template writes too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `{% capture name %}…{% endcapture %}`, with a bound on what is captured.
#[derive(Debug, Clone, Copy)]
struct BoundedCapture;

impl BlockReflection for BoundedCapture {
    fn start_tag(&self) -> &'static str {
        "capture"
    }

    fn end_tag(&self) -> &'static str {
        "endcapture"
    }

    fn description(&self) -> &'static str {
        ""
    }
}

impl ParseBlock for BoundedCapture {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        mut tokens: TagBlock<'_, '_>,
        options: &Language,
    ) -> liquid_core::Result<Box<dyn Renderable>> {
        let name = arguments.expect_next("a name is expected")?.expect_identifier().into_result()?;
        let name = KString::from_ref(name);
        arguments.expect_nothing()?;
        let template = Template::new(tokens.parse_all(options)?);
        tokens.assert_empty();
        Ok(Box::new(Captured { name, template }))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

#[derive(Debug)]
struct Captured {
    name: KString,
    template: Template,
}

impl Renderable for Captured {
    fn render_to(&self, _: &mut dyn Write, runtime: &dyn Runtime) -> liquid_core::Result<()> {
        let mut captured = Bounded::default();
        self.template.render_to(&mut captured, runtime)?;
        let text = captured.into_text().map_err(io::Error::other).replace("captured text")?;
        runtime.set_global(self.name.clone(), LiquidValue::scalar(text));
        Ok(())
    }
}

/// The filter `date`: a point in time by a strftime format, in UTC. What is no point in time is given back as it is.
pub fn date(value: &LiquidValue, format: &str) -> LiquidValue {
    let Some(time) = value.as_scalar().and_then(|scalar| point_in_time(&scalar.to_kstr())) else {
        return value.clone();
    };
    let mut out = String::with_capacity(format.len() + 16);
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let month = time.month().to_string();
        let day = time.weekday().to_string();
        let hour_12 = (time.hour() + 11) % 12 + 1;
        let part = match characters.next() {
            Some('Y') => time.year().to_string(),
            Some('y') => format!("{:02}", time.year().rem_euclid(100)),
            Some('m') => format!("{:02}", u8::from(time.month())),
            Some('d') => format!("{:02}", time.day()),
            Some('e') => format!("{:2}", time.day()),
            Some('H') => format!("{:02}", time.hour()),
            Some('I') => format!("{hour_12:02}"),
            Some('l') => format!("{hour_12:2}"),
            Some('M') => format!("{:02}", time.minute()),
            Some('S') => format!("{:02}", time.second()),
            Some('L') => format!("{:03}", time.millisecond()),
            Some('j') => format!("{:03}", time.ordinal()),
            Some('B') => month,
            Some('b' | 'h') => month[..3].to_owned(),
            Some('A') => day,
            Some('a') => day[..3].to_owned(),
            Some('u') => time.weekday().number_from_monday().to_string(),
            Some('w') => time.weekday().number_days_from_sunday().to_string(),
            Some('p') => (if time.hour() < 12 { "AM" } else { "PM" }).to_owned(),
            Some('P') => (if time.hour() < 12 { "am" } else { "pm" }).to_owned(),
            Some('s') => time.unix_timestamp().to_string(),
            Some('z') => "+0000".to_owned(),
            Some('F') => format!("{}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day()),
            Some('T') => format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') | None => "%".to_owned(),
            Some(other) => format!("%{other}"),
        };
        out.push_str(&part);
    }
    LiquidValue::scalar(out)
}

/// An RFC 3339 time, a date, or seconds since 1970.
fn point_in_time(text: &str) -> Option<time::OffsetDateTime> {
    let seconds = text.parse::<i64>().ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    seconds.or_else(|| {
        let time = crate::clock::milliseconds(&whole)?;
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(time) * 1_000_000).ok()
    })
}
