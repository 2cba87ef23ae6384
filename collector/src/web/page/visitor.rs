//! One visitor: who it is, what is known of it, and the timeline.

use axum::extract::{Path, State};
use koala_destination::plural::counted;
use maud::{Markup, html};
use serde_json::Value;

use super::answer::{Content, Page, PageError};
use super::decisions;
use super::entry::Described;
use super::layout;
use super::place::Place;
use super::visitor_name;
use super::words;
use crate::company::TRAITS_OF_COMPANY;
use crate::store::visitor::{TimelineEntry, Visitor, VisitorId};
use crate::web::state::Web;

/// The most entries of a timeline that are shown.
const LONGEST_TIMELINE: u32 = 200;
/// After so long without an entry a session is over, as Google Analytics counts them
/// (<https://support.google.com/analytics/answer/9191807>).
const END_OF_SESSION: i64 = 30 * 60 * 1000;

/// `GET /visitors/{id}`
pub async fn show(State(web): State<Web>, Path(id): Path<VisitorId>) -> Page {
    let (visitor, timeline) = web.store.show_visitor(&id, LONGEST_TIMELINE).await?.ok_or(PageError::NotFound)?;
    let entries = visitor.events + visitor.page_views + visitor.identifies;
    Ok(Content::new(
        visitor.name(),
        Place::Visitors,
        html! {
            div.card { dl {
                @if let Some(company) = visitor_name::company(&visitor) { dt { "Company" } dd { (company) } }
                dt { "Intent" }
                dd {
                    (words::interest(visitor.intent.strength_label, visitor.intent.trend))
                    " " span.soft { (layout::written(visitor.intent.points)) " points" }
                }
                @if visitor.excluded { dt { "Ranking" } dd { "kept out by the parameter " code { "exclude" } } }
                @for (name, value) in told_traits(&visitor) { dt title=(name) { (words::label(name)) } dd { (value) } }
                dt { "First seen" } dd { (layout::time(&visitor.first_seen)) }
                dt { "Last seen" } dd { (layout::time(&visitor.last_seen)) " (" (layout::ago(&visitor.last_seen)) ")" }
                @for identity in &visitor.identities { (decisions::identity(&visitor.id, identity)) }
            } }
            h2 { "Timeline" }
            (timeline_table(&timeline))
            @if timeline.len() == LONGEST_TIMELINE as usize {
                p.soft { "The newest " (timeline.len()) " of " (counted(entries.unsigned_abs(), "entry")) "." }
            }
            details.danger {
                summary { "Delete this person" }
                p { "Deletes all identities, traits and entries, and what is queued for them. Another account that has the same address stays. This cannot be undone." }
                p {
                    a href={ "/api/visitors/" (visitor.id) "/export" } { "Export data first" }
                    ". Data older than " (counted(web.retention.days(), "day")) " is deleted automatically."
                }
                form method="post" action={ "/visitors/" (visitor.id) "/delete" } { button { "Delete permanently" } }
            }
        },
    ))
}

/// The traits as people read them, but for the names that stand above them and an address that stands among the ids.
fn told_traits(visitor: &Visitor) -> Vec<(&String, String)> {
    let title = visitor.name();
    let is_an_id = |name: &str, value: &Value| {
        let says = |id: &String| value.as_str().is_some_and(|value| value.trim().to_lowercase() == id.to_lowercase());
        name.eq_ignore_ascii_case("email") && visitor.emails.iter().any(says)
    };
    let is_title =
        |name: &str, value: &Value| name == "name" && value.as_str().is_some_and(|value| value.trim() == title);
    let company = visitor.company.as_deref().unwrap_or_default();
    let with_domain = format!("{company} ({})", visitor.account.as_deref().unwrap_or_default());
    let is_company = |name: &str, value: &Value| {
        TRAITS_OF_COMPANY.contains(&name) && [company, &*with_domain].contains(&words::value(value).trim())
    };
    let stands_elsewhere =
        |name: &str, value: &Value| is_an_id(name, value) || is_title(name, value) || is_company(name, value);
    let told = visitor.traits.iter().filter(|(name, value)| !stands_elsewhere(name, value));
    told.map(|(name, value)| (name, words::value(value))).filter(|(_, value)| !value.is_empty()).collect()
}

fn timeline_table(timeline: &[TimelineEntry]) -> Markup {
    let before = timeline.iter().skip(1).map(Some).chain([None]);
    html! {
        div.card { table.timeline { tbody {
            @for (entry, before) in timeline.iter().zip(before) {
                tr {
                    td { (layout::time(&entry.at)) }
                    td {
                        (Described::of(&entry.kind, entry.name.as_deref(), entry.entry.get()).markup())
                        details data-key=[entry.message_id.as_deref()] {
                            summary { "Raw JSON" }
                            pre { code { (indented(entry.entry.get())) } }
                        }
                    }
                }
                @if let Some(gap) = before.and_then(|before| gap(&before.at, &entry.at)) {
                    tr.gap { td colspan="2" { "↑ " (gap) " later" } }
                }
            }
        } } }
    }
}

/// How long nothing was done between two entries, where that is another session.
fn gap(before: &str, at: &str) -> Option<String> {
    let passed = words::milliseconds(at).saturating_sub(words::milliseconds(before));
    (passed >= END_OF_SESSION).then(|| words::duration(passed))
}

fn indented(json: &str) -> String {
    let value: Option<Value> = serde_json::from_str(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::page::visitor_name;

    #[test]
    fn the_company_stands_above_and_is_told_no_second_time() {
        let mut visitor = visitor_name::tests::visitor(&VisitorId::new("1"), "u-1");
        visitor.company = Some("Raviga".to_owned());
        visitor.account = Some("raviga.example".to_owned());
        let traits = json!({"$account": {"name": "Raviga", "domain": "raviga.example", "group_id": "acc_12"},
                            "company": {"name": "Raviga"}, "title": "CTO"});
        visitor.traits = traits.as_object().cloned().unwrap_or_default();
        assert_eq!(told_traits(&visitor), [(&"title".to_owned(), "CTO".to_owned())]);
        // What it says besides is told.
        visitor.traits["company"]["employees"] = json!(180);
        assert_eq!(told_traits(&visitor)[0].1, "Raviga, employees: 180");
    }

    #[test]
    fn half_an_hour_without_an_entry_is_another_session_and_told_in_words() {
        let gap = |at: &str| gap("2026-11-20T10:00:00.000Z", at);
        assert_eq!(gap("2026-11-20T10:29:59.000Z"), None);
        assert_eq!(gap("2026-11-20T10:30:00.000Z").as_deref(), Some("30 minutes"));
        assert_eq!(gap("2026-11-23T11:00:00.000Z").as_deref(), Some("3 days"));
    }
}
