//! An entry of a timeline, as people read it: what was done, on which page, and where from.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::words;
use crate::about::{About, CameFrom};

/// The most properties of an event that stand beside its name.
const MOST_PROPERTIES: usize = 5;
/// The longest name or value that is shown; the raw JSON has it whole.
const LONGEST: usize = 200;
const VIEWED: &str = "Viewed";

/// What an entry tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// What was done: `Viewed`, `Signed Up`, `Identified`.
    what: String,
    /// The page's path, or where it has none its title.
    page: Option<String>,
    /// The page's title, beside its path.
    title: Option<String>,
    /// As whom, of which company: of an identify.
    whom: Option<String>,
    /// Where the visitor came from, in words.
    came: Option<String>,
    /// What the event says besides, with names as words.
    properties: Vec<(String, String)>,
}

/// What only an entry itself says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(rename = "type")]
    of_type: Value,
    properties: Map<String, Value>,
    traits: Map<String, Value>,
    email: Value,
    name: Value,
    domain: Value,
}

impl Described {
    /// Of an entry of a kind (`event`, `identify`, `page_view`) with its name and its JSON. What cannot be read is told by its kind.
    pub fn of(kind: &str, name: Option<&str>, json: &str) -> Self {
        let about = About::of(json);
        let entry: Entry = serde_json::from_str(json).unwrap_or_default();
        match kind {
            "page_view" => {
                let came = about.origin().as_ref().and_then(came);
                let told = Self::in_short(kind, name, about.path.as_deref());
                let title = about.title.filter(|title| Some(title) != told.page.as_ref());
                Self { came, title: told.title.or(title), ..told }
            }
            "identify" => entry.identified(about),
            _ => Self { properties: entry.told_properties(), ..Self::in_short(kind, name, about.path.as_deref()) },
        }
    }

    /// Of an entry of which no more is known.
    pub fn in_short(kind: &str, name: Option<&str>, path: Option<&str>) -> Self {
        let (name, path) = (name.and_then(short), path.and_then(short));
        match kind {
            "page_view" => {
                let (page, title) = if path.is_some() { (path, name) } else { (name, None) };
                Self {
                    what: VIEWED.to_owned(),
                    page: page.or_else(|| Some("a page".to_owned())),
                    title,
                    ..Self::default()
                }
            }
            "identify" => Self { what: "Identified".to_owned(), ..Self::default() },
            _ => Self {
                what: name.unwrap_or_else(|| "An event without a name".to_owned()),
                page: path,
                ..Self::default()
            },
        }
    }

    /// As it stands in a timeline.
    pub fn markup(&self) -> Markup {
        html! {
            @let is_view = self.what == VIEWED;
            @if is_view { (self.what) } @else { b { (self.what) } }
            @if let Some(whom) = &self.whom { " " (whom) }
            @if let Some(page) = &self.page { @if is_view { " " b { (page) } } @else { " " span.soft { "on " (page) } } }
            @if let Some(title) = &self.title { " " span.soft { (title) } }
            @if let Some(came) = &self.came { " " span.came { (came) } }
            @if !self.properties.is_empty() {
                p.soft { @for (n, (name, value)) in self.properties.iter().enumerate() { @if n > 0 { " · " } (name) ": " (value) } }
            }
        }
    }
}

impl Entry {
    /// What a page says of itself stands beside the name already, and whose event it is above it.
    fn told_properties(&self) -> Vec<(String, String)> {
        let is_of_page = |name: &str| {
            matches!(
                name,
                "path" | "url" | "title" | "referrer" | "search" | "email" | "name" | "initial_referrer" | "utm"
            )
        };
        let told = |(name, value): (&String, &Value)| {
            let value = match value {
                Value::String(_) | Value::Number(_) | Value::Bool(_) => short(&words::value(value))?,
                _ => return None,
            };
            (!is_of_page(name)).then(|| (words::label(name), value))
        };
        self.properties.iter().filter_map(told).take(MOST_PROPERTIES).collect()
    }

    fn identified(&self, about: About) -> Described {
        let said = |own: &Value, name: &str| text(own).or_else(|| self.traits.get(name).and_then(text));
        let (what, whom) = match self.of_type.as_str() {
            Some("group") => ("Of the company", said(&self.name, "name").or_else(|| said(&self.domain, "domain"))),
            Some("alias") => ("Known by another id", None),
            _ => ("Identified", said(&self.email, "email").map(|email| format!("as {email}"))),
        };
        Described { what: what.to_owned(), whom, page: about.path, ..Described::default() }
    }
}

/// Where somebody came from: `from google.com`, `by newsletter (email), campaign november`.
pub fn came(CameFrom { referrer, utm }: &CameFrom) -> Option<String> {
    let by = match (&utm.source, &utm.medium) {
        (Some(source), Some(medium)) => Some(format!("by {source} ({medium})")),
        (Some(one), None) | (None, Some(one)) => Some(format!("by {one}")),
        (None, None) => None,
    };
    let from = referrer.as_ref().map(|referrer| format!("from {referrer}"));
    let campaign = utm.campaign.as_ref().map(|campaign| format!("campaign {campaign}"));
    let parts: Vec<String> = [from, by, campaign].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A text that says something, no longer than can be read.
fn text(value: &Value) -> Option<String> {
    short(value.as_str()?)
}

fn short(text: &str) -> Option<String> {
    let text = text.trim();
    let shown = &text[..text.floor_char_boundary(LONGEST)];
    let more = if shown.len() < text.len() { "…" } else { "" };
    (!text.is_empty()).then(|| format!("{shown}{more}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_view_says_which_page_and_from_which_other_site() {
        let view = |page: Value| Described::of("page_view", None, &json!({"type": "page", "page": page}).to_string());
        let told = view(json!({"path": "/pricing", "title": "Pricing", "url": "https://www.a.example/pricing",
                               "host": "www.a.example", "referrer": "https://www.google.com/"}));
        assert_eq!(
            (told.what.as_str(), told.page.as_deref(), told.title.as_deref()),
            ("Viewed", Some("/pricing"), Some("Pricing"))
        );
        assert_eq!(told.came.as_deref(), Some("from google.com"));
        // Its own site's page led here: nothing to tell.
        let own = json!({"path": "/b", "url": "https://a.example/b", "referrer": "https://www.a.example/"});
        assert_eq!(view(own).came, None);
        let utm = json!({"path": "/b", "utm": {"source": "newsletter", "medium": "email", "campaign": "november"}});
        assert_eq!(view(utm).came.as_deref(), Some("by newsletter (email), campaign november"));
        assert_eq!(Described::of("page_view", None, "{").page.as_deref(), Some("a page"));
    }

    #[test]
    fn an_event_says_what_it_says_besides_the_page() {
        let entry = json!({"type": "track", "event": "Subscription Started",
                           "properties": {"plan": "team", "seats": 12, "path": "/app", "items": [1], "isTrial": false}});
        let told = Described::of("event", Some("Subscription Started"), &entry.to_string());
        assert_eq!((told.what.as_str(), told.page.as_deref()), ("Subscription Started", Some("/app")));
        let said = [("Plan", "team"), ("Seats", "12"), ("Is trial", "no")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(told.properties, said);
    }

    #[test]
    fn an_identify_says_as_whom_and_a_group_call_of_which_company() {
        let identified = |entry: Value| {
            let told = Described::of("identify", None, &entry.to_string());
            (told.what, told.whom)
        };
        let person = json!({"type": "identify", "email": "ada@a.example", "traits": {"email": "ada@a.example"}});
        assert_eq!(identified(person), ("Identified".to_owned(), Some("as ada@a.example".to_owned())));
        let company = json!({"type": "group", "traits": {"name": "Analytical Engines"}, "domain": "a.example"});
        assert_eq!(identified(company), ("Of the company".to_owned(), Some("Analytical Engines".to_owned())));
    }

    #[test]
    fn what_has_another_form_than_it_should_is_told_by_its_kind() {
        for json in ["{", "[]", r#"{"page":5}"#, r#"{"properties":[]}"#, r#"{"context":{"page":"x"}}"#] {
            assert_eq!(Described::of("event", Some("A"), json).what, "A", "{json}");
        }
    }
}
