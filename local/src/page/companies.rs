//! Companies, and one of them.

use axum::extract::{Path, Query, State};
use maud::html;
use serde::Deserialize;

use super::layout::{self, Place};
use super::{Page, PageError, page};
use crate::gateway::Gateway;

/// Companies on a page.
const ON_A_PAGE: u32 = 50;
/// The most people of a company that its page shows.
const MOST_PEOPLE: u32 = 200;

#[derive(Deserialize)]
pub struct Which {
    #[serde(default)]
    offset: u32,
}

/// `GET /`
pub async fn list(State(gateway): State<Gateway>, Query(which): Query<Which>) -> Page {
    let (companies, total) = gateway.companies.list(which.offset, ON_A_PAGE).await?;
    let keys = companies.iter().map(|company| company.key.clone()).collect();
    let activity = gateway.companies.activity(keys).await?;
    Ok(page(layout::page(
        "Companies",
        Some(Place::Companies),
        &html! {
            div.card {
                @if companies.is_empty() {
                    p.empty { "No company yet. Send events with " code { "cargo koala send tests/events" } "; they appear here." }
                } @else {
                    table {
                        thead { tr {
                            th { "Company" } th.number { "Visitors" } th.number { "Events" } th.wide { "Two weeks" } th { "Last seen" }
                        } }
                        tbody {
                            @for (company, days) in companies.iter().zip(&activity) {
                                tr {
                                    td {
                                        a href={ "/companies/" (encoded(&company.key)) } { (company.name.as_deref().unwrap_or(&company.key)) }
                                        @if let (Some(domain), Some(_)) = (&company.domain, &company.name) { " " span.soft { (domain) } }
                                    }
                                    td.number { (company.visitors) }
                                    td.number { (company.events) }
                                    td.wide { (layout::sparkline(days)) }
                                    td { @if let Some(at) = &company.last_seen { (layout::time(at)) } }
                                }
                            }
                        }
                    }
                }
            }
            (layout::pager(&|offset| format!("/?offset={offset}"), which.offset, ON_A_PAGE, total))
        },
    )))
}

/// `GET /companies/{key}`
pub async fn show(State(gateway): State<Gateway>, Path(key): Path<String>) -> Page {
    let found = gateway.companies.show(key.to_lowercase(), MOST_PEOPLE).await?;
    let (company, people) = found.ok_or(PageError::NotFound)?;
    let title = company.name.clone().unwrap_or_else(|| company.key.clone());
    Ok(page(layout::page(
        &title,
        Some(Place::Companies),
        &html! {
            div.card { dl {
                @if let Some(domain) = &company.domain { dt { "Domain" } dd { (domain) } }
                dt { "Visitors" } dd { (company.visitors) }
                dt { "Events" } dd { (company.events) }
                @for (name, value) in &company.traits { dt { (name) } dd { (layout::value(value)) } }
            } }
            h2 { "People" }
            (super::visitors::table(&people))
        },
    )))
}

/// A key as a piece of a path.
pub(super) fn encoded(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push('%');
            path.extend([byte >> 4, byte & 0xf].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)));
        }
    }
    path
}
