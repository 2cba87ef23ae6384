//! Alerts: what is configured, what was sent lately and why, and a test of each.

use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Content, Page, PageError};
use super::layout;
use super::place::Place;
use crate::signals::desk::{ShownAlert, ShownProblem, Tested};
use crate::store::alerts::{MessageState, StoredMessage};
use crate::web::state::Web;

/// The most messages that are shown.
const MOST_MESSAGES: u32 = 100;

/// `GET /alerts`
pub async fn show(State(web): State<Web>) -> Page {
    let markup = content(&web, None).await?;
    Ok(Content::new("Alerts", Place::Alerts, markup))
}

#[derive(Deserialize)]
pub struct TestForm {
    alert: String,
}

/// `POST /alerts/test`
pub async fn test(State(web): State<Web>, Form(TestForm { alert }): Form<TestForm>) -> Page {
    let desk = web.desk.as_ref().ok_or(PageError::NotFound)?;
    let tested = desk.test(&alert).await.ok_or(PageError::NotFound)?;
    let markup = content(&web, Some((&alert, &tested))).await?;
    Ok(Content::still("Alerts", Place::Alerts, markup))
}

/// `POST /alerts/redrive`
pub async fn redrive(State(web): State<Web>) -> Result<Redirect, PageError> {
    web.desk.as_ref().ok_or(PageError::NotFound)?.redrive().await?;
    Ok(Redirect::to("/alerts"))
}

async fn content(web: &Web, tested: Option<(&str, &[Tested])>) -> Result<Markup, PageError> {
    let Some(desk) = &web.desk else {
        return Ok(html! { p.empty { "Alerts are not evaluated here." } });
    };
    let shown = desk.configured().await;
    let messages = desk.messages(MOST_MESSAGES).await?;
    let is_any_dead = messages.iter().any(|message| message.state == MessageState::Dead);
    Ok(html! {
        @if let Some((alert, outcomes)) = tested { (outcome(alert, outcomes)) }
        (problems(&shown.problems))
        (configured(&shown.alerts))
        h2 { "Messages" }
        (table(&messages))
        @if is_any_dead {
            form method="post" action="/alerts/redrive" { p { button { "Retry dead letters" } } }
        }
    })
}

fn outcome(alert: &str, outcomes: &[Tested]) -> Markup {
    html! {
        div.card.note role="status" {
            p { "A test of " b { (alert) } ":" }
            ul {
                @for Tested { target, delivered, reason } in outcomes {
                    li class=[(!delivered).then_some("bad")] {
                        (target) ": "
                        @match reason { None => "delivered", Some(reason) => (reason) }
                    }
                }
            }
            p { a href="/alerts" { "Back to Alerts" } }
        }
    }
}

fn problems(problems: &[ShownProblem]) -> Markup {
    html! {
        @if !problems.is_empty() {
            div.card.note {
                p.bad { "Invalid; the rest are active:" }
                ul { @for ShownProblem { parameter, message } in problems { li { code { (parameter) } ": " (message) } } }
            }
        }
    }
}

fn configured(alerts: &[ShownAlert]) -> Markup {
    let row = |alert: &ShownAlert| {
        html! {
            td { (alert.alert) }
            td { (alert.on) @if let Some(only) = &alert.only { br; span.soft { "only " code { (only) } } } }
            td { @for (n, to) in alert.to.iter().enumerate() { @if n > 0 { ", " } (to.target) " " span.soft { (to.kind) } } }
            td {
                form method="post" action="/alerts/test" {
                    input type="hidden" name="alert" value=(alert.alert);
                    button aria-label={ "Send a test of " (alert.alert) } { "Send a test" }
                }
            }
        }
    };
    layout::table(
        &html! { th { "Alert" } th { "Goes off when" } th { "Tells" } th { "Test" } },
        &alerts.iter().map(row).collect::<Vec<_>>(),
        &html! {
            "No alert is configured. A parameter " code { "alerts/pricing" } " with " code { r#"{"on":"pricing","to":"sales"}"# }
            " tells the Slack webhook in the parameter " code { "alert-targets/sales" } " who looks at prices."
        },
    )
}

fn table(messages: &[StoredMessage]) -> Markup {
    let row = |message: &StoredMessage| {
        html! {
            td { (layout::time(&message.at)) }
            td {
                @match &message.company {
                    Some(company) => a href={ "/companies/" (layout::encoded(company.as_str())) } { (message.headline) },
                    None => (message.headline),
                }
            }
            td.wide { (message.alert) " → " (message.target) }
            td { (state(message)) }
        }
    };
    layout::table(
        &html! { th { "Decided" } th { "Message" } th.wide { "Alert" } th { "State" } },
        &messages.iter().map(row).collect::<Vec<_>>(),
        &html! { "No alert has gone off yet." },
    )
}

fn state(message: &StoredMessage) -> Markup {
    let reason = || html! { @if let Some(reason) = &message.reason { br; span.soft { (reason) } } };
    html! {
        @match (message.state, &message.when) {
            (MessageState::Sent, Some(at)) => { "sent " (layout::time(at)) }
            (MessageState::Sent, None) => "sent",
            (MessageState::Sending, _) => "being sent",
            (MessageState::Due, Some(at)) if message.tries > 0 => { "retried at " (layout::time(at)) (reason()) }
            (MessageState::Due, _) => "due",
            (MessageState::Unknown, _) => { span.bad { "unknown: it may have arrived, and is not sent again" } (reason()) }
            (MessageState::Skipped, _) => { span.soft { "skipped" } (reason()) }
            (MessageState::Dead, _) => { span.bad { "dead letter" } (reason()) }
        }
    }
}
