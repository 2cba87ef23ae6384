//! What a company's visitors did lately.

use koala_destination::clock;
use tokio_postgres::Row;

use super::error::PostgresError;
use super::sql::statements;
use super::transaction::{Transaction, together};
use super::{body, ids};
use crate::about::About;
use crate::store::company::Activity;

statements! {
    RECENT = "SELECT visitor.id, entry.kind, entry.name, entry.at, entry.body
              FROM company_key JOIN visitor ON visitor.company_key = company_key.key AND visitor.last_seen >= $2
              JOIN identity ON identity.visitor_id = visitor.id
              CROSS JOIN LATERAL (SELECT id, kind, name, at, body FROM entry WHERE identity_id = identity.id AND at >= $2
                                  ORDER BY at DESC, id DESC LIMIT $3) AS entry
              WHERE company_key.company_id = $1 ORDER BY entry.at DESC, entry.id DESC LIMIT $3";
}

/// What a company's visitors did since a time, the newest first.
pub(super) async fn of_company(
    transaction: &Transaction,
    company: i64,
    since: i64,
    limit: i64,
) -> Result<Vec<Activity>, PostgresError> {
    let ((), rows, ()) =
        together!(transaction.begin(), transaction.query(RECENT, &[&company, &since, &limit]), transaction.commit())?;
    rows.iter().map(activity).collect()
}

/// One thing that somebody did: the visitor, the kind, the name, the time and the body of an entry.
pub(super) fn activity(row: &Row) -> Result<Activity, PostgresError> {
    Ok(Activity {
        visitor_id: ids::visitor_id(row.try_get(0)?),
        kind: row.try_get(1)?,
        name: row.try_get(2)?,
        path: About::of(&body::unpack(row.try_get(4)?)?).path,
        at: clock::from_milliseconds(row.try_get(3)?),
    })
}
