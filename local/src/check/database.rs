//! `koala check --database`: whether a database does what the collector counts on, by the same test that a deploy makes of it.

use anyhow::{Context, Result, bail};
use koala_collector::settings::CollectorSettings;
use koala_collector::store::postgres::DatabaseUrl;
use koala_collector::store::postgres::self_test::{self, TestedPart};
use koala_destination::settings::Parameter;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::database;
use crate::deployed::{self, Aws};
use crate::environment;
use crate::output::{notice, outln};

/// Where a database may be that nobody has named.
pub enum Beside<'a> {
    /// Nothing else is looked at.
    Nothing,
    /// A tree of parameters, whose collector it is.
    Parameters(&'a [Parameter]),
    /// A deployed stack.
    Stack(&'a str),
}

/// What was found of a database.
pub struct Looked {
    /// Which it is, without a password.
    database: String,
    parts: Vec<Part>,
}

struct Part {
    name: String,
    problem: Option<Problem>,
}

struct Problem {
    message: String,
    /// What fixes it, where that is known.
    command: Option<String>,
}

impl Part {
    fn of(tried: TestedPart) -> Self {
        let problem = tried.failed.map(|error| {
            let command = error.grant().map(|grant| format!("{grant};"));
            Problem { message: error.to_string(), command }
        });
        Self { name: tried.part.to_owned(), problem }
    }
}

/// Tries the database that is `named`, else that of what it is `beside`, else that of `DATABASE_URL`.
///
/// # Errors
/// When none is named anywhere, or what is named is no URL.
pub async fn look(named: &SecretString, beside: Beside<'_>, aws: &impl Aws) -> Result<Looked> {
    let url = match find(named, &beside, aws)? {
        Ok(url) => url,
        Err(message) => {
            let command = Some("koala check --online --database postgres://USER@HOST/DATABASE".to_owned());
            let part =
                Part { name: "the database is configured".to_owned(), problem: Some(Problem { message, command }) };
            return Ok(Looked { database: "of the stack".to_owned(), parts: vec![part] });
        }
    };
    notice!("trying {url} in a schema of its own");
    let options = database::options(&url)?;
    let stopped = async {
        // Who cannot be told to stop goes on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let tried = self_test::all(&options, stopped).await;
    Ok(Looked { database: url.to_string(), parts: tried.into_iter().map(Part::of).collect() })
}

fn find(named: &SecretString, beside: &Beside<'_>, aws: &impl Aws) -> Result<Result<DatabaseUrl, String>> {
    if !named.expose_secret().is_empty() {
        return read(named.expose_secret()).context("--database").map(Ok);
    }
    match beside {
        Beside::Stack(stack) => return deployed::database(aws, stack),
        Beside::Parameters(collector) => {
            let settings = CollectorSettings::read(collector);
            if let Some(url) = settings.database() {
                return Ok(Ok(url.clone()));
            }
            if let Some(problem) = settings.problems().iter().find(|problem| problem.parameter == "database-url") {
                return Ok(Err(format!("database-url: {}", problem.message)));
            }
        }
        Beside::Nothing => {}
    }
    match environment::database_url() {
        Some(url) => read(url.expose_secret()).context("DATABASE_URL").map(Ok),
        None => bail!(
            "no database is named: --database postgres://…, DATABASE_URL, or --online --stack NAME for that of a stack"
        ),
    }
}

/// A URL, or the endpoint of a cluster of Aurora DSQL.
fn read(said: &str) -> Result<DatabaseUrl> {
    let said = said.trim();
    Ok(if said.contains("://") { DatabaseUrl::parse(said)? } else { DatabaseUrl::of_cluster(said)? })
}

impl Looked {
    /// How many parts failed.
    pub fn problems(&self) -> usize {
        self.parts.iter().filter(|part| part.problem.is_some()).count()
    }

    /// A line for each part, and what to do about those that failed.
    pub fn print(&self) {
        outln!("database {}", self.database);
        for Part { name, problem } in &self.parts {
            let Some(Problem { message, command }) = problem else {
                outln!("  ✓ {name}");
                continue;
            };
            outln!("  ✗ {name}: {message}");
            if let Some(command) = command {
                outln!("    {command}");
            }
        }
    }

    /// The same for a program.
    pub fn json(&self) -> Value {
        let part = |Part { name, problem }: &Part| match problem {
            None => json!({"part": name, "ok": true}),
            Some(Problem { message, command }) => {
                json!({"part": name, "ok": false, "message": message, "command": command})
            }
        };
        json!({"database": self.database, "parts": self.parts.iter().map(part).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_its_url_or_as_a_cluster_by_its_endpoint() {
        let url = read(" postgres://ada:s3cret@db.example.com/koala\n").expect("a URL");
        assert_eq!(url.to_string(), "postgres://db.example.com:5432/koala");
        let cluster = read("foo.dsql.eu-west-1.on.aws").expect("a cluster");
        assert!(cluster.is_dsql() && !cluster.has_password());
        assert!(read("db.example.com").is_err());
    }
}
