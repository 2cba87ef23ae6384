//! Sets whose visitors are in PostgreSQL.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::koala::{Home, Koala, client, root, sign};
use crate::postgres_server::Database;

/// An event of a visitor with an account of their own.
fn track(message_id: &str, user: &str) -> String {
    json!({
        "type": "track", "messageId": message_id, "event": "Signed Up", "userId": user,
        "timestamp": "2026-11-20T09:00:00.000Z", "properties": {"email": format!("{user}@acme.com")},
    })
    .to_string()
}

/// The messages of all visitors of a set, and how many visitors there are.
async fn shown(koala: &Koala) -> (usize, Vec<String>) {
    let (_, listed) = koala.get("/api/visitors?limit=1000").await;
    let visitors = listed["visitors"].as_array().expect("visitors");
    let mut messages = Vec::new();
    for visitor in visitors {
        // A number in one engine, a text in the other.
        let id = visitor["id"].as_str().map_or_else(|| visitor["id"].to_string(), str::to_owned);
        let (_, shown) = koala.get(&format!("/api/visitors/{id}?limit=1000")).await;
        let timeline = shown["timeline"].as_array().expect("a timeline").iter();
        messages.extend(timeline.map(|entry| entry["message_id"].as_str().expect("a message id").to_owned()));
    }
    messages.sort();
    (visitors.len(), messages)
}

async fn delivered(koala: &Koala) {
    koala.until_queues(json!({"waiting": 0, "in_flight": 0, "dead": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sets_on_one_database_work_side_by_side() {
    let database = Database::new().await;
    let (one, other) = (Home::new(), Home::new());
    let environment = [("DATABASE_URL", database.url.as_str())];
    let (one, other) = (one.up(&environment), other.up(&environment));
    let mut sent = BTreeSet::new();
    for n in 0..60 {
        let (id, koala) = (format!("m-{n:02}"), if n % 2 == 0 { &one } else { &other });
        // Both get events of the same five people, and one of ten by both.
        let event = track(&id, &format!("visitor-{}", n % 5));
        assert_eq!(koala.post(&event).await.0, 200);
        if n % 10 == 0 {
            assert_eq!(other.post(&event).await.0, 200);
        }
        sent.insert(id);
    }
    delivered(&one).await;
    delivered(&other).await;
    let expected = (5, sent.into_iter().collect::<Vec<_>>());
    assert_eq!(shown(&one).await, expected);
    assert_eq!(shown(&other).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_once_after_a_kill_of_the_set() {
    let database = Database::new().await;
    let home = Home::new();
    let environment = [("DATABASE_URL", database.url.as_str())];
    let koala = home.up(&environment);
    let ids: Vec<String> = (0..200).map(|n| format!("m-{n:03}")).collect();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(koala.post(&track(id, &format!("visitor-{}", n % 20))).await.0, 200);
    }
    koala.kill();
    let koala = home.up(&environment);
    delivered(&koala).await;
    assert_eq!(shown(&koala).await, (20, ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let home = Home::new();
    let (code, said) = home.cannot_start(&[("DATABASE_URL", "postgres://ada:s3cret@127.0.0.1:1/koala")]);
    assert_ne!(code, 0);
    assert!(
        said.contains("cannot use the database postgres://127.0.0.1:1/koala") && !said.contains("s3cret"),
        "{said}"
    );
}

/// Runs a command of `koala`; gives back its exit status and what it says.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_koala"));
    let output = command.args(arguments).env_remove("DATABASE_URL").output().expect("koala runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The companies of a set by what they are known by, without the ids that an engine gave.
async fn companies(koala: &Koala) -> Vec<(String, String, i64)> {
    let (_, listed) = koala.get("/api/companies?limit=1000").await;
    let of = |company: &serde_json::Value| {
        let key = company["key"].as_str().expect("a key").to_owned();
        // What is summed in another order may differ in its last digit.
        let points = format!("{:.6}", company["intent"].as_f64().expect("points"));
        (key, points, company["visitors"].as_i64().expect("visitors"))
    };
    let mut companies: Vec<_> = listed["companies"].as_array().expect("companies").iter().map(of).collect();
    companies.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    companies
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_set_keeps_moves_into_a_database_and_back_by_the_commands() {
    let (database, first, second, third) = (Database::new().await, Home::new(), Home::new(), Home::new());
    let koala = first.up(&[]);
    for n in 0..40 {
        assert_eq!(koala.post(&track(&format!("m-{n:02}"), &format!("visitor-{}", n % 5))).await.0, 200);
    }
    delivered(&koala).await;
    let before = (shown(&koala).await, companies(&koala).await);
    assert_eq!((before.0.0, before.0.1.len(), before.1.len()), (5, 40, 1), "{before:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let archive = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let data = |home: &Home| home.data().to_string_lossy().into_owned();
    let (code, said) = run(&["export", "--data", &data(&first), &archive("a")]);
    assert!(code == Some(2) && said.contains("locked by another koala process"), "{code:?}: {said}");
    assert_eq!(koala.end_by("TERM"), 0);
    let done = |(code, said): (Option<i32>, String)| assert_eq!(code, Some(0), "{said}");
    done(run(&["export", "--data", &data(&first), &archive("b")]));
    done(run(&["import", "--database", &database.url, &archive("b")]));
    let (code, said) = run(&["import", "--database", &database.url, &archive("b")]);
    assert!(code == Some(2) && said.contains("empty"), "{code:?}: {said}");

    let koala = second.up(&[("DATABASE_URL", database.url.as_str())]);
    assert_eq!((shown(&koala).await, companies(&koala).await), before);
    assert_eq!(koala.end_by("TERM"), 0);
    done(run(&["export", "--database", &database.url, &archive("c")]));
    std::fs::create_dir_all(third.data().parent().expect("a folder")).expect("it is made");
    done(run(&["import", "--data", &data(&third), &archive("c")]));
    let koala = third.up(&[]);
    assert_eq!((shown(&koala).await, companies(&koala).await), before);
}

/// A server of a test's own, that can be killed.
struct OwnServer {
    folder: tempfile::TempDir,
    url: String,
    /// Held as long as the server is used: that is how it knows.
    _user: std::fs::File,
}

impl OwnServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The server may run as somebody else, who has to get there.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("it is ours");
        let user = std::fs::File::create(folder.path().join("users")).expect("a file");
        user.lock_shared().expect("a lock");
        let url = Self::run(&folder, &[]);
        Self { folder, url, _user: user }
    }

    fn run(folder: &tempfile::TempDir, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(root().join("tests/postgres"));
        command.args(arguments).env("KOALA_POSTGRES_FOLDER", folder.path());
        // What it has committed outlives it.
        command.env("KOALA_POSTGRES_FSYNC", "on");
        let output = command.output().expect("tests/postgres");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `kill -9`, and a new start.
    fn crash(&self) {
        Self::run(&self.folder, &["crash"]);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        Self::run(&self.folder, &["stop"]);
    }
}

/// Sends events until they are answered with 200, as Segment does.
async fn send_on(url: String, sender: usize, answered: Arc<Mutex<BTreeSet<String>>>, stopped: Arc<AtomicBool>) {
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
        let id = format!("m-{sender}-{number:05}");
        let event = track(&id, &format!("visitor-{}", (number + sender) % 7));
        let request = client().post(format!("{url}/v1/segment")).header("x-signature", sign(&event)).body(event);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => {
                answered.lock().expect("a lock").insert(id);
                number += 1;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_once_when_the_server_and_the_set_are_killed_in_turns() {
    let server = OwnServer::start();
    let home = Home::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port").port();
    let listen = format!("127.0.0.1:{port}");
    let environment = [("DATABASE_URL", server.url.as_str()), ("KOALA_TEST_LISTEN", listen.as_str())];
    let mut koala = home.up(&environment);
    let (answered, stopped) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..4)
        .map(|n| tokio::spawn(send_on(koala.url.clone(), n, Arc::clone(&answered), Arc::clone(&stopped))))
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| server.crash());
        tokio::time::sleep(Duration::from_secs(2)).await;
        koala.kill();
        koala = home.up(&environment);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stopped.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.expect("it ends");
    }
    // Deliveries that failed while the server was down come back after their delay.
    let begun = std::time::Instant::now();
    loop {
        let counts = koala.queues().await;
        if counts["waiting"] == 0 && counts["in_flight"] == 0 {
            assert_eq!(counts["dead"], 0, "{counts}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(3), "{counts}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (visitors, messages) = shown(&koala).await;
    let distinct: BTreeSet<String> = messages.iter().cloned().collect();
    assert_eq!((visitors, distinct.len()), (7, messages.len()), "something is there twice");
    let answered = answered.lock().expect("a lock").clone();
    println!("{} events answered, {} there", answered.len(), distinct.len());
    assert_eq!(answered.difference(&distinct).collect::<Vec<_>>(), Vec::<&String>::new());
}
