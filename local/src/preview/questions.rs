//! `koala preview --jsonl`: mappings and triggers with their events, a JSON line each.

use std::io::{self, BufRead, Write};

use anyhow::{Context, Result};
use koala_destination::json::Object;
use koala_destination::segment::{FieldMapping, Trigger, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

/// One line of `--jsonl`.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(default)]
    id: Json,
    mapping: Option<Json>,
    trigger: Option<String>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

/// Answers each line of `questions`, in order.
pub fn answer_lines(questions: &mut impl BufRead, answers: &mut impl Write) -> Result<()> {
    let mut answers = io::BufWriter::new(answers);
    for line in questions.lines() {
        let line = line.context("standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Question<'_>>(&line) {
            Ok(question) => answer(&question),
            Err(error) => json!({"id": null, "error": format!("the line is not a question: {error}")}),
        };
        writeln!(answers, "{answer}")?;
    }
    Ok(answers.flush()?)
}

fn answer(question: &Question<'_>) -> Json {
    let id = &question.id;
    match decide(question) {
        Ok((name, value)) => json!({"id": id, name: value}),
        Err(error) => json!({"id": id, "error": error}),
    }
}

fn decide(question: &Question<'_>) -> Result<(&'static str, Json), String> {
    let event = question.event.and_then(|event| Object::from_json(event.get())).ok_or("\"event\" must be an object")?;
    if let Some(trigger) = &question.trigger {
        let trigger = Trigger::parse(trigger).map_err(|error| error.to_string())?;
        return Ok(("matches", Json::Bool(trigger.matches(&event))));
    }
    let mapping = question.mapping.as_ref().ok_or("a \"mapping\" or a \"trigger\" is required")?;
    let mapping = FieldMapping::compile(mapping)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let output = mapping.render(&Value::Event(&event)).map_err(|error| error.to_string())?;
    let mut json = String::new();
    if !output.write_json(&mut json) {
        return Ok(("absent", Json::Bool(true)));
    }
    Ok(("output", serde_json::from_str(&json).map_err(|error| error.to_string())?))
}
