//! `koala preview`: what would happen to an event, without sending it.
//!
//! [`koala_destination::preview`] decides, also for the page and the API; [`questions`] answers programs.

mod questions;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use koala_collector::alert_preview::{PreviewedAlert, of_request};
use koala_collector::settings::CollectorSettings;
use koala_destination::clock::now_milliseconds;
use koala_destination::preview::{MappingPreview, Preview, Previewer, Verdict};
use koala_destination::settings::{ParameterSource, Settings};
use serde_json::{Value as Json, json};

use crate::environment::{Environment, refuses_colour};
use crate::fixtures;
use crate::output::outln;
use crate::parameter_directory::ParameterDirectory;

#[derive(Args)]
#[command(after_help = "Examples:
  koala preview tests/events/track-server.json
  koala preview --parameters my-parameters event.json
  koala preview --json event.json
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
    /// Print a JSON line for each event.
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,
    /// For programs: mappings and triggers with their events from standard input, a JSON line each.
    #[arg(long)]
    jsonl: bool,
}

/// Runs the command.
pub async fn run(options: Options) -> Result<ExitCode> {
    if options.jsonl {
        questions::answer_lines(&mut io::stdin().lock(), &mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    let parameters = ParameterDirectory::new(&options.parameters).read().await?;
    let environment = Environment::of_process()?;
    let settings = Settings::from_parameters(&parameters, environment.collector.kind)?;
    let previewer = Previewer { settings: &settings, intake: environment.intake, entry: &environment.delivery.entry };
    let of_collector = ParameterDirectory::of_collector(&options.parameters).read().await?;
    let of_collector = CollectorSettings::read(&of_collector);
    let paint = Paint { on: io::stdout().is_terminal() && !refuses_colour() };
    let mut rejected = false;
    for fixture in fixtures::read(&options.files)? {
        let preview = previewer.preview(fixture.event.get());
        rejected |= preview.is_rejected();
        let alerts = alerts(&of_collector, &preview);
        if options.json {
            outln!("{}", json!({"file": fixture.file.display().to_string(), "preview": preview, "alerts": alerts}));
            continue;
        }
        outln!("{}", paint.bold(&fixture.file.display().to_string()));
        paint.show(&preview);
        paint.show_alerts(&alerts);
        outln!("");
    }
    Ok(ExitCode::from(u8::from(rejected)))
}

/// The alerts that an event would set off by what the collector would get.
fn alerts(settings: &CollectorSettings, preview: &Preview) -> Vec<PreviewedAlert> {
    let Preview::Mapped { mappings, .. } = preview else { return Vec::new() };
    let requests = mappings.iter().filter_map(|mapping| match &mapping.verdict {
        Verdict::Delivers { request, .. } => Some(request),
        _ => None,
    });
    let mut alerts = Vec::new();
    for alert in requests.flat_map(|request| of_request(settings, request, now_milliseconds())) {
        if !alerts.contains(&alert) {
            alerts.push(alert);
        }
    }
    alerts
}

/// Colours, where they are wanted.
struct Paint {
    on: bool,
}

impl Paint {
    fn show(&self, preview: &Preview) {
        let event = match preview {
            Preview::Rejected { reason } => return outln!("  {}  {reason}", self.red("rejected")),
            Preview::Skipped { event, .. } | Preview::Mapped { event, .. } => event,
        };
        outln!("  {:<10}{}  {}", "event", event.kind, event.message_id);
        match preview {
            Preview::Rejected { .. } => {}
            Preview::Skipped { reason, .. } => outln!("  {}   {reason}", self.yellow("skipped")),
            Preview::Mapped { mappings, .. } => self.show_mappings(mappings),
        }
    }

    fn show_mappings(&self, mappings: &[MappingPreview]) {
        for MappingPreview { mapping, action, preset, verdict } in mappings {
            let matches = match verdict {
                Verdict::Disabled => self.yellow("disabled"),
                Verdict::NoMatch => "does not match".to_owned(),
                Verdict::TakenByOwn { by } => format!("skips it, since {by} takes it"),
                _ => self.green("matches"),
            };
            let kind = if *preset { "preset" } else { "mapping" };
            outln!("  {kind:<10}{mapping} → {action}: {matches}");
        }
        let takes = |one: &MappingPreview| {
            !matches!(one.verdict, Verdict::Disabled | Verdict::NoMatch | Verdict::TakenByOwn { .. })
        };
        if !mappings.iter().any(takes) {
            outln!("  {}   no enabled mapping takes it", self.yellow("skipped"));
        }
        for MappingPreview { mapping, verdict, .. } in mappings {
            match verdict {
                Verdict::Disabled | Verdict::NoMatch | Verdict::TakenByOwn { .. } => {}
                Verdict::Skipped { reason } => outln!("  {}   by {mapping}: {reason}", self.yellow("skipped")),
                Verdict::DeadLetter { reason } => outln!("  {}  by {mapping}: {reason}", self.red("dead letter")),
                Verdict::Delivers { route, request } => self.show_request(mapping, route, request),
            }
        }
    }

    fn show_request(&self, mapping: &str, route: &str, request: &Json) {
        outln!("  {}  by {mapping}: POST …/web/projects/<public-api-key>/{route}", self.green("delivers"));
        for line in serde_json::to_string_pretty(request).unwrap_or_default().lines() {
            outln!("    {line}");
        }
    }

    fn show_alerts(&self, alerts: &[PreviewedAlert]) {
        for PreviewedAlert { alert, rule, to, only, at_least, too_old } in alerts {
            let only = only.as_ref().map(|only| format!(", only {only}")).unwrap_or_default();
            let counted = at_least.map(|count| format!(", from {count} such events on")).unwrap_or_default();
            let too_old = if *too_old { "; not for this event, which is of more than a day ago" } else { "" };
            outln!(
                "  {}    {alert} → {}: by the intent rule {rule}, once for a visitor and day{counted}{only}{too_old}",
                self.green("alert"),
                to.join(", ")
            );
        }
    }

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
