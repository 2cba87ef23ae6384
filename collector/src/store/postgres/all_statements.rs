//! All statements of the engine: a connection prepares most of them, and a test holds each to what Aurora DSQL takes.

use super::sql::Sql;
use super::{
    accounts, alert_changes, alert_messages, alert_tell, arrived, clusters, companies, company_keys, company_names,
    days, decisions, deletion, deletion_progress, dump, excluded, grown, guesses, history, identities, ingest, intent,
    learned, look_back, pointers, points, reasons, recent, regrouped, restore, retention, taken, tombstones, topics,
    traits, visitor_points, visitors,
};

/// All statements.
pub fn all() -> impl Iterator<Item = Sql> {
    let rare = [dump::ALL, restore::ALL, visitor_points::ALL].into_iter().flatten().copied();
    prepared().chain(rare)
}

/// Those that each connection prepares.
pub(super) fn prepared() -> impl Iterator<Item = Sql> {
    let of_modules = [
        identities::ALL,
        clusters::ALL,
        pointers::ALL,
        regrouped::ALL,
        arrived::ALL,
        grown::ALL,
        ingest::ALL,
        traits::ALL,
        intent::ALL,
        days::ALL,
        look_back::ALL,
        points::ALL,
        reasons::ALL,
        accounts::ALL,
        companies::ALL,
        company_keys::ALL,
        company_names::ALL,
        excluded::ALL,
        topics::ALL,
        visitors::ALL,
        decisions::ALL,
        deletion::ALL,
        deletion_progress::ALL,
        learned::ALL,
        taken::ALL,
        tombstones::ALL,
        retention::ALL,
        history::ALL,
        guesses::ALL,
        alert_changes::ALL,
        alert_tell::ALL,
        alert_messages::ALL,
        recent::ALL,
    ];
    of_modules.into_iter().flatten().copied()
}
