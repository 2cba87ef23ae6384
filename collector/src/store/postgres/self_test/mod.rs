//! Whether a database does what the collector counts on, tried on it in tables of its own: what is kept twice is kept once, what
//! belongs together becomes one, pages miss nothing, of two concurrent writers one gets a conflict, and a transaction takes as many rows as
//! the largest piece has.
//!
//! | module | what it does |
//! |---|---|
//! | `trials` | each of them |
//! | `error` | why a database is not one for the collector |
//! | `schema` | a schema of the test's own, and nothing left of it |

mod error;
mod schema;
mod trials;

pub use self::error::SelfTestError;
use super::PostgresStore;
use super::connection::connect;
use super::options::PostgresOptions;

/// The part that ends it.
const NOTHING_LEFT: &str = "nothing of the test is left";

/// A part of the test.
#[derive(Debug)]
pub struct TestedPart {
    /// What is counted on, in a sentence.
    pub part: &'static str,
    /// Why it is not so.
    pub failed: Option<SelfTestError>,
}

/// Tries it.
///
/// # Errors
/// With the first that it does otherwise.
pub async fn run(options: &PostgresOptions) -> Result<(), SelfTestError> {
    for TestedPart { part, failed } in all(options, std::future::pending()).await {
        match failed {
            // It harms nobody, and a later test drops it.
            Some(error) if part == NOTHING_LEFT => {
                tracing::warn!(%error, "the test of the database has left its schema");
            }
            Some(error) => return Err(error),
            None => {}
        }
    }
    Ok(())
}

/// Tries every part of it, or until `stop`; what needs a part that failed is skipped. Nothing of the test is left.
pub async fn all(options: &PostgresOptions, stop: impl Future<Output = ()>) -> Vec<TestedPart> {
    let mut tried = Vec::new();
    let apart = options.clone().in_schema(&schema::new_name());
    tokio::select! {
        _ = Box::pin(try_out(options, &apart, &mut tried)) => {}
        () = stop => {
            let stopped = SelfTestError::Otherwise("interrupted".to_owned());
            tried.push(TestedPart { part: "test completed", failed: Some(stopped) });
        }
    }
    // Without a connection nothing was made.
    if tried.first().is_some_and(|first| first.failed.is_none()) {
        note(&mut tried, NOTHING_LEFT, schema::leave_nothing(&apart).await);
    }
    tried
}

/// Notes a part; gives what comes of it, where it did not fail.
fn note<T>(tried: &mut Vec<TestedPart>, part: &'static str, done: Result<T, SelfTestError>) -> Option<T> {
    let (done, failed) = match done {
        Ok(done) => (Some(done), None),
        Err(error) => (None, Some(error)),
    };
    tried.push(TestedPart { part, failed });
    done
}

/// Tries on the tables of `apart` what is counted on; ends at a part that the others need.
async fn try_out(options: &PostgresOptions, apart: &PostgresOptions, tried: &mut Vec<TestedPart>) -> Option<()> {
    let connected = connect(options).await.map_err(|error| SelfTestError::Refused("connecting", error));
    let client = note(tried, "the server accepts the role", connected)?;
    if !options.url.is_dsql() {
        note(tried, "the collector's own tables are there, or can be made", schema::has_room(&client).await);
    }
    note(tried, "a schema for the test is made", schema::make(&client, apart).await)?;
    let opened = PostgresStore::open_with(apart.clone()).await;
    let opened = opened.map_err(|error| SelfTestError::Refused("making tables", error));
    let store = note(tried, "its tables are made", opened)?;
    let run = format!("{:016x}", fastrand::u64(..));
    note(tried, "an entry that comes three times is kept once", trials::keeps_once(&store, &run).await);
    note(tried, "a device and its person become one visitor", trials::makes_one(&store, &run).await);
    note(tried, "pages show every visitor", trials::pages(&store, &run).await);
    note(tried, "two requests at once are both kept", trials::both_are_kept(&store, &run).await);
    note(tried, "of two concurrent writers one gets a conflict", trials::of_two_one_is_told(apart, &run).await);
    note(tried, "a transaction takes 3,000 rows", trials::takes_rows(apart, &run).await)
}
