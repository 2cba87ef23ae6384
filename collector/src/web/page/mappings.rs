//! Mappings: what each takes, what came of it, and what it would make of an event.

use axum::Form;
use axum::extract::State;
use koala_destination::plural::counted;
use koala_destination::preview::{MappingPreview, Preview, Verdict};
use koala_destination::segment::Mapping;
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Content, Page, PageError};
use super::layout;
use super::place::Place;
use crate::intent::IntentRule;
use crate::web::pipeline::MappingTally;
use crate::web::state::Web;

/// What stands in the box at first.
const EXAMPLE: &str = r#"{
  "type": "track",
  "messageId": "try-1",
  "event": "Viewed Pricing",
  "userId": "u-1",
  "properties": { "path": "/pricing", "email": "ada@acme.com" }
}"#;

/// `GET /mappings`
pub async fn list(State(web): State<Web>) -> Page {
    let content = content(&web, EXAMPLE, None).await?;
    Ok(Content::new("Mappings", Place::Mappings, content))
}

#[derive(Deserialize)]
pub struct TryForm {
    event: String,
}

/// `POST /mappings`: nothing is sent.
pub async fn try_event(State(web): State<Web>, Form(TryForm { event }): Form<TryForm>) -> Page {
    let preview = web.pipeline.preview(&event).await?;
    let content = content(&web, &event, Some(&preview)).await?;
    Ok(Content::still("Mappings", Place::Mappings, content))
}

async fn content(web: &Web, event: &str, preview: Option<&Preview>) -> Result<Markup, PageError> {
    let mappings = web.pipeline.mappings().await?;
    let (_, tallies) = web.pipeline.tallies().await?;
    let rules = web.store.intent_rules().await?;
    let none = MappingTally::default();
    let of = |mapping: &Mapping| match preview {
        Some(Preview::Mapped { mappings, .. }) => mappings.iter().find(|one| one.mapping == mapping.name()),
        _ => None,
    };
    Ok(html! {
        form.try method="post" action="/mappings" {
            label for="event" { "Try an event: what each mapping would make of it, without sending it" }
            textarea #event name="event" rows="8" spellcheck="false" { (event) }
            p { button { "Try it" } " " @if preview.is_some() { a href="/mappings" { "Clear" } } }
        }
        @match preview {
            Some(Preview::Rejected { reason }) => p.bad role="status" { "Rejected at intake: " (reason) }
            Some(Preview::Skipped { reason, .. }) => p role="status" { "Skipped at intake: " (reason) }
            _ => {}
        }
        @for mapping in &mappings {
            (card(mapping, tallies.get(mapping.name()).unwrap_or(&none), of(mapping)))
        }
        h2 #intent { "Intent rules" }
        (intent_rules(&rules))
    })
}

fn card(mapping: &Mapping, tally: &MappingTally, preview: Option<&MappingPreview>) -> Markup {
    html! {
        section.card.mapping {
            h2 {
                (heading(mapping))
                @if mapping.is_preset() { " " span.soft { "· preset" } }
                " " span.soft { @if mapping.is_enabled() { "· on" } @else { "· off" } }
            }
            p { code { (mapping.trigger().as_str()) } }
            p.soft {
                (tally.queued) " accepted · " (tally.waiting) " in queue · " (tally.delivered) " delivered · "
                (tally.retried) " retried · "
                span class=[(tally.dead > 0).then_some("bad")] { (counted(tally.dead.unsigned_abs(), "dead letter")) }
            }
            @if let Some(preview) = preview { div.verdict role="status" { (verdict(&preview.verdict)) } }
        }
    }
}

/// What a mapping is called: its action where it has the action's name, as a preset has, else its name and the action.
fn heading(mapping: &Mapping) -> String {
    let action = mapping.action();
    if mapping.name() == action.name() {
        action.title().to_owned()
    } else {
        format!("{} → {}", mapping.name(), action.title())
    }
}

fn verdict(verdict: &Verdict) -> Markup {
    html! {
        @match verdict {
            Verdict::Disabled => p.soft { "It is off." }
            Verdict::NoMatch => p.soft { "Does not match this event." }
            Verdict::TakenByOwn { by } => p.soft { "Leaves this event to " (by) "." }
            Verdict::Skipped { reason } => p { "Sends nothing: " (reason) }
            Verdict::DeadLetter { reason } => p.bad { "Would be a dead letter: " (reason) }
            Verdict::Delivers { request, .. } => {
                p { "The collector would get:" }
                pre { code { (serde_json::to_string_pretty(request).unwrap_or_default()) } }
            }
        }
    }
}

fn intent_rules(rules: &[IntentRule]) -> Markup {
    let row = |rule: &IntentRule| {
        html! {
            td { (rule.name) }
            td {
                code { (rule.trigger.as_str()) }
                @if let Some(count) = rule.count {
                    " " span.soft { "at least " (count.at_least) " within " (counted(u64::from(count.within_days), "day")) }
                }
            }
            td.number { (rule.score) }
            td.number { (rule.half_life_days) " d" }
        }
    };
    layout::table(
        &html! { th { "Rule" } th { "Trigger" } th.number { "Points" } th.number { "Half-life" } },
        &rules.iter().map(row).collect::<Vec<_>>(),
        &html! { "No intent rules." },
    )
}
