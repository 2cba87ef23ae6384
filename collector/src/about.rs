//! What an entry is about: the page that was looked at, and where the visitor came from.
//!
//! Koala's script says it in `page` of a page view, Segment's events in `properties` and in `context.page`
//! (<https://segment.com/docs/connections/spec/common/#context-fields-automatically-collected>), a campaign in `page.utm`,
//! `context.campaign` or the query of the page's address.

use std::borrow::Cow;

use koala_destination::json::Object;
use serde::Serialize;

/// The most bytes of a name, a path or a title that lists and searches know. The entry itself is kept whole.
const LONGEST: usize = 300;

/// What an entry is about; what it does not say is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The path of the page, without query and fragment.
    pub path: Option<String>,
    /// The page's title.
    pub title: Option<String>,
    /// The address of the page that led there, as it was written.
    pub referrer: Option<String>,
    /// The campaign that led there.
    pub utm: Utm,
    /// The host of the page itself.
    host: Option<String>,
}

/// A campaign, by the names of a URL's parameters without their `utm_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Utm {
    /// `utm_source`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `utm_medium`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
    /// `utm_campaign`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
}

impl Utm {
    /// Whether no campaign led there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a visitor came from: another site, a campaign, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CameFrom {
    /// The host of the other site.
    pub referrer: Option<String>,
    /// The campaign.
    pub utm: Utm,
}

impl About {
    /// Reads it from an entry. One that is not a JSON object is about nothing.
    #[must_use]
    pub fn of(json: &str) -> Self {
        let Some(entry) = Object::from_json(json) else { return Self::default() };
        let context = entry.get_object("context");
        let pages =
            [entry.get_object("page"), entry.get_object("properties"), context.and_then(|it| it.get_object("page"))];
        // A page view that was sent by hand may say at its top what belongs in its page.
        let places = || pages.into_iter().flatten().chain(std::iter::once(&entry));
        let said = |key: &str| places().find_map(|place| text(place, key));
        let url = said("url").or_else(|| said("href"));
        let search = said("search").or_else(|| query_of(url.as_deref()?).map(str::to_owned)).unwrap_or_default();
        let path = said("path").or_else(|| path_of(url.as_deref()?).map(str::to_owned));
        let path = path
            .map(|path| shortened(path.split(['?', '#']).next().unwrap_or_default()))
            .filter(|path| !path.is_empty());
        let of_page = pages.first().copied().flatten().and_then(|page| page.get_object("utm"));
        let campaign = context.and_then(|context| context.get_object("campaign"));
        let utm = |key: &str, in_context: &str| {
            let in_query = || form_urlencoded::parse(search.trim_start_matches('?').as_bytes());
            let in_query =
                || in_query().find(|(name, value)| name.strip_prefix("utm_") == Some(key) && !value.is_empty());
            let said = of_page.and_then(|utm| text(utm, key)).or_else(|| text(campaign?, in_context));
            said.or_else(|| in_query().map(|(_, value)| value.into_owned())).map(|text| shortened(&text))
        };
        Self {
            path,
            title: said("title").map(|title| shortened(&title)),
            referrer: said("referrer"),
            utm: Utm {
                source: utm("source", "source"),
                medium: utm("medium", "medium"),
                campaign: utm("campaign", "name"),
            },
            host: url.as_deref().and_then(host_of).or_else(|| said("host")),
        }
    }

    /// Where the visitor came from; nothing where they were here before: on a page of the same site.
    #[must_use]
    pub fn origin(&self) -> Option<CameFrom> {
        let referrer = self.referrer.as_deref().and_then(host_of).filter(|host| self.host.as_ref() != Some(host));
        let origin = CameFrom { referrer: referrer.map(|host| shortened(&host)), utm: self.utm.clone() };
        (origin != CameFrom::default()).then_some(origin)
    }
}

/// A text as lists and searches know it.
#[must_use]
pub fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().trim().to_owned()
}

fn text(object: &Object<'_>, key: &str) -> Option<String> {
    object.get_str(key).map(Cow::into_owned).filter(|text| !text.trim().is_empty())
}

/// What stands behind the host in a URL; nothing where it is not one.
fn behind_host(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let is_scheme =
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then(|| rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

fn host_of(url: &str) -> Option<String> {
    let (authority, _) = behind_host(url)?;
    let host = authority.rsplit('@').next()?.split(':').next()?.to_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    (!host.is_empty()).then(|| host.to_owned())
}

fn path_of(url: &str) -> Option<&str> {
    let path = behind_host(url)?.1.split(['?', '#']).next()?;
    Some(if path.is_empty() { "/" } else { path })
}

fn query_of(url: &str) -> Option<&str> {
    url.split('#').next()?.split_once('?').map(|(_, query)| query)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn about(entry: &Value) -> About {
        About::of(&entry.to_string())
    }

    fn utm(source: &str, medium: &str, campaign: &str) -> Utm {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Utm { source: text(source), medium: text(medium), campaign: text(campaign) }
    }

    #[test]
    fn a_page_view_of_koalas_script_an_event_of_segment_and_one_sent_by_hand_say_their_page() {
        for entry in [
            json!({"page": {"path": "/pricing", "title": "Pricing", "url": "https://www.shop.example/pricing"}}),
            json!({"page": {"url": "https://www.shop.example/pricing?a=1#top", "title": "Pricing"}}),
            json!({"properties": {"path": "/pricing?a=1", "title": "Pricing"}, "context": {"page": {"path": "/other"}}}),
            json!({"properties": {}, "context": {"page": {"path": "/pricing", "title": "Pricing"}}}),
            json!({"path": "/pricing", "title": "Pricing"}),
        ] {
            let about = about(&entry);
            assert_eq!((about.path.as_deref(), about.title.as_deref()), (Some("/pricing"), Some("Pricing")), "{entry}");
        }
        assert_eq!(about(&json!({"page": {"url": "https://shop.example"}})).path.as_deref(), Some("/"));
        for entry in [json!({}), json!([]), json!({"page": 5, "properties": {"path": 7, "title": " "}})] {
            assert_eq!(about(&entry), About::default(), "{entry}");
        }
    }

    #[test]
    fn another_site_and_a_campaign_are_where_somebody_came_from_and_a_page_of_the_same_site_is_not() {
        let of = |entry: &Value| about(entry).origin().map(|origin| (origin.referrer.unwrap_or_default(), origin.utm));
        let from = |referrer: &str, utm: Utm| Some((referrer.to_owned(), utm));
        let page = |url: &str, referrer: &str| json!({"page": {"url": url, "referrer": referrer}});
        assert_eq!(
            of(&page("https://shop.example/", "https://www.google.com/search?q=x")),
            from("google.com", Utm::default())
        );
        assert_eq!(of(&page("https://www.shop.example/docs", "https://shop.example/")), None);
        assert_eq!(of(&page("https://shop.example/", "$direct")), None);
        let in_query = page("https://shop.example/?utm_source=news&utm_medium=e%20mail&utm_campaign=", "");
        assert_eq!(of(&in_query), from("", utm("news", "e mail", "")));
        let in_context =
            json!({"context": {"campaign": {"name": "autumn", "source": "newsletter", "medium": "email"}}});
        assert_eq!(of(&in_context), from("", utm("newsletter", "email", "autumn")));
        let of_script = json!({"page": {"utm": {"source": "x", "campaign": "y"}, "search": "?utm_source=z"}});
        assert_eq!(of(&of_script), from("", utm("x", "", "y")));
    }

    #[test]
    fn what_is_very_long_is_known_by_its_beginning() {
        let about = about(&json!({"page": {"path": format!("/{}", "ü".repeat(1000))}}));
        assert_eq!(about.path.map(|path| path.len()), Some(LONGEST - 1));
    }
}
