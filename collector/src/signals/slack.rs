//! A message as Slack shows it: blocks, and a text for where blocks are not shown.
//!
//! Limits of Slack's Block Kit (<https://docs.slack.dev/reference/block-kit/blocks/section-block>): 50 blocks, 3,000 characters in a text.

use serde_json::{Value, json};

use super::message::{Deed, Message};

/// The longest value that is shown; a name is not an essay, and three lines of it must fit into a block.
const LONGEST_VALUE: usize = 120;
/// The most messages that are folded into one.
pub const MOST_FOLDED: usize = 10;

/// The body of a request to an incoming webhook, of one message or of a burst of them.
#[must_use]
pub fn body(messages: &[Message]) -> String {
    let shown = &messages[..messages.len().min(MOST_FOLDED)];
    let mut blocks: Vec<Value> = shown.iter().flat_map(blocks_of).collect();
    let left = messages.len() - shown.len();
    if left > 0 {
        let more = if left == 1 { "and 1 more signal".to_owned() } else { format!("and {left} more signals") };
        blocks.push(json!({"type": "context", "elements": [text(more)]}));
    }
    let headlines: Vec<String> = shown.iter().map(|message| escaped(&message.headline())).collect();
    json!({"text": headlines.join("\n"), "blocks": blocks}).to_string()
}

fn blocks_of(message: &Message) -> Vec<Value> {
    let mut says = format!("*{}*", escaped(&message.headline()));
    if let Some(company) = &message.company {
        let label = company.strength.label().as_str();
        let (strength, trend) = (company.strength.value(), company.trend.as_str());
        says.push_str(&format!("\n{label} ({strength} of 100) · {trend}"));
        if let Some(domain) = company.domain.as_deref().filter(|domain| *domain != company.name) {
            says.push_str(&format!(" · {}", escaped(domain)));
        }
    }
    for deed in &message.deeds {
        says.push_str(&format!("\n• {}", line(deed)));
    }
    let mut context = format!("Alert {}", escaped(&message.alert));
    if let Some(link) = message.link.as_deref().filter(|link| !link.contains(['|', '>', '<'])) {
        context = format!("<{link}|Open in Koala destination> · {context}");
    }
    vec![json!({"type": "section", "text": text(says)}), json!({"type": "context", "elements": [text(context)]})]
}

fn line(deed: &Deed) -> String {
    let times = if deed.times > 1 { format!(" · {} times", deed.times) } else { String::new() };
    // 2026-11-24T10:00:00Z: the day and the minute are enough, and Slack shows no local time without a fallback.
    let last =
        deed.last.get(..16).map_or_else(|| deed.last.clone(), |minute| format!("{} UTC", minute.replace('T', " ")));
    format!("{}: {}{times} · {}", escaped(&deed.who), escaped(&deed.what), escaped(&last))
}

/// A text of Slack's markup that makes no links of its own accord.
fn text(markup: String) -> Value {
    json!({"type": "mrkdwn", "text": markup, "verbatim": true})
}

/// A value as Slack shows it, one line and not too long: `&`, `<` and `>` are what Slack asks to be escaped
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>), and without them no mention and no link can be made.
fn escaped(value: &str) -> String {
    let plain = value.chars().map(|character| if character.is_control() { ' ' } else { character });
    let plain: Vec<char> = plain.filter(|character| !is_invisible(*character)).collect();
    let is_cut = plain.len() > LONGEST_VALUE;
    let mut escaped = String::new();
    for character in plain.into_iter().take(LONGEST_VALUE) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Formatting that a value would open or close: the signs look the same.
            '*' => escaped.push('∗'),
            '~' => escaped.push('∼'),
            '`' => escaped.push('ˋ'),
            _ => escaped.push(character),
        }
    }
    if is_cut {
        escaped.push('…');
    }
    escaped
}

/// Marks that turn the direction of the text around, or hide in it.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::{Strength, Trend};
    use crate::signals::message::{CompanyFacts, Subject};

    fn message(name: &str, who: &str) -> Message {
        let company = CompanyFacts {
            key: "northwind.example".to_owned(),
            name: name.to_owned(),
            domain: Some("northwind.example".to_owned()),
            group_id: None,
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
        Message {
            alert: "pricing-sales".to_owned(),
            subject: Subject::Rule("pricing".to_owned()),
            company: Some(company),
            visitor: None,
            deeds: vec![deed("viewed /pricing", 4), deed("Demo Requested", 1)],
            link: Some("https://koala.example/companies/northwind.example".to_owned()),
        }
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
    fn no_value_mentions_links_or_formats() {
        let body = body(&[message("<!channel> & *<https://evil.example|Acme>*", "<@U1>\n• forged\u{202e}")]);
        for markup in ["<!channel>", "<@U1>", "<https://evil.example", "\\n• forged"] {
            assert!(!body.contains(markup), "{markup} in {body}");
        }
        assert!(body.contains("&lt;!channel&gt; &amp; ∗&lt;https://evil.example|Acme&gt;∗"));
        assert!(read(&body)["blocks"].as_array().expect("blocks").iter().all(|block| {
            let text = block.get("text").or_else(|| block["elements"].get(0)).expect("a text");
            text["verbatim"] == true
        }));
    }

    #[test]
    fn a_burst_is_one_message_within_slack_s_limits() {
        let long = "&".repeat(5000);
        let messages: Vec<Message> = (0..40).map(|_| message(&long, &long)).collect();
        let body = read(&body(&messages));
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50, "{}", blocks.len());
        assert_eq!(blocks[blocks.len() - 1]["elements"][0]["text"], "and 30 more signals");
        for block in blocks {
            let text = block.get("text").or_else(|| block["elements"].get(0)).expect("a text");
            let length = text["text"].as_str().expect("a text").chars().count();
            assert!(length <= 3000, "{length}");
        }
    }
}
