//! What a message says of a company and its people, from what the store shows.

use std::collections::{BTreeMap, HashSet};

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use koala_destination::plural::counted;
use serde_json::{Map, Value, json};

use super::signal::{CompanyFacts, Deed, MOST_DEEDS, MOST_MEMBERS};
use crate::about::shortened;
use crate::intent::{IntentRule, did, with_event};
use crate::invisible::is_blank;
use crate::received::EntryKind;
use crate::store::company::{Activity, Company, CompanyPage, CompanySource, Reason};
use crate::store::visitor::{Visitor, VisitorId};

/// The most people of a company that are looked at for names and user ids.
pub const MOST_PEOPLE: u32 = 200;
/// The most entries of the last week that three lines are chosen from.
pub const MOST_RECENT: u32 = 300;
/// The longest user id that is told, in bytes; a batch of Segment's holds 500 KB.
const LONGEST_USER_ID: usize = 255;

/// The company of a page, with how many people a message about it speaks of: those of whom the rule took something, where a rule set it
/// off, and no more than did something in the last week; else those who did. Who was only identified did nothing, and who is kept out
/// of the ranking does not count. It is a guess also where the visitor whom the message is about, or each of those who did something, is
/// taken to be of it by a network alone.
#[must_use]
pub fn of_page(page: &CompanyPage, recent: &[Activity], rule: Option<&str>, visitor: Option<&Visitor>) -> CompanyFacts {
    let by_rule = page.reasons.iter().find(|reason| Some(reason.rule.as_str()) == rule).map(|reason| reason.visitors);
    let people = match (by_rule.unwrap_or_default(), active(page, recent)) {
        (0, active) => active,
        (by_rule, 0) => by_rule,
        (by_rule, active) => by_rule.min(active),
    };
    let facts = of(&page.company, people as u64);
    CompanyFacts {
        reasons: page.reasons.iter().map(sentence).collect(),
        is_guess: facts.is_guess || is_of_guessed(page, recent, visitor),
        ..facts
    }
}

/// Whether what a message tells was done by people of whom only their network says that they are the company's.
fn is_of_guessed(page: &CompanyPage, recent: &[Activity], visitor: Option<&Visitor>) -> bool {
    let is_guessed = |visitor: &Visitor| visitor.company_source == Some(CompanySource::Network);
    if let Some(visitor) = visitor {
        return is_guessed(visitor);
    }
    let did_something: HashSet<&VisitorId> =
        recent.iter().filter(|one| what(one).is_some()).map(|one| &one.visitor_id).collect();
    let members = page.people.iter().map(|member| &member.visitor).filter(|one| !one.excluded);
    let mut told = members.filter(|one| did_something.contains(&one.id)).peekable();
    told.peek().is_some() && told.all(is_guessed)
}

/// How many people did something in the last week.
#[must_use]
pub fn active(page: &CompanyPage, recent: &[Activity]) -> usize {
    let (Some(newest), Some(oldest)) = (recent.first(), recent.last()) else { return 0 };
    let members = || page.people.iter().map(|member| &member.visitor);
    let excluded: HashSet<&VisitorId> = members().filter(|one| one.excluded).map(|one| &one.id).collect();
    let deeds = recent.iter().filter(|one| what(one).is_some());
    let mut people: HashSet<&VisitorId> = deeds.map(|one| &one.visitor_id).collect();
    // The activity at hand of a busy company does not go back a week. Who was seen last before it began did something then, as far as is
    // known; who was seen since and is not in it was only identified.
    if recent.len() >= MOST_RECENT as usize {
        let week_ago = week_before(&newest.at);
        let before_it = |one: &&Visitor| one.last_seen >= week_ago && one.last_seen < oldest.at;
        let did_something = |one: &&Visitor| one.events + one.page_views > 0;
        people.extend(members().filter(before_it).filter(did_something).map(|one| &one.id));
    }
    people.difference(&excluded).count()
}

/// A week before a time, RFC 3339.
fn week_before(at: &str) -> String {
    clock::from_milliseconds(clock::milliseconds(at).unwrap_or_default() - 7 * MILLISECONDS_OF_A_DAY)
}

/// A company of which so many visitors did something lately.
#[must_use]
pub fn of(company: &Company, people: u64) -> CompanyFacts {
    let name = company.name.as_ref().filter(|name| !is_blank(name));
    // Of several groups nobody knows which one a member is in.
    let one_group = company.group_ids.first().filter(|_| company.group_ids.len() == 1);
    CompanyFacts {
        key: company.key.clone(),
        name: shortened(name.or(company.domain.as_ref()).unwrap_or(&company.key)),
        domain: company.domain.clone(),
        group_id: one_group.cloned(),
        is_guess: company.company_source == CompanySource::Network,
        points: company.intent,
        strength: company.strength,
        trend: company.trend,
        people,
        reasons: Vec::new(),
    }
}

/// What an alert's `only` sees of a company: its traits, with its name and domain.
#[must_use]
pub fn traits_of(company: &Company) -> Map<String, Value> {
    let mut traits = company.traits.clone();
    for (key, text) in [("name", &company.name), ("domain", &company.domain)] {
        if let Some(text) = text {
            traits.insert(key.to_owned(), text.as_str().into());
        }
    }
    traits
}

/// What an alert's `only` sees of a company's people.
pub fn traits_of_people(page: &CompanyPage) -> impl Iterator<Item = &Map<String, Value>> {
    page.people.iter().map(|member| &member.visitor).filter(|visitor| !visitor.excluded).map(|visitor| &visitor.traits)
}

/// A rule's points as a sentence: `Looked at pricing: 3 people`.
fn sentence(reason: &Reason) -> String {
    format!("{}: {}", did(&reason.rule).unwrap_or(&reason.rule), counted(reason.visitors, "person"))
}

/// What a seller calls a visitor: the name, with the title where one is known, else the address, else the user id.
#[must_use]
pub fn called(visitor: &Visitor) -> String {
    match (visitor.known_name(), visitor.text("title")) {
        (Some(name), Some(title)) => format!("{}, {}", shortened(&name), shortened(title)),
        (Some(name), None) => shortened(&name),
        (None, _) => visitor.name(),
    }
}

/// The user ids of people, for a source of Segment.
#[must_use]
pub fn user_ids<'v>(people: impl IntoIterator<Item = &'v Visitor>) -> Vec<String> {
    let known = people.into_iter().filter(|visitor| !visitor.excluded).filter_map(|visitor| visitor.user_ids.first());
    known.filter(|user_id| user_id.len() <= LONGEST_USER_ID).take(MOST_MEMBERS).cloned().collect()
}

/// What a message is about: its lines begin with that.
#[derive(Debug, Clone, Copy, Default)]
pub struct Focus<'f> {
    /// The visitor, where it is about one.
    pub visitor: Option<&'f VisitorId>,
    /// The intent rule that set it off.
    pub rule: Option<&'f IntentRule>,
}

impl Focus<'_> {
    /// The place of something that was done: what the rule takes of the visitor, then of others, then what else the visitor did.
    fn place(self, one: &Activity) -> u8 {
        let is_theirs = self.visitor == Some(&one.visitor_id);
        match (self.rule.is_some_and(|rule| takes(rule, one)), is_theirs) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }
}

/// Whether a rule takes something that was done, by its name and its page; what else the rule may look at is not told here.
fn takes(rule: &IntentRule, one: &Activity) -> bool {
    let Some(kind) = EntryKind::of(&one.kind) else { return false };
    let entry = json!({"event": one.name, "name": one.name, "properties": {"path": one.path}}).to_string();
    with_event(kind, &entry, |event| rule.trigger.matches(event)).unwrap_or_default()
}

/// What was done lately, at most [`MOST_DEEDS`]: what the message is about before all else, and the newest first. The same of one
/// visitor is one. `activity` is the newest first.
#[must_use]
pub fn deeds(
    activity: &[Activity],
    names: &BTreeMap<VisitorId, String>,
    focus: Focus<'_>,
) -> (Vec<Deed>, Vec<VisitorId>) {
    let mut deeds: Vec<(&VisitorId, u8, Deed)> = Vec::new();
    for one in activity {
        let (Some(what), Some(who)) = (what(one), names.get(&one.visitor_id)) else { continue };
        let same = deeds.iter_mut().find(|(visitor, _, deed)| *visitor == &one.visitor_id && deed.what == what);
        if let Some((_, _, deed)) = same {
            deed.times += 1;
        } else {
            let deed = Deed { who: who.clone(), what, times: 1, last: one.at.clone() };
            deeds.push((&one.visitor_id, focus.place(one), deed));
        }
    }
    // Stable: the newest first among those of one place.
    deeds.sort_by_key(|(_, place, _)| *place);
    deeds.truncate(MOST_DEEDS);
    let mut mentioned: Vec<VisitorId> = Vec::new();
    for (visitor, ..) in &deeds {
        if !mentioned.contains(visitor) {
            mentioned.push((*visitor).clone());
        }
    }
    (deeds.into_iter().map(|(.., deed)| deed).collect(), mentioned)
}

/// What somebody did, in words; nothing for what is no deed, as being identified.
fn what(one: &Activity) -> Option<String> {
    match one.kind.as_str() {
        "page_view" => Some(match (&one.path, &one.name) {
            (Some(path), _) => format!("viewed {path}"),
            (None, Some(name)) => format!("viewed {}", shortened(name)),
            (None, None) => "viewed a page".to_owned(),
        }),
        "event" => one.name.as_deref().map(shortened),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(visitor: &str, kind: &str, name: Option<&str>, path: Option<&str>, minute: u32) -> Activity {
        Activity {
            visitor_id: VisitorId::new(visitor),
            kind: kind.to_owned(),
            name: name.map(str::to_owned),
            path: path.map(str::to_owned),
            at: format!("2026-11-24T10:{minute:02}:00.000Z"),
        }
    }

    fn visitor(traits: &Value, emails: &[&str], devices: &[&str]) -> Visitor {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Visitor {
            id: VisitorId::new("1"),
            user_ids: Vec::new(),
            emails: texts(emails),
            anonymous_ids: texts(devices),
            account: None,
            company_id: None,
            company: None,
            company_source: None,
            intent: crate::intent::Intent::default(),
            traits: traits.as_object().cloned().unwrap_or_default(),
            first_seen: String::new(),
            last_seen: String::new(),
            events: 0,
            identifies: 0,
            page_views: 0,
            excluded: false,
            identities: Vec::new(),
        }
    }

    #[test]
    fn a_visitor_is_called_by_name_and_title_else_by_address_else_anonymous() {
        let mentioned = json!({"name": "Ada Byron", "title": "CTO"});
        assert_eq!(called(&visitor(&mentioned, &["ada@acme.example"], &[])), "Ada Byron, CTO");
        assert_eq!(called(&visitor(&json!({"firstName": "Ada", "lastName": "Byron"}), &[], &[])), "Ada Byron");
        assert_eq!(called(&visitor(&json!({"name": " "}), &["ada@acme.example"], &["d"])), "ada@acme.example");
        let device = "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1fc8ff";
        assert_eq!(called(&visitor(&json!({}), &[], &[device])), "Anonymous visitor c8ff");
        assert_eq!(called(&visitor(&json!({}), &[], &[])), "Unknown visitor");
    }

    #[test]
    fn three_lines_say_who_did_what_how_often_and_begin_with_whom_it_is_about() {
        let names = [("1", "Ada"), ("2", "Charles"), ("3", "Luigi")];
        let names: BTreeMap<_, _> = names.into_iter().map(|(id, name)| (VisitorId::new(id), name.to_owned())).collect();
        let recent = [
            activity("2", "page_view", None, Some("/docs"), 9),
            activity("1", "page_view", None, Some("/pricing"), 8),
            activity("1", "identify", None, None, 7),
            activity("3", "event", Some("Demo Requested"), Some("/demo"), 6),
            activity("1", "page_view", Some("Pricing"), Some("/pricing"), 5),
            activity("2", "page_view", Some("Home"), None, 4),
            activity("4", "event", Some("Of somebody who is excluded"), None, 3),
        ];
        let lines = |visitor: Option<&str>, rule: Option<&str>| {
            let rule = rule.and_then(|name| IntentRule::presets().into_iter().find(|rule| rule.name == name));
            let visitor = visitor.map(VisitorId::new);
            let focus = Focus { visitor: visitor.as_ref(), rule: rule.as_ref() };
            let (deeds, mentioned) = deeds(&recent, &names, focus);
            let lines = deeds.into_iter().map(|deed| format!("{} {} {}", deed.who, deed.what, deed.times));
            (lines.collect::<Vec<_>>(), mentioned.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>())
        };
        let (all, mentioned) = lines(None, None);
        assert_eq!(all, ["Charles viewed /docs 1", "Ada viewed /pricing 2", "Luigi Demo Requested 1"]);
        assert_eq!(mentioned, ["2", "1", "3"]);
        let of_ada = lines(Some("1"), None).0;
        assert_eq!(of_ada, ["Ada viewed /pricing 2", "Charles viewed /docs 1", "Luigi Demo Requested 1"]);
        // What the rule is about before all else, also where it is not the newest and not the visitor's own.
        let of_demo = lines(Some("2"), Some("demo")).0;
        assert_eq!(of_demo, ["Luigi Demo Requested 1", "Charles viewed /docs 1", "Charles viewed Home 1"]);
        assert_eq!(lines(Some("2"), Some("pricing")).0[0], "Ada viewed /pricing 2");
    }
}
