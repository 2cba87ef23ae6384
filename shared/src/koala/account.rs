//! The company of a *group* event, for our own collector and for Koala's.
//!
//! Ours takes it as an entry of the array `groups`, with the ids of the person beside it: it knows a company by its id,
//! its domain or its name, and who belongs to it. Koala's takes `POST …/accounts/batch`, where a company is its domain.

use std::borrow::Cow;

use crate::json::ObjectWriter;
use crate::segment::MappedAccount;

/// The domain that Koala knows the company by: the host of what the event says its domain or site is.
pub fn domain(account: &MappedAccount<'_>) -> Option<String> {
    let text = account.domain.as_deref()?.trim().to_lowercase();
    let host = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ':']).next()?.trim_start_matches("www.");
    let is_domain = host.split('.').count() > 1
        && host.split('.').all(|label| !label.is_empty())
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'));
    is_domain.then(|| host.to_owned())
}

/// Writes what an entry of `groups` says of the company beside its traits.
pub fn write(object: &mut ObjectWriter<'_>, account: &MappedAccount<'_>) {
    for (key, text) in [("group_id", &account.group_id), ("domain", &account.domain), ("name", &account.name)] {
        if let Some(text) = says(text.as_ref()) {
            object.string(key, text);
        }
    }
}

/// What Koala's traits of a company have besides the event's own: `group_id` and the name.
pub fn additions<'a>(account: &'a MappedAccount<'_>) -> Vec<(&'static str, &'a str)> {
    let texts = [("group_id", says(account.group_id.as_ref())), ("name", says(account.name.as_ref()))];
    texts.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
}

fn says<'t>(text: Option<&'t Cow<'_, str>>) -> Option<&'t str> {
    text.map(AsRef::as_ref).filter(|text| !text.trim().is_empty())
}
