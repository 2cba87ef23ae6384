//! Waiting for an answer until a moment, in a process that may have stood still over it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// How long what has come meanwhile may take to be seen: connections are other tasks, which have a turn then.
const A_TURN: Duration = Duration::from_millis(250);

/// What a future gives until a moment, or nothing. A process that was paused (a laptop's lid, SIGSTOP, a machine that is moved) finds
/// both when it goes on: that the moment is over, and the answer that came long before it. That answer counts.
pub async fn until<F: Future>(moment: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // The last turn is a part of the time, unless there was none for it.
    let before_the_last_turn = moment.checked_sub(A_TURN).unwrap_or(moment);
    if let Ok(output) = timeout_at(before_the_last_turn, &mut future).await {
        return Some(output);
    }
    timeout_at(moment.max(Instant::now() + A_TURN), future).await.ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    use super::*;

    /// Another task has the connection, as in an HTTP client.
    fn answer_of(connection: TcpStream) -> oneshot::Receiver<u8> {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let mut connection = connection;
            let byte = connection.read_u8().await.expect("an answer");
            sender.send(byte).expect("it is waited for");
        });
        receiver
    }

    #[tokio::test]
    async fn an_answer_that_came_while_the_process_stood_still_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let connection = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let (other_end, _) = listener.accept().await.expect("a connection");
        let answered = std::thread::spawn(move || {
            let mut other_end = other_end.into_std().expect("a socket");
            other_end.set_nonblocking(false).expect("a socket");
            std::thread::sleep(Duration::from_millis(100));
            std::io::Write::write_all(&mut other_end, b"!").expect("it is sent");
            other_end
        });
        let answer = answer_of(connection);
        // The only thread of the runtime stands still until the moment is over.
        tokio::spawn(async { std::thread::sleep(Duration::from_millis(600)) });
        let found = until(Instant::now() + Duration::from_millis(300), answer).await;
        assert_eq!(found, Some(Ok(b'!')));
        drop(answered.join());
    }

    #[tokio::test]
    async fn what_does_not_come_ends_with_the_moment() {
        let begun = Instant::now();
        let found = until(begun + Duration::from_millis(100), std::future::pending::<()>()).await;
        assert!(found.is_none() && begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        let (mut one, mut other) = tokio::io::duplex(1);
        one.write_u8(7).await.expect("it is sent");
        assert_eq!(until(begun, other.read_u8()).await.map(Result::ok), Some(Some(7)));
    }
}
