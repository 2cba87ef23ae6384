//! What clients can make the set's process hold in memory, whoever they are.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::koala::{Home, WRITE_KEY, track};

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_bodies_without_credentials_are_held_up_to_a_bound_and_the_others_are_asked_to_send_again() {
    let home = Home::new();
    let koala = home.up(&[]);
    assert_eq!(koala.post(&track("m-1", "ada@example.com")).await.0, 200);
    let before = koala.peak_memory();
    let address = koala.url.trim_start_matches("http://").to_owned();
    let announced = format!("POST /v1/segment HTTP/1.1\r\nhost: x\r\ncontent-length: {MIB}\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..600 {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        connection.write_all(announced.as_bytes()).await.unwrap();
        // All but the last byte, so that it stays under way. Who is refused may find the connection closed.
        let _ = connection.write_all(&vec![b' '; MIB - 1]).await;
        held.push(connection);
    }
    let grown = koala.peak_memory() - before;
    assert!(grown < 128 * MIB, "{} MiB", grown / MIB);
    let (mut refused, mut answer) = (0, String::new());
    for connection in &mut held {
        let mut said = vec![0; 4096];
        if let Ok(Ok(bytes)) = tokio::time::timeout(Duration::from_millis(20), connection.read(&mut said)).await {
            answer = String::from_utf8_lossy(&said[..bytes]).to_lowercase();
            refused += usize::from(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1"));
        }
    }
    assert!(refused > 300, "{refused} {answer}");
    drop(held);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(koala.post(&track("m-2", "ada@example.com")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_context_is_nearly_all_of_it_is_answered_within_a_small_multiple_of_its_size() {
    let home = Home::new();
    let koala = home.up(&[]);
    assert_eq!(koala.post(&track("m-1", "ada@example.com")).await.0, 200);
    let events = vec![json!({"type": "track", "event": "A", "userId": "u"}); 1000];
    for filler in [900_000, 30_000] {
        let batch = json!({"writeKey": WRITE_KEY, "context": {"a": "x".repeat(filler)}, "batch": events}).to_string();
        let before = koala.peak_memory();
        let (status, answer) = koala.request("POST", "/v1/batch", &batch, &[]).await;
        // Each event by itself is told what is wrong with it; 503 would have the client send for ever.
        assert!(status == 200 || status == 400, "{status}");
        let rejected = answer["rejected"].as_array().unwrap();
        assert!(rejected.iter().all(|event| event["reason"].as_str().unwrap().contains("context")));
        let grown = koala.peak_memory() - before;
        assert!(grown < 16 * MIB, "{} KiB for {} KiB", grown / 1024, batch.len() / 1024);
    }
}
