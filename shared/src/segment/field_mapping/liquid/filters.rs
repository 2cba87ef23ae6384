//! Liquid's filters, each as liquidjs does it.

use std::fmt;

use liquid_core::model::{Value, ValueView};
use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::runtime::Expression;
use liquid_core::{Filter, FilterReflection, ParseFilter, Runtime};

use super::bound::MOST_BYTES;
use super::convert::{
    argument_number, argument_text, count, is_text, joined, json, number, text, to_array, to_number, to_text,
};
use super::date::date;
use super::text::{capitalized, escaped, replaced, url_decoded, url_encoded, without_tags};

/// What a filter does with its input and its arguments.
type Apply = fn(&Value, &[Value]) -> Value;

/// A filter by its name.
#[derive(Clone, Copy)]
pub struct NamedFilter {
    name: &'static str,
    apply: Apply,
}

/// Every filter that is allowed.
pub fn all() -> impl Iterator<Item = NamedFilter> {
    let filters: [(&'static str, Apply); 43] = [
        ("abs", |v, _| number(to_number(v).abs())),
        ("append", |v, a| text(to_text(v) + &argument_text(a, 0))),
        ("at_least", |v, a| number(to_number(v).max(argument_number(a, 0)))),
        ("at_most", |v, a| number(to_number(v).min(argument_number(a, 0)))),
        ("capitalize", |v, _| text(capitalized(&to_text(v)))),
        ("ceil", |v, _| number(to_number(v).ceil())),
        ("compact", |v, _| Value::Array(to_array(v).into_iter().filter(|item| !item.is_nil()).collect())),
        ("date", |v, a| date(v, &argument_text(a, 0))),
        ("default", default),
        ("divided_by", |v, a| number(to_number(v) / argument_number(a, 0))),
        ("downcase", |v, _| text(to_text(v).to_lowercase())),
        ("escape", |v, _| text(escaped(&to_text(v)))),
        ("first", |v, _| end(v, true)),
        ("floor", |v, _| number(to_number(v).floor())),
        ("join", |v, a| {
            let separator = a.first().map_or_else(|| " ".to_owned(), to_text);
            text(joined(&to_array(v), &separator))
        }),
        ("json", |v, _| text(json(v))),
        ("last", |v, _| end(v, false)),
        ("lstrip", |v, _| text(to_text(v).trim_start().to_owned())),
        ("minus", |v, a| number(to_number(v) - argument_number(a, 0))),
        ("modulo", |v, a| {
            let by = argument_number(a, 0);
            number(((to_number(v) % by) + by) % by)
        }),
        ("plus", |v, a| number(to_number(v) + argument_number(a, 0))),
        ("prepend", |v, a| text(argument_text(a, 0) + &to_text(v))),
        ("remove", |v, a| text(replaced(&to_text(v), &argument_text(a, 0), ""))),
        ("remove_first", |v, a| text(to_text(v).replacen(&argument_text(a, 0), "", 1))),
        ("replace", |v, a| text(replaced(&to_text(v), &argument_text(a, 0), &argument_text(a, 1)))),
        ("replace_first", |v, a| text(to_text(v).replacen(&argument_text(a, 0), &argument_text(a, 1), 1))),
        ("round", |v, a| number(rounded(to_number(v), argument_number(a, 0)))),
        ("rstrip", |v, _| text(to_text(v).trim_end().to_owned())),
        ("size", size),
        ("slice", slice),
        ("split", split),
        ("squish", |v, _| text(to_text(v).split_whitespace().collect::<Vec<_>>().join(" "))),
        ("strip", |v, _| text(to_text(v).trim().to_owned())),
        ("strip_html", |v, _| text(without_tags(&to_text(v)))),
        ("strip_newlines", |v, _| text(to_text(v).replace("\r\n", "").replace('\n', ""))),
        ("sum", |v, _| number(to_array(v).iter().map(to_number).sum())),
        ("times", |v, a| number(to_number(v) * argument_number(a, 0))),
        ("truncate", truncate),
        ("truncatewords", truncate_words),
        ("upcase", |v, _| text(to_text(v).to_uppercase())),
        ("url_decode", |v, _| text(url_decoded(&to_text(v)))),
        ("url_encode", |v, _| text(url_encoded(&to_text(v)))),
        ("xml_escape", |v, _| text(escaped(&to_text(v)))),
    ];
    filters.into_iter().map(|(name, apply)| NamedFilter { name, apply })
}

impl NamedFilter {
    /// The name in a template.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// As the parser takes it.
    pub fn boxed(self) -> Box<dyn ParseFilter> {
        Box::new(self)
    }
}

impl FilterReflection for NamedFilter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        ""
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for NamedFilter {
    fn parse(&self, arguments: FilterArguments<'_>) -> liquid_core::Result<Box<dyn Filter>> {
        Ok(Box::new(AppliedFilter { filter: *self, arguments: arguments.positional.collect() }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

/// A filter with its arguments, in a template.
struct AppliedFilter {
    filter: NamedFilter,
    arguments: Vec<Expression>,
}

impl fmt::Debug for AppliedFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.filter.name)
    }
}

impl fmt::Display for AppliedFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.filter.name)
    }
}

impl Filter for AppliedFilter {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> liquid_core::Result<Value> {
        let arguments = self.arguments.iter().map(|argument| Ok(argument.evaluate(runtime)?.into_owned()));
        let arguments = arguments.collect::<liquid_core::Result<Vec<Value>>>()?;
        let input = input.to_value();
        // The longest that any of these can become is each character of the input replaced by an argument.
        let longest = arguments.iter().map(|argument| to_text(argument).len()).max().unwrap_or(0);
        if to_text(&input).len().saturating_mul(longest.max(9)) > MOST_BYTES.saturating_mul(16) {
            return Err(liquid_core::Error::with_msg("the liquid template works on too much"));
        }
        let output = (self.filter.apply)(&input, &arguments);
        match output.as_scalar() {
            Some(scalar) if scalar.to_kstr().len() > MOST_BYTES => {
                Err(liquid_core::Error::with_msg("the liquid template works on too much"))
            }
            _ => Ok(output),
        }
    }
}

fn default(value: &Value, arguments: &[Value]) -> Value {
    let is_empty = match value {
        Value::Array(items) => items.is_empty(),
        Value::Scalar(scalar) => scalar.to_bool() == Some(false) || scalar.to_kstr().is_empty(),
        Value::Object(_) => false,
        _ => true,
    };
    if is_empty { arguments.first().cloned().unwrap_or(Value::Nil) } else { value.clone() }
}

/// The first or last item, or character.
fn end(value: &Value, first: bool) -> Value {
    match value {
        Value::Array(items) => (if first { items.first() } else { items.last() }).cloned().unwrap_or(Value::Nil),
        Value::Scalar(scalar) if is_text(value) => {
            let text = scalar.to_kstr();
            let mut characters = text.chars();
            let character = if first { characters.next() } else { characters.next_back() };
            character.map_or(Value::Nil, |character| Value::scalar(character.to_string()))
        }
        _ => text(String::new()),
    }
}

fn size(value: &Value, _: &[Value]) -> Value {
    let length = match value {
        Value::Array(items) => items.len(),
        value if is_text(value) => to_text(value).encode_utf16().count(),
        _ => 0,
    };
    Value::scalar(i64::try_from(length).unwrap_or(i64::MAX))
}

/// Half away from zero, as `Math.round` of the absolute value.
fn rounded(value: f64, digits: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation)] // a cast of floats saturates
    let scale = 10f64.powi(digits as i32);
    let scaled = value.abs() * scale;
    if !scaled.is_finite() || scaled > 9_007_199_254_740_991.0 {
        return value;
    }
    ((scaled + 0.5).floor() / scale).copysign(value)
}

fn slice(value: &Value, arguments: &[Value]) -> Value {
    if value.is_nil() {
        return Value::Array(Vec::new());
    }
    let (begin, length) = (argument_number(arguments, 0), arguments.get(1).map_or(1.0, to_number));
    let sliced = |size: usize| {
        #[allow(clippy::cast_precision_loss)] // no text has 2^53 characters
        let begin = if begin < 0.0 { size as f64 + begin } else { begin };
        (begin >= 0.0 && length >= 0.0).then(|| (count(begin), count(length)))
    };
    if let Value::Array(items) = value {
        let range = sliced(items.len()).unwrap_or((0, 0));
        return Value::Array(items.iter().skip(range.0).take(range.1).cloned().collect());
    }
    let whole = to_text(value);
    let range = sliced(whole.chars().count()).unwrap_or((0, 0));
    text(whole.chars().skip(range.0).take(range.1).collect())
}

fn split(value: &Value, arguments: &[Value]) -> Value {
    let (whole, separator) = (to_text(value), argument_text(arguments, 0));
    let mut parts: Vec<String> = if separator.is_empty() {
        whole.chars().map(String::from).collect()
    } else {
        whole.split(separator.as_str()).map(str::to_owned).collect()
    };
    while parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    Value::Array(parts.into_iter().map(text).collect())
}

fn truncate(value: &Value, arguments: &[Value]) -> Value {
    let whole = to_text(value);
    let most = arguments.first().map_or(50, |most| count(to_number(most)));
    let mark = arguments.get(1).map_or_else(|| "...".to_owned(), to_text);
    if whole.chars().count() <= most {
        return value.clone();
    }
    let kept = most.saturating_sub(mark.chars().count());
    text(whole.chars().take(kept).collect::<String>() + &mark)
}

fn truncate_words(value: &Value, arguments: &[Value]) -> Value {
    let whole = to_text(value);
    let most = arguments.first().map_or(15, |most| count(to_number(most))).max(1);
    let mark = arguments.get(1).map_or_else(|| "...".to_owned(), to_text);
    // An empty text has one empty word in JavaScript, and space at the end makes one more.
    let words: Vec<&str> = whole.trim_start().split(char::is_whitespace).collect();
    let mut words: Vec<&str> = words
        .iter()
        .enumerate()
        .filter(|(at, word)| !word.is_empty() || at + 1 == words.len())
        .map(|(_, word)| *word)
        .collect();
    let cut = words.len() >= most;
    words.truncate(most);
    text(words.join(" ") + if cut { &mark } else { "" })
}
