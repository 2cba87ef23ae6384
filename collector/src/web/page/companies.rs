//! The companies, ranked by intent, with search and filters.

use axum::extract::State;
use koala_destination::clock::now_milliseconds;
use koala_destination::plural::counted;
use maud::{Markup, html};

use super::answer::{Content, Page};
use super::filters::{self, FilterField, address};
use super::layout;
use super::place::Place;
use super::query::{PageQuery, Query};
use super::words;
use crate::company::shown;
use crate::store::company::{Company, CompanySource, DaysOfActivity, Excluded, Reason};
use crate::web::filter_query::CompanyQuery;
use crate::web::presentation::Presentation;
use crate::web::state::Web;

/// Companies on a page.
const ON_A_PAGE: u32 = 50;

/// `GET /`
pub async fn list(State(web): State<Web>, Query(query): Query<CompanyQuery>, Query(which): Query<PageQuery>) -> Page {
    let found = match query.filter() {
        Ok(filter) => Ok(web.store.list_companies(filter, which.offset, ON_A_PAGE).await?),
        Err(problem) => Err(problem),
    };
    let ids: Vec<_> = found.iter().flat_map(|(companies, _)| companies).map(|company| company.id.clone()).collect();
    let activity = web.store.activity(ids.clone()).await?;
    let reasons = web.store.top_reasons(ids).await?;
    let looked_back = web.store.looked_back().await?;
    let excluded = web.store.excluded().await?;
    let rules: Vec<String> = web.store.intent_rules().await?.iter().map(|rule| rule.name.clone()).collect();
    Ok(Content::new(
        "Companies",
        Place::Companies,
        html! {
            (search(&query, &rules))
            @if looked_back < 1.0 {
                p.soft role="status" {
                    (format!("Intent is being counted: {:.0} % of the events so far. ", looked_back * 100.0))
                    "The order changes until all are."
                }
            }
            @match &found {
                Err(problem) => p.bad { (problem) }
                Ok((companies, total)) => {
                    (summary(&query, *total, excluded, web.presentation))
                    (table(companies, &activity, &reasons, &query))
                    p.soft {
                        "Ranked by " a href="/mappings#intent" { "intent" } ": what their visitors did, and how lately."
                    }
                    (layout::pager(&|offset| address("/", query.pairs(), offset), which.offset, ON_A_PAGE, *total))
                }
            }
        },
    ))
}

fn search(query: &CompanyQuery, rules: &[String]) -> Markup {
    let field = |name, label, value, example| filters::field(&FilterField { name, label, value, example });
    let is_detailed =
        query.pairs().into_iter().any(|(name, value)| !matches!(name, "q" | "excluded") && !value.trim().is_empty());
    filters::search(
        "/",
        &query.q,
        "Company, domain, person, page or event",
        &html! {},
        is_detailed,
        &html! {
            (field("page", "Page", &query.page, "pricing"))
            (field("event", "Event", &query.event, "Signed Up"))
            (field("path", "On a path", &query.path, "/docs"))
            (field("source", "Came from", &query.source, "google.com"))
            (filters::rule(rules, &query.rule))
            (filters::interest(&query.strength, &query.trend))
            (filters::new_this_week(&query.new))
        },
    )
}

/// How many there are, and how many are kept out.
fn summary(query: &CompanyQuery, total: u64, excluded: Excluded, presentation: Presentation) -> Markup {
    let is_asked = query.pairs().into_iter().any(|(_, value)| !value.trim().is_empty());
    html! {
        p.soft {
            span {
                (counted(total, "company"))
                @if query.excluded == "only" { " kept out of the ranking" } @else if is_asked { " found" }
            }
            @if total > 0 { " · " a href=(address("/api/companies.csv", query.pairs(), 0)) { "Download CSV" } (layout::in_several_files(presentation)) }
            @if is_asked { " · " a href="/" { "Show all companies" } }
            @if query.excluded != "only" && excluded != Excluded::default() {
                " · " a href="/?excluded=only" { (words::excluded(excluded.companies, excluded.visitors)) }
            }
        }
    }
}

fn table(
    companies: &[Company],
    activity: &[DaysOfActivity],
    reasons: &[Option<Reason>],
    query: &CompanyQuery,
) -> Markup {
    let now = now_milliseconds();
    let most = companies.iter().map(|company| company.intent).fold(0.0, f64::max);
    let is_asked = query.pairs().into_iter().any(|(_, value)| !value.trim().is_empty());
    layout::stacked_table(
        &html! {
            th { "Company" } th { "Intent" } th.number.wide { "Visitors" } th.number.wide { "Events" }
            th.wide { "Activity, 14 days" } th { "Last seen" }
        },
        &companies
            .iter()
            .zip(activity)
            .zip(reasons)
            .map(|((company, days), reason)| {
                row(company, days, reason.as_ref().map(|reason| words::reason(reason, now)).as_deref(), most)
            })
            .collect::<Vec<_>>(),
        &html! {
            @if is_asked {
                "No companies match. " a href="/" { "Show all companies" }
            } @else {
                "No companies yet. Send your first event: " a href="/install" { "Install" } " says where."
            }
        },
    )
}

fn row(company: &Company, days: &[i64], reason: Option<&str>, most: f64) -> Markup {
    html! {
        td.whole {
            a href={ "/companies/" (layout::encoded(&company.key)) } { (words::title(company)) }
            @if let (Some(domain), Some(_)) = (&company.domain, &company.name) { " " span.soft { (shown(domain)) } }
            @if company.company_source == CompanySource::Network { " " span.soft { "inferred from IP network" } }
            @if let Some(reason) = reason { br; span.soft { (reason) } }
        }
        td { (layout::points(company.intent, most)) br; span.soft { (words::interest(company.strength_label, company.trend)) } }
        td.number.wide { (company.visitors) }
        td.number.wide { (company.events) }
        td.wide { (layout::sparkline(days)) }
        td { @if let Some(at) = &company.last_seen { (layout::ago(at)) } }
    }
}
