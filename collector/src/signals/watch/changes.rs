//! What changed: the visitors who did something new, and their companies.

use std::collections::BTreeMap;

use super::evaluator::{Evaluator, Seen, at_once};
use crate::signals::alert::{Alert, Occasion};
use crate::signals::configured::Configured;
use crate::signals::fresh::is_fresh;
use crate::store::StoreError;
use crate::store::alerts::{Changed, Evaluated, Stood, Unsettled};
use crate::store::company::CompanyId;

/// Rows of what changed that are looked at together; each is a visitor who did something new that day.
const CHANGES_AT_ONCE: u32 = 100;
/// What a visitor of no known company did waits so long for who they are: a page view and an identify of one moment travel by
/// different queues.
const UNSETTLED: i64 = 3000;

/// Whether something waits for a moment, until it is known better of whom it is.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_any_unsettled(evaluator: &Evaluator, configured: &Configured, now: i64) -> Result<bool, StoreError> {
    let rules = rules_of(configured);
    Ok(!rules.is_empty() && evaluator.alerts.is_any_unsettled(unsettled(&rules, now)).await?)
}

/// Looks at what changed, and gives back whether more is to be looked at now.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn look_at_changes(
    evaluator: &Evaluator,
    configured: &Configured,
    is_settled: bool,
    now: i64,
) -> Result<bool, StoreError> {
    let at_once = at_once(configured, CHANGES_AT_ONCE);
    let rules = rules_of(configured);
    let changed = evaluator.alerts.changed(at_once, unsettled(&rules, now)).await?;
    let more = changed.len() == at_once as usize;
    if changed.is_empty() {
        return Ok(false);
    }
    let mut evaluated =
        Evaluated { changed: changed.iter().map(|one| one.token.clone()).collect(), ..Evaluated::default() };
    if !configured.alerts().is_empty() {
        evaluate(evaluator, configured, &changed, (is_settled, now), &mut evaluated).await?;
    }
    // Where another one was quicker, what is left is looked at in the next round.
    Ok(evaluator.alerts.tell(evaluated).await? && more)
}

async fn evaluate(
    evaluator: &Evaluator,
    configured: &Configured,
    changed: &[Changed],
    (is_settled, now): (bool, i64),
    evaluated: &mut Evaluated,
) -> Result<(), StoreError> {
    let mut companies: BTreeMap<CompanyId, Seen> = BTreeMap::new();
    for id in changed.iter().filter_map(|one| one.company.as_ref()) {
        if !companies.contains_key(id)
            && let Some(seen) = evaluator.see(id, now).await?
        {
            companies.insert(id.clone(), seen);
        }
    }
    let is_of_today = |one: &Changed| is_fresh(one.at, now);
    for one in changed.iter().filter(|one| is_of_today(one)) {
        let company = one.company.as_ref().and_then(|id| companies.get(id));
        evaluated.messages.extend(evaluator.of_rule(configured, one, company, now).await?);
    }
    for (id, seen) in &companies {
        let of_company = |one: &&Changed| one.company.as_ref() == Some(id);
        // Who only says who they are brings what they did before: where that was long ago, it is an import.
        let is_news = |one: &Changed| is_of_today(one) && (one.rule.is_some() || seen.did_something_lately(now));
        let is_fresh = changed.iter().filter(of_company).any(is_news);
        let (messages, standing) = evaluator.of_company(configured, seen, (is_settled, is_fresh), now);
        evaluated.messages.extend(messages);
        evaluated.standings.push(Stood { company: id.clone(), before: seen.standing.clone(), after: standing });
    }
    Ok(())
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
