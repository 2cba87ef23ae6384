//! Who sends as Segment does: what is not answered with 200 is sent again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::koala::{client, sign};
use crate::soak::{BURST, burst};

/// Who sends: at most so many requests at once.
const SENDERS: usize = 16;
/// For a wave of ten thousand events on a machine that is busy.
pub const LONGEST_WAVE: Duration = Duration::from_mins(5);

/// Sends bursts as Segment does.
pub struct Segment {
    /// Where the set is now.
    pub url: RwLock<String>,
    http: reqwest::Client,
    /// Whether the set is being killed: what gets no answer then may have been accepted.
    pub is_killed: AtomicBool,
    /// So many times nothing was accepted.
    pub refused: AtomicUsize,
    /// Whose burst may have been accepted without an answer, and was sent again.
    pub unsure: Mutex<HashSet<usize>>,
}

impl Segment {
    /// Nothing is sent yet.
    pub fn new() -> Self {
        let (refused, is_killed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { url: RwLock::default(), http: client(), is_killed, refused, unsure: Mutex::default() }
    }

    /// Sends a burst of each visitor until it is accepted.
    pub async fn post(&self, visitors: impl Iterator<Item = usize>) {
        let posts = visitors.map(|visitor| async move {
            let begun = Instant::now();
            while !self.is_accepted(visitor).await {
                assert!(begun.elapsed() < LONGEST_WAVE, "{visitor} is not accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        stream::iter(posts).buffer_unordered(SENDERS).collect::<Vec<()>>().await;
    }

    async fn is_accepted(&self, visitor: usize) -> bool {
        let (url, body) = (self.url.read().unwrap().clone(), burst(visitor));
        let request = self.http.post(format!("{url}/v1/segment")).header("x-signature", sign(&body)).body(body);
        let answered = match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                response.bytes().await.map(|body| (status, serde_json::from_slice::<Value>(&body).unwrap_or_default()))
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok((200, answer)) => {
                assert_eq!(answer["accepted"], json!(BURST), "{answer}");
                return true;
            }
            Ok((503, answer)) if answer["error"]["code"] == "too_slow" => {
                self.unsure.lock().unwrap().insert(visitor);
            }
            Ok((503, _)) => {
                self.refused.fetch_add(1, Ordering::SeqCst);
            }
            Ok((status, answer)) => panic!("{status} {answer}"),
            Err(_) if self.is_killed.load(Ordering::SeqCst) => {
                self.unsure.lock().unwrap().insert(visitor);
            }
            // A clean stop answers whatever it has taken.
            Err(_) => {}
        }
        false
    }
}
