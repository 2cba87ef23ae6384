//! A message as Slack shows it: blocks, and a text for where blocks are not shown.
//!
//! Limits of Slack's Block Kit (<https://docs.slack.dev/reference/block-kit/blocks/section-block>): 50 blocks, 3,000 characters in a text.

use serde_json::{Value, json};

use super::digest::Digest;
use super::signal::{CompanyFacts, Deed, Signal};
use super::told::Told;
use crate::invisible::is_invisible;

/// Stands behind a company that is a guess.
const INFERRED: &str = " · inferred from IP network";
/// The longest value that is shown, in characters; a name is not an essay.
const LONGEST_VALUE: usize = 140;
/// The longest that it may be when it is escaped: `&` is five characters then, and a section of a company with three lines must
/// fit into a block.
const LONGEST_ESCAPED: usize = 240;
/// The most messages that are folded into one; a digest has five blocks.
pub const MOST_FOLDED: usize = 9;

/// The body of a request to an incoming webhook, of one message or of a burst of them.
#[must_use]
pub fn body(messages: &[Told]) -> String {
    let shown = &messages[..messages.len().min(MOST_FOLDED)];
    let mut blocks: Vec<Value> = shown.iter().flat_map(blocks_of_told).collect();
    let left = messages.len() - shown.len();
    if left > 0 {
        let more = if left == 1 { "and 1 more signal".to_owned() } else { format!("and {left} more signals") };
        blocks.push(json!({"type": "context", "elements": [text(&more)]}));
    }
    let headlines: Vec<String> = shown.iter().map(|message| escaped(&message.headline())).collect();
    json!({"text": headlines.join("\n"), "blocks": blocks}).to_string()
}

fn blocks_of_told(told: &Told) -> Vec<Value> {
    match told {
        Told::Signal(message) => blocks_of(message),
        Told::Digest(digest) => blocks_of_digest(digest),
        Told::Test { .. } => vec![section(&format!("*{}*", escaped(&told.headline())))],
    }
}

fn blocks_of_digest(digest: &Digest) -> Vec<Value> {
    let mut blocks = vec![section(&format!("*{}*", escaped(&digest.headline())))];
    for (part, companies) in digest.parts() {
        if !companies.is_empty() {
            let lines: Vec<_> = companies.iter().map(|company| format!("\n• {}", of_digest(company))).collect();
            blocks.push(section(&format!("*{part}*{}", lines.concat())));
        }
    }
    blocks.push(context(&digest.alert, digest.link.as_deref()));
    blocks
}

fn of_digest(company: &CompanyFacts) -> String {
    let people = match company.people {
        0 => String::new(),
        1 => " · 1 person".to_owned(),
        people => format!(" · {people} people"),
    };
    let guess = if company.is_guess { INFERRED } else { "" };
    format!("{}: {}{people}{guess}", escaped(&company.name), interest(company))
}

fn interest(company: &CompanyFacts) -> String {
    let label = company.strength.label().as_str();
    format!("{label} ({} of 100) · {}", company.strength.value(), company.trend.as_str())
}

fn blocks_of(message: &Signal) -> Vec<Value> {
    let mut says = format!("*{}*", escaped(&message.headline()));
    if let Some(company) = &message.company {
        says.push('\n');
        says.push_str(&interest(company));
        if let Some(domain) = company.domain.as_deref().filter(|domain| *domain != company.name) {
            says.push_str(" · ");
            says.push_str(&escaped(domain));
        }
        if company.is_guess {
            says.push_str(INFERRED);
        }
    }
    for deed in &message.deeds {
        says.push_str("\n• ");
        says.push_str(&line(deed));
    }
    vec![section(&says), context(&message.alert, message.link.as_deref())]
}

fn section(says: &str) -> Value {
    json!({"type": "section", "text": text(says)})
}

fn context(alert: &str, link: Option<&str>) -> Value {
    let mut context = format!("Alert {}", escaped(alert));
    if let Some(link) = link.filter(|link| !link.contains(['|', '>', '<'])) {
        context = format!("<{}|Open in Koala destination> · {context}", link.replace('&', "&amp;"));
    }
    json!({"type": "context", "elements": [text(&context)]})
}

fn line(deed: &Deed) -> String {
    let times = if deed.times > 1 { format!(" · {} times", deed.times) } else { String::new() };
    // 2026-11-24T10:00:00Z: the day and the minute are enough, and Slack shows no local time without a fallback.
    let last =
        deed.last.get(..16).map_or_else(|| deed.last.clone(), |minute| format!("{} UTC", minute.replace('T', " ")));
    format!("{}: {}{times} · {}", escaped(&deed.who), escaped(&deed.what), escaped(&last))
}

/// A text of Slack's markup that makes no links of its own accord.
fn text(markup: &str) -> Value {
    json!({"type": "mrkdwn", "text": markup, "verbatim": true})
}

/// A value as Slack shows it, one line and not too long: `&`, `<` and `>` are what Slack asks to be escaped
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>), and without them no mention and no link can be made.
fn escaped(value: &str) -> String {
    let plain = value.chars().map(|character| if character.is_control() { ' ' } else { character });
    let plain: Vec<char> = plain.filter(|character| !is_invisible(*character)).collect();
    let (mut escaped, mut length, mut buffer) = (String::new(), 0, [0; 4]);
    for (at, character) in plain.iter().enumerate() {
        let shown: &str = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            // Formatting that a value would open or close: the signs look the same.
            '*' => "∗",
            '~' => "∼",
            '`' => "ˋ",
            '_' if opens_or_closes(&plain, at) => "＿",
            '\u{2028}' | '\u{2029}' => " ",
            _ => character.encode_utf8(&mut buffer),
        };
        length += shown.chars().count();
        if at >= LONGEST_VALUE || length > LONGEST_ESCAPED {
            escaped.push('…');
            break;
        }
        escaped.push_str(shown);
    }
    escaped
}

/// Whether a sign stands at the edge of a word, where it would open or close formatting; one within a word does nothing.
fn opens_or_closes(text: &[char], at: usize) -> bool {
    let is_letter =
        |place: Option<usize>| place.and_then(|place| text.get(place)).is_some_and(|it| it.is_alphanumeric());
    !(is_letter(at.checked_sub(1)) && is_letter(Some(at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::{Strength, Trend};
    use crate::signals::digest::ranked;
    use crate::signals::digest::tests::candidate;
    use crate::signals::signal::SignalSubject;

    fn message(name: &str, who: &str) -> Told {
        let company = CompanyFacts {
            key: "northwind.example".to_owned(),
            name: name.to_owned(),
            domain: Some("northwind.example".to_owned()),
            group_id: None,
            is_guess: false,
            points: 31.0,
            strength: Strength::of(31.0),
            trend: Trend::Surging,
            people: 3,
            reasons: Vec::new(),
        };
        let deed = |what: &str, times| Deed {
            who: who.to_owned(),
            what: what.to_owned(),
            times,
            last: "2026-11-24T10:05:09Z".to_owned(),
        };
        Told::Signal(Signal {
            alert: "pricing-sales".to_owned(),
            subject: SignalSubject::Rule("pricing".to_owned()),
            company: Some(company),
            visitor: None,
            deeds: vec![deed("viewed /pricing", 4), deed("Demo Requested", 1)],
            user_ids: Vec::new(),
            of_members: false,
            link: Some("https://koala.example/companies/northwind.example".to_owned()),
        })
    }

    fn read(body: &str) -> Value {
        serde_json::from_str(body).expect("JSON")
    }

    #[test]
    fn a_message_says_who_what_how_often_and_where_to_look() {
        let body = read(&body(&[message("Northwind", "Ada Byron, CTO")]));
        assert_eq!(body["text"], "Northwind looks at pricing, 3 people, surging");
        let says = "*Northwind looks at pricing, 3 people, surging*\nHigh (66 of 100) · Surging · northwind.example\n\
                    • Ada Byron, CTO: viewed /pricing · 4 times · 2026-11-24 10:05 UTC\n\
                    • Ada Byron, CTO: Demo Requested · 2026-11-24 10:05 UTC";
        assert_eq!(body["blocks"][0]["text"]["text"], says);
        let context =
            "<https://koala.example/companies/northwind.example|Open in Koala destination> · Alert pricing-sales";
        assert_eq!(body["blocks"][1]["elements"][0]["text"], context);
    }

    #[test]
    fn a_link_leads_to_the_page_that_it_names() {
        let context = context("a", Some("https://koala.example/companies/AT&T"));
        let markup = "<https://koala.example/companies/AT&amp;T|Open in Koala destination> · Alert a";
        assert_eq!(context["elements"][0]["text"], markup);
    }

    #[test]
    fn no_value_mentions_links_or_formats() {
        let body = body(&[message("<!channel> & *<https://evil.example|Acme>*", "<@U1>\n• forged\u{202e}")]);
        for markup in ["<!channel>", "<@U1>", "<https://evil.example", "\\n• forged"] {
            assert!(!body.contains(markup), "{markup} in {body}");
        }
        assert!(body.contains("&lt;!channel&gt; &amp; ∗&lt;https://evil.example|Acme&gt;∗"));
        assert_eq!(escaped("_Acme_ snake_case :\u{2028}x"), "＿Acme＿ snake_case : x");
        assert!(read(&body)["blocks"].as_array().expect("blocks").iter().all(|block| {
            let text = block.get("text").or_else(|| block["elements"].get(0)).expect("a text");
            text["verbatim"] == true
        }));
    }

    /// Slack's limits: 50 blocks, 3,000 characters in the text of a section, 2,000 in that of a context.
    fn assert_within_limits(body: &Value) {
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50, "{}", blocks.len());
        for block in blocks {
            let most = if block["type"] == "section" { 3000 } else { 2000 };
            let text = block.get("text").or_else(|| block["elements"].get(0)).expect("a text");
            let length = text["text"].as_str().expect("a text").chars().count();
            assert!((1..=most).contains(&length), "{length}");
        }
    }

    #[test]
    fn a_burst_is_one_message_within_slack_s_limits() {
        let long = "&".repeat(5000);
        let deeds = |mut told: Told| {
            if let Told::Signal(message) = &mut told {
                let deed = Deed { what: long.clone(), ..message.deeds[0].clone() };
                message.deeds = vec![deed.clone(), deed.clone(), deed];
            }
            told
        };
        let messages: Vec<Told> = (0..40).map(|_| deeds(message(&long, &long))).collect();
        let body = read(&body(&messages));
        assert_within_limits(&body);
        let blocks = body["blocks"].as_array().expect("blocks");
        assert_eq!(blocks[blocks.len() - 1]["elements"][0]["text"], "and 31 more signals");
    }

    #[test]
    fn a_digest_names_its_companies_under_three_headings_within_slack_s_limits() {
        let long = "&".repeat(5000);
        let candidates = |name: &str| {
            let of = |n: usize, points, week_ago, is_new| candidate(&format!("{name}{n}"), points, week_ago, is_new);
            (0..9).flat_map(|n| [of(n, 40.0, 20.0, false), of(n, 30.0, 0.0, true), of(n, 5.0, 40.0, false)]).collect()
        };
        let digest = |name: &str| Told::Digest(Digest::of("monday", "2026-11-23", ranked(candidates(name)), None));
        let mut guessed = candidate("guessed", 40.0, 20.0, false);
        guessed.facts.is_guess = true;
        let of_guess = Told::Digest(Digest::of("monday", "2026-11-23", ranked(vec![guessed]), None));
        assert!(body(&[of_guess]).contains("2 people · inferred from IP network"));
        let full = read(&body(&vec![digest(&long); MOST_FOLDED + 1]));
        assert_within_limits(&full);
        let one = read(&body(&[digest("acme")]));
        let says: Vec<_> =
            one["blocks"].as_array().expect("blocks").iter().map(|block| &block["text"]["text"]).collect();
        assert_eq!(
            says[0],
            "*The last week: more than 5 companies rose, more than 5 companies new, more than 5 companies went cold*"
        );
        // 40 points are a strength of 75 by the formula, and twice as many as a week ago.
        assert!(
            says[1]
                .as_str()
                .expect("text")
                .starts_with("*Rose most*\n• acme0: Very High (75 of 100) · Surging · 2 people\n")
        );
        assert!(says[3].as_str().expect("text").starts_with("*Went cold*\n• acme0: Low (16 of 100) · Cooling"));
    }
}
