//! A PostgreSQL server for tests, and a schema of its own for each.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use koala_collector::store::postgres::DatabaseUrl;
use tokio_postgres::{Client, NoTls};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A schema of the server's, gone when it is dropped.
pub struct Database {
    /// Where it is.
    pub url: String,
    server: String,
    schema: String,
    /// Held as long as the server is used: that is how it knows.
    _user: File,
}

impl Database {
    /// A new one, empty.
    pub async fn new() -> Self {
        let (server, user) = tokio::task::spawn_blocking(server).await.expect("a server");
        let schema = format!("t_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let client = connect(&server).await;
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
        let url = format!("{server}?options=-csearch_path%3D{schema}");
        Self { url, server, schema, _user: user }
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
        // In a thread of its own: the test may be on a runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
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

/// The URL of the server, which is started where it does not run; and the lock that says that it is used.
fn server() -> (String, File) {
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
