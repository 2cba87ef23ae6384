//! A batch is kept: it is read whom it is of, its entries are filed under the strongest id, and what is new of it is noted.
//!
//! Whatever is in the batch takes seven round trips at most, and of a visitor who is known three:
//!
//! 1. the transaction begins; the rows of the batch's ids, what they claim, their tombstones, and the version of the intent rules
//! 2. the entries are inserted; what is needed beside them is read
//! 3. to 5. what else has to be known of who is who, where a claim is new
//! 6. the pointers are written, and the clusters are read that come of them, where anything moved or was said anew
//! 7. all the rest is written, and the transaction commits

use std::collections::BTreeSet;

use super::accounts::{self, ChangedCompanies, CompanyTraits, Statements};
use super::alert_changes::Reassigned;
use super::arrived::Arrived;
use super::clusters::Clusters;
use super::days::Days;
use super::error::PostgresError;
use super::grown::Grown;
use super::guesses::NewestGuess;
use super::identities::Ids;
use super::intent::{IntentRules, RuleSet};
use super::noted::{Noted, Times};
use super::pointers::Rows;
use super::regrouped::Regrouped;
use super::sql::statements;
use super::tombstones::{self, Meeting, Sifted};
use super::traits;
use super::transaction::{Transaction, together};
use super::{alert_changes, intent, learned};
use crate::company::{CompanyKey, CompanyKind, Said};
use crate::identity::{Reading, Wants};
use crate::received::EntryKind;
use crate::tombstone::TombstoneKey;

statements! {
    VISITOR = "SELECT company_key, given FROM visitor WHERE id = $1";
    SEE = "UPDATE identity SET first_seen = least(first_seen, $2), last_seen = greatest(last_seen, $3),
               events = events + $4, identifies = identifies + $5, page_views = page_views + $6 WHERE id = $1";
    SEE_ALONE = "UPDATE identity SET first_seen = coalesce(first_seen, $2), last_seen = coalesce(last_seen, $2) WHERE id = $1";
    SEE_VISITOR = "UPDATE visitor SET first_seen = least(first_seen, $2), last_seen = greatest(last_seen, $3) WHERE id = $1";
}

/// Keeps a batch: an entry whose message id is known already under the same id is not kept twice, and a batch that says nothing
/// new writes nothing. Where some of it is a person's who was deleted, nothing is kept yet: what is left comes back in parts, each to
/// be kept by itself.
pub(super) async fn keep<'b>(
    transaction: &Transaction,
    rules: &IntentRules,
    key: &TombstoneKey,
    arrived: &Arrived<'b>,
) -> Result<Option<Sifted<'b>>, PostgresError> {
    let mut ids = Ids::new(transaction);
    let wants = Wants::of(&arrived.part.ids);
    let late = arrived.part.ids.all().filter(|_| arrived.is_sifted);
    let ((), (), version, tombstones) = together!(
        transaction.begin(),
        ids.load(&wants),
        intent::version(transaction),
        tombstones::of(transaction, key, late),
    )?;
    if let Some(sifted) = tombstones::sift(&arrived.part, &ids, &tombstones) {
        learned::learn_late(transaction, key, &sifted.gone, &sifted.learned).await?;
        transaction.commit().await?;
        return Ok(Some(sifted));
    }
    let rules = rules.of_version(transaction, version).await?;
    let new = arrived.part.ids.all().filter(|id| arrived.is_sifted && ids.row(id).is_none());
    let meeting = Meeting::of(key, new, &tombstones);
    Box::pin(keep_all(transaction, &rules, (arrived, &meeting), ids)).await.map(|()| None)
}

#[allow(clippy::too_many_lines)] // one transaction from its first statement to its last
async fn keep_all(
    transaction: &Transaction,
    rules: &RuleSet,
    (arrived, meeting): (&Arrived<'_>, &Meeting),
    mut ids: Ids<'_>,
) -> Result<(), PostgresError> {
    let Some(reading) = ids.ask(|known| Reading::of(&arrived.part.ids, known)).await? else {
        return transaction.commit().await; // a person said that these ids are nobody's
    };
    let row = ids.row_or_new(reading.filed_under());

    // What will be asked for, most probably, travels along.
    let wants = reading.resolve(arrived.claims_at(), ids.known()).err().unwrap_or_default();
    let taking = arrived.taking(rules);
    let before = async {
        together!(
            Statements::read(transaction, row.id, arrived.says_companies() && !row.is_new),
            traits::read(transaction, row.id, arrived.says_traits() && !row.is_new),
            NewestGuess::read(transaction, row.id, arrived.has_guess() && !row.is_new),
            Days::there(transaction, row.id, &arrived.days(&taking, row)),
        )
    };
    let (page_views, inserted, visitor, (mut statements, mut kept, mut guess, days), ()) = together!(
        arrived.page_views(transaction, row),
        arrived.insert(transaction, row.id),
        transaction.query_opt(VISITOR, &[&row.visitor_id]),
        before,
        ids.load(&wants),
    )?;
    let is_known = visitor.is_some();
    let company: Option<String> = visitor.as_ref().map(|row| row.try_get(0)).transpose()?.flatten();
    let given: Option<String> = visitor.as_ref().map(|row| row.try_get(1)).transpose()?.flatten();
    let mut noted = Noted::of(arrived, &inserted, (rules, &taking), Days::beside(days));
    let grown = Grown::of(arrived, &inserted, &page_views, (rules, &taking), &mut noted)?;
    let mut changed = ChangedCompanies::default();
    if let Some(key) = company {
        changed.count(key);
    }
    let Some(Times { first, last, claims_at }) = noted.times else {
        // All of it was there.
        if grown.ids.is_empty() {
            return transaction.commit().await;
        }
        together!(
            changed.write(transaction),
            together_written(transaction, row.id, &grown, &noted),
            transaction.commit(),
        )?;
        return Ok(());
    };

    let mut said = Vec::new();
    let mut of_companies = CompanyTraits::default();
    for entry in arrived.new_entries(&inserted) {
        if let Some(of_entry) = &entry.guess {
            guess.note(of_entry, arrived.at(entry));
        }
    }
    for entry in arrived.new_entries(&inserted).filter(|entry| entry.kind == EntryKind::Identify) {
        let Some(traits) = &entry.traits else { continue };
        said.extend(kept.merge(traits, arrived.at(entry)));
        let of_entry = entry.said();
        if let (Some(traits), Some(said)) = (&entry.traits_of_company, of_entry.first()) {
            of_companies.note(said, traits, arrived.at(entry));
        }
        for said in &of_entry {
            statements.note(said, arrived.arrival_of(entry));
        }
    }
    if let Some(traits) = arrived.part.traits {
        said.extend(kept.merge(traits, last));
        for said in Said::of_traits(traits) {
            statements.note(&said, arrived.arrival);
        }
    }
    let said: BTreeSet<String> = said.into_iter().collect();
    traits::warn_of_too_many(row.id, &kept);
    statements.note_changed(&mut changed);
    if let (Some(given), true) = (given, statements.is_changed()) {
        changed.say(accounts::text_of(&CompanyKey::stored(CompanyKind::Domain, given)));
    }

    let change = ids.ask(|known| reading.resolve(claims_at, known)).await?;
    of_companies.write(transaction, row.id, &mut changed).await?;
    let is_alone = arrived.part.entries.is_empty();
    let seen = Seen { id: row.id, first, last, is_alone, counts: noted.counts };
    let put_together = !is_known || !said.is_empty() || guess.is_of_another();
    let mut rows = Rows::of(&mut ids, &change);
    let is_put_together = !rows.moved.is_empty();
    noted.moved = (is_put_together || !said.is_empty() || statements.is_changed()).then(|| Reassigned {
        at: last,
        counting: if is_put_together { rules.counting().collect() } else { Vec::new() },
    });
    let of_visitor = if rows.moved.is_empty() && !put_together {
        OfVisitor::AsItWas { rows: Box::new(rows), visitor_id: row.visitor_id, guess }
    } else {
        rows.moved.add(row.id);
        let ((), (), (), (), (), clusters) = together!(
            rows.write(transaction),
            seen.write(transaction),
            traits::write(transaction, row.id, &kept, &said),
            statements.write(transaction, row.id),
            guess.write(transaction, row.id),
            Clusters::read(transaction, &rows.moved),
        )?;
        OfVisitor::Regrouped(Box::new(clusters.regroup()))
    };
    together!(
        of_visitor.write(transaction, &seen),
        meeting.write(transaction),
        changed.write(transaction),
        together_written(transaction, row.id, &grown, &noted),
        transaction.commit(),
    )?;
    Ok(())
}

async fn together_written(
    transaction: &Transaction,
    identity_id: i64,
    grown: &Grown,
    noted: &Noted,
) -> Result<(), PostgresError> {
    together!(
        grown.write(transaction),
        noted.counted.write(transaction, identity_id),
        noted.days.write(transaction, identity_id),
        alert_changes::note(transaction, identity_id, &noted.days, noted.moved.as_ref()),
    )?;
    Ok(())
}

/// What is written of a visitor.
enum OfVisitor {
    /// Nothing moved, and nothing was said anew: claims may have come, and the visitor was seen.
    AsItWas { rows: Box<Rows>, visitor_id: i64, guess: NewestGuess },
    /// Visitors were put together.
    Regrouped(Box<Regrouped>),
}

impl OfVisitor {
    async fn write(&self, transaction: &Transaction, seen: &Seen) -> Result<(), PostgresError> {
        match self {
            Self::Regrouped(regrouped) => regrouped.write(transaction).await,
            Self::AsItWas { rows, visitor_id, guess } => {
                together!(
                    rows.write(transaction),
                    seen.write(transaction),
                    guess.write(transaction, seen.id),
                    transaction.execute(SEE_VISITOR, &[visitor_id, &seen.first, &seen.last]),
                )?;
                Ok(())
            }
        }
    }
}

/// When an id was seen, and with how many entries of each kind. Its row is written with every entry that is kept, so that a
/// deletion beside it meets it.
struct Seen {
    id: i64,
    first: i64,
    last: i64,
    /// Whether nothing was said of it but that it is there.
    is_alone: bool,
    counts: [i64; 3],
}

impl Seen {
    async fn write(&self, transaction: &Transaction) -> Result<(), PostgresError> {
        let Self { id, first, last, is_alone, counts: [events, identifies, page_views] } = self;
        if *is_alone {
            return transaction.execute(SEE_ALONE, &[id, last]).await.map(drop);
        }
        transaction.execute(SEE, &[id, first, last, events, identifies, page_views]).await.map(drop)
    }
}
