//! A page view of Koala's protocol, in the shape that Koala's script sends in the browser:
//! `{"page":{"path","referrer","title","url","host","search","utm"},"visit_start",…}`.

use reqwest::Url;

use crate::json::{Object, ObjectWriter};
use crate::segment::MappedPage;

/// The parts of a campaign as Segment's context names them, with those of a URL
/// (<https://segment.com/docs/connections/spec/common/#context-fields-automatically-collected>).
const CAMPAIGN: [(&str, &str); 5] =
    [("name", "campaign"), ("source", "source"), ("medium", "medium"), ("term", "term"), ("content", "content")];

/// Writes the fields of a page view that are its own; `context` is the event's.
pub fn write(object: &mut ObjectWriter<'_>, page: &MappedPage<'_>, context: Option<&Object<'_>>) {
    let url = page.url.as_deref().and_then(|url| Url::parse(url).ok());
    if let Some(name) = &page.name {
        object.string("name", name);
    }
    let mut written = ObjectWriter::start(object.key("page"));
    let path = page.path.as_deref().or(url.as_ref().map(Url::path));
    let search = page.search.as_deref().or(url.as_ref().and_then(Url::query));
    let texts = [
        ("path", path),
        ("referrer", page.referrer.as_deref()),
        ("title", page.title.as_deref()),
        ("url", page.url.as_deref()),
        ("host", url.as_ref().and_then(Url::host_str)),
        ("search", search),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            written.string(key, text);
        }
    }
    let campaign = context.and_then(|context| context.get_object("campaign"));
    let utm = utm(campaign, search.unwrap_or_default());
    if !utm.is_empty() {
        let mut of_page = ObjectWriter::start(written.key("utm"));
        for (key, value) in &utm {
            of_page.string(key, value);
        }
        of_page.end();
    }
    written.end();
}

/// The campaign that the context names, else the one in the query.
fn utm(campaign: Option<&Object<'_>>, search: &str) -> Vec<(&'static str, String)> {
    let query: Vec<_> = form_urlencoded::parse(search.trim_start_matches('?').as_bytes()).collect();
    let in_query = |part: &str| {
        let found = query.iter().find(|(key, value)| key.strip_prefix("utm_") == Some(part) && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let in_context = |key: &str| campaign?.get_str(key).filter(|value| !value.is_empty());
    let said =
        |(key, part): &(&str, &'static str)| Some((*part, in_context(key).or_else(|| in_query(part))?.into_owned()));
    CAMPAIGN.iter().filter_map(said).collect()
}
