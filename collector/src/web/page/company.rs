//! One company: why it is where it is, what its people looked at, who they are, and where they came from.

use std::collections::HashMap;

use axum::extract::{Path, State};
use koala_destination::clock::now_milliseconds;
use koala_destination::plural::counted;
use maud::{Markup, html};

use super::answer::{Content, Page, PageError};
use super::entry::{self, Described};
use super::filters::address;
use super::layout;
use super::place::Place;
use super::{visitor_name, words};
use crate::about::CameFrom;
use crate::company::shown;
use crate::store::company::{Activity, Company, CompanyPage, CompanySource, Interest, Member, Reason, Source};
use crate::store::visitor::{Visitor, VisitorId};
use crate::web::state::Web;

/// The most people of a company that its page shows.
const MOST_PEOPLE: u32 = 200;
/// How many pages and events are shown before somebody asks for the rest.
const SHOWN_AT_FIRST: usize = 12;
/// The most people that are named beside a page or an event.
const MOST_NAMED: usize = 3;

/// The people of a page, by their ids.
type People<'p> = HashMap<&'p VisitorId, &'p Visitor>;

/// `GET /companies/{key}`
pub async fn show(State(web): State<Web>, Path(key): Path<String>) -> Page {
    let found = web.company(&key, MOST_PEOPLE).await?.ok_or(PageError::NotFound)?;
    let CompanyPage { company, reasons, days, people, interests, sources, activity } = &found;
    let by_id: People<'_> = people.iter().map(|member| (&member.visitor.id, &member.visitor)).collect();
    Ok(Content::new(
        words::title(company),
        Place::Companies,
        html! {
            (strength(company, days))
            h2 { "Why" }
            (reasons_list(reasons, company))
            h2 { "What they looked at" }
            (interests_tables(interests, &by_id, company))
            h2 { "People" }
            (people_table(people, company.company_source))
            @if i64::from(MOST_PEOPLE) < company.visitors {
                p.soft {
                    "The " (MOST_PEOPLE) " seen last of " (company.visitors) ". "
                    a href=(address("/visitors", [("company", &*company.key)], 0)) { "All of them" }
                }
            }
            h2 { "Where they came from" }
            (sources_table(sources))
            (about(company))
            h2 { "Latest" }
            (activity_table(activity, &by_id))
        },
    ))
}

fn strength(company: &Company, days: &[i64]) -> Markup {
    html! {
        dl.counts {
            div { dt { (words::interest(company.strength_label, company.trend)) } dd { (company.strength.value()) } }
            div { dt { "Points of intent" } dd { (layout::written(company.intent)) } }
            div { dt { "Visitors" } dd { (company.visitors) } }
            div { dt { "Events" } dd { (company.events) } }
            div { dt { "Activity, 14 days" } dd { (layout::sparkline(days)) } }
        }
        p.soft {
            @if let Some(domain) = &company.domain { (shown(domain)) " · " }
            @if company.company_source == CompanySource::Network { "inferred from IP network · " }
            @if let Some(at) = &company.last_seen { "last seen " (layout::ago(at)) }
            @if let Some(at) = &company.first_seen { " · first seen " (layout::ago(at)) }
            @if company.excluded { " · kept out of the ranking by the parameter " code { "exclude" } }
        }
    }
}

/// Each rule as a sentence, with what it is worth now.
fn reasons_list(reasons: &[Reason], company: &Company) -> Markup {
    let most = reasons.iter().map(|reason| reason.points).fold(0.0, f64::max);
    let now = now_milliseconds();
    let row = |reason: &Reason| {
        html! {
            td {
                (words::reason(reason, now))
                " " a.soft href=(address("/visitors", [("company", &*company.key), ("rule", &*reason.rule)], 0)) {
                    "rule " (reason.rule)
                }
            }
            td { (layout::points(reason.points, most)) }
        }
    };
    layout::table(
        &html! { th { "Reason" } th { "Points" } },
        &reasons.iter().map(row).collect::<Vec<_>>(),
        &html! { "No visitor has done what the " a href="/mappings#intent" { "intent rules" } " look for." },
    )
}

/// The first of them, and the rest where somebody asks for it.
fn interests_tables(interests: &[Interest], people: &People<'_>, company: &Company) -> Markup {
    let (first, rest) = interests.split_at(interests.len().min(SHOWN_AT_FIRST));
    html! {
        (interests_table(first, people, company))
        @if !rest.is_empty() {
            details.more data-key="interests" { summary { (rest.len()) " more" } (interests_table(rest, people, company)) }
        }
    }
}

fn interests_table(interests: &[Interest], people: &People<'_>, company: &Company) -> Markup {
    let row = |interest: &Interest| {
        html! {
            td { (Described::in_short(&interest.kind, interest.title.as_deref().or(interest.name.as_deref()), interest.path.as_deref()).markup()) }
            td { (by(interest, people, company)) }
            td.number { (interest.times) }
            td { (layout::ago(&interest.last_at)) }
        }
    };
    layout::stacked_table(
        &html! { th { "Page or event" } th { "By" } th.number { "Times" } th { "Last" } },
        &interests.iter().map(row).collect::<Vec<_>>(),
        &html! { "No page views or events yet." },
    )
}

/// The names of who did it last, and how many others there are.
fn by(interest: &Interest, people: &People<'_>, company: &Company) -> Markup {
    let named: Vec<&Visitor> = interest.by.iter().filter_map(|id| people.get(id).copied()).take(MOST_NAMED).collect();
    let others = interest.visitors.saturating_sub(i64::try_from(named.len()).unwrap_or(i64::MAX)).max(0);
    let looked_for = match (interest.kind.as_str(), &interest.path, &interest.name) {
        ("page_view", Some(path), _) => Some(("page", path)),
        ("page_view", None, Some(name)) => Some(("page", name)),
        (_, _, Some(name)) => Some(("event", name)),
        _ => None,
    };
    html! {
        @for (n, visitor) in named.iter().enumerate() { @if n > 0 { ", " } (visitor_name::link(visitor)) }
        @if others > 0 {
            @if !named.is_empty() { " and " }
            @let words = if named.is_empty() { counted(others.unsigned_abs(), "person") } else { format!("{others} more") };
            @match looked_for {
                Some((name, value)) => a href=(address("/visitors", [("company", &*company.key), (name, value)], 0)) { (words) },
                None => (words),
            }
        }
    }
}

/// People whom only their network says to be of the company are labelled, where it is not all of them.
fn people_table(people: &[Member], source: CompanySource) -> Markup {
    let is_guessed =
        |visitor: &Visitor| source == CompanySource::Said && visitor.company_source == Some(CompanySource::Network);
    let row = |Member { visitor, title, last_page }: &Member| {
        let beside = title.clone().or_else(|| visitor_name::beside_name(visitor));
        html! {
            td { (visitor_name::link(visitor)) @if let Some(beside) = beside { " " span.soft { (beside) } } (visitor_name::excluded(visitor))
                @if is_guessed(visitor) { " " span.soft { "inferred from IP network" } }
            }
            td {
                @if let Some(page) = last_page {
                    (page.path.as_deref().or(page.title.as_deref()).unwrap_or("a page")) " " span.soft { (layout::ago(&page.at)) }
                }
            }
            td.number.wide { (visitor.events + visitor.page_views) }
            td.wide { (layout::ago(&visitor.last_seen)) }
        }
    };
    layout::table(
        &html! { th { "Person" } th { "Last page" } th.number.wide { "Events" } th.wide { "Last seen" } },
        &people.iter().map(row).collect::<Vec<_>>(),
        &html! { "No known visitors; this company was reported by a server." },
    )
}

fn sources_table(sources: &[Source]) -> Markup {
    let row = |source: &Source| {
        let origin = CameFrom { referrer: source.referrer.clone(), utm: source.utm.clone() };
        html! {
            td { (words::capitalised(&entry::came(&origin).unwrap_or_default())) }
            td { (counted(source.visitors.unsigned_abs(), "person")) }
            td.number { (source.times) }
            td { (layout::ago(&source.last_at)) }
        }
    };
    layout::stacked_table(
        &html! { th { "Source" } th { "Reached" } th.number { "Times" } th { "Last" } },
        &sources.iter().map(row).collect::<Vec<_>>(),
        &html! { "No other site and no campaign is known to have led here." },
    )
}

/// What was said of the company.
fn about(company: &Company) -> Markup {
    let traits = company.traits.iter().map(|(name, value)| (name, words::value(value)));
    let traits: Vec<_> = traits.filter(|(_, value)| !value.is_empty() && !is_a_title(company, value)).collect();
    html! {
        @if !traits.is_empty() || !company.group_ids.is_empty() {
            h2 { "About the company" }
            div.card { dl {
                @for (name, value) in &traits { dt title=(name) { (words::label(name)) } dd { (value) } }
                @if !company.group_ids.is_empty() {
                    dt { "Group id" } dd { @for (n, id) in company.group_ids.iter().enumerate() { @if n > 0 { ", " } code { (id) } } }
                }
            } }
        }
    }
}

/// Name and domain stand above already.
fn is_a_title(company: &Company, value: &str) -> bool {
    [&company.name, &company.domain].into_iter().flatten().any(|said| said.eq_ignore_ascii_case(value))
}

fn activity_table(activity: &[Activity], people: &People<'_>) -> Markup {
    html! {
        div.card { table.timeline { tbody {
            @for entry in activity.iter().filter(|entry| entry.kind != "identify") {
                tr {
                    td { (layout::time(&entry.at)) }
                    td {
                        @if let Some(visitor) = people.get(&entry.visitor_id) { (visitor_name::link(visitor)) " " span.soft { "·" } " " }
                        (Described::in_short(&entry.kind, entry.name.as_deref(), entry.path.as_deref()).markup())
                    }
                }
            }
        } } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::about::Utm;
    use crate::intent::{Strength, Trend};
    use crate::store::company::CompanyId;

    fn company() -> Company {
        Company {
            id: CompanyId::new("1"),
            key: "acme.com".to_owned(),
            domain: Some("acme.com".to_owned()),
            name: Some("Acme".to_owned()),
            group_ids: vec!["g-1".to_owned()],
            intent: 12.0,
            intent_week_ago: 12.0,
            strength: Strength::of(12.0),
            strength_label: Strength::of(12.0).label(),
            trend: Trend::Neutral,
            traits: Map::from_iter([("name".to_owned(), "Acme".into()), ("employees".to_owned(), 180.into())]),
            company_source: CompanySource::Said,
            visitors: 9,
            events: 20,
            first_seen: None,
            last_seen: None,
            excluded: false,
        }
    }

    #[test]
    fn a_page_says_by_whom_it_was_looked_at_and_leads_to_all_of_them() {
        let ids = ["1", "2", "3", "4"].map(VisitorId::new);
        let visitors: Vec<Visitor> =
            ids.iter().map(|id| visitor_name::tests::visitor(id, &format!("user-{id}"))).collect();
        let people: People<'_> = visitors.iter().map(|visitor| (&visitor.id, visitor)).collect();
        let interest = Interest {
            kind: "page_view".to_owned(),
            name: None,
            path: Some("/pricing".to_owned()),
            title: Some("Pricing".to_owned()),
            times: 12,
            visitors: 5,
            by: ids.to_vec(),
            last_at: "2026-11-20T12:00:00.000Z".to_owned(),
        };
        let html = interests_table(&[interest], &people, &company()).into_string();
        assert!(html.contains("Viewed <b>/pricing</b> <span class=\"soft\">Pricing</span>"), "{html}");
        for visitor in ["user-1</a>, ", "user-2</a>, ", "user-3</a> and "] {
            assert!(html.contains(visitor), "{visitor}: {html}");
        }
        assert!(html.contains(r#"<a href="/visitors?company=acme.com&amp;page=%2Fpricing">2 more</a>"#), "{html}");
        assert!(html.contains(r#"<td class="number">12</td>"#), "{html}");
    }

    #[test]
    fn sources_and_traits_are_told_in_words() {
        let utm = Utm { source: Some("newsletter".to_owned()), medium: Some("email".to_owned()), campaign: None };
        let source = |referrer: Option<&str>, utm: Utm| Source {
            referrer: referrer.map(str::to_owned),
            utm,
            times: 3,
            visitors: 2,
            last_at: "2026-11-20T12:00:00.000Z".to_owned(),
        };
        let sources = [source(Some("google.com"), Utm::default()), source(None, utm)];
        let html = sources_table(&sources).into_string();
        assert!(html.contains("From google.com") && html.contains("By newsletter (email)"), "{html}");
        let html = about(&company()).into_string();
        assert!(html.contains("<dt title=\"employees\">Employees</dt><dd>180</dd>") && html.contains("g-1"), "{html}");
        assert!(!html.contains("Acme"), "the name stands above: {html}");
    }
}
