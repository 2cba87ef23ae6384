//! What the reference checks of a mapping before it looks at an event: which keys a directive has, and their types.

use serde_json::{Map, Value as Json};

use super::problem::FieldProblem;
use super::replace::LONGEST_PATTERN;

/// Every problem of a mapping.
pub fn problems(written: &Json) -> Vec<FieldProblem> {
    let mut checker = Checker { problems: Vec::new() };
    checker.value(written, "");
    checker.problems
}

struct Checker {
    problems: Vec<FieldProblem>,
}

/// Whether any key marks the object as a directive.
fn is_directive(fields: &Map<String, Json>) -> bool {
    fields.keys().any(|key| key.starts_with('@'))
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Checker {
    fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(FieldProblem { path: path.to_owned(), message: message.into() });
    }

    /// Items of arrays are not looked at, as in the reference.
    fn value(&mut self, written: &Json, path: &str) {
        match written {
            Json::Object(fields) if is_directive(fields) => self.directive(fields, path),
            Json::Object(fields) => fields.iter().for_each(|(key, value)| self.value(value, &below(path, key))),
            _ => {}
        }
    }

    fn directive(&mut self, fields: &Map<String, Json>, path: &str) {
        let directives: Vec<&String> = fields.keys().filter(|key| key.starts_with('@')).collect();
        let others = fields.keys().filter(|key| !key.starts_with('@') && *key != "_metadata").count();
        let [name] = directives[..] else {
            return self.problem(path, format!("should have one @-prefixed key but it has {}", directives.len()));
        };
        if others > 0 {
            return self.problem(path, format!("should have no key beside {name} but it has {others}"));
        }
        let argument = &fields[name];
        let path = &below(path, name);
        match name.as_str() {
            "@path" | "@template" => self.directive_or_text(argument, path),
            "@literal" | "@excludeWhenNull" => self.directive_or_any(argument, path),
            "@liquid" => self.text(argument, path),
            "@arrayPath" => match argument {
                Json::Array(items) => {
                    self.directive_or_text(items.first().unwrap_or(&Json::Null), path);
                    items.get(1).into_iter().for_each(|shape| self.value(shape, path));
                }
                _ => self.should_be(path, "an array", argument),
            },
            "@if" | "@case" | "@replace" | "@json" | "@flatten" | "@merge" | "@transform" => {
                self.directive_with_options(name, argument, path);
            }
            _ => self.problem(path, "is not a directive"),
        }
    }

    fn directive_with_options(&mut self, name: &str, argument: &Json, path: &str) {
        let Json::Object(options) = argument else { return self.should_be(path, "an object", argument) };
        if is_directive(options) {
            return self.problem(path, "should hold its options and no @-prefixed key");
        }
        // The reference looks into every option first as it looks into any object.
        let before = self.problems.len();
        self.value(argument, path);
        if self.problems.len() > before {
            return;
        }
        match name {
            "@if" => {
                for key in ["exists", "then", "else"] {
                    self.optional(options, key, path, Self::directive_or_any);
                }
            }
            "@case" => {
                self.optional(options, "operator", path, Self::text);
                self.optional(options, "value", path, Self::directive_or_text);
            }
            "@replace" => {
                self.required(options, "pattern", path, |checker, value, path| checker.short_text(value, path, 1));
                self.optional(options, "replacement", path, |checker, value, path| checker.short_text(value, path, 0));
                self.required(options, "value", path, Self::directive_or_text);
                self.optional(options, "ignorecase", path, Self::boolean);
                self.optional(options, "global", path, Self::boolean);
            }
            "@json" => {
                self.required(options, "value", path, Self::directive_or_any);
                self.required(options, "mode", path, |checker, value, path| {
                    checker.one_of(value, path, ["encode", "decode"]);
                });
            }
            "@flatten" => {
                self.optional(options, "separator", path, Self::text);
                self.required(options, "value", path, Self::directive_or_any);
            }
            "@merge" => {
                self.optional(options, "direction", path, |checker, value, path| {
                    checker.one_of(value, path, ["left", "right"]);
                });
                self.required(options, "objects", path, |checker, value, path| match value {
                    Json::Array(objects) => objects.iter().for_each(|object| checker.directive_or_object(object, path)),
                    _ => checker.should_be(path, "an array", value),
                });
            }
            _ => {
                self.required(options, "apply", path, Self::directive_or_object);
                self.required(options, "mapping", path, Self::directive_or_object);
            }
        }
    }

    fn optional(&mut self, options: &Map<String, Json>, key: &str, path: &str, check: impl Fn(&mut Self, &Json, &str)) {
        if let Some(value) = options.get(key) {
            check(self, value, &below(path, key));
        }
    }

    fn required(&mut self, options: &Map<String, Json>, key: &str, path: &str, check: impl Fn(&mut Self, &Json, &str)) {
        match options.get(key) {
            Some(value) => check(self, value, &below(path, key)),
            None => self.problem(path, format!("should have the key \"{key}\" but it has not")),
        }
    }

    fn directive_or_any(&mut self, value: &Json, path: &str) {
        if let Json::Object(fields) = value
            && is_directive(fields)
        {
            self.directive(fields, path);
        }
    }

    fn directive_or_text(&mut self, value: &Json, path: &str) {
        match value {
            Json::String(_) => {}
            Json::Object(fields) if is_directive(fields) => self.directive(fields, path),
            _ => self.should_be(path, "a string or a directive", value),
        }
    }

    fn directive_or_object(&mut self, value: &Json, path: &str) {
        match value {
            Json::Object(_) => self.value(value, path),
            _ => self.should_be(path, "an object or a directive", value),
        }
    }

    fn text(&mut self, value: &Json, path: &str) {
        if !value.is_string() {
            self.should_be(path, "a string", value);
        }
    }

    fn short_text(&mut self, value: &Json, path: &str, shortest: usize) {
        match value.as_str().map(|text| text.encode_utf16().count()) {
            None => self.should_be(path, "a string", value),
            Some(length) if !(shortest..=LONGEST_PATTERN).contains(&length) => {
                self.problem(
                    path,
                    format!("should have {shortest} to {LONGEST_PATTERN} characters but it has {length}"),
                );
            }
            Some(_) => {}
        }
    }

    fn one_of(&mut self, value: &Json, path: &str, allowed: [&str; 2]) {
        match value.as_str() {
            Some(text) if allowed.contains(&text.to_lowercase().as_str()) => {}
            Some(_) => self.problem(path, format!("should be \"{}\" or \"{}\"", allowed[0], allowed[1])),
            None => self.should_be(path, "a string", value),
        }
    }

    fn boolean(&mut self, value: &Json, path: &str) {
        if !value.is_boolean() {
            self.should_be(path, "a boolean", value);
        }
    }

    fn should_be(&mut self, path: &str, expected: &str, found: &Json) {
        let found = match found {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(fields) if is_directive(fields) => "a directive",
            Json::Object(_) => "an object",
        };
        self.problem(path, format!("should be {expected} but it is {found}"));
    }
}
