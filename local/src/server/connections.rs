//! How many connections are open at once, and which one goes when another needs its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// What is taken for the limit of open files where the system does not tell.
pub const FILES_WHERE_UNKNOWN: u64 = 256;
/// Descriptors that connections leave alone, for deliveries, settings and the store.
const KEPT_FOR_OTHERS: u64 = 192;

/// The connections that are open. At the limit a new one takes the place of the one that has been silent for the longest time:
/// who keeps many connections open and says nothing shuts nobody out.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    requests: AtomicUsize,
    silent_since: Mutex<Instant>,
    make_room: Notify,
}

impl Connections {
    /// As many as `files` descriptors allow, when some are kept for all else that the process does.
    pub fn within(files: u64) -> Arc<Self> {
        let most = files.saturating_sub(KEPT_FOR_OTHERS).max(files / 4).max(1);
        Self::at_most(usize::try_from(most).unwrap_or(usize::MAX))
    }

    fn at_most(most: usize) -> Arc<Self> {
        Arc::new(Self { most, next: AtomicU64::default(), open: Mutex::default() })
    }

    /// A place for a new connection, until what is given back is dropped.
    pub fn hold(self: &Arc<Self>) -> Held {
        let connection = Arc::new(Connection {
            requests: AtomicUsize::default(),
            silent_since: Mutex::new(Instant::now()),
            make_room: Notify::new(),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.most {
            // All at work: the one that came first has had the most time.
            let longest_silent =
                open.iter().min_by_key(|(id, connection)| (connection.is_busy(), connection.since(), **id));
            if let Some(goes) = longest_silent.map(|(id, _)| *id).and_then(|id| open.remove(&id)) {
                goes.make_room.notify_one();
            }
        }
        open.insert(id, Arc::clone(&connection));
        drop(open);
        Held { id, connection, all: Arc::clone(self) }
    }
}

impl Connection {
    fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0
    }

    fn since(&self) -> Instant {
        *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place.
#[derive(Debug)]
pub struct Held {
    id: u64,
    connection: Arc<Connection>,
    all: Arc<Connections>,
}

impl Held {
    /// What notes that a request is answered.
    pub fn requests(&self) -> RequestCounter {
        RequestCounter(Arc::clone(&self.connection))
    }

    /// Waits until another connection needs the place.
    pub async fn told_to_make_room(&self) {
        self.connection.make_room.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Notes that a connection's requests begin and end.
#[derive(Debug, Clone)]
pub struct RequestCounter(Arc<Connection>);

impl RequestCounter {
    /// A request is answered from now until what is given back is dropped.
    pub fn begin(&self) -> Busy {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(&self.0))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.silent_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn goes(held: &Held) -> bool {
        held.told_to_make_room().now_or_never().is_some()
    }

    #[test]
    fn the_one_that_is_silent_for_the_longest_time_makes_room_and_one_at_work_does_not() {
        let connections = Connections::at_most(3);
        let [at_work, silent, younger] = [(); 3].map(|()| connections.hold());
        let busy = at_work.requests().begin();
        let _new = connections.hold();
        assert_eq!([&at_work, &silent, &younger].map(goes), [false, true, false]);
        drop(busy);
        let _newer = connections.hold();
        assert_eq!([&at_work, &younger].map(goes), [false, true]);
    }

    #[test]
    fn a_connection_that_ended_leaves_its_place() {
        let connections = Connections::at_most(2);
        let first = connections.hold();
        drop(connections.hold());
        let _new = connections.hold();
        assert!(!goes(&first));
    }

    #[test]
    fn descriptors_are_left_for_all_else() {
        assert_eq!(Connections::within(256).most, 64);
        assert_eq!(Connections::within(1024).most, 832);
    }
}
