//! What is made of the whole store: anew when something changed, and of a large store not at each look.

use std::sync::Arc;
use std::time::{Duration, Instant};

use koala_destination::clock::{MILLISECONDS_OF_A_DAY, now_milliseconds};
use rusqlite::Connection;
use tokio::sync::Mutex;

use super::file::{FileError, SqliteFile};
use super::intent::{IntentRules, StoredRule};

/// What took longer to make serves on while the next is made …
const QUICK: Duration = Duration::from_millis(20);
/// … where the store has more ids: what a small one shows is always as it is now, also on a machine that is busy with something else.
const FEW_IDS: i64 = 2000;
/// The next is made after as many times what the last one took, so that making it costs a tenth of a core at most.
const PAUSE_TIMES: u32 = 10;
/// What is older does not serve on: who looks after a quiet night waits for the next.
const OLDEST: Duration = Duration::from_secs(30);

/// How it is made, by the intent rules that count.
type Make<T> = fn(&Connection, &[StoredRule]) -> rusqlite::Result<T>;

/// What is made of the whole store; clones share what was made last.
pub(super) struct Remade<T> {
    file: SqliteFile,
    rules: IntentRules,
    make: Make<T>,
    made: Arc<Mutex<Option<Made<T>>>>,
}

impl<T> Clone for Remade<T> {
    fn clone(&self) -> Self {
        Self { file: self.file.clone(), rules: self.rules.clone(), make: self.make, made: Arc::clone(&self.made) }
    }
}

struct Made<T> {
    all: Arc<T>,
    of_version: u64,
    of_day: i64,
    of_rules: Arc<[StoredRule]>,
    at: Instant,
    /// How long that took, where it is large.
    took: Duration,
    is_under_way: bool,
}

impl<T: Send + Sync + 'static> Remade<T> {
    /// What is made of a file.
    pub(super) fn new(file: SqliteFile, rules: IntentRules, make: Make<T>) -> Self {
        Self { file, rules, make, made: Arc::default() }
    }

    /// As it is now; of a large store it may be some seconds old.
    pub(super) async fn now(&self) -> Result<Arc<T>, FileError> {
        let mut last = self.made.lock().await;
        let version = self.file.version();
        let (rules, today) = (self.rules.now(), today());
        // What was made of other rules, or on another day, says something else: it never serves on.
        if let Some(last) = last.as_mut().filter(|last| last.of_day == today && Arc::ptr_eq(&last.of_rules, &rules)) {
            if last.of_version == version {
                return Ok(Arc::clone(&last.all));
            }
            let age = last.at.elapsed();
            if last.took > QUICK && age < OLDEST.max(last.took * PAUSE_TIMES * 2) {
                if !last.is_under_way && age > last.took * PAUSE_TIMES {
                    last.is_under_way = true;
                    tokio::spawn(self.clone().renew());
                }
                return Ok(Arc::clone(&last.all));
            }
        }
        let newer = self.make().await?;
        let all = Arc::clone(&newer.all);
        *last = Some(newer);
        Ok(all)
    }

    /// Makes the next, and has the pages look again.
    async fn renew(self) {
        let newer = self.make().await;
        let mut last = self.made.lock().await;
        match newer {
            Ok(newer) => *last = Some(newer),
            Err(error) => {
                tracing::error!(%error, "the points cannot be counted");
                if let Some(last) = last.as_mut() {
                    last.is_under_way = false;
                }
            }
        }
        self.file.have_pages_look_again();
    }

    async fn make(&self) -> Result<Made<T>, FileError> {
        let at = Instant::now();
        let (of_version, of_day) = (self.file.version(), today());
        let (rules, make) = (self.rules.now(), self.make);
        let of_rules = Arc::clone(&rules);
        let sized = move |connection: &Connection| Ok((make(connection, &rules)?, is_large(connection)?));
        let (all, is_large) = self.file.read_long(sized).await?;
        let took = if is_large { at.elapsed() } else { Duration::ZERO };
        Ok(Made { all: Arc::new(all), of_version, of_day, of_rules, at, took, is_under_way: false })
    }
}

fn is_large(connection: &Connection) -> rusqlite::Result<bool> {
    let mut newest = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM identity")?;
    Ok(newest.query_row([], |row| row.get::<_, i64>(0))? > FEW_IDS)
}

/// The UTC day, counted from 1970.
pub(super) fn today() -> i64 {
    now_milliseconds().div_euclid(MILLISECONDS_OF_A_DAY)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::store::sqlite::SqliteStore;

    static MADE: AtomicUsize = AtomicUsize::new(0);

    #[allow(clippy::unnecessary_wraps)] // as others make it
    fn slowly(_: &Connection, _: &[StoredRule]) -> rusqlite::Result<usize> {
        std::thread::sleep(QUICK * 2);
        Ok(MADE.fetch_add(1, Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_is_made_of_a_small_store_is_as_it_is_now_however_slow_the_machine_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let SqliteStore { file, rules, .. } = SqliteStore::open(&folder.path().join("koala.db")).expect("a store");
        let remade = Remade::new(file.clone(), rules, slowly);
        assert_eq!(*remade.now().await.expect("made"), 0);
        let insert = "INSERT INTO visitor (id, first_seen, last_seen) VALUES (1, 0, 0)";
        file.write(move |connection| connection.execute(insert, []).map(drop)).await.expect("written");
        assert_eq!(*remade.now().await.expect("made"), 1);
        assert_eq!(*remade.now().await.expect("made"), 1, "nothing has changed");
    }
}
