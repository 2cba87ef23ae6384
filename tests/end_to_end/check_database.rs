//! `koala check --database`, as a person types it, on a database that does what is counted on and on those that do not.

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::koala::{Home, root};
use crate::postgres_server::Database;

const PARTS: usize = 11;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of the server's for this alone: privileges and schemas are a database's own.
struct Whole {
    name: String,
    url: String,
    /// Keeps the server.
    server: Database,
}

impl Whole {
    async fn new() -> Self {
        let server = Database::new().await;
        let name = format!("check_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        server.client().await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (server_url, _) = server.url.rsplit_once("/postgres?").unwrap();
        Self { url: format!("{server_url}/{name}"), name, server }
    }

    async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        client
    }

    /// The URL of a role that may log in, and nothing else.
    async fn role(&self) -> String {
        self.client().await.batch_execute(&format!("CREATE ROLE {} LOGIN", self.name)).await.unwrap();
        self.url.replace("://koala@", &format!("://{}@", self.name))
    }

    /// Schemas and tables that are there beside what a new database has.
    async fn left(&self) -> Vec<String> {
        let all = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'
                   UNION SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public'";
        self.client().await.query(all, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn gone(self) {
        let client = self.server.client().await;
        client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
        client.batch_execute(&format!("DROP ROLE IF EXISTS {}", self.name)).await.unwrap();
    }
}

fn koala(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koala"));
    command
        .current_dir(root())
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("KOALA_URL")
        .env_remove("DATABASE_URL");
    command
}

/// The exit status, and what it says on standard output and on standard error.
fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn check(arguments: &[&str]) -> (i32, String, String) {
    said(&koala(&[&["check"], arguments].concat()).output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_tried_by_hand_as_a_deploy_tries_it_and_nothing_is_left_in_it() {
    let database = Whole::new().await;
    let (status, shown, told) = check(&["--online", "--database", &database.url]);
    assert_eq!(status, 0, "{shown}{told}");
    assert_eq!(shown.matches("✓ ").count(), PARTS, "{shown}");
    let host = database.url.split('@').next_back().unwrap();
    assert!(shown.starts_with(&format!("database postgres://{host}\n  ✓ the server accepts the role\n")), "{shown}");
    for part in [
        "three times is kept once",
        "become one visitor",
        "pages show",
        "at once are both kept",
        "one gets a conflict",
        "3,000 rows",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(shown.ends_with("No problem: the database does what the collector counts on.\n"), "{shown}");
    assert_eq!(database.left().await, Vec::<String>::new());

    // By the variable, for a program; without a parameter tree to be looked at.
    let output =
        koala(&["check", "--online", "--database", "--json"]).env("DATABASE_URL", &database.url).output().unwrap();
    let (status, shown, told) = said(&output);
    assert_eq!(status, 0, "{shown}{told}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let parts = shown["database"]["parts"].as_array().unwrap();
    assert!(parts.len() == PARTS && parts.iter().all(|part| part["ok"] == true), "{shown}");
    assert_eq!(shown["database"]["database"], json!(format!("postgres://{host}")));

    // With a tree both are looked at; the tree may say where the database is.
    let home = Home::new();
    home.set_parameter("collector/database-url", &database.url);
    let parameters = home.parameters().to_string_lossy().into_owned();
    let (status, shown, told) = check(&["--parameters", &parameters, "--database"]);
    assert_eq!(status, 0, "{shown}{told}");
    assert!(shown.contains("→ track-event") && shown.contains("  ✓ a transaction takes 3,000 rows\n"), "{shown}");
    assert!(shown.ends_with("No problem: 5 mappings in force, 5 presets.\n"), "{shown}");
    let (status, shown, _) = check(&["--parameters", &parameters]);
    assert!(status == 0 && !shown.contains('✓'), "nobody asked: {shown}");
    assert_eq!(database.left().await, Vec::<String>::new());
    database.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_is_told_without_the_password() {
    let database = Whole::new().await;
    let nobody = "postgres://ada:s3cret-word@127.0.0.1:1/koala".to_owned();
    let secret = |url: &str| url.replace("://koala@", "://koala:s3cret-word@");
    database
        .server
        .client()
        .await
        .batch_execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name))
        .await
        .unwrap();
    for (url, why) in [(nobody, "onnection refused"), (secret(&database.url), "not currently accepting connections")] {
        for json in [false, true] {
            let more: &[&str] = if json { &["--json"] } else { &[] };
            let (status, shown, told) = check(&[&["--online", "--database", &url], more].concat());
            assert_eq!(status, 1, "{shown}{told}");
            assert!(shown.contains(why), "{shown}");
            assert!(!shown.contains("s3cret") && !told.contains("s3cret"), "{shown}{told}");
            if !json {
                assert!(
                    shown.contains("  ✗ the server accepts the role: ") && shown.ends_with("\n1 problem.\n"),
                    "{shown}"
                );
            }
        }
    }
    database.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_make_tables_is_told_what_to_grant_and_that_is_enough() {
    let database = Whole::new().await;
    let url = database.role().await;
    let (status, shown, told) = check(&["--online", "--database", &url]);
    assert_eq!(status, 1, "{shown}{told}");
    assert!(shown.ends_with("\n2 problems.\n"), "{shown}");
    let grants: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("    GRANT ")).collect();
    let name = &database.name;
    assert_eq!(
        grants,
        [
            format!("CREATE ON SCHEMA \"public\" TO \"{name}\";"),
            format!("CREATE ON DATABASE \"{name}\" TO \"{name}\";")
        ]
    );
    for grant in grants {
        database.client().await.batch_execute(&format!("GRANT {grant}")).await.unwrap();
    }
    let (status, shown, told) = check(&["--online", "--database", &url]);
    assert_eq!(status, 0, "{shown}{told}");
    assert_eq!(database.left().await, Vec::<String>::new());
    database.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_is_interrupted_leaves_nothing() {
    let database = Whole::new().await;
    let mut process =
        koala(&["check", "--online", "--database", &database.url]).stdout(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while database.left().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it makes a schema");
    }
    let kill = Command::new("sh").args(["-c", &format!("kill -INT {}", process.id())]).status().unwrap();
    assert!(kill.success());
    let status = process.wait().unwrap();
    let mut shown = String::new();
    process.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("  ✗ test completed: interrupted\n"), "{shown}");
    assert!(shown.contains("  ✓ nothing of the test is left\n"), "{shown}");
    assert_eq!(database.left().await, Vec::<String>::new());
    database.gone().await;
}

#[test]
fn a_database_that_nobody_names_or_that_is_none_is_an_error_that_shows_no_secret() {
    let (status, shown, told) = check(&["--online", "--database"]);
    assert!(status == 2 && shown.is_empty(), "{shown}{told}");
    assert!(told.contains("no database is named") && told.contains("DATABASE_URL"), "{told}");
    for url in ["mysql://ada:s3cret@db/koala", "ada:s3cret@db", "postgres://ada:s3cret@db:port/koala"] {
        let (status, shown, told) = check(&["--online", "--database", url]);
        assert_eq!(status, 2, "{shown}{told}");
        assert!(told.contains("--database") && !told.contains("s3cret"), "{told}");
    }
    let (_, help, _) = check(&["--help"]);
    assert!(help.contains("koala check --online --database postgres://"), "{help}");
}
