//! Companies and visitors as CSV, for a spreadsheet.

use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::api::ApiError;
use super::state::Web;
use super::visitor_query::VisitorQuery;

/// The most rows of a file.
const MOST_ROWS: u32 = 100_000;

/// `GET /api/companies.csv`
pub async fn companies(State(web): State<Web>) -> Result<Response, ApiError> {
    let (companies, _) = web.store.list_companies(0, MOST_ROWS).await?;
    let rows = companies.into_iter().map(|company| {
        let (name, domain) = (company.name.unwrap_or_default(), company.domain.unwrap_or_default());
        let last_seen = company.last_seen.unwrap_or_default();
        let (intent, visitors, events) =
            (company.intent.to_string(), company.visitors.to_string(), company.events.to_string());
        vec![company.key, name, domain, intent, visitors, events, last_seen]
    });
    file("companies.csv", &["key", "name", "domain", "intent", "visitors", "events", "last_seen"], rows)
}

/// `GET /api/visitors.csv`
pub async fn visitors(State(web): State<Web>, Query(query): Query<VisitorQuery>) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    let (visitors, _) = web.store.list_visitors(filter, 0, MOST_ROWS).await?;
    let rows = visitors.into_iter().map(|visitor| {
        let name = visitor.traits.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
        let (emails, profile_ids) = (visitor.emails.join(" "), visitor.profile_ids.join(" "));
        let account = visitor.account.unwrap_or_default();
        vec![
            visitor.id.to_string(),
            name,
            emails,
            profile_ids,
            account,
            visitor.events.to_string(),
            visitor.first_seen,
            visitor.last_seen,
        ]
    });
    file("visitors.csv", &["id", "name", "emails", "profile_ids", "company", "events", "first_seen", "last_seen"], rows)
}

fn file(name: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Response, ApiError> {
    let unwritten = |error: &dyn std::fmt::Display| ApiError::BadRequest(format!("the file cannot be made: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head).map_err(|error| unwritten(&error))?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(|error| unwritten(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| unwritten(&error))?;
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, bytes).into_response())
}

/// A cell that a spreadsheet would take for a formula is text to it with an apostrophe before
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}
