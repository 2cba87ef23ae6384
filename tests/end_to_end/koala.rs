//! The real `koala up` as a process of its own, and requests to it as Segment sends them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use koala_destination::http_client;
use koala_destination::segment::SharedSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

pub const SECRET: &str = "vector-shared-secret";
pub const KEY: &str = "pk_vector";
/// What opens the page of a set that has it.
pub const TOKEN: &str = "a-token-that-nobody-can-guess-0123456789";
pub const WRITE_KEY: &str = "wk_test_0123456789";

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The lines of a file of vectors.
pub fn vectors(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("tests/vectors").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The data and parameters of a set; they outlive the process that uses them.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// A home with a key, a webhook secret, a write key and no mapping, so that the presets serve.
    pub fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(home.parameters()).unwrap();
        home.set_parameter("public-api-key", KEY);
        home.set_parameter("webhook-secret", SECRET);
        home.set_parameter("write-keys", WRITE_KEY);
        home
    }

    pub fn parameters(&self) -> PathBuf {
        self.folder.path().join("parameters")
    }

    pub fn set_parameter(&self, name: &str, value: &str) {
        let file = self.parameters().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, value).unwrap();
    }

    /// The file that keeps queues and visitors.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data/koala.db")
    }

    /// The file of the queues.
    pub fn queue_file(&self) -> PathBuf {
        self.folder.path().join("data/koala.queue.db")
    }

    /// Runs `koala redrive` here; gives what it says.
    pub fn redrive(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_koala"));
        let output = command.arg("redrive").arg("--data").arg(self.data()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Everything that was logged here.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    /// The command line of `koala up` here.
    fn command(&self, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_koala"));
        let listen = environment.iter().find(|(name, _)| *name == "KOALA_TEST_LISTEN");
        let listen = listen.map_or("127.0.0.1:0", |(_, listen)| listen);
        command
            .args(["up", "--listen", listen, "--parameters"])
            .arg(self.parameters())
            .arg("--data")
            .arg(self.data())
            .env_remove("RUST_LOG")
            .env_remove("KOALA_URL")
            .env("SETTINGS_TTL_SECONDS", "1")
            // Events of tests are of fixed days, and these grow old.
            .env("RETENTION_DAYS", "36500")
            .envs(environment.iter().copied());
        command
    }

    /// Starts `koala up` on a free port.
    pub fn up(&self, environment: &[(&str, &str)]) -> Koala {
        self.start(self.command(environment), self.log_file())
    }

    /// Starts `koala up` with its log at another place.
    pub fn up_with_log(&self, environment: &[(&str, &str)], log: impl Into<Stdio>) -> Koala {
        self.start(self.command(environment), log)
    }

    /// Starts `koala up` that may have so many files open.
    pub fn up_with_files(&self, files: u64, koala_url: &str) -> Koala {
        self.up_limited(&format!("ulimit -n {files}"), koala_url)
    }

    fn up_limited(&self, limit: &str, koala_url: &str) -> Koala {
        let command = self.command(&[("KOALA_URL", koala_url)]);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        self.start(limited, self.log_file())
    }

    /// Starts `koala up` whose files may grow to so many blocks of 512 or 1,024 bytes, as the shell counts them.
    pub fn up_with_file_size(&self, blocks: u64, koala_url: &str) -> Koala {
        self.up_limited(&format!("ulimit -f {blocks}"), koala_url)
    }

    fn log_file(&self) -> fs::File {
        fs::File::options().create(true).append(true).open(self.log()).unwrap()
    }

    fn start(&self, mut command: Command, log: impl Into<Stdio>) -> Koala {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let last = line.trim_start().starts_with("curl ");
            said.push(line);
            if last {
                break;
            }
        }
        let url = said.iter().find_map(|line| line.trim().strip_prefix("events to")).map(str::trim);
        let url = url.unwrap_or_else(|| panic!("koala up did not start: {}", self.logged()));
        Koala { url: url.trim_end_matches("/v1/segment").to_owned(), said, process, http: client() }
    }

    /// Starts `koala up` that delivers to a collector.
    pub fn up_with(&self, koala_url: &str) -> Koala {
        self.up(&[("KOALA_URL", koala_url)])
    }

    /// Runs `koala up` where it cannot start; gives its exit status and what it says.
    pub fn cannot_start(&self, environment: &[(&str, &str)]) -> (i32, String) {
        let output = self.command(environment).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

/// A running `koala up`; it is killed when it is dropped.
pub struct Koala {
    pub url: String,
    /// What it printed when it was up.
    pub said: Vec<String>,
    process: Child,
    http: reqwest::Client,
}

impl Koala {
    /// Posts a body with a right signature.
    pub async fn post(&self, body: &str) -> (u16, Value) {
        self.post_with(body, &[("x-signature", &sign(body))]).await
    }

    /// Posts a body with these headers.
    pub async fn post_with(&self, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        self.request("POST", "/v1/segment", body, headers).await
    }

    pub async fn request(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.request("GET", path, "", &[]).await
    }

    /// Asks for people to be deleted; gives the id of the deletion.
    pub async fn ask_to_delete(&self, people: Value) -> String {
        let headers = [("content-type", "application/json")];
        let (status, answer) = self.request("POST", "/api/v1/deletion-requests", &people.to_string(), &headers).await;
        assert_eq!(status, 200, "{answer}");
        answer["deletion_request_id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a deletion is completed; gives how it is then.
    pub async fn until_deleted(&self, id: &str) -> Value {
        let begun = Instant::now();
        loop {
            let (status, deletion) = self.get(&format!("/api/v1/deletion-requests/{id}")).await;
            assert_eq!(status, 200, "{deletion}");
            if deletion["status"] == "completed" {
                return deletion;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{deletion}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many messages stand where.
    pub async fn queues(&self) -> Value {
        self.get("/api/queues").await.1
    }

    /// Waits until the counts of the queues are these.
    pub async fn until_queues(&self, expected: Value) {
        let begun = Instant::now();
        loop {
            let counts = self.queues().await;
            if expected.as_object().unwrap().iter().all(|(name, count)| counts[name] == *count) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{counts} did not become {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Posts where the set may end in between: the status, if there is an answer.
    pub async fn try_post(&self, path: &str, body: &str) -> Option<u16> {
        let request = self.http.post(format!("{}{path}", self.url)).header("user-agent", "test").body(body.to_owned());
        Some(request.send().await.ok()?.status().as_u16())
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The most memory that the process has had, in bytes.
    pub fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// `kill -9` while others use it.
    pub fn kill_now(&self) {
        signal("KILL", &self.process);
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ctrl-C, and its exit status.
    pub fn interrupt(self) -> i32 {
        self.end_by("INT")
    }

    /// A signal, and its exit status.
    pub fn end_by(mut self, signal: &str) -> i32 {
        self::signal(signal, &self.process);
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Koala {
    fn drop(&mut self) {
        // It may have ended, which is no matter here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a signal by the shell's own `kill`: the program of that name is no part of Rust's machine.
fn signal(signal: &str, process: &Child) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", process.id())]).status().unwrap();
    assert!(sent.success());
}

/// A client that waits ten seconds for an answer.
pub fn client() -> reqwest::Client {
    http_client::builder().unwrap().timeout(Duration::from_secs(10)).build().unwrap()
}

/// Posts a body with a right signature to a set.
pub async fn post_signed(url: &str, body: &str) -> (u16, Value) {
    let response = client().post(format!("{url}/v1/segment")).header("content-type", "application/json");
    let response = response.header("x-signature", sign(body)).body(body.to_owned()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
}

/// The signature of Segment's webhook.
pub fn sign(signed: &str) -> String {
    SharedSecret::parse(SECRET).unwrap().sign(signed.as_bytes()).to_string()
}

/// A track event of one visitor.
pub fn track(message_id: &str, email: &str) -> String {
    json!({
        "type": "track", "messageId": message_id, "event": "Signed Up", "userId": "u-1",
        "timestamp": "2026-11-20T09:00:00.000Z", "properties": {"email": email},
    })
    .to_string()
}

/// What stands at an address.
pub async fn text(url: &str) -> String {
    let client = koala_destination::http_client::builder().unwrap().build().unwrap();
    client.get(url).send().await.unwrap().text().await.unwrap()
}
