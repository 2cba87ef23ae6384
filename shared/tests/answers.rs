//! What collectors answer that nobody here wrote, byte by byte over a real connection, and what follows from it.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use koala_destination::koala::{Collector, KoalaClient, KoalaUrl, Route, SendError};
use koala_destination::settings::PublicApiKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What comes after the bytes of an answer.
#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Silence,
    /// These bytes, again and again.
    Trickle(&'static str),
    Flood(&'static str),
}

async fn answer(mut connection: TcpStream, said: &str, then: Then) {
    let mut request = [0; 4096];
    let _ = connection.read(&mut request).await;
    let _ = connection.write_all(said.as_bytes()).await;
    match then {
        Then::Close => {}
        Then::Silence => std::future::pending().await,
        Then::Trickle(more) => {
            while connection.write_all(more.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Then::Flood(more) => {
            let more = more.repeat(4096);
            while connection.write_all(more.as_bytes()).await.is_ok() {}
        }
    }
}

/// What a request comes to that is answered so, and how long it took.
async fn sent(said: &'static str, then: Then) -> (Result<(), SendError>, Duration) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(connection, said, then));
        }
    });
    let client = KoalaClient::new(KoalaUrl::parse(&url).unwrap()).unwrap();
    let begun = Instant::now();
    let key = PublicApiKey::parse("pk_1").unwrap();
    let outcome = client.send(&key, Route::Batch, Bytes::from_static(b"{}")).await;
    server.abort();
    (outcome, begun.elapsed())
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// Sent again it would be there twice.
#[tokio::test]
async fn a_success_is_one_however_its_body_ends_and_soon() {
    let bodies: [(&'static str, Then); 9] = [
        ("content-length: 11\r\n\r\n{\"ok\":true}", Then::Close),
        ("content-length: 11\r\n\r\n{\"ok\"", Then::Close),
        ("content-length: 11\r\n\r\n{\"ok\"", Then::Silence),
        ("content-length: 11\r\n\r\n", Then::Silence),
        ("content-length: 1000000\r\n\r\n{", Then::Trickle(" ")),
        ("transfer-encoding: chunked\r\n\r\n", Then::Trickle("1\r\n \r\n")),
        ("transfer-encoding: chunked\r\n\r\n", Then::Flood("1\r\n \r\n")),
        ("transfer-encoding: chunked\r\n\r\nno chunk at all\r\n", Then::Silence),
        // Until the connection is closed, which it never is.
        ("\r\n", Then::Silence),
    ];
    let asked = bodies.map(|(body, then)| async move {
        let said: &'static str = Box::leak(format!("{OK}{body}").into_boxed_str());
        let (outcome, took) = sent(said, then).await;
        assert_eq!(outcome, Ok(()), "{said:?} {then:?}");
        assert!(took < Duration::from_secs(4), "{said:?} {then:?} took {took:?}");
    });
    futures_util::future::join_all(asked).await;
}

/// The collector may have been suspended: the part of the answer that says so did not come.
#[tokio::test]
async fn a_refusal_whose_reason_did_not_come_whole_is_retried() {
    for status in ["400 Bad Request", "413 Content Too Large", "422 Unprocessable Content"] {
        for (body, then) in [("{\"error\":\"Koala ing", Then::Close), ("", Then::Silence)] {
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 34\r\n\r\n{body}");
            let (outcome, _) = sent(Box::leak(head.into_boxed_str()), then).await;
            assert!(matches!(outcome, Err(SendError::Passing { .. })), "{status} {outcome:?}");
        }
    }
    let whole = "HTTP/1.1 400 Bad Request\r\ncontent-length: 15\r\n\r\n{\"error\":\"bad\"}";
    let (outcome, _) = sent(whole, Then::Close).await;
    assert!(matches!(outcome, Err(SendError::Rejected { .. })), "{outcome:?}");
    let long = "HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n";
    let (outcome, _) = sent(long, Then::Flood("5\r\nwrong\r\n")).await;
    assert!(matches!(outcome, Err(SendError::Rejected { .. })), "as much as is looked at came: {outcome:?}");
}

#[tokio::test]
async fn a_page_for_people_is_no_success_however_slowly_it_comes() {
    for (body, then) in [("<html>Log in", Then::Close), ("<", Then::Silence), ("", Then::Silence)] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5000\r\n\r\n{body}");
        let (outcome, _) = sent(Box::leak(head.into_boxed_str()), then).await;
        assert!(matches!(outcome, Err(SendError::Passing { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_one_that_did_not_come() {
    let cases: [(&'static str, Then); 7] = [
        ("", Then::Close),
        ("HTTP/1.1 2", Then::Close),
        ("SSH-2.0-OpenSSH_9.2\r\n", Then::Close),
        ("HTTP/1.1 200 OK\r\nx: ", Then::Flood("xxxxxxxxxxxxxxxx")),
        ("", Then::Flood("HTTP/1.1 100 Continue\r\n\r\n")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", Then::Close),
        ("HTTP/9.9 200 OK\r\n\r\n", Then::Close),
    ];
    for (said, then) in cases {
        let (outcome, took) = sent(said, then).await;
        assert!(matches!(outcome, Err(SendError::Unreachable { .. })), "{said:?} {outcome:?}");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}
