//! The day's turn: points and trends of all companies move by themselves.

use std::collections::BTreeMap;

use koala_destination::clock::MILLISECONDS_OF_A_DAY;

use super::evaluator::{COMPANIES_AT_ONCE, Evaluator, at_once, before, is_of_companies, look_at};
use crate::signals::configured::Configured;
use crate::signals::stand::crossed;
use crate::store::StoreError;
use crate::store::alerts::{Evaluated, Stood, Turn};
use crate::store::filter::CompanyFilter;

/// How often companies are looked at again when another one was quicker; then all of them are, in the next round.
const MOST_TRIES: u32 = 5;
/// Messages that came to an end are shown for so long.
const KEPT: i64 = 30 * MILLISECONDS_OF_A_DAY;
/// Messages that are forgotten in one piece.
const FORGOTTEN_AT_ONCE: u32 = 1000;

/// Looks at all companies in the ranking: at the day's turn, when points and trends move by themselves, and when points are made
/// of something else. Then nothing goes off.
pub async fn look_at_all(
    evaluator: &Evaluator,
    configured: &Configured,
    is_settled: bool,
    (last, next): (Option<Turn>, Turn),
    now: i64,
) -> Result<(), StoreError> {
    let (mut offset, mut tries) = (0, 0);
    while configured.alerts().iter().any(is_of_companies) {
        match look_at_some(evaluator, configured, is_settled, offset, now).await? {
            Some(0) => break,
            Some(read) => offset = offset.saturating_add(read),
            // Another one looks at the same companies: what was not written is looked at again.
            None if tries == MOST_TRIES => return Ok(()),
            None => tries += 1,
        }
    }
    while evaluator.alerts.forget_messages(now - KEPT, FORGOTTEN_AT_ONCE).await? == u64::from(FORGOTTEN_AT_ONCE) {}
    evaluator.alerts.tell(Evaluated { turn: Some((last, next)), ..Evaluated::default() }).await?;
    Ok(())
}

/// Looks at some companies, and tells how many; nothing where what came of it was not written.
async fn look_at_some(
    evaluator: &Evaluator,
    configured: &Configured,
    is_settled: bool,
    offset: u32,
    now: i64,
) -> Result<Option<u32>, StoreError> {
    let at_once = at_once(configured, COMPANIES_AT_ONCE);
    let page = || evaluator.store.list_companies(CompanyFilter::default(), offset, at_once);
    let (companies, _) = page().await?;
    let read = u32::try_from(companies.len()).unwrap_or(u32::MAX);
    let mut standings = BTreeMap::new();
    for company in companies {
        let standing = evaluator.alerts.standing(&company.id).await?;
        standings.insert(company.id, standing);
    }
    let mut evaluated = Evaluated::default();
    // Once more, as they are after it was read how alerts stood with them.
    for company in page().await?.0 {
        let Some(standing) = standings.remove(&company.id) else { continue };
        let (goes_off, after) = crossed(
            configured.alerts(),
            (|_| true, !is_settled),
            &standing,
            before(&company, is_settled, now),
            look_at(&company),
        );
        if is_settled && !goes_off.is_empty() {
            if let Some(seen) = evaluator.see(&company.id, now).await? {
                let (messages, after) = evaluator.of_company(configured, &seen, (true, true), now);
                evaluated.messages.extend(messages);
                evaluated.standings.push(Stood { company: company.id, before: seen.standing, after });
            }
        } else if after != standing {
            evaluated.standings.push(Stood { company: company.id, before: standing, after });
        }
    }
    Ok(evaluator.alerts.tell(evaluated).await?.then_some(read))
}
