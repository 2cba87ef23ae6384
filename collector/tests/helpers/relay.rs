//! A relay between the engine and the server, which knows enough of PostgreSQL's protocol to be Aurora DSQL on a bad day: it fails
//! COMMIT, refuses connections, cuts them, delays, and drops the answer after COMMIT
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What Aurora DSQL says of a COMMIT that fails
/// (<https://docs.aws.amazon.com/aurora-dsql/latest/userguide/working-with-concurrency-control.html>).
const CHANGE_CONFLICTS: &str = "change conflicts with another transaction, please retry: (OC000)";
const SCHEMA_CHANGED: &str = "schema has been updated by another transaction, please retry: (OC001)";

/// What goes wrong.
#[derive(Debug, Default)]
pub struct Faults {
    /// So many COMMITs fail with 40001.
    pub fail_commits: u32,
    /// Whether they fail since the tables changed, and not since another transaction wrote the same rows.
    pub schema_changed: bool,
    /// After so many COMMITs the connection is gone before the answer comes.
    pub drop_answers: u32,
    /// So many connections are refused with 53300.
    pub refuse: u32,
    /// One of so many messages ends the connection; 0 for none.
    pub cut_one_of: u32,
    /// How long an answer is on its way. Answers that follow each other are on their way at once.
    pub delay: Duration,
    /// Round trips that there were.
    pub round_trips: u32,
    /// Transactions that were committed.
    pub commits: u32,
}

pub struct Relay {
    pub address: SocketAddr,
    pub faults: Arc<Mutex<Faults>>,
}

impl Relay {
    /// A relay to a server on this machine.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, faults) = (listener.local_addr().expect("an address"), Arc::new(Mutex::new(Faults::default())));
        let shared = Arc::clone(&faults);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, Arc::clone(&shared)));
            }
        });
        Self { address, faults }
    }

    /// Sets what goes wrong from now on, and counts anew.
    pub fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }
}

/// What is done with the answer to something that was sent.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Pass,
    FailCommit,
    Drop,
}

#[derive(Default)]
struct Conversation {
    answers: VecDeque<Answer>,
    server_spoke_last: bool,
}

async fn relay(mut client: TcpStream, server: SocketAddr, faults: Arc<Mutex<Faults>>) {
    let refuse = {
        let mut faults = faults.lock().unwrap();
        let refuse = faults.refuse > 0;
        faults.refuse = faults.refuse.saturating_sub(1);
        refuse
    };
    let mut startup = vec![0; 4];
    if client.read_exact(&mut startup).await.is_err() {
        return;
    }
    let length = u32::from_be_bytes([startup[0], startup[1], startup[2], startup[3]]) as usize;
    startup.resize(length, 0);
    if client.read_exact(&mut startup[4..]).await.is_err() {
        return;
    }
    if refuse {
        drop(client.write_all(&error("53300", "too many connections")).await);
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    if server.write_all(&startup).await.is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The answer to the startup.
    let conversation = Conversation { answers: VecDeque::from([Answer::Pass]), server_spoke_last: false };
    let conversation = Arc::new(Mutex::new(conversation));
    tokio::select! {
        () = to_the_server(from_client, to_server, Arc::clone(&conversation), Arc::clone(&faults)) => {}
        () = to_the_client(from_server, to_client, conversation, faults) => {}
    }
}

async fn message(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut head = [0; 5];
    from.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut message = head.to_vec();
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..]).await.ok()?;
    Some(message)
}

async fn to_the_server(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    conversation: Arc<Mutex<Conversation>>,
    faults: Arc<Mutex<Faults>>,
) {
    while let Some(mut sent) = message(&mut from).await {
        {
            let (mut conversation, mut faults) = (conversation.lock().unwrap(), faults.lock().unwrap());
            if std::mem::take(&mut conversation.server_spoke_last) {
                faults.round_trips += 1;
            }
            if faults.cut_one_of > 0 && fastrand::u32(..faults.cut_one_of) == 0 {
                return;
            }
            let is_commit = sent[0] == b'Q' && sent[5..].starts_with(b"COMMIT");
            let answer = if is_commit && faults.fail_commits > 0 {
                faults.fail_commits -= 1;
                sent = query("ROLLBACK");
                Answer::FailCommit
            } else if is_commit && faults.drop_answers > 0 {
                faults.drop_answers -= 1;
                Answer::Drop
            } else {
                faults.commits += u32::from(is_commit);
                Answer::Pass
            };
            // Each of these has one "ready for query" for its end.
            if matches!(sent[0], b'Q' | b'S') {
                conversation.answers.push_back(answer);
            }
        }
        if to.write_all(&sent).await.is_err() {
            return;
        }
    }
}

async fn to_the_client(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    conversation: Arc<Mutex<Conversation>>,
    faults: Arc<Mutex<Faults>>,
) {
    let (read, mut on_the_way) = mpsc::unbounded_channel();
    let reading = async move {
        while let Some(said) = message(&mut from).await {
            if read.send((Instant::now(), said)).is_err() {
                break;
            }
        }
        drop(read);
        // Whoever writes ends the conversation, when all is written.
        std::future::pending::<()>().await;
    };
    let writing = async move {
        while let Some((at, said)) = on_the_way.recv().await {
            let delay = faults.lock().unwrap().delay;
            if !delay.is_zero() {
                tokio::time::sleep_until(at + delay).await;
            }
            if !pass_on(said, &mut to, &conversation, &faults).await {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

/// Passes an answer on, or what it was made into; whether the connection is still there.
async fn pass_on(
    mut said: Vec<u8>,
    to: &mut OwnedWriteHalf,
    conversation: &Mutex<Conversation>,
    faults: &Mutex<Faults>,
) -> bool {
    let is_end = said[0] == b'Z';
    {
        let mut conversation = conversation.lock().unwrap();
        match conversation.answers.front() {
            Some(Answer::Drop) => return false,
            Some(Answer::FailCommit) if said[0] == b'C' => {
                let schema_changed = faults.lock().unwrap().schema_changed;
                said = error("40001", if schema_changed { SCHEMA_CHANGED } else { CHANGE_CONFLICTS });
            }
            _ => {}
        }
        if is_end {
            conversation.answers.pop_front();
            conversation.server_spoke_last = true;
        }
    }
    to.write_all(&said).await.is_ok()
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(u32::try_from(body.len() + 4).expect("a short message").to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn query(sql: &str) -> Vec<u8> {
    framed(b'Q', format!("{sql}\0").as_bytes())
}

fn error(code: &str, message: &str) -> Vec<u8> {
    framed(b'E', format!("SERROR\0VERROR\0C{code}\0M{message}\0\0").as_bytes())
}
