//! The watch: it looks at what changed, decides what is to be told, and writes that.

use std::collections::BTreeMap;
use std::sync::Arc;

use koala_destination::clock::{self, MILLISECONDS_OF_A_DAY};
use koala_destination::segment::hashed_message_id;

use super::alert::{Alert, Occasion};
use super::configured::Configured;
use super::facts::{self, Focus, MOST_PEOPLE, MOST_RECENT};
use super::message::{Message, Subject};
use super::new_messages::new_messages;
use super::options::SignalsOptions;
use super::stand::{Before, crossed};
use super::told::Told;
use crate::intent::IntentRule;
use crate::store::alerts::{AlertStore, Changed, Evaluated, Look, NewMessage, Standing, Stood, Turn, Unsettled};
use crate::store::company::{Activity, Company, CompanyId, CompanyPage};
use crate::store::visitor::{TimelineEntry, Visitor, VisitorId};
use crate::store::{Store, StoreError};

/// Messages that are written at once, with the few people who are named in each: an engine may take 3,000 rows at a time.
const MESSAGES_AT_ONCE: usize = 250;
/// Rows of what changed that are looked at together; each is a visitor who did something new that day.
const CHANGES_AT_ONCE: u32 = 100;
/// Companies that are read at once when all are looked at.
pub(super) const COMPANIES_AT_ONCE: u32 = 500;
/// What a message looks back on.
pub(super) const RECENT: i64 = 7 * MILLISECONDS_OF_A_DAY;
/// What happened longer ago sets nothing off, so that imports are silent.
const FRESH: i64 = MILLISECONDS_OF_A_DAY;
/// What a visitor of no known company did waits so long for who they are: a page view and an identify of one moment travel by
/// different queues.
const UNSETTLED: i64 = 3000;

/// Watches over a store.
pub struct Watch {
    pub(super) store: Arc<dyn Store>,
    pub(super) alerts: Arc<dyn AlertStore>,
    pub(super) options: SignalsOptions,
}

/// Everything about a company that messages need.
pub(super) struct Seen {
    page: CompanyPage,
    recent: Vec<Activity>,
    pub(super) standing: Standing,
}

impl Seen {
    fn id(&self) -> &CompanyId {
        &self.page.company.id
    }
}

impl Watch {
    /// A watch over a store, which is one behind its two ports.
    pub fn new(store: Arc<dyn Store>, alerts: Arc<dyn AlertStore>, options: SignalsOptions) -> Self {
        Self { store, alerts, options }
    }

    /// Looks at what changed, at the day's turn at all companies, and on Monday at the week. Gives back whether more is to be looked
    /// at now. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// When the store cannot be read or written: then all of it is looked at again.
    pub async fn round(&self, configured: &Configured, now: i64) -> Result<bool, StoreError> {
        let turn = self.alerts.turn().await?;
        let made_of = made_of(&self.store.intent_rules().await?, configured);
        // While points are made of something else than when all companies were looked at, they move without anything having happened.
        let is_settled = turn.as_ref().is_some_and(|turn| turn.made_of == made_of);
        let more = self.look_at_changes(configured, is_settled, now).await?;
        let today = now.div_euclid(MILLISECONDS_OF_A_DAY);
        let is_turn = turn.as_ref().is_none_or(|turn| turn.day != today || turn.made_of != made_of);
        if is_turn && self.store.looked_back().await? >= 1.0 && self.alerts.is_counted().await? {
            let next = Turn { day: today, made_of };
            self.look_at_all(configured, is_settled, (turn, next), now).await?;
        }
        self.look_at_week(configured, now).await?;
        Ok(more)
    }

    /// Whether something waits for a moment, until it is known better of whom it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_any_unsettled(&self, configured: &Configured, now: i64) -> Result<bool, StoreError> {
        let rules = rules_of(configured);
        Ok(!rules.is_empty() && self.alerts.is_any_unsettled(unsettled(&rules, now)).await?)
    }

    async fn look_at_changes(&self, configured: &Configured, is_settled: bool, now: i64) -> Result<bool, StoreError> {
        let at_once = at_once(configured, CHANGES_AT_ONCE);
        let rules = rules_of(configured);
        let changed = self.alerts.changed(at_once, unsettled(&rules, now)).await?;
        let more = changed.len() == at_once as usize;
        if changed.is_empty() {
            return Ok(false);
        }
        let mut evaluated =
            Evaluated { changed: changed.iter().map(|one| one.token.clone()).collect(), ..Evaluated::default() };
        if !configured.alerts().is_empty() {
            self.evaluate(configured, &changed, is_settled, now, &mut evaluated).await?;
        }
        // Where another one was quicker, what is left is looked at in the next round.
        Ok(self.alerts.tell(evaluated).await? && more)
    }

    async fn evaluate(
        &self,
        configured: &Configured,
        changed: &[Changed],
        is_settled: bool,
        now: i64,
        evaluated: &mut Evaluated,
    ) -> Result<(), StoreError> {
        let mut companies: BTreeMap<CompanyId, Seen> = BTreeMap::new();
        for id in changed.iter().filter_map(|one| one.company.as_ref()) {
            if !companies.contains_key(id)
                && let Some(seen) = self.see(id, now).await?
            {
                companies.insert(id.clone(), seen);
            }
        }
        let is_fresh = |one: &Changed| one.at > now - FRESH;
        for one in changed.iter().filter(|one| is_fresh(one)) {
            let company = one.company.as_ref().and_then(|id| companies.get(id));
            evaluated.messages.extend(self.of_rule(configured, one, company, now).await?);
        }
        for (id, seen) in &companies {
            let of_company = |one: &&Changed| one.company.as_ref() == Some(id);
            let is_fresh = changed.iter().filter(of_company).any(is_fresh);
            let (messages, standing) = self.of_company(configured, seen, (is_settled, is_fresh), now);
            evaluated.messages.extend(messages);
            evaluated.standings.push(Stood { company: id.clone(), before: seen.standing.clone(), after: standing });
        }
        Ok(())
    }

    pub(super) async fn see(&self, id: &CompanyId, now: i64) -> Result<Option<Seen>, StoreError> {
        // First how alerts stood: where another one looks at the company later than that, only one of both is written.
        let standing = self.alerts.standing(id).await?;
        let Some(page) = self.store.show_company(id.as_str(), MOST_PEOPLE).await? else { return Ok(None) };
        let recent = self.alerts.recent(id, now - RECENT, MOST_RECENT).await?;
        Ok(Some(Seen { page, recent, standing }))
    }

    /// What a rule that took something of a visitor sets off.
    async fn of_rule(
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
            let subject = (Subject::Rule(rule.clone()), of_name);
            let told = self.message(alert, subject, company, Some(&visitor), &own);
            new_messages((configured, alert), &occasion, told, company.map(Seen::id), Some(&visitor.id), now)
        };
        Ok(alerts.into_iter().filter(is_about).flat_map(tell).collect())
    }

    /// What a company sets off as it is now, and how alerts stand with it afterwards.
    pub(super) fn of_company(
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
                Occasion::Points { over } => Subject::Points { over },
                _ => Subject::Trend(look.trend),
            };
            let told = self.message(alert, (subject, None), Some(seen), None, &[]);
            new_messages((configured, alert), &format!("company {now}"), told, Some(seen.id()), None, now)
        };
        (goes_off.into_iter().flat_map(tell).collect(), standing)
    }

    fn message(
        &self,
        alert: &Alert,
        (subject, rule): (Subject, Option<&IntentRule>),
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
        let message = Message {
            alert: alert.name.clone(),
            subject,
            company: company.map(|seen| facts::of_page(&seen.page, &seen.recent, of_rule)),
            visitor: visitor.map(facts::called),
            deeds,
            user_ids,
            of_members,
            link,
        };
        (Told::Signal(message), mentioned)
    }
}

/// The intent rules that set alerts off.
fn rules_of(configured: &Configured) -> Vec<String> {
    let rule = |alert: &Alert| match &alert.on {
        Occasion::Rule(rule) => Some(rule.clone()),
        _ => None,
    };
    configured.alerts().iter().filter_map(rule).collect()
}

fn unsettled(rules: &[String], now: i64) -> Unsettled<'_> {
    Unsettled { rules, since: now - UNSETTLED, before: now + UNSETTLED }
}

/// How many visitors or companies are looked at together, at most so many: each may set off every alert, to each of its targets.
pub(super) fn at_once(configured: &Configured, most: u32) -> u32 {
    let messages: usize = configured.alerts().iter().map(|alert| alert.to.len()).sum();
    u32::try_from(MESSAGES_AT_ONCE / messages.max(1)).unwrap_or(most).clamp(1, most)
}

pub(super) fn look_at(company: &Company) -> Look {
    Look { points: company.intent, trend: company.trend }
}

/// A company of today had nothing before, and neither had one that appeared since all were looked at: its visitors were nobody's. Else
/// it stood here before, and nobody knows what it was like.
pub(super) fn before(company: &Company, is_settled: bool, now: i64) -> Before {
    let first_seen = company.first_seen.as_deref().and_then(clock::milliseconds);
    let is_of_today = first_seen.is_some_and(|at| at > now - FRESH);
    if is_settled || is_of_today { Before::Nothing } else { Before::Unknown }
}

/// Whether an alert looks at companies as they are.
pub(super) fn is_of_companies(alert: &Alert) -> bool {
    matches!(alert.on, Occasion::Points { .. } | Occasion::Trend { .. })
}

/// What points are made of, and whether anybody looks at them.
fn made_of(rules: &[IntentRule], configured: &Configured) -> String {
    let mut rules: Vec<String> = rules
        .iter()
        .map(|rule| {
            let IntentRule { name, trigger, score, half_life_days, count } = rule;
            format!("{name}\u{1f}{}\u{1f}{score}\u{1f}{half_life_days}\u{1f}{count:?}", trigger.as_str())
        })
        .collect();
    rules.sort();
    let is_watched = configured.alerts().iter().any(is_of_companies);
    let text = format!("{is_watched}\u{1e}{}", rules.join("\u{1e}"));
    hashed_message_id(&text)
}
