//! What a growth engineer would tell of one visitor, and of the companies.

use anyhow::Result;
use koala_collector::store::Store;
use koala_collector::store::filter::CompanyFilter;
use koala_collector::store::visitor::{TimelineEntry, Visitor};
use koala_destination::clock;
use koala_destination::plural::counted;
use serde_json::Value;

use crate::output::outln;

const MILLISECONDS_OF_A_DAY: i64 = 24 * 60 * 60 * 1000;
/// How much of a timeline is told.
const MOST_ENTRIES: u32 = 500;
/// How many companies are shown.
const COMPANIES: u32 = 5;

/// The visitor of whom there is the most to tell: known, on several devices, with much done.
pub fn most_telling(visitors: &[Visitor]) -> Option<&Visitor> {
    visitors.iter().max_by_key(|visitor| {
        let known = !visitor.user_ids.is_empty() && !visitor.emails.is_empty();
        (known, visitor.anonymous_ids.len(), visitor.events + visitor.page_views)
    })
}

/// Tells a visitor's story, and prints the company.
pub async fn tell(store: &dyn Store, person: &Visitor) -> Result<()> {
    let Some((visitor, timeline)) = store.show_visitor(&person.id, MOST_ENTRIES).await? else { return Ok(()) };
    let name = visitor.traits.get("name").and_then(Value::as_str).or(visitor.emails.first().map(String::as_str));
    outln!("\nOne of the visitors: {}", name.unwrap_or("unknown visitor"));
    let today = clock::now_milliseconds() / MILLISECONDS_OF_A_DAY;
    let mut before = String::new();
    for moment in moments(&timeline) {
        let when = match today - moment.day {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            days => format!("{days} days ago"),
        };
        let when = if when == before {
            String::new()
        } else {
            when.clone_into(&mut before);
            when
        };
        outln!("  {when:<13}{:<8}{}", moment.on, moment.what);
    }
    let devices = visitor.anonymous_ids.len();
    outln!(
        "  → one visitor: {}, {}, {}, {}",
        visitor.user_ids.join(", "),
        visitor.emails.join(", "),
        counted(devices, "device"),
        counted(timeline.len(), "entry")
    );
    let Some(company) = &visitor.account else { return Ok(()) };
    if let Some(page) = store.show_company(company, 1).await? {
        let name = page.company.name.as_deref().unwrap_or(company);
        outln!(
            "\nThe company: {name}, {:.1} points of intent, {}",
            page.company.intent,
            counted(page.company.visitors, "visitor")
        );
        for reason in &page.reasons {
            outln!("  {:<12}{:>6.1} points, {}", reason.rule, reason.points, counted(reason.visitors, "visitor"));
        }
    }
    Ok(())
}

/// Prints the companies with the most intent.
pub async fn companies(store: &dyn Store) -> Result<()> {
    let (companies, _) = store.list_companies(CompanyFilter::default(), 0, COMPANIES).await?;
    outln!("\nCompanies by intent:");
    for company in companies {
        let name = company.name.unwrap_or(company.key);
        outln!("  {name:<24}{:>7.1} points  {}", company.intent, counted(company.visitors, "visitor"));
    }
    Ok(())
}

/// A piece of a timeline: what was done on a day on a device.
struct Moment {
    day: i64,
    on: &'static str,
    what: String,
}

/// The timeline from its beginning, pages that were looked at one after the other on one line.
fn moments(newest_first: &[TimelineEntry]) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for entry in newest_first.iter().rev() {
        let Ok(json) = serde_json::from_str::<Value>(entry.entry.get()) else { continue };
        let day = clock::milliseconds(&entry.at).unwrap_or_default() / MILLISECONDS_OF_A_DAY;
        let on = device(&json);
        let path = json["page"]["path"].as_str().or(json["properties"]["path"].as_str());
        let (is_page, what) = match (entry.kind.as_str(), path) {
            ("page_view", Some(path)) => (true, path.to_owned()),
            ("identify", _) => (false, "says who it is".to_owned()),
            _ => (false, entry.name.clone().unwrap_or_else(|| entry.kind.clone())),
        };
        match moments.last_mut() {
            Some(last) if is_page && last.day == day && last.on == on && last.what.starts_with("looks at ") => {
                last.what.push_str(", ");
                last.what.push_str(&what);
            }
            _ => moments.push(Moment { day, on, what: if is_page { format!("looks at {what}") } else { what } }),
        }
    }
    moments
}

fn device(entry: &Value) -> &'static str {
    match entry["context"]["userAgent"].as_str() {
        None => "server",
        Some(agent) if agent.contains("Mobile") => "phone",
        Some(_) => "laptop",
    }
}
