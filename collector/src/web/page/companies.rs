//! Companies, and one of them.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::answer::{Page, PageError, page};
use super::layout::{self, Place};
use super::visitors;
use crate::store::company::{Activity, Company, CompanyPage, Member, Reason};
use crate::web::filter_query::CompanyQuery;
use crate::web::state::Web;

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
pub async fn list(State(web): State<Web>, Query(query): Query<CompanyQuery>, Query(which): Query<Which>) -> Page {
    let filter = query.filter().unwrap_or_default();
    let (companies, total) = web.store.list_companies(filter, which.offset, ON_A_PAGE).await?;
    let keys = companies.iter().map(|company| company.id.clone()).collect();
    let activity = web.store.activity(keys).await?;
    let looked_back = web.store.looked_back().await?;
    let most = companies.iter().map(|company| company.intent).fold(0.0, f64::max);
    Ok(page(layout::page(
        "Companies",
        Some(Place::Companies),
        &html! {
            @if looked_back < 1.0 {
                p.soft { (format!("New intent rules have come through {:.0} % of what was there before.", looked_back * 100.0)) }
            }
            (layout::table(
                &html! {
                    th { "Company" } th { "Intent" } th.number { "Visitors" } th.number.wide { "Events" }
                    th.wide { "Two weeks" } th.wide { "Last seen" }
                },
                &companies.iter().zip(&activity).map(|(company, days)| row(company, days, most)).collect::<Vec<_>>(),
                &html! { "No company yet. Send events with " code { "cargo koala send tests/events" } "; they appear here." },
            ))
            p.soft {
                @if total > 0 { a href=(address("/api/companies.csv", &query, 0)) { "Download CSV" } " · " }
                "Ranked by " a href="/mappings#intent" { "intent" } ": what their visitors did, and how lately."
            }
            (layout::pager(&|offset| address("/", &query, offset), which.offset, ON_A_PAGE, total))
        },
    )))
}

/// An address with the same query.
fn address(path: &str, query: &CompanyQuery, offset: u32) -> String {
    let asked = query.pairs().into_iter().filter(|(_, value)| !value.is_empty());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked).append_pair("offset", &offset.to_string());
    format!("{path}?{}", query.finish())
}

fn row(company: &Company, days: &[i64], most: f64) -> Markup {
    html! {
        td {
            a href={ "/companies/" (layout::encoded(&company.key)) } { (company.name.as_deref().unwrap_or(&company.key)) }
            @if let (Some(domain), Some(_)) = (&company.domain, &company.name) { " " span.soft { (domain) } }
        }
        td { (layout::points(company.intent, most)) }
        td.number { (company.visitors) }
        td.number.wide { (company.events) }
        td.wide { (layout::sparkline(days)) }
        td.wide { @if let Some(at) = &company.last_seen { (layout::time(at)) } }
    }
}

/// `GET /companies/{key}`
pub async fn show(State(web): State<Web>, Path(key): Path<String>) -> Page {
    let found = web.company(&key, MOST_PEOPLE).await?;
    let CompanyPage { company, reasons, days, people, activity, .. } = found.ok_or(PageError::NotFound)?;
    let title = company.name.clone().unwrap_or_else(|| company.key.clone());
    Ok(page(layout::page(
        &title,
        Some(Place::Companies),
        &html! {
            div.card { dl {
                @if let Some(domain) = &company.domain { dt { "Domain" } dd { (domain) } }
                dt { "Visitors" } dd { (company.visitors) }
                dt { "Events" } dd { (company.events) }
                dt { "Two weeks" } dd { (layout::sparkline(&days)) }
                @for (name, value) in &company.traits { dt { (name) } dd { (layout::value(value)) } }
            } }
            h2 { "Intent: " (layout::written(company.intent)) " points" }
            (reasons_table(&reasons))
            h2 { "People" }
            (visitors::table(people.iter().map(|member| &member.visitor)))
            h2 { "Latest" }
            (activity_table(&activity, &people))
        },
    )))
}

fn reasons_table(reasons: &[Reason]) -> Markup {
    let most = reasons.iter().map(|reason| reason.points).fold(0.0, f64::max);
    let row = |reason: &Reason| {
        html! {
            td { (reason.rule) }
            td { (layout::points(reason.points, most)) }
            td.number { (reason.visitors) }
            td { (reason.last_day.get(..10).unwrap_or_default()) }
        }
    };
    layout::table(
        &html! { th { "Rule" } th { "Points" } th.number { "Visitors" } th { "Last day" } },
        &reasons.iter().map(row).collect::<Vec<_>>(),
        &html! { "No visitor has done what the intent rules look for." },
    )
}

fn activity_table(activity: &[Activity], people: &[Member]) -> Markup {
    html! {
        div.card { table.timeline { tbody {
            @for entry in activity {
                tr {
                    td { (layout::time(&entry.at)) }
                    td { (visitors::entry_name(&entry.kind, entry.name.as_deref())) }
                    td {
                        @if let Some(member) = people.iter().find(|member| member.visitor.id == entry.visitor_id) {
                            a href={ "/visitors/" (entry.visitor_id) } { (visitors::name(&member.visitor)) }
                        }
                    }
                }
            }
        } } }
    }
}
