//! Companies and visitors as CSV, for a spreadsheet: page by page, so that a file of any length costs the memory of one, and
//! nothing more is read once the client is gone.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use csv::{QuoteStyle, WriterBuilder};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::api_error::ApiError;
use super::filter_query::{CompanyQuery, VisitorQuery};
use super::listed::Listed;
use super::parameters::Parameters;
use super::state::Web;
use crate::store::StoreError;
use crate::store::visitor::{Visitor, VisitorId};

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

/// Where a file begins that is not the first of several.
#[derive(Deserialize)]
pub struct CompaniesFrom {
    #[serde(default)]
    offset: u32,
}

/// The same of visitors.
#[derive(Deserialize)]
pub struct VisitorsBehind {
    after: Option<VisitorId>,
}

/// `GET /api/companies.csv`
pub async fn companies(
    State(web): State<Web>,
    Parameters(query): Parameters<CompanyQuery>,
    Parameters(CompaniesFrom { offset: begin }): Parameters<CompaniesFrom>,
) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    if let Some(most) = web.presentation.most_file_bytes {
        let mut file = BoundedFile::new(COMPANY, most).map_err(StoreError::new)?;
        let mut offset = begin;
        loop {
            let (page, _) = web.store.list_companies(filter.clone(), offset, ROWS_AT_ONCE).await?;
            let page = Listed::of(&*web.store, page).await?;
            if page.is_empty() {
                return Ok(file.answer("companies.csv", None));
            }
            for one in &page {
                if !file.add(company(one)).map_err(StoreError::new)? {
                    let next = next("/api/companies.csv", &query.pairs(), ("offset", &offset.to_string()));
                    return Ok(file.answer("companies.csv", Some(&next)));
                }
                offset = offset.saturating_add(1);
            }
        }
    }
    let (first, _) = web.store.list_companies(filter.clone(), begin, ROWS_AT_ONCE).await?;
    let first = Listed::of(&*web.store, first).await?;
    let pages = stream::try_unfold((first, begin), move |(page, offset): (Vec<Listed>, u32)| {
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
pub async fn visitors(
    State(web): State<Web>,
    Parameters(query): Parameters<VisitorQuery>,
    Parameters(VisitorsBehind { after }): Parameters<VisitorsBehind>,
) -> Result<Response, ApiError> {
    let filter = query.filter().map_err(ApiError::BadRequest)?;
    if let Some(most) = web.presentation.most_file_bytes {
        let mut file = BoundedFile::new(VISITOR, most).map_err(StoreError::new)?;
        let mut last = after;
        loop {
            let page = web.store.export_visitors(&filter, last.as_ref(), ROWS_AT_ONCE).await?;
            if page.is_empty() {
                return Ok(file.answer("visitors.csv", None));
            }
            for one in &page {
                if !file.add(visitor(one)).map_err(StoreError::new)? {
                    let after = last.as_ref().map_or("", VisitorId::as_str);
                    let next = next("/api/visitors.csv", &query.pairs(), ("after", after));
                    return Ok(file.answer("visitors.csv", Some(&next)));
                }
                last = Some(one.id.clone());
            }
        }
    }
    let first = web.store.export_visitors(&filter, after.as_ref(), ROWS_AT_ONCE).await?;
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
    vec![
        harmless(visitor.id.as_str()),
        harmless(&visitor.user_ids.join(" ")),
        harmless(&visitor.said_name().unwrap_or_default()),
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

/// A file that stands whole in memory, up to a length.
struct BoundedFile {
    written: Vec<u8>,
    most: usize,
    rows: usize,
}

impl BoundedFile {
    fn new(head: &[&str], most: usize) -> io::Result<Self> {
        let head = head.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { written: written(&[head])?, most, rows: 0 })
    }

    /// Whether there was room for a row; for the first there always is, so that each file leads on.
    fn add(&mut self, row: Vec<String>) -> io::Result<bool> {
        let row = written(&[row])?;
        if self.rows > 0 && self.written.len() + row.len() > self.most {
            return Ok(false);
        }
        self.written.extend(row);
        self.rows += 1;
        Ok(true)
    }

    /// With the address of the next one, where there is more (RFC 8288).
    fn answer(self, name: &str, next: Option<&str>) -> Response {
        let mut answer = (head_of(name), self.written).into_response();
        if let Some(next) = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok()) {
            answer.headers_mut().insert(LINK, next);
        }
        answer
    }
}

/// The address of the next file: the same query, and where it begins.
fn next(path: &str, pairs: &[(&'static str, &str)], begin: (&str, &str)) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    format!("{path}?{}", query.append_pair(begin.0, begin.1).finish())
}

fn head_of(name: &str) -> [(HeaderName, String); 2] {
    let disposition = format!("attachment; filename=\"{name}\"");
    [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)]
}

fn file(
    name: &str,
    head: &'static [&str],
    pages: impl Stream<Item = Result<Vec<Vec<String>>, StoreError>> + Send + 'static,
) -> Response {
    let head = stream::once(async { Ok(vec![head.iter().map(|name| (*name).to_owned()).collect()]) });
    // An error in the middle ends the connection, which the client sees.
    let body = head.chain(pages).map_err(io::Error::other).and_then(async |rows| written(&rows));
    (head_of(name), Body::from_stream(body)).into_response()
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
