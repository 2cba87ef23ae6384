//! Clients that mean no good, or are just bad: the set serves the others, and loses nothing that it accepted.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::collector::Collector;
use crate::koala::{Home, Koala, sign, track};

/// Posts events one after the other and sees each answered soon, and delivered.
async fn serves_others(koala: &Koala, collector: &Collector, prefix: &str) {
    let before = collector.taken().len();
    for n in 0..20 {
        let begun = Instant::now();
        let (status, answer) = koala.post(&track(&format!("{prefix}-{n}"), "ada@example.com")).await;
        assert_eq!(status, 200, "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    collector.until_taken(before + 20, Duration::from_secs(20)).await;
}

async fn connect(koala: &Koala) -> TcpStream {
    TcpStream::connect(koala.url.trim_start_matches("http://")).await.unwrap()
}

/// What the other side says until it closes the connection, at most for a while.
async fn said(connection: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_leave_it_serving_others() {
    // As many as this process may have; the set raises its own limit.
    let files = rlimit::increase_nofile_limit(12_000).unwrap();
    let count = usize::try_from(files.saturating_sub(500)).unwrap().min(10_000);
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let mut idle = Vec::with_capacity(count);
    for _ in 0..count {
        idle.push(connect(&koala).await);
    }
    serves_others(&koala, &collector, "m").await;
    assert_eq!(idle.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_up_to_the_limit_of_files_leave_it_serving_others() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with_files(256, &collector.url());
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(connect(&koala).await);
    }
    serves_others(&koala, &collector, "during").await;
    home.set_parameter("public-api-key", "pk_rotated");
    let begun = Instant::now();
    while !collector.requests().iter().any(|request| request.path.contains("pk_rotated")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the settings are not read any more");
        serves_others(&koala, &collector, &format!("key-{:?}", begun.elapsed())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_or_stop_in_the_middle_are_closed_on_every_route() {
    let home = Home::new();
    let koala = home.up(&[]);
    let mut beginnings = vec![String::new(), "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: ".to_owned()];
    for route in
        ["/v1/segment", "/web/projects/pk_vector/batch", "/api/redrive", "/api/preview", "/api/v1/deletion-requests"]
    {
        let head = format!("POST {route} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: test\r\n");
        beginnings.push(format!("{head}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"));
    }
    let closed = beginnings.into_iter().map(|beginning| {
        let koala = &koala;
        async move {
            let mut connection = connect(koala).await;
            connection.write_all(beginning.as_bytes()).await.unwrap();
            let closed = tokio::time::timeout(Duration::from_secs(40), connection.read_to_end(&mut Vec::new())).await;
            assert!(closed.is_ok(), "still open after {beginning:?}");
        }
    });
    futures_util::future::join_all(closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_trickle_in_leave_it_serving_others() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let mut heads = Vec::new();
    let mut bodies = Vec::new();
    for _ in 0..300 {
        let mut head = connect(&koala).await;
        head.write_all(b"POST /v1/segment HTTP/1.1\r\nhost: x\r\nx-a: ").await.unwrap();
        heads.push(head);
        let mut body = connect(&koala).await;
        body.write_all(b"POST /v1/segment HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{").await.unwrap();
        bodies.push(body);
    }
    serves_others(&koala, &collector, "during").await;
    // A byte now and then does not keep a body alive for ever.
    let mut slow = bodies.pop().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(12) && slow.write_all(b" ").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let answer = said(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_not_whole"), "{answer}");
    serves_others(&koala, &collector, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_100_mb_is_refused_at_its_head_or_at_the_limit() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let mut declared = connect(&koala).await;
    declared.write_all(b"POST /v1/segment HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n[").await.unwrap();
    let answer = said(&mut declared).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");

    let mut chunked = connect(&koala).await;
    chunked.write_all(b"POST /v1/segment HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    for _ in 0..1600 {
        if chunked.write_all(&chunk).await.is_err() {
            break;
        }
        sent += 0x10000;
    }
    assert!(sent < 50_000_000, "{sent} bytes were taken");
    serves_others(&koala, &collector, "m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_is_not_taken() {
    let collector = Collector::start();
    let home = Home::new();
    let koala = home.up_with(&collector.url());
    let event = track("m-cut", "ada@example.com");
    let head = format!(
        "POST /v1/segment HTTP/1.1\r\nhost: x\r\nx-signature: {}\r\ncontent-length: {}\r\n\r\n",
        sign(&event),
        event.len() + 10
    );
    let mut cut = connect(&koala).await;
    cut.write_all(head.as_bytes()).await.unwrap();
    cut.write_all(event.as_bytes()).await.unwrap();
    cut.shutdown().await.unwrap();
    assert!(!said(&mut cut).await.contains("200 OK"));
    let mut garbage = connect(&koala).await;
    garbage.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not HTTP at all\r\n\r\n").await.unwrap();
    assert!(!said(&mut garbage).await.contains("200 OK"));
    serves_others(&koala, &collector, "m").await;
    assert!(!collector.taken().contains_key("m-cut"));
}
