//! Mondays: which companies rose, are new, went cold.

use koala_destination::clock;

use super::evaluator::{COMPANIES_AT_ONCE, Evaluator, RECENT};
use crate::signals::alert::{Alert, Occasion};
use crate::signals::configured::Configured;
use crate::signals::digest::{Candidate, Digest, MOST_NAMED, ranked};
use crate::signals::facts::{self, MOST_PEOPLE, MOST_RECENT};
use crate::signals::new_messages::new_messages;
use crate::signals::signal::CompanyFacts;
use crate::signals::told::Told;
use crate::signals::week;
use crate::store::StoreError;
use crate::store::alerts::Evaluated;
use crate::store::filter::CompanyFilter;

/// Companies of each heading that are looked at for those whom an alert is about: each is read with its people.
const MOST_LOOKED_AT: usize = 300;
/// A company of fewer points, now and a week ago, is in no digest.
const LEAST_POINTS: f64 = 1.0;

/// Tells of the week that ended, once, where that is due.
pub async fn look_at_week(evaluator: &Evaluator, configured: &Configured, now: i64) -> Result<(), StoreError> {
    let Some(monday) = week::due(now, &evaluator.options.zone) else { return Ok(()) };
    let occasion = format!("week {monday}");
    let mut due = Vec::new();
    for alert in configured.alerts().iter().filter(|alert| alert.on == Occasion::Week) {
        if !evaluator.alerts.is_told(&alert.name, &occasion).await? {
            due.push(alert);
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let [rose, new, cold] = ranked(candidates(evaluator, now).await?);
    for alert in due {
        let named = [
            first_of(evaluator, alert, &rose, now).await?,
            first_of(evaluator, alert, &new, now).await?,
            first_of(evaluator, alert, &cold, now).await?,
        ];
        let digest = Digest::of(&alert.name, &monday.to_string(), named, evaluator.options.link_to_all());
        let messages =
            new_messages((configured, alert), &occasion, (Told::Digest(digest), Vec::new()), None, None, now);
        evaluator.alerts.tell(Evaluated { messages, ..Evaluated::default() }).await?;
    }
    Ok(())
}

async fn candidates(evaluator: &Evaluator, now: i64) -> Result<Vec<Candidate>, StoreError> {
    let (mut candidates, mut offset) = (Vec::new(), 0);
    let week_ago = clock::from_milliseconds(now - RECENT);
    loop {
        let (companies, _) =
            evaluator.store.list_companies(CompanyFilter::default(), offset, COMPANIES_AT_ONCE).await?;
        let Some(read) = u32::try_from(companies.len()).ok().filter(|read| *read > 0) else { break };
        offset = offset.saturating_add(read);
        for company in companies {
            let is_told = company.intent >= LEAST_POINTS || company.intent_week_ago >= LEAST_POINTS;
            if is_told {
                candidates.push(Candidate {
                    points_week_ago: company.intent_week_ago,
                    is_new: company.first_seen.as_ref().is_some_and(|at| *at >= week_ago),
                    facts: facts::of(&company, 0),
                });
            }
        }
    }
    Ok(candidates)
}

/// The first companies that an alert is about, of the first [`MOST_LOOKED_AT`].
async fn first_of(
    evaluator: &Evaluator,
    alert: &Alert,
    companies: &[CompanyFacts],
    now: i64,
) -> Result<Vec<CompanyFacts>, StoreError> {
    let mut first = Vec::new();
    for company in companies.iter().take(MOST_LOOKED_AT) {
        // One more says that there are more than are named.
        if first.len() > MOST_NAMED {
            break;
        }
        let Some(page) = evaluator.store.show_company(&company.key, MOST_PEOPLE).await? else { continue };
        if alert.is_about_any(facts::traits_of_people(&page), &facts::traits_of(&page.company)) {
            // Those who did something in the week, as in every message.
            let recent = evaluator.alerts.recent(&page.company.id, now - RECENT, MOST_RECENT).await?;
            first.push(CompanyFacts { people: facts::active(&page, &recent) as u64, ..company.clone() });
        }
    }
    Ok(first)
}
