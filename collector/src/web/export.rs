//! Companies and visitors as CSV, for a spreadsheet: page by page, so that a file of any length costs the memory of one, and
//! nothing more is read once the client is gone.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use csv::{QuoteStyle, WriterBuilder};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::api_error::ApiError;
use super::filter_query::{CompanyQuery, VisitorQuery};
use super::listed::Listed;
use super::state::Web;
use crate::store::StoreError;
use crate::store::visitor::Visitor;

/// Rows that are read at once: a page of them takes some tens of milliseconds.
const ROWS_AT_ONCE: u32 = 500;

const COMPANY: &[&str] = &[
    "key",
    "name",
    "domain",
    "intent",
    "strength",
    "strength_label",
    "trend",
    "visitors",
    "events",
    "last_seen",
    "top_reason",
];
const VISITOR: &[&str] = &[
    "id",
    "user_ids",
    "name",
    "emails",
    "anonymous_ids",
    "company",
    "events",
    "first_seen",
    "last_seen",
    "intent",
    "strength",
    "strength_label",
    "trend",
];

/// `GET /api/companies.csv`
pub async fn companies(State(web): State<Web>, Query(query): Query<CompanyQuery>) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    let (first, _) = web.store.list_companies(filter.clone(), 0, ROWS_AT_ONCE).await?;
    let first = Listed::of(&*web.store, first).await?;
    let pages = stream::try_unfold((first, 0), move |(page, offset): (Vec<Listed>, u32)| {
        let (store, filter) = (Arc::clone(&web.store), filter.clone());
        async move {
            if page.is_empty() {
                return Ok(None);
            }
            let offset = offset.saturating_add(ROWS_AT_ONCE);
            let (next, _) = store.list_companies(filter, offset, ROWS_AT_ONCE).await?;
            let next = Listed::of(&*store, next).await?;
            let rows: Vec<_> = page.iter().map(company).collect();
            Ok::<_, StoreError>(Some((rows, (next, offset))))
        }
    });
    Ok(file("companies.csv", COMPANY, pages))
}

/// `GET /api/visitors.csv`
pub async fn visitors(State(web): State<Web>, Query(query): Query<VisitorQuery>) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    let first = web.store.export_visitors(&filter, None, ROWS_AT_ONCE).await?;
    let pages = stream::try_unfold(first, move |page: Vec<Visitor>| {
        let (store, filter) = (Arc::clone(&web.store), filter.clone());
        async move {
            let Some(last) = page.last() else { return Ok(None) };
            let next = store.export_visitors(&filter, Some(&last.id), ROWS_AT_ONCE).await?;
            let rows: Vec<_> = page.iter().map(visitor).collect();
            Ok::<_, StoreError>(Some((rows, next)))
        }
    });
    Ok(file("visitors.csv", VISITOR, pages))
}

fn company(Listed { company, top_reason }: &Listed) -> Vec<String> {
    vec![
        harmless(&company.key),
        harmless(company.name.as_deref().unwrap_or_default()),
        harmless(company.domain.as_deref().unwrap_or_default()),
        company.intent.to_string(),
        company.strength.value().to_string(),
        company.strength_label.as_str().to_owned(),
        company.trend.as_str().to_owned(),
        company.visitors.to_string(),
        company.events.to_string(),
        company.last_seen.clone().unwrap_or_default(),
        harmless(top_reason.as_ref().map(|reason| reason.text.as_str()).unwrap_or_default()),
    ]
}

fn visitor(visitor: &Visitor) -> Vec<String> {
    let name = visitor.traits.get("name").and_then(|name| name.as_str()).unwrap_or_default();
    vec![
        harmless(visitor.id.as_str()),
        harmless(&visitor.user_ids.join(" ")),
        harmless(name),
        harmless(&visitor.emails.join(" ")),
        harmless(&visitor.anonymous_ids.join(" ")),
        harmless(visitor.account.as_deref().unwrap_or_default()),
        visitor.events.to_string(),
        visitor.first_seen.clone(),
        visitor.last_seen.clone(),
        visitor.intent.points.to_string(),
        visitor.intent.strength.value().to_string(),
        visitor.intent.strength_label.as_str().to_owned(),
        visitor.intent.trend.as_str().to_owned(),
    ]
}

fn file(
    name: &str,
    head: &'static [&str],
    pages: impl Stream<Item = Result<Vec<Vec<String>>, StoreError>> + Send + 'static,
) -> Response {
    let head = stream::once(async { Ok(vec![head.iter().map(|name| (*name).to_owned()).collect()]) });
    // An error in the middle ends the connection, which the client sees.
    let body = head.chain(pages).map_err(io::Error::other).and_then(async |rows| written(&rows));
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)];
    (headers, Body::from_stream(body)).into_response()
}

/// Every field in quotes, so that no separator in one begins another.
fn written(rows: &[Vec<String>]) -> io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// A text that a spreadsheet would take for a formula is text to it with an apostrophe before: one that begins with a sign of
/// a formula, also as a full-width form, also behind spaces and control characters, which spreadsheets pass over
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn harmless(text: &str) -> String {
    let is_passed_over = |character: char| {
        character.is_whitespace() || character.is_control() || matches!(character, '\u{200B}'..='\u{200F}' | '\u{FEFF}')
    };
    let begins_with_control = text.starts_with(char::is_control);
    let is_formula = text.trim_start_matches(is_passed_over).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if begins_with_control || is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_that_a_spreadsheet_would_run_is_made_text() {
        let run = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\tx",
            "\rx",
            "\nx",
            "  =1",
            "\u{a0}=1",
            "\u{feff}=1",
            "＝1",
            "＋1",
            "－1",
            "＠1",
            " ＝1",
            "\u{0}=1",
            "\u{200b}=1",
        ];
        for text in run {
            assert_eq!(harmless(text), format!("'{text}"), "{text:?}");
        }
        for text in ["", "Ada", "a=b", "'=1", "ada@acme.com", "  Ada"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn every_field_stands_in_quotes() {
        let rows = [vec!["a;=1".to_owned(), String::new(), "say \"hi\"".to_owned()]];
        assert_eq!(written(&rows).expect("a file"), b"\"a;=1\",\"\",\"say \"\"hi\"\"\"\n");
    }
}
