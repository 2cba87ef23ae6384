//! Who is put together: the clusters of ids that pointers make, and the visitors that come of them.
//!
//! The pointers say who belongs together. `identity.visitor_id` and the rows of `visitor` are made from them, for the ids whose
//! pointers moved alone, so that lists, search and ranking need not follow pointers. Whoever puts an id below another one writes
//! that one's row as well, and whoever gives an id another visitor writes its row: two who do so at once meet.

use std::collections::{BTreeMap, BTreeSet};

use koala_destination::ids::{Id, IdKind};
use tokio_postgres::Row;

use super::accounts::{self, ChangedCompanies};
use super::error::PostgresError;
use super::identities;
use super::pointers::Moved;
use super::pool::Pool;
use super::regrouped::{IDS_AT_ONCE, Regrouped};
use super::sql::statements;
use super::transaction::{Mode, Transaction, together, transact};
use crate::company::{self, CompanyKey, CompanyKind, TRAITS_OF_COMPANY, WhatIsSaid};

/// All ids that lead to the same ones as those of `$1`, or did before: those of the visitors of `$2`; in the array `ids`.
///
/// They are few, and a planner takes them for thousands: it would read the whole table at each step rather than look each up. A
/// subquery with an OFFSET is looked up row by row, and an array is taken for ten.
macro_rules! members {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE way (id, into_id) AS (
                 SELECT id, into_id FROM identity WHERE id = ANY($1::bigint[])
                 UNION SELECT id, into_id FROM identity WHERE visitor_id = ANY($2::bigint[])
                 UNION SELECT owner.id, owner.into_id FROM way
                     CROSS JOIN LATERAL (SELECT id, into_id FROM identity WHERE identity.id = way.into_id OFFSET 0) AS owner),
             found (id) AS (
                 SELECT id FROM way WHERE into_id IS NULL
                 UNION SELECT below.id FROM found
                     CROSS JOIN LATERAL (SELECT id FROM identity WHERE identity.into_id = found.id OFFSET 0) AS below),
             member (ids) AS (SELECT ARRAY(SELECT id FROM found)) ",
            $rest
        )
    };
}

statements! {
    MEMBERS = members!("SELECT identity.id, identity.into_id, identity.visitor_id, identity.kind, identity.value,
                               identity.first_seen, identity.last_seen,
                               least(identity.first_at, (SELECT min(at) FROM claim WHERE identity_id = identity.id))
                        FROM identity WHERE id = ANY((SELECT ids FROM member)::bigint[])");
    // What was said of each last.
    COMPANY_TRAITS = members!("SELECT identity.id, trait.name, trait.value, trait.at
                               FROM identity JOIN trait ON trait.identity_id = identity.id
                               WHERE identity.id = ANY((SELECT ids FROM member)::bigint[]) AND trait.name_key = ANY($3::text[])
                               ORDER BY trait.at DESC, identity.kind = 'user' DESC, identity.kind = 'email' DESC, identity.id");
    SAID = members!("SELECT DISTINCT company_said.domain, company_said.group_id, company_said.name
                     FROM company_said WHERE voter_id = ANY((SELECT ids FROM member)::bigint[])");
    // The newest first.
    GUESSES = members!("SELECT network_guess.identity_id, network_guess.domain
                        FROM network_guess WHERE identity_id = ANY((SELECT ids FROM member)::bigint[])
                        ORDER BY network_guess.at DESC, network_guess.identity_id");
    VISITORS = members!("SELECT visitor.id, visitor.company_key, visitor.given FROM visitor
                         WHERE id = ANY(ARRAY(SELECT visitor_id FROM identity WHERE identity.id = ANY((SELECT ids FROM member)::bigint[])))");
    NEXT = "SELECT id, identity_id FROM regroup ORDER BY id LIMIT 1";
    REGROUPED = "DELETE FROM regroup WHERE id = $1";
}

/// Goes on with putting a visitor together that has more ids than go at once. Tells whether there was one.
pub(super) async fn regroup_some(pool: &Pool) -> Result<bool, PostgresError> {
    transact!(pool, Mode::Write, |transaction| async {
        let ((), next) = together!(transaction.begin(), transaction.query_opt(NEXT, &[]))?;
        let Some(next) = next else {
            transaction.commit().await?;
            return Ok(false);
        };
        let (number, id): (i64, i64) = (next.try_get(0)?, next.try_get(1)?);
        let mut moved = Moved::default();
        moved.add(id);
        let regrouped = Clusters::read(&transaction, &moved).await?.regroup();
        together!(regrouped.write(&transaction), transaction.execute(REGROUPED, &[&number]), transaction.commit())?;
        Ok(true)
    })
}

/// An id of a cluster.
struct ClusterMember {
    into_id: Option<i64>,
    visitor_id: i64,
    kind: IdKind,
    email: Option<(i64, String)>,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
}

/// The clusters that moved ids are of now and were of before, as far as it takes to put visitors together.
pub(super) struct Clusters {
    members: BTreeMap<i64, ClusterMember>,
    /// Of each id what it said of its company, the last first.
    said: Vec<(i64, WhatIsSaid)>,
    /// Of each id whose network its address was of, the newest first.
    guesses: Vec<(i64, String)>,
    /// Which companies the visitors were of, and the domains of their addresses.
    before: Vec<(i64, Option<String>, Option<String>)>,
    changed: ChangedCompanies,
}

impl Clusters {
    /// Reads them, in one round trip with what was sent before.
    pub(super) async fn read(transaction: &Transaction, moved: &Moved) -> Result<Self, PostgresError> {
        let (ids, visitors): (Vec<i64>, Vec<i64>) =
            (moved.ids.iter().copied().collect(), moved.visitors.iter().copied().collect());
        let names: Vec<&str> = TRAITS_OF_COMPANY.to_vec();
        let (rows, traits, statements, guesses, visitors) = together!(
            transaction.query(MEMBERS, &[&ids, &visitors]),
            transaction.query(COMPANY_TRAITS, &[&ids, &visitors, &names]),
            transaction.query(SAID, &[&ids, &visitors]),
            transaction.query(GUESSES, &[&ids, &visitors]),
            transaction.query(VISITORS, &[&ids, &visitors]),
        )?;
        let members = rows.iter().map(member).collect::<Result<_, PostgresError>>()?;
        let said = traits.iter().map(|row| {
            let value = serde_json::from_str(row.try_get(2)?).unwrap_or_default();
            Ok((row.try_get(0)?, WhatIsSaid { of_trait: row.try_get(1)?, value, at: row.try_get(3)? }))
        });
        let guesses = guesses.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let before = visitors.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
        let mut changed = ChangedCompanies::default();
        changed.say_rows(&statements, 0)?;
        Ok(Self {
            members,
            said: said.collect::<Result<_, PostgresError>>()?,
            guesses: guesses.collect::<Result<_, PostgresError>>()?,
            before: before.collect::<Result<_, PostgresError>>()?,
            changed,
        })
    }

    /// Puts visitors together.
    pub(super) fn regroup(self) -> Regrouped {
        let mut of_top: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for id in self.members.keys() {
            of_top.entry(self.top_of(*id)).or_default().insert(*id);
        }
        let mut regrouped = Regrouped::default();
        let mut there = BTreeSet::new();
        for members in of_top.into_values() {
            let Some(visitor_id) = members.first().copied() else { continue };
            let all = || members.iter().filter_map(|id| Some((*id, self.members.get(id)?)));
            for (id, _) in all().filter(|(_, member)| member.visitor_id != visitor_id) {
                if regrouped.grouped.0.len() == IDS_AT_ONCE {
                    regrouped.later.push(id);
                    break;
                }
                regrouped.grouped.0.push(id);
                regrouped.grouped.1.push(visitor_id);
            }
            // Ids that nothing is filed under are no visitor.
            let first = all().filter_map(|(_, one)| one.first_seen).min();
            let last = all().filter_map(|(_, one)| one.last_seen).max();
            let (Some(first), Some(last)) = (first, last) else { continue };
            there.insert(visitor_id);
            let (said, given) = self.company_of(&members);
            let is_said = said.is_some();
            let key = said.or_else(|| self.guess_of(&members));
            regrouped.of_companies.extend([key.clone(), given.as_ref().map(accounts::text_of)].into_iter().flatten());
            let given = given.map(|given| given.value);
            let is_guess = key.is_some() && !is_said;
            regrouped.visitors.add(visitor_id, [first, last], (key, is_guess), given);
        }
        for (visitor_id, key, given) in self.before {
            let given = given.map(|given| accounts::text_of(&CompanyKey::stored(CompanyKind::Domain, given)));
            regrouped.of_companies.extend([key, given].into_iter().flatten());
            if !there.contains(&visitor_id) {
                regrouped.gone.push(visitor_id);
            }
        }
        regrouped.changed = self.changed;
        for key in std::mem::take(&mut regrouped.of_companies) {
            regrouped.changed.say(key);
        }
        regrouped
    }

    fn top_of(&self, id: i64) -> i64 {
        let mut top = id;
        // No longer than there are members: a circle ends as well.
        for _ in 0..self.members.len() {
            match self.members.get(&top).and_then(|member| member.into_id) {
                Some(into) => top = into,
                None => break,
            }
        }
        top
    }

    /// The identity of a company that a visitor is of, and the domain of the first address that is a company's.
    fn company_of(&self, members: &BTreeSet<i64>) -> (Option<String>, Option<CompanyKey>) {
        let mut latest: Vec<WhatIsSaid> = Vec::new();
        for (_, said) in self.said.iter().filter(|(id, _)| members.contains(id)) {
            if latest.iter().all(|before| before.of_trait != said.of_trait) {
                latest.push(said.clone());
            }
        }
        let mut emails: Vec<&(i64, String)> =
            members.iter().filter_map(|id| self.members.get(id)?.email.as_ref()).collect();
        emails.sort_unstable();
        let emails: Vec<String> = emails.into_iter().map(|(_, email)| email.clone()).collect();
        let given = emails.iter().find_map(|email| company::of_address(email));
        let key = company::of_visitor(&latest, &emails).as_ref().map(accounts::text_of);
        (key, given.map(|domain| CompanyKey::stored(CompanyKind::Domain, domain)))
    }

    /// The company that a visitor is guessed to be of; nothing where they said who they are, by a user id or an address.
    fn guess_of(&self, members: &BTreeSet<i64>) -> Option<String> {
        let mut all = members.iter().filter_map(|id| self.members.get(id));
        if !all.all(|member| member.kind == IdKind::Device) {
            return None;
        }
        let (_, domain) = self.guesses.iter().find(|(id, _)| members.contains(id))?;
        CompanyKey::domain(domain).as_ref().map(accounts::text_of)
    }
}

fn member(row: &Row) -> Result<(i64, ClusterMember), PostgresError> {
    let id: Id = identities::id_of(row, 3)?;
    let email = match id.kind() {
        IdKind::Email => Some((row.try_get::<_, Option<i64>>(7)?.unwrap_or(i64::MAX), id.value().to_owned())),
        IdKind::User | IdKind::Device => None,
    };
    let member = ClusterMember {
        into_id: row.try_get(1)?,
        visitor_id: row.try_get(2)?,
        kind: id.kind(),
        email,
        first_seen: row.try_get(5)?,
        last_seen: row.try_get(6)?,
    };
    Ok((row.try_get(0)?, member))
}
