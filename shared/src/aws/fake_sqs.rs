//! An SQS on loopback that can misbehave, for tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// What becomes of one request.
pub enum Reply {
    /// Every entry is taken, after a while.
    AllAfter(Duration),
    /// These entries are refused, each with whether it is the sender's fault.
    Failed(Vec<(&'static str, bool)>),
    /// No answer.
    Hang,
}

type Rule = dyn Fn(usize, &Value) -> Reply + Send + Sync;

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    connections: AtomicUsize,
    all_connections: AtomicUsize,
    most_connections: AtomicUsize,
}

/// A running one; it lives as long as the test.
pub struct FakeSqs {
    url: String,
    counts: Arc<Counts>,
}

impl FakeSqs {
    /// Answers each request, counted from 0, by the rule.
    pub fn start(rule: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let counts = Arc::new(Counts::default());
        let (shared, rule): (_, Arc<Rule>) = (Arc::clone(&counts), Arc::new(rule));
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (counts, rule) = (Arc::clone(&shared), Arc::clone(&rule));
                counts.all_connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    let open = counts.connections.fetch_add(1, Ordering::SeqCst) + 1;
                    counts.most_connections.fetch_max(open, Ordering::SeqCst);
                    // The client may go away at any time.
                    let _ = serve(connection, &counts, &*rule);
                    counts.connections.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, counts }
    }

    /// The environment of a function that works with it.
    pub fn variables(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let url = self.url.clone();
        move |name| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            "AWS_ENDPOINT_URL" => Some(url.clone()),
            name if name.ends_with("QUEUE_URL") => Some(format!("{url}/123456789012/{name}")),
            _ => None,
        }
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.counts.all_connections.load(Ordering::SeqCst)
    }

    /// The most connections at once.
    pub fn most_connections(&self) -> usize {
        self.counts.most_connections.load(Ordering::SeqCst)
    }
}

fn serve(connection: TcpStream, counts: &Counts, rule: &Rule) -> std::io::Result<()> {
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some((_, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let failed = match rule(counts.requests.fetch_add(1, Ordering::SeqCst), &body) {
            Reply::AllAfter(pause) => {
                std::thread::sleep(pause);
                Vec::new()
            }
            Reply::Failed(failed) => failed,
            Reply::Hang => {
                std::thread::sleep(Duration::from_mins(1));
                return Ok(());
            }
        };
        let refused = |id: &Value| failed.iter().any(|(failed, _)| id == failed);
        let entries = body["Entries"].as_array().cloned().unwrap_or_default();
        let taken = entries.iter().map(|entry| &entry["Id"]).filter(|id| !refused(id));
        let taken: Vec<_> = taken.map(|id| json!({"Id": id, "MessageId": id, "MD5OfMessageBody": ""})).collect();
        let failed: Vec<_> = failed
            .iter()
            .map(|(id, ours)| json!({"Id": id, "SenderFault": ours, "Code": "InternalError", "Message": "planned"}))
            .collect();
        let answer = json!({"Successful": taken, "Failed": failed}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        writer.write_all(format!("{head}{answer}").as_bytes())?;
    }
}
