//! A PostgreSQL server for tests, and a schema of its own for each.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use koala_collector::store::postgres::DatabaseUrl;
use tokio_postgres::{Client, NoTls};

static NEXT: AtomicU32 = AtomicU32::new(0);
/// Schemas of this process that are empty again.
static EMPTIED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Deletes all rows but that of which migrations were made: making the tables anew takes ten times as long.
const EMPTY: &str = "DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'migration'
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP; END $$";

/// A schema of the server's, gone when it is dropped, or empty again.
pub struct Database {
    /// Where it is.
    pub url: String,
    server: String,
    schema: String,
    is_used_again: bool,
}

impl Database {
    /// A new one, empty.
    pub async fn new() -> Self {
        let server = server().await;
        let schema = format!("t_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let client = connect(&server).await;
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
        Self::of(server, schema, false)
    }

    /// An empty one, maybe with the tables of a test before: for tests that need many.
    #[allow(dead_code)] // most need one
    pub async fn empty() -> Self {
        let emptied = EMPTIED.lock().expect("a list").pop();
        if let Some(schema) = emptied {
            return Self::of(server().await, schema, true);
        }
        let mut database = Self::new().await;
        database.is_used_again = true;
        database
    }

    fn of(server: String, schema: String, is_used_again: bool) -> Self {
        let url = format!("{server}?options=-csearch_path%3D{schema}");
        Self { url, server, schema, is_used_again }
    }

    /// Where it is, as the engine takes it.
    #[allow(dead_code)] // a set is told the URL
    pub fn address(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url).expect("a URL")
    }

    /// A connection beside the engine's.
    #[allow(dead_code)] // not every test looks at the tables
    pub async fn client(&self) -> Client {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, schema) = (self.server.clone(), self.schema.clone());
        let (url, is_used_again) = (self.url.clone(), self.is_used_again);
        // In a thread of its own: the test may be on a runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if is_used_again && connect(&url).await.batch_execute(EMPTY).await.is_ok() {
                    EMPTIED.lock().expect("a list").push(schema);
                    return;
                }
                let client = connect(&server).await;
                drop(client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await);
            });
        });
        drop(dropped.join());
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// The URL of the server, which is started where it does not run. That this process uses it is said by a lock until it ends.
async fn server() -> String {
    static SERVER: OnceLock<(String, File)> = OnceLock::new();
    let (url, _) = tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.expect("a server");
    url.clone()
}

fn start() -> (String, File) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/postgres");
    std::fs::create_dir_all(&folder).expect("a folder");
    let user = File::options().create(true).append(true).open(folder.join("users")).expect("a file");
    user.lock_shared().expect("a lock");
    let started = Command::new(root.join("tests/postgres")).output().expect("tests/postgres");
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(started.status.success(), "tests/postgres: {said}");
    (String::from_utf8_lossy(&started.stdout).trim().to_owned(), user)
}
