//! What came of an evaluation, written as a whole: how alerts stand with companies, and messages that are due.

use std::collections::{BTreeMap, BTreeSet};

use super::alert_messages::{self, Keyed};
use super::error::PostgresError;
use super::ids;
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::intent::Trend;
use crate::store::alerts::{Evaluated, Fired, Look, NewMessage, Standing, Stood, Turn};
use crate::store::company::CompanyId;

statements! {
    // Each identity of a company may have been a company by itself before.
    STANDINGS = "SELECT key.company_id, standing.points, standing.trend, standing.fired
                 FROM company_key AS key JOIN alert_standing AS standing ON standing.company_id = key.id
                 WHERE key.company_id = ANY($1::bigint[])";
    FORGET = "DELETE FROM alert_standing
              WHERE company_id IN (SELECT id FROM company_key WHERE company_id = ANY($1::bigint[]) AND id <> company_id)";
    STAND = "INSERT INTO alert_standing (company_id, points, trend, fired)
             SELECT * FROM unnest($1::bigint[], $2::double precision[], $3::text[], $4::text[])
             ON CONFLICT (company_id) DO UPDATE SET points = excluded.points, trend = excluded.trend, fired = excluded.fired";
    TURN = "SELECT day, made_of FROM alert_turn WHERE id = 1";
    PUT_TURN = "INSERT INTO alert_turn (id, day, made_of) VALUES (1, $1, $2)
                ON CONFLICT (id) DO UPDATE SET day = excluded.day, made_of = excluded.made_of";
    TAKE = "DELETE FROM alert_changed WHERE id = ANY($1::bigint[])";
    // Whoever deletes or merges them beside this writes the same rows.
    MEET = "UPDATE identity SET visitor_id = identity.visitor_id
            WHERE id = ANY($1::bigint[]) OR id IN (SELECT visitor_id FROM identity WHERE id = ANY($1::bigint[]))
            RETURNING id, kind, visitor_id";
    // By whatever ids: those who were two when the first was told may be one now.
    TOLD = "SELECT asked.place FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS asked (place, visitor_id, occasion_key, target)
            JOIN identity ON identity.visitor_id = asked.visitor_id
            JOIN alert_message ON alert_message.identity_id = identity.id
            WHERE alert_message.occasion_key = asked.occasion_key AND alert_message.target = asked.target";
}

/// How alerts stand with some companies; with one that was never looked at it is not said.
async fn standings(transaction: &Transaction, ids: &[i64]) -> Result<BTreeMap<i64, Standing>, PostgresError> {
    let mut standings: BTreeMap<i64, Vec<Standing>> = BTreeMap::new();
    for row in &transaction.query(STANDINGS, &[&ids]).await? {
        let trend = Trend::parse(row.try_get(2)?).unwrap_or(Trend::Neutral);
        let fired: Vec<(String, String, f64)> = serde_json::from_str(row.try_get(3)?).unwrap_or_default();
        let fired = fired.into_iter().map(|(alert, condition, points)| Fired { alert, condition, points });
        let look = Some(Look { points: row.try_get(1)?, trend });
        standings.entry(row.try_get(0)?).or_default().push(Standing { look, fired: fired.collect() });
    }
    Ok(standings.into_iter().map(|(company, before)| (company, Standing::of_one(before))).collect())
}

/// How alerts stand with a company.
pub(super) async fn standing(transaction: &Transaction, company: &CompanyId) -> Result<Standing, PostgresError> {
    let ids = [ids::company_row(company.as_str())];
    let ((), mut standings, ()) = together!(transaction.begin(), standings(transaction, &ids), transaction.commit())?;
    Ok(standings.pop_first().map(|(_, standing)| standing).unwrap_or_default())
}

/// When all companies were looked at last.
pub(super) async fn turn(transaction: &Transaction) -> Result<Option<Turn>, PostgresError> {
    let row = transaction.query_opt(TURN, &[]).await?;
    row.map(|row| Ok(Turn { day: row.try_get(0)?, made_of: row.try_get(1)? })).transpose()
}

/// Writes what came of an evaluation. Gives back whether it was written: nothing is where something is not as it was looked at.
pub(super) async fn tell(transaction: &Transaction, evaluated: &Evaluated) -> Result<bool, PostgresError> {
    let tokens: Option<Vec<i64>> = evaluated.changed.iter().map(|token| token.parse().ok()).collect();
    let Some(tokens) = tokens else { return Ok(false) };
    let companies: Vec<i64> =
        evaluated.standings.iter().map(|stood| ids::company_row(stood.company.as_str())).collect();
    let all = evaluated.messages.iter().flat_map(|message| message.named.iter().chain(&message.visitor));
    let people: BTreeSet<i64> = all.map(ids::visitor_row).collect();
    let people: Vec<i64> = people.into_iter().collect();
    let ((), turn_before, mut there, taken, met) = together!(
        transaction.begin(),
        turn(transaction),
        standings(transaction, &companies),
        transaction.execute(TAKE, &[&tokens]),
        meet(transaction, &people),
    )?;
    let is_same = |(stood, id): (&Stood, &i64)| there.remove(id).unwrap_or_default() == stood.before;
    let is_as_it_was = taken == tokens.len() as u64
        && people.iter().all(|one| met.contains_key(one))
        && evaluated.turn.as_ref().is_none_or(|(before, _)| *before == turn_before)
        && evaluated.standings.iter().zip(&companies).all(is_same);
    if !is_as_it_was {
        transaction.roll_back().await?;
        return Ok(false);
    }
    let messages = new_ones(transaction, &evaluated.messages, &met).await?;
    together!(
        stand(transaction, &evaluated.standings, &companies),
        put_turn(transaction, evaluated),
        alert_messages::insert(transaction, &messages),
        transaction.commit(),
    )?;
    Ok(true)
}

/// People who are there, each with the visitor that they are of now.
async fn meet(transaction: &Transaction, people: &[i64]) -> Result<BTreeMap<i64, i64>, PostgresError> {
    let mut met = BTreeMap::new();
    if !people.is_empty() {
        for row in &transaction.query(MEET, &[&people]).await? {
            if row.try_get::<_, &str>(1)? != "taken" {
                met.insert(row.try_get(0)?, row.try_get(2)?);
            }
        }
    }
    Ok(met)
}

async fn put_turn(transaction: &Transaction, evaluated: &Evaluated) -> Result<(), PostgresError> {
    match &evaluated.turn {
        Some((_, next)) => transaction.execute(PUT_TURN, &[&next.day, &next.made_of]).await.map(drop),
        None => Ok(()),
    }
}

async fn stand(transaction: &Transaction, standings: &[Stood], companies: &[i64]) -> Result<(), PostgresError> {
    let (mut ids, mut points, mut trends, mut all_fired) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (Stood { after, .. }, id) in standings.iter().zip(companies) {
        let Some(look) = after.look else { continue };
        let fired: Vec<_> = after.fired.iter().map(|it| (&it.alert, &it.condition, it.points)).collect();
        ids.push(*id);
        points.push(look.points);
        trends.push(look.trend.as_str());
        all_fired.push(serde_json::to_string(&fired).unwrap_or_default());
    }
    together!(
        transaction.execute_if(!ids.is_empty(), FORGET, &[&ids]),
        transaction.execute_if(!ids.is_empty(), STAND, &[&ids, &points, &trends, &all_fired]),
    )
    .map(drop)
}

/// Those of which none was told.
async fn new_ones<'m>(
    transaction: &Transaction,
    messages: &'m [NewMessage],
    met: &BTreeMap<i64, i64>,
) -> Result<Vec<Keyed<'m>>, PostgresError> {
    let visitor_of = |message: &NewMessage| message.visitor.as_ref().and_then(|one| met.get(&ids::visitor_row(one)));
    let messages: Vec<Keyed<'_>> = messages.iter().map(Keyed::of).collect();
    let (mut places, mut of_visitors, mut occasions, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, message) in (0_i64..).zip(&messages) {
        let Some(visitor) = visitor_of(message.message) else { continue };
        places.push(place);
        of_visitors.push(*visitor);
        occasions.push(message.occasion_key.as_str());
        targets.push(message.message.target.as_str());
    }
    let told = if places.is_empty() {
        Vec::new()
    } else {
        transaction.query(TOLD, &[&places, &of_visitors, &occasions, &targets]).await?
    };
    let told = told.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<BTreeSet<i64>, PostgresError>>()?;
    // Two of one visitor at once, by whatever ids.
    let mut of_now = BTreeSet::new();
    let is_first = |message: &Keyed<'_>| {
        let occasion = (message.occasion_key.clone(), message.message.target.clone());
        visitor_of(message.message).is_none_or(|visitor| of_now.insert((*visitor, occasion)))
    };
    let new = (0_i64..).zip(messages).filter(|(place, _)| !told.contains(place)).map(|(_, message)| message);
    Ok(new.filter(is_first).collect())
}
