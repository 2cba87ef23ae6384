//! Changes of who is who written down, and the visitors that come of them.
//!
//! The pointers say who belongs together. `identity.visitor_id` and the rows of `visitor` are made from them, for the ids whose
//! pointers moved alone, so that lists, search and ranking need not follow pointers. Whoever puts an id below another one writes
//! that one's row as well, and whoever gives an id another visitor writes its row: two who do so at once meet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use koala_destination::ids::{Id, IdKind};
use tokio_postgres::Row;

use super::accounts::{self, Named};
use super::error::PostgresError;
use super::identities::{self, Ids};
use super::sql::statements;
use super::transaction::{Transaction, together};
use crate::company::Account;
use crate::identity::{Change, Decided};
use crate::store::traits::Latest;

/// All ids that lead to the same ones as those of `$1`, or did before: those of the visitors of `$2`.
macro_rules! members {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE way (id, into_id) AS (
                 SELECT id, into_id FROM identity WHERE id = ANY($1::bigint[]) OR visitor_id = ANY($2::bigint[])
                 UNION SELECT identity.id, identity.into_id FROM way JOIN identity ON identity.id = way.into_id),
             member (id) AS (
                 SELECT id FROM way WHERE into_id IS NULL
                 UNION SELECT identity.id FROM member JOIN identity ON identity.into_id = member.id) ",
            $rest
        )
    };
}

statements! {
    INSERT = "INSERT INTO identity (id, kind, value, visitor_id)
              SELECT id, kind, value, id FROM unnest($1::bigint[], $2::text[], $3::text[]) AS new (id, kind, value)";
    UPDATE = "UPDATE identity SET into_id = CASE WHEN new.moves THEN new.into_id ELSE identity.into_id END,
                  first_at = coalesce(new.first_at, identity.first_at), decision = coalesce(new.decision, identity.decision)
              FROM unnest($1::bigint[], $2::boolean[], $3::bigint[], $4::bigint[], $5::text[])
                  AS new (id, moves, into_id, first_at, decision)
              WHERE identity.id = new.id";
    DROP_CLAIMS = "DELETE FROM claim WHERE (identity_id, owner_id) IN
                       (SELECT identity_id, owner_id FROM unnest($1::bigint[], $2::bigint[]) AS gone (identity_id, owner_id))";
    PUT_CLAIMS = "INSERT INTO claim (identity_id, owner_id, kind, rank, at)
                  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
                  ON CONFLICT (identity_id, owner_id) DO UPDATE SET rank = excluded.rank, at = excluded.at";
    MEMBERS = members!("SELECT identity.id, identity.into_id, identity.visitor_id, identity.kind, identity.value,
                               identity.first_seen, identity.last_seen,
                               least(identity.first_at, (SELECT min(at) FROM claim WHERE identity_id = identity.id))
                        FROM member JOIN identity ON identity.id = member.id");
    ACCOUNT_TRAITS = members!("SELECT identity.id, trait.name, trait.value, trait.at
                               FROM member JOIN identity ON identity.id = member.id
                               JOIN trait ON trait.identity_id = identity.id
                               WHERE trait.name_key = ANY($3::text[])
                               ORDER BY identity.kind = 'user' DESC, identity.kind = 'email' DESC, identity.id");
    ACCOUNTS = members!("SELECT visitor.id, visitor.account FROM visitor
                         WHERE id IN (SELECT visitor_id FROM member JOIN identity ON identity.id = member.id)");
    GROUP = "UPDATE identity SET visitor_id = new.visitor_id
             FROM unnest($1::bigint[], $2::bigint[]) AS new (id, visitor_id) WHERE identity.id = new.id";
    PUT_VISITORS = "INSERT INTO visitor (id, first_seen, last_seen, account)
                    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
                    ON CONFLICT (id) DO UPDATE SET first_seen = excluded.first_seen, last_seen = excluded.last_seen,
                        account = excluded.account";
    FORGET_VISITORS = "DELETE FROM visitor WHERE id = ANY($1::bigint[])";
}

/// What has to be put together anew: ids that were moved, and the visitors that they were of.
#[derive(Debug, Default)]
pub(super) struct Moved {
    ids: BTreeSet<i64>,
    visitors: BTreeSet<i64>,
}

impl Moved {
    /// One id, with all that belong to the same visitor.
    pub(super) fn add(&mut self, id: i64) {
        self.ids.insert(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Rows of ids that change: the number, whether it moves, whom it belongs to then, its first time, a person's decision.
type Changed = (Vec<i64>, Vec<bool>, Vec<Option<i64>>, Vec<Option<i64>>, Vec<Option<&'static str>>);
/// Rows of claims: whose, on whom, the kind, the rank, the time.
type Claims = (Vec<i64>, Vec<i64>, Vec<&'static str>, Vec<i64>, Vec<i64>);

/// The rows of a change, in columns.
#[derive(Default)]
pub(super) struct Rows {
    new: (Vec<i64>, Vec<&'static str>, Vec<String>),
    changed: Changed,
    dropped: (Vec<i64>, Vec<i64>),
    claims: Claims,
    pub(super) moved: Moved,
}

impl Rows {
    /// What a change writes: each row that was looked at for it, so that a writer beside meets it.
    pub(super) fn of(ids: &mut Ids<'_>, change: &Change) -> Self {
        let mut rows = Self::default();
        for (id, change) in &change.identities {
            let row = ids.row_or_new(id);
            let into = change.into.as_ref().map(|into| into.as_ref().map(|into| ids.row_or_new(into).id));
            if into.is_some() {
                rows.moved.ids.insert(row.id);
                rows.moved.visitors.insert(row.visitor_id);
            }
            rows.changed.0.push(row.id);
            rows.changed.1.push(into.is_some());
            rows.changed.2.push(into.flatten());
            rows.changed.3.push(change.first_at);
            rows.changed.4.push(change.decision.map(Decided::name));
        }
        for (id, owner) in &change.dropped {
            if let (Some(id), Some(owner)) = (ids.row(id), ids.row(owner)) {
                rows.dropped.0.push(id.id);
                rows.dropped.1.push(owner.id);
            }
        }
        for ((id, owner), (rank, at)) in &change.claims {
            rows.claims.0.push(ids.row_or_new(id).id);
            rows.claims.1.push(ids.row_or_new(owner).id);
            rows.claims.2.push(id.kind().name());
            rows.claims.3.push(rank.number());
            rows.claims.4.push(*at);
        }
        for (id, row) in ids.take_new() {
            rows.new.0.push(row);
            rows.new.1.push(id.kind().name());
            rows.new.2.push(id.value().to_owned());
        }
        rows
    }

    /// Writes them.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { new, changed, dropped, claims, .. } = self;
        together!(
            transaction.execute_if(!new.0.is_empty(), INSERT, &[&new.0, &new.1, &new.2]),
            transaction.execute_if(
                !changed.0.is_empty(),
                UPDATE,
                &[&changed.0, &changed.1, &changed.2, &changed.3, &changed.4]
            ),
            transaction.execute_if(!dropped.0.is_empty(), DROP_CLAIMS, &[&dropped.0, &dropped.1]),
            transaction.execute_if(
                !claims.0.is_empty(),
                PUT_CLAIMS,
                &[&claims.0, &claims.1, &claims.2, &claims.3, &claims.4]
            ),
        )?;
        Ok(())
    }
}

/// An id of a cluster.
struct ClusterMember {
    into_id: Option<i64>,
    visitor_id: i64,
    email: Option<(i64, String)>,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
}

/// The clusters that moved ids are of now and were of before, as far as it takes to put visitors together.
pub(super) struct Clusters {
    members: BTreeMap<i64, ClusterMember>,
    traits: HashMap<i64, Vec<(String, String, i64)>>,
    /// The order that the traits were read in: those of the strongest ids first.
    order: Vec<i64>,
    accounts: HashMap<i64, Option<String>>,
}

impl Clusters {
    /// Reads them, in one round trip with what was sent before.
    pub(super) async fn read(transaction: &Transaction, moved: &Moved) -> Result<Self, PostgresError> {
        let (ids, visitors): (Vec<i64>, Vec<i64>) =
            (moved.ids.iter().copied().collect(), moved.visitors.iter().copied().collect());
        let names: Vec<&str> = accounts::TRAITS.to_vec();
        let (rows, traits, accounts) = together!(
            transaction.query(MEMBERS, &[&ids, &visitors]),
            transaction.query(ACCOUNT_TRAITS, &[&ids, &visitors, &names]),
            transaction.query(ACCOUNTS, &[&ids, &visitors]),
        )?;
        let members = rows.iter().map(member).collect::<Result<_, PostgresError>>()?;
        let mut of: HashMap<i64, Vec<(String, String, i64)>> = HashMap::new();
        let mut order = Vec::new();
        for row in &traits {
            let id: i64 = row.try_get(0)?;
            if order.last() != Some(&id) {
                order.push(id);
            }
            of.entry(id).or_default().push((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
        }
        let accounts = accounts.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        Ok(Self { members, traits: of, order, accounts: accounts.collect::<Result<_, PostgresError>>()? })
    }

    /// Puts visitors together.
    pub(super) fn regroup(&self) -> Regrouped {
        let mut of_top: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for id in self.members.keys() {
            of_top.entry(self.top_of(*id)).or_default().insert(*id);
        }
        let mut regrouped = Regrouped::default();
        let mut there = BTreeSet::new();
        for members in of_top.into_values() {
            let Some(visitor_id) = members.first().copied() else { continue };
            let all = || members.iter().filter_map(|id| Some((*id, self.members.get(id)?)));
            for (id, member) in all() {
                if member.visitor_id != visitor_id {
                    regrouped.grouped.0.push(id);
                    regrouped.grouped.1.push(visitor_id);
                }
            }
            // Ids that nothing is filed under are no visitor.
            let (first, last) =
                (all().filter_map(|(_, one)| one.first_seen).min(), all().filter_map(|(_, one)| one.last_seen).max());
            let (Some(first), Some(last)) = (first, last) else { continue };
            there.insert(visitor_id);
            let account = self.account_of(&members);
            regrouped.visitors.0.push(visitor_id);
            regrouped.visitors.1.push(first);
            regrouped.visitors.2.push(last);
            regrouped.visitors.3.push(account.as_ref().map(accounts::key));
            regrouped.changed.extend(account.as_ref().map(Named::of));
        }
        for (visitor_id, account) in &self.accounts {
            regrouped.changed.extend(account.clone().map(Named::only));
            if !there.contains(visitor_id) {
                regrouped.gone.push(*visitor_id);
            }
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

    fn account_of(&self, members: &BTreeSet<i64>) -> Option<Account> {
        let mut latest = Latest::default();
        for id in self.order.iter().filter(|id| members.contains(id)) {
            for (name, value, at) in self.traits.get(id).into_iter().flatten() {
                latest.put(name, value, *at);
            }
        }
        let mut emails: Vec<&(i64, String)> =
            members.iter().filter_map(|id| self.members.get(id)?.email.as_ref()).collect();
        emails.sort_unstable();
        let emails: Vec<String> = emails.into_iter().map(|(_, email)| email.clone()).collect();
        Account::of(&latest.into_map(), &emails)
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
        email,
        first_seen: row.try_get(5)?,
        last_seen: row.try_get(6)?,
    };
    Ok((row.try_get(0)?, member))
}

/// Visitors put together anew, in columns.
#[derive(Default)]
pub(super) struct Regrouped {
    grouped: (Vec<i64>, Vec<i64>),
    visitors: (Vec<i64>, Vec<i64>, Vec<i64>, Vec<Option<String>>),
    gone: Vec<i64>,
    /// The companies that they were and are of.
    changed: Vec<Named>,
}

impl Regrouped {
    /// Writes them.
    pub(super) async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { grouped, visitors, gone, changed } = self;
        together!(
            transaction.execute_if(!grouped.0.is_empty(), GROUP, &[&grouped.0, &grouped.1]),
            transaction.execute_if(
                !visitors.0.is_empty(),
                PUT_VISITORS,
                &[&visitors.0, &visitors.1, &visitors.2, &visitors.3]
            ),
            transaction.execute_if(!gone.is_empty(), FORGET_VISITORS, &[gone]),
            accounts::note_changed(transaction, changed),
        )?;
        Ok(())
    }
}
