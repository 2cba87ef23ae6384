//! What a visitor or a company sets off, as the store has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};

use crate::intent::IntentRule;
use crate::received::EntryKind;
use crate::signals::alert::{Alert, Occasion};
use crate::signals::configured::Configured;
use crate::signals::facts::{self, Focus, MOST_PEOPLE, MOST_RECENT};
use crate::signals::fresh::is_fresh;
use crate::signals::new_messages::new_messages;
use crate::signals::options::SignalsOptions;
use crate::signals::signal::{Signal, SignalSubject};
use crate::signals::stand::{Before, crossed};
use crate::signals::told::Told;
use crate::store::alerts::{AlertStore, Changed, Look, NewMessage, Standing};
use crate::store::company::{Activity, Company, CompanyId, CompanyPage};
use crate::store::visitor::{TimelineEntry, Visitor, VisitorId};
use crate::store::{Store, StoreError};

/// Messages that are written at once, with the few people who are named in each: an engine may take 3,000 rows at a time.
const MESSAGES_AT_ONCE: usize = 250;
/// Companies that are read at once when all are looked at.
pub const COMPANIES_AT_ONCE: u32 = 500;
/// What a message looks back on.
pub const RECENT: i64 = 7 * MILLISECONDS_OF_A_DAY;

/// Reads what a message needs, and decides what goes off.
pub struct Evaluator {
    pub store: Arc<dyn Store>,
    pub alerts: Arc<dyn AlertStore>,
    pub options: SignalsOptions,
}

/// Everything about a company that messages need.
pub struct Seen {
    page: CompanyPage,
    recent: Vec<Activity>,
    /// How alerts stood with it before it was read.
    pub standing: Standing,
}

impl Seen {
    /// Whether somebody of the company did something within the last day; to be identified is nothing that one does.
    pub fn did_something_lately(&self, now: i64) -> bool {
        let at = |one: &Activity| clock::milliseconds(&one.at).is_some_and(|at| is_fresh(at, now));
        self.recent.iter().any(|one| EntryKind::of(&one.kind) != Some(EntryKind::Identify) && at(one))
    }

    fn id(&self) -> &CompanyId {
        &self.page.company.id
    }
}

impl Evaluator {
    /// A company, where there is one.
    pub async fn see(&self, id: &CompanyId, now: i64) -> Result<Option<Seen>, StoreError> {
        // First how alerts stood: where another one looks at the company later than that, only one of both is written.
        let standing = self.alerts.standing(id).await?;
        let Some(page) = self.store.show_company(id.as_str(), MOST_PEOPLE).await? else { return Ok(None) };
        let recent = self.alerts.recent(id, now - RECENT, MOST_RECENT).await?;
        Ok(Some(Seen { page, recent, standing }))
    }

    /// What a rule that took something of a visitor sets off.
    pub async fn of_rule(
        &self,
        configured: &Configured,
        changed: &Changed,
        company: Option<&Seen>,
        now: i64,
    ) -> Result<Vec<NewMessage>, StoreError> {
        let Some(rule) = &changed.rule else { return Ok(Vec::new()) };
        let alerts: Vec<&Alert> =
            configured.alerts().iter().filter(|alert| alert.on == Occasion::Rule(rule.clone())).collect();
        if alerts.is_empty() || company.is_some_and(|seen| seen.page.company.excluded) {
            return Ok(Vec::new());
        }
        let Some((visitor, timeline)) = self.store.show_visitor(&changed.visitor, MOST_RECENT).await? else {
            return Ok(Vec::new());
        };
        if visitor.excluded {
            return Ok(Vec::new());
        }
        let traits_of_company = company.map(|seen| facts::traits_of(&seen.page.company));
        let is_about = |alert: &&Alert| alert.is_about(&visitor.traits, traits_of_company.as_ref());
        // Of a company what all of its visitors did is told.
        let since = clock::from_milliseconds(now - RECENT);
        let recent = timeline.into_iter().filter(|entry| company.is_none() && entry.at >= since);
        let of = |entry: TimelineEntry| Activity {
            visitor_id: visitor.id.clone(),
            kind: entry.kind,
            name: entry.name,
            path: entry.path,
            at: entry.at,
        };
        let own: Vec<Activity> = recent.map(of).collect();
        let occasion = format!("rule {rule} {}", &clock::from_milliseconds(changed.day * MILLISECONDS_OF_A_DAY)[..10]);
        let rules = self.store.intent_rules().await?;
        let of_name = rules.iter().find(|one| one.name == *rule);
        let tell = |alert: &Alert| {
            let subject = (SignalSubject::Rule(rule.clone()), of_name);
            let told = self.message(alert, subject, company, Some(&visitor), &own);
            new_messages((configured, alert), &occasion, told, company.map(Seen::id), Some(&visitor.id), now)
        };
        Ok(alerts.into_iter().filter(is_about).flat_map(tell).collect())
    }

    /// What a company sets off as it is now, and how alerts stand with it afterwards.
    pub fn of_company(
        &self,
        configured: &Configured,
        seen: &Seen,
        (is_settled, is_fresh): (bool, bool),
        now: i64,
    ) -> (Vec<NewMessage>, Standing) {
        let company = &seen.page.company;
        let look = look_at(company);
        let is_silent = !is_settled || !is_fresh || company.excluded;
        let traits = facts::traits_of(company);
        let is_about = |alert: &Alert| is_silent || alert.is_about_any(facts::traits_of_people(&seen.page), &traits);
        let before = before(company, is_settled, now);
        let (goes_off, standing) = crossed(configured.alerts(), (is_about, is_silent), &seen.standing, before, look);
        if is_silent {
            return (Vec::new(), standing);
        }
        let tell = |alert: &Alert| {
            let subject = match alert.on {
                Occasion::Points { over } => SignalSubject::Points { over },
                _ => SignalSubject::Trend(look.trend),
            };
            let told = self.message(alert, (subject, None), Some(seen), None, &[]);
            new_messages((configured, alert), &format!("company {now}"), told, Some(seen.id()), None, now)
        };
        (goes_off.into_iter().flat_map(tell).collect(), standing)
    }

    fn message(
        &self,
        alert: &Alert,
        (subject, rule): (SignalSubject, Option<&IntentRule>),
        company: Option<&Seen>,
        visitor: Option<&Visitor>,
        own: &[Activity],
    ) -> (Told, Vec<VisitorId>) {
        let people = company.into_iter().flat_map(|seen| seen.page.people.iter().map(|member| &member.visitor));
        let names: BTreeMap<VisitorId, String> = people
            .clone()
            .chain(visitor)
            .filter(|visitor| !visitor.excluded)
            .map(|visitor| (visitor.id.clone(), facts::called(visitor)))
            .collect();
        let recent = company.map_or(own, |seen| &seen.recent);
        let focus = Focus { visitor: visitor.map(|visitor| &visitor.id), rule };
        let (deeds, mut mentioned) = facts::deeds(recent, &names, focus);
        mentioned.extend(visitor.map(|visitor| visitor.id.clone()).filter(|id| !mentioned.contains(id)));
        let link = match (company, visitor) {
            (Some(seen), _) => self.options.link_to_company(&seen.page.company.key),
            (None, Some(visitor)) => self.options.link_to_visitor(visitor.id.as_str()),
            (None, None) => None,
        };
        // Of what one person did the others' profiles need not be told; where nobody knows who it was, all of the company's are.
        let user_ids = facts::user_ids(visitor);
        let of_members = user_ids.is_empty() && !facts::user_ids(people).is_empty();
        let of_rule = rule.map(|rule| rule.name.as_str());
        let message = Signal {
            alert: alert.name.clone(),
            subject,
            company: company.map(|seen| facts::of_page(&seen.page, &seen.recent, of_rule, visitor)),
            visitor: visitor.map(facts::called),
            deeds,
            user_ids,
            of_members,
            link,
        };
        (Told::Signal(message), mentioned)
    }
}

/// How many visitors or companies are looked at together, at most so many: each may set off every alert, to each of its targets.
pub fn at_once(configured: &Configured, most: u32) -> u32 {
    let messages: usize = configured.alerts().iter().map(|alert| alert.to.len()).sum();
    u32::try_from(MESSAGES_AT_ONCE / messages.max(1)).unwrap_or(most).clamp(1, most)
}

/// What alerts look at of a company.
pub fn look_at(company: &Company) -> Look {
    Look { points: company.intent, trend: company.trend }
}

/// A company of today had nothing before, and neither had one that appeared since all were looked at: its visitors were nobody's. Else
/// it stood here before, and nobody knows what it was like.
pub fn before(company: &Company, is_settled: bool, now: i64) -> Before {
    let first_seen = company.first_seen.as_deref().and_then(clock::milliseconds);
    let is_of_today = first_seen.is_some_and(|at| is_fresh(at, now));
    if is_settled || is_of_today { Before::Nothing } else { Before::Unknown }
}

/// Whether an alert looks at companies as they are.
pub fn is_of_companies(alert: &Alert) -> bool {
    matches!(alert.on, Occasion::Points { .. } | Occasion::Trend { .. })
}
