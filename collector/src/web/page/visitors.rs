//! Visitors: the list, and the search in it.

use axum::extract::State;
use koala_destination::plural::counted;
use maud::{Markup, html};

use super::answer::{Content, Page};
use super::filters::{self, FilterField, address};
use super::layout;
use super::place::Place;
use super::query::{PageQuery, Query};
use super::visitor_name;
use super::words;
use crate::store::visitor::Visitor;
use crate::web::filter_query::VisitorQuery;
use crate::web::state::Web;

/// Visitors on a page.
const ON_A_PAGE: u32 = 50;
/// Of what a search finds so many visitors are counted.
const MOST_COUNTED: u32 = 1000;

/// `GET /visitors`
pub async fn list(
    State(web): State<Web>,
    Query(query): Query<VisitorQuery>,
    Query(PageQuery { offset }): Query<PageQuery>,
) -> Page {
    let found = match query.filter() {
        Ok(filter) => Ok(web.store.list_visitors_counting(filter, offset, ON_A_PAGE, MOST_COUNTED).await?),
        Err(problem) => Err(problem),
    };
    let rules: Vec<String> = web.store.intent_rules().await?.iter().map(|rule| rule.name.clone()).collect();
    Ok(Content::new(
        "Visitors",
        Place::Visitors,
        html! {
            (search(&query, &rules))
            @match &found {
                Ok((visitors, total)) => {
                    p.soft {
                        span { (how_many(*total, query.is_any())) }
                        @if *total > 0 { " · " a href=(address("/api/visitors.csv", query.pairs(), 0)) { "Download CSV" } (layout::in_several_files(web.presentation)) }
                    }
                    (table(visitors, &none(&query)))
                    (layout::pager(&|offset| address("/visitors", query.pairs(), offset), offset, ON_A_PAGE, *total))
                }
                Err(problem) => p.bad { (problem) }
            }
        },
    ))
}

/// How many there are; of what a search finds they are counted up to a number.
fn how_many(total: u64, is_search: bool) -> String {
    let most = u64::from(MOST_COUNTED);
    if is_search && total > most {
        format!("more than {}", counted(most, "visitor"))
    } else {
        counted(total, "visitor")
    }
}

/// What is said where no visitor is shown.
fn none(query: &VisitorQuery) -> Markup {
    html! {
        @if !query.is_any() {
            "No visitors yet. Send your first event: " a href="/install" { "Install" } " says where."
        } @else {
            "No visitors match. " a href="/visitors" { "Show all visitors" }
        }
    }
}

fn search(query: &VisitorQuery, rules: &[String]) -> Markup {
    let field = |name, label, value, example| filters::field(&FilterField { name, label, value, example });
    filters::search(
        "/visitors",
        &query.q,
        "Email, user id, trait, page or event",
        &html! {
            select name="who" aria-label="Who" {
                @for (value, name) in [("", "All"), ("known", "Known"), ("anonymous", "Anonymous")] {
                    option value=(value) selected[query.who == value] { (name) }
                }
            }
        },
        query.is_detailed(),
        &html! {
            (field("page", "Page", &query.page, "pricing"))
            (field("event", "Event", &query.event, "Signed Up"))
            (field("path", "On a path", &query.path, "/docs"))
            (field("source", "Came from", &query.source, "google.com"))
            (field("company", "Company", &query.company, "acme.com"))
            (field("user_id", "User id", &query.user_id, "u-1"))
            (field("trait", "Trait", &query.of_trait, "plan=team"))
            (filters::rule(rules, &query.rule))
            (filters::interest(&query.strength, &query.trend))
            label { "From" input type="date" name="since" value=(query.since); }
            label { "To" input type="date" name="until" value=(query.until); }
            (filters::new_this_week(&query.new))
        },
    )
}

/// Visitors, a row each.
pub fn table(visitors: &[Visitor], none: &Markup) -> Markup {
    let row = |visitor: &Visitor| {
        html! {
            td { (visitor_name::link(visitor)) @if let Some(beside) = visitor_name::beside_name(visitor) { " " span.soft { (beside) } } (visitor_name::excluded(visitor))
                // On a phone, where there is no column for it.
                @if let Some(company) = visitor_name::company(visitor) { span.narrow.soft { " of " (company) } }
            }
            td.wide { @if let Some(company) = visitor_name::company(visitor) { (company) } }
            td.wide { (words::interest(visitor.intent.strength_label, visitor.intent.trend)) }
            td.number { (visitor.events + visitor.page_views) }
            td { (layout::ago(&visitor.last_seen)) }
        }
    };
    layout::stacked_table(
        &html! { th { "Visitor" } th.wide { "Company" } th.wide { "Intent" } th.number { "Events" } th { "Last seen" } },
        &visitors.iter().map(row).collect::<Vec<_>>(),
        none,
    )
}
