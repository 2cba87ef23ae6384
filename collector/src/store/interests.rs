//! What a company's visitors looked at, put together of what each of them did: the rule of every engine.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use koala_destination::clock;

use super::company::Interest;
use super::visitor::VisitorId;

/// Of so many of a company's visitors, those that were seen last, it is told what they did.
pub(crate) const MOST_VISITORS: u32 = 1000;
/// The most pages and events, and the most sources, of one company that are told.
pub(crate) const MOST: u32 = 50;
/// Of so many visitors it is told that they did it.
const MOST_BY: usize = 5;

/// What one visitor did, with how often and when last.
#[derive(Debug)]
pub(crate) struct DoneByVisitor {
    /// `event` or `page_view`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) visitor_id: VisitorId,
    pub(crate) times: i64,
    pub(crate) last_at: i64,
}

/// The pages and events, of deeds of which the last come first: what most visitors did, and most often, first. An event is one
/// whatever the page it was done on, and a page one whatever its title.
pub(crate) fn of(deeds: impl IntoIterator<Item = DoneByVisitor>) -> Vec<Interest> {
    let mut all: HashMap<(String, String), (Interest, Reached)> = HashMap::new();
    for DoneByVisitor { kind, name, path, title, visitor_id, times, last_at } in deeds {
        let is_page = kind == "page_view";
        let known_by =
            if is_page { [&path, &name, &title].into_iter().find(|it| !it.is_empty()).unwrap_or(&path) } else { &name };
        // The newest comes first: what it is called now.
        let (interest, reached) = all.entry((kind.clone(), known_by.clone())).or_insert_with(|| {
            let said = |text: String| (!text.is_empty()).then_some(text);
            let path = said(path.clone()).filter(|_| is_page);
            let (name, title, at) = (said(name.clone()), said(title.clone()), clock::from_milliseconds(last_at));
            let interest = Interest { kind, name, path, title, times: 0, visitors: 0, by: Vec::new(), last_at: at };
            (interest, Reached { visitors: Vec::new(), known: HashSet::new(), last_at })
        });
        interest.times += times;
        if reached.known.insert(visitor_id.clone()) {
            reached.visitors.push(visitor_id);
        }
    }
    let mut all: Vec<(Interest, Reached)> = all.into_values().collect();
    all.sort_by_cached_key(|(interest, reached)| {
        let named = (interest.kind.clone(), interest.path.clone(), interest.name.clone());
        (Reverse((reached.visitors.len(), interest.times, reached.last_at)), named)
    });
    let told = all.into_iter().take(MOST as usize).map(|(interest, reached)| {
        let visitors = i64::try_from(reached.visitors.len()).unwrap_or(i64::MAX);
        let by = reached.visitors.into_iter().take(MOST_BY).collect();
        Interest { visitors, by, ..interest }
    });
    told.collect()
}

/// Whom something reached, the last first.
struct Reached {
    visitors: Vec<VisitorId>,
    known: HashSet<VisitorId>,
    last_at: i64,
}
