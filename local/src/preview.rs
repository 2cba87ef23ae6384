//! `koala preview`: what would happen to an event, without sending it.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use koala_destination::environment;
use koala_destination::json::Object;
use koala_destination::koala::{Delivered, EntryOptions, EntryProblem, entry, request_body};
use koala_destination::segment::{Event, FieldMapping, Mapping, Trigger, Value};
use koala_destination::settings::{ParameterDirectory, ParameterSource, Settings};
use koala_destination::{clock, intake::IntakeOptions};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::fixtures;

#[derive(Args)]
#[command(after_help = "Examples:
  koala preview tests/events/track-server.json
  koala preview --parameters my-parameters event.json
  echo '{\"id\":1,\"trigger\":\"type = \\\"track\\\"\",\"event\":{\"type\":\"track\"}}' | koala preview --jsonl

With --jsonl each line of standard input is answered by a line, in order:
  {\"id\",\"mapping\":M,\"event\":E}  →  {\"id\",\"output\":V} | {\"id\",\"absent\":true} | {\"id\",\"error\":\"…\"}
  {\"id\",\"trigger\":T,\"event\":E}  →  {\"id\",\"matches\":true|false} | {\"id\",\"error\":\"…\"}

Exit status: 0 every event would be delivered or skipped, 1 some would be rejected, 2 nothing could be previewed.")]
pub struct Options {
    /// Files with one JSON event, an array, or JSON lines; a folder stands for its .json and .jsonl files, - for stdin.
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl", value_name = "EVENT.json")]
    files: Vec<PathBuf>,
    /// The parameter tree with the mappings: a file each.
    #[arg(long, default_value = "local/parameters", value_name = "DIR")]
    parameters: PathBuf,
    /// For programs: mappings and triggers with their events from standard input, a JSON line each.
    #[arg(long)]
    jsonl: bool,
}

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    if options.jsonl {
        answer_lines(&mut io::stdin().lock(), &mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    let parameters = ParameterDirectory::new(&options.parameters).read().await?;
    let settings = Settings::from_parameters(&parameters)?;
    let variables = environment::process;
    let preview = Preview {
        settings: &settings,
        intake: environment::intake_options(&variables)?,
        entry: environment::delivery_options(&variables, 0)?.entry,
        paint: Paint { on: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() },
    };
    let mut rejected = false;
    for fixture in fixtures::read(&options.files)? {
        println!("{}", preview.paint.bold(&fixture.file.display().to_string()));
        rejected |= !preview.show(&fixture.event);
        println!();
    }
    Ok(ExitCode::from(u8::from(rejected)))
}

struct Preview<'s> {
    settings: &'s Settings,
    intake: IntakeOptions,
    entry: EntryOptions,
    paint: Paint,
}

impl Preview<'_> {
    /// Shows what would happen to one event; false when some of it would be rejected.
    fn show(&self, raw: &RawValue) -> bool {
        let event = match Event::parse(raw.get()) {
            Ok(event) => event,
            Err(error) => {
                println!("  {}  {error}", self.paint.red("rejected"));
                return false;
            }
        };
        println!("  {:<10}{}  {}", "event", event.kind(), event.message_id());
        if self.intake.koala_pixel_installed && event.is_from_analytics_js() {
            println!("  {}   Koala's pixel has sent this event of analytics.js", self.paint.yellow("skipped"));
            return true;
        }
        let takes: Vec<(&Mapping, bool)> = self.settings.mappings_that_take(&event).collect();
        for mapping in self.settings.mappings() {
            let verdict = match takes.iter().find(|(taken, _)| taken.name() == mapping.name()) {
                Some(_) => self.paint.green("matches"),
                None if mapping.is_enabled() => "does not match".to_owned(),
                None => self.paint.yellow("disabled"),
            };
            println!("  {:<10}{} → {}: {verdict}", "mapping", mapping.name(), mapping.action());
        }
        if takes.is_empty() {
            println!("  {}   no enabled mapping takes it", self.paint.yellow("skipped"));
        }
        let received_at = clock::now();
        let shown = takes.into_iter().map(|(mapping, another)| {
            match entry(&event, mapping, Delivered { received_at: &received_at, another }, &self.entry) {
                Ok(entry) => {
                    let body = request_body(mapping.action(), &entry.visitor, &[&entry]);
                    self.show_request(mapping, &body);
                    true
                }
                Err(EntryProblem::AnonymousLeftOut) => {
                    println!(
                        "  {}   by {}: {}",
                        self.paint.yellow("skipped"),
                        mapping.name(),
                        EntryProblem::AnonymousLeftOut
                    );
                    true
                }
                Err(error) => {
                    println!("  {}  by {}: {error}", self.paint.red("rejected"), mapping.name());
                    false
                }
            }
        });
        // Every request is shown, also after a rejection.
        shown.filter(|delivered| !delivered).count() == 0
    }

    fn show_request(&self, mapping: &Mapping, body: &str) {
        println!(
            "  {}  by {}: POST …/web/projects/<public-api-key>/batch",
            self.paint.green("delivers"),
            mapping.name()
        );
        let body: Json = serde_json::from_str(body).unwrap_or_default();
        for line in serde_json::to_string_pretty(&body).unwrap_or_default().lines() {
            println!("    {line}");
        }
    }
}

/// Colours, where they are wanted.
struct Paint {
    on: bool,
}

impl Paint {
    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    fn green(&self, text: &str) -> String {
        self.with("32", text)
    }

    fn yellow(&self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

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

fn answer_lines(questions: &mut impl BufRead, answers: &mut impl Write) -> Result<()> {
    let mut answers = io::BufWriter::new(answers);
    for line in questions.lines() {
        let line = line.context("standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Question<'_>>(&line) {
            Ok(question) => answer(&question),
            Err(error) => json!({"id": null, "error": format!("the line is no question: {error}")}),
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
