//! What all pages have in common.

use koala_destination::clock;
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::Content;
use super::place::Place;
use super::words;
use crate::web::intake::SettingsProblem;
use crate::web::presentation::{Live, Presentation};

/// A whole page: its navigation, what is wrong with the settings, and its content; with a way out where somebody is signed in.
pub fn page(content: &Content, problems: &[SettingsProblem], is_signed_in: bool, live: Live) -> Markup {
    let Content { title, place, is_still, markup } = content;
    let places = [
        (Place::Companies, "/", "Companies"),
        (Place::Visitors, "/visitors", "Visitors"),
        (Place::Alerts, "/alerts", "Alerts"),
        (Place::Deliveries, "/deliveries", "Deliveries"),
        (Place::Mappings, "/mappings", "Mappings"),
        (Place::Install, "/install", "Install"),
        (Place::History, "/history", "History"),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &html! { script src="/assets/live.js" defer {} }))
            body data-live=(if live == Live::Events { "events" } else { "asked" }) {
                a.skip href="#main" { "Skip to content" }
                header {
                    strong { "Koala destination" }
                    nav aria-label="Pages" {
                        @for (at, href, name) in places {
                            a href=(href) aria-current=[(*place == Some(at)).then_some("page")] { (name) }
                        }
                    }
                    @if is_signed_in { form method="post" action="/sign-out" { button { "Sign out" } } }
                }
                main #main tabindex="-1" data-still[*is_still] {
                    (banner(problems))
                    h1 { (title) }
                    (markup)
                }
                footer { p.soft data-zone { "Times are in UTC." } }
            }
        }
    }
}

/// Says beside a file that a long one comes in several.
pub fn in_several_files(presentation: Presentation) -> Markup {
    html! {
        @if let Some(bytes) = presentation.most_file_bytes {
            " (at most " (bytes / (1024 * 1024)) " MiB a file: the header " code { "Link" } " of each names the next)"
        }
    }
}

/// A page for who may not see the others: nothing of what was collected, no navigation, no script.
pub fn bare(title: &str, markup: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &html! {}))
            body {
                header { strong { "Koala destination" } }
                main.bare { h1 { (title) } (markup) }
            }
        }
    }
}

fn head(title: &str, more: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " · Koala destination" }
            link rel="stylesheet" href="/assets/style.css";
            link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
            (more)
        }
    }
}

/// What is wrong with the settings while the others, and what was read before, serve on.
fn banner(problems: &[SettingsProblem]) -> Markup {
    html! {
        @if !problems.is_empty() {
            div.banner role="alert" {
                p { b { "Some settings cannot be used." } " The others are in force, and earlier values serve where there are any, until this is fixed:" }
                ul {
                    @for SettingsProblem { parameter, message } in problems {
                        li { @if !parameter.is_empty() { code { (parameter) } ": " } (message) }
                    }
                }
            }
        }
    }
}

/// A point in time with its zone; the script turns it into the reader's own.
pub fn time(at: &str) -> Markup {
    html! { time datetime=(at) { (words::utc(at)) } }
}

/// How long ago a point in time is; the time itself stands in the title.
pub fn ago(at: &str) -> Markup {
    let words = words::ago(words::milliseconds(at), clock::now_milliseconds());
    html! { time datetime=(at) title=(words::utc(at)) data-ago { (words) } }
}

/// Events a day as bars, the newest last.
pub fn sparkline(days: &[i64]) -> Markup {
    let most = days.iter().copied().max().unwrap_or_default().max(1);
    let label = format!(
        "events a day, the last {} days: {}",
        days.len(),
        days.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    html! {
        svg.sparkline viewBox={ "0 0 " (days.len() * 10) " 30" } preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (at, count) in days.iter().enumerate() {
                @let height = if *count > 0 { (count * 28 / most).max(2) } else { 0 };
                rect.ground x=(at * 10 + 1) y="29" width="8" height="1" {}
                rect x=(at * 10 + 1) y=(30 - height) width="8" height=(height) {}
            }
        }
    }
}

/// A table with its head, or the words in its place when it has no row.
pub fn table(head: &Markup, rows: &[Markup], empty: &Markup) -> Markup {
    html! {
        div.card {
            @if rows.is_empty() {
                p.empty { (empty) }
            } @else {
                table { thead { tr { (head) } } tbody { @for row in rows { tr { (row) } } } }
            }
        }
    }
}

/// A table of what, something beside it, how often and when last, which stands in two lines on a phone.
pub fn stacked_table(head: &Markup, rows: &[Markup], empty: &Markup) -> Markup {
    html! { div.stack { (table(head, rows, empty)) } }
}

/// Points of intent with one digit. What is next to nothing is 0.0, never -0.0.
pub fn written(points: f64) -> String {
    format!("{:.1}", (points * 10.0).round() / 10.0 + 0.0)
}

/// Points of intent, and a bar beside them that is full where `most` is reached.
pub fn points(points: f64, most: f64) -> Markup {
    let share = if most > 0.0 { (points / most).clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    html! {
        span.points {
            (written(points))
            svg.bar viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
                rect.rest width="100" height="6" {}
                rect width=(format!("{share:.1}")) height="6" {}
            }
        }
    }
}

/// Back and on, where there is more than a page.
pub fn pager(href: &dyn Fn(u32) -> String, offset: u32, limit: u32, total: u64) -> Markup {
    // The offset stands in the address, so that it may be any.
    let next = offset.saturating_add(limit);
    html! {
        p.soft {
            @if offset > 0 { a rel="prev" href=(href(offset.saturating_sub(limit))) { "← previous" } " " }
            @if u64::from(next) < total { a rel="next" href=(href(next)) { "next →" } }
        }
    }
}

/// What a piece of a path escapes: all but the unreserved characters (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A key as a piece of a path.
pub fn encoded(key: &str) -> String {
    utf8_percent_encode(key, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_next_to_nothing_are_written_without_a_sign() {
        assert_eq!([-0.04, -0.0, 0.04, -0.06, 12.34].map(written), ["0.0", "0.0", "0.0", "-0.1", "12.3"]);
    }
}
