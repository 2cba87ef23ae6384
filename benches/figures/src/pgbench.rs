//! What `pgbench` writes of the same rows to the same server, which our own figure is told beside.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Entries of one visitor in a transaction, as many as Koala takes in a request.
const ENTRIES: u32 = 30;
const CLIENTS: u32 = 8;
const SECONDS: u32 = 20;

/// Tables of our own beside the collector's, with its columns and indexes; and some visitors.
const MAKE: &str = "
DROP SCHEMA IF EXISTS koala_pgbench CASCADE;
CREATE SCHEMA koala_pgbench;
CREATE SEQUENCE koala_pgbench.ids;
CREATE TABLE koala_pgbench.visitor (id bigint PRIMARY KEY, last_seen bigint NOT NULL);
CREATE TABLE koala_pgbench.identity (id bigint PRIMARY KEY, kind text NOT NULL, value text NOT NULL, visitor_id bigint NOT NULL, last_seen bigint, events bigint NOT NULL, UNIQUE (kind, value));
CREATE TABLE koala_pgbench.entry (id bigint PRIMARY KEY, identity_id bigint NOT NULL, kind text NOT NULL, name text, message_id text, message_key text, at bigint NOT NULL, topic_id bigint, body bytea NOT NULL, UNIQUE (identity_id, kind, message_key));
CREATE INDEX ON koala_pgbench.entry (identity_id, at, topic_id);
INSERT INTO koala_pgbench.visitor SELECT n, 0 FROM generate_series(1, 50000) AS n;
INSERT INTO koala_pgbench.identity SELECT n, 'user', 'user-' || n, n, 0, 0 FROM generate_series(1, 50000) AS n;
";

/// Six statements: who it is, their entries, that they were seen.
const WRITE: &str = "
\\set visitor random(1, 50000)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT id, visitor_id FROM koala_pgbench.identity WHERE kind = 'user' AND value = 'user-' || :visitor::text;
INSERT INTO koala_pgbench.entry SELECT id, :visitor::bigint, 'event', 'Viewed Pricing', NULL, 'message-' || id, 1795000000000 + id, id % 2000, decode(repeat('5f', {BODY}), 'hex') FROM (SELECT nextval('koala_pgbench.ids') AS id FROM generate_series(1, {ENTRIES})) AS new ON CONFLICT DO NOTHING;
UPDATE koala_pgbench.identity SET last_seen = greatest(last_seen, 1795000000000), events = events + {ENTRIES} WHERE id = :visitor::bigint;
UPDATE koala_pgbench.visitor SET last_seen = greatest(last_seen, 1795000000000) WHERE id = :visitor::bigint;
COMMIT;
";

const DROP: &str = "DROP SCHEMA koala_pgbench CASCADE;";

/// Entries a second; nothing where `pgbench` is not installed. `body_bytes` is the length of an entry as it is kept.
///
/// # Errors
/// When the server refuses it: it needs a role that may create a schema.
pub async fn entries_a_second(database: &str, folder: &Path, body_bytes: u32) -> Result<Option<f64>> {
    if Command::new("pgbench").arg("--version").output().await.is_err() {
        return Ok(None);
    }
    let script = |name: &str, text: &str| {
        let file = folder.join(name);
        let text = text.replace("{ENTRIES}", &ENTRIES.to_string()).replace("{BODY}", &body_bytes.to_string());
        std::fs::write(&file, text).map(|()| file)
    };
    let (make, write, drop) = (script("make", MAKE)?, script("write", WRITE)?, script("drop", DROP)?);
    let once = ["--transactions=1"];
    let for_a_while =
        [format!("--client={CLIENTS}"), "--jobs=2".to_owned(), format!("--time={SECONDS}"), "--max-tries=5".to_owned()];
    run(database, &make, &once).await?;
    let written = run(database, &write, &for_a_while).await;
    run(database, &drop, &once).await?;
    let written = written?;
    let line = written.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench printed no tps")?;
    let transactions: f64 = line.split(' ').next().unwrap_or_default().parse().context("pgbench's tps is no number")?;
    Ok(Some(transactions * f64::from(ENTRIES)))
}

async fn run(database: &str, script: &Path, options: &[impl AsRef<std::ffi::OsStr>]) -> Result<String> {
    let mut command = Command::new("pgbench");
    command.arg("--no-vacuum").arg("--protocol=prepared").arg("--file").arg(script).args(options).arg(database);
    let output = command.output().await.context("pgbench")?;
    // Its complaints name the statement, and no password.
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
