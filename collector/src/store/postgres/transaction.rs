//! Transactions, tried again as a whole where another one was in the way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::PostgresError;
use super::pool::{Lent, Pool};
use super::sql::Sql;

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How often a transaction is tried again.
const RETRIES: u32 = 5;
/// The first wait; each is up to twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// How long one attempt may take. The look back for new intent rules counts on it (`look_back`).
pub(super) const LONGEST_ATTEMPT: Duration = Duration::from_secs(25);

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
/// Whoever writes looks rows up by indexes, where there is one: a plan that is made while the tables are small is kept while they grow,
/// and would read them whole until they are analyzed.
const BEGIN_BY_INDEXES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off";

/// What a transaction begins with.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Write,
    Read,
}

/// A transaction under way. What is sent without waiting in between travels in one round trip: a future sends when it is first
/// polled, and [`together`] polls in order.
pub(super) struct Transaction {
    lent: Lent,
    mode: Mode,
    excludes: i64,
}

impl Transaction {
    pub(super) async fn take(pool: &Pool, mode: Mode) -> Result<Self, PostgresError> {
        let excludes = pool.excludes.load(Ordering::Relaxed);
        Ok(Self { lent: pool.take().await?, mode, excludes })
    }

    /// Begins; everything has the same snapshot from the first statement on.
    pub(super) async fn begin(&self) -> Result<(), PostgresError> {
        let begin = match self.mode {
            // Aurora DSQL has no such setting.
            Mode::Write if self.lent.connection().is_dsql() => BEGIN,
            Mode::Write => BEGIN_BY_INDEXES,
            Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        Ok(self.lent.connection().client().batch_execute(begin).await?)
    }

    /// The version of what is kept out of the ranking.
    pub(super) fn excludes(&self) -> i64 {
        self.excludes
    }

    pub(super) async fn commit(&self) -> Result<(), PostgresError> {
        Ok(self.lent.connection().client().batch_execute("COMMIT").await?)
    }

    /// Undoes what was written.
    pub(super) async fn roll_back(&self) -> Result<(), PostgresError> {
        Ok(self.lent.connection().client().batch_execute("ROLLBACK").await?)
    }

    /// The rows of a statement.
    pub(super) async fn query(&self, sql: Sql, values: Values<'_>) -> Result<Vec<Row>, PostgresError> {
        let connection = self.lent.connection();
        Ok(connection.client().query(connection.statement(sql)?, values).await?)
    }

    /// The one row of a statement, or none.
    pub(super) async fn query_opt(&self, sql: Sql, values: Values<'_>) -> Result<Option<Row>, PostgresError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// How many rows a statement wrote.
    pub(super) async fn execute(&self, sql: Sql, values: Values<'_>) -> Result<u64, PostgresError> {
        let connection = self.lent.connection();
        Ok(connection.client().execute(connection.statement(sql)?, values).await?)
    }

    /// The same where there may be nothing to write.
    pub(super) async fn execute_if(&self, any: bool, sql: Sql, values: Values<'_>) -> Result<(), PostgresError> {
        if any { self.execute(sql, values).await.map(drop) } else { Ok(()) }
    }

    /// The rows of a statement that was put together, and is not prepared.
    pub(super) async fn query_once(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, PostgresError> {
        Ok(self.lent.connection().client().query(sql, values).await?)
    }

    /// The rows of a statement that is known and not prepared.
    pub(super) async fn query_rare(&self, sql: Sql, values: Values<'_>) -> Result<Vec<Row>, PostgresError> {
        self.query_once(sql.0, values).await
    }

    /// Writes by such a statement.
    pub(super) async fn execute_rare(&self, sql: Sql, values: Values<'_>) -> Result<(), PostgresError> {
        Ok(self.lent.connection().client().execute(sql.0, values).await.map(drop)?)
    }

    /// Gives the connection back after the work: what was not committed is undone.
    pub(super) async fn finish<T>(self, done: Result<T, PostgresError>) -> Result<T, PostgresError> {
        if done.is_err() && self.lent.connection().client().batch_execute("ROLLBACK").await.is_err() {
            return done; // the connection is closed
        }
        self.lent.give_back();
        done
    }
}

/// The attempts of one transaction.
#[derive(Default)]
pub(super) struct Attempts {
    made: u32,
}

impl Attempts {
    /// Waits for another try, longer each time.
    ///
    /// # Errors
    /// With the error where another try is of no use, or was made often enough.
    pub(super) async fn again(&mut self, error: PostgresError) -> Result<(), PostgresError> {
        if self.made >= RETRIES || !error.is_passing() {
            return Err(error);
        }
        self.made += 1;
        // Full jitter: two who met do not meet again.
        let most = FIRST_WAIT * (1 << self.made);
        tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
        Ok(())
    }
}

/// Sends some statements in this order, in one round trip, and waits for all answers. (`tokio::try_join!` does not keep the values
/// of a statement alive.)
macro_rules! together {
    ($a:expr, $b:expr $(,)?) => {
        futures_util::future::try_join($a, $b).await
    };
    ($a:expr, $b:expr, $c:expr $(,)?) => {
        futures_util::future::try_join3($a, $b, $c).await
    };
    ($a:expr, $b:expr, $c:expr, $d:expr $(,)?) => {
        futures_util::future::try_join4($a, $b, $c, $d).await
    };
    ($a:expr, $b:expr, $c:expr, $d:expr, $e:expr $(,)?) => {
        futures_util::future::try_join5($a, $b, $c, $d, $e).await
    };
    ($a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr $(,)?) => {
        futures_util::future::try_join(
            futures_util::future::try_join3($a, $b, $c),
            futures_util::future::try_join3($d, $e, $f),
        )
        .await
        .map(|((a, b, c), (d, e, f))| (a, b, c, d, e, f))
    };
}
pub(super) use together;

/// Does work in a transaction, and again as a whole where another one was in its way. The work begins and commits by itself, so
/// that both can travel with its first and its last statements.
macro_rules! transact {
    ($pool:expr, $mode:expr, |$transaction:ident| $work:expr) => {{
        let mut attempts = $crate::store::postgres::transaction::Attempts::default();
        loop {
            let attempt = async {
                let $transaction = $crate::store::postgres::transaction::Transaction::take($pool, $mode).await?;
                let done = tokio::time::timeout($crate::store::postgres::transaction::LONGEST_ATTEMPT, $work).await;
                match done {
                    Ok(done) => $transaction.finish(done).await,
                    // The connection is closed with what it was in the middle of.
                    Err(_) => Err($crate::store::postgres::error::PostgresError::TooSlow),
                }
            };
            match attempt.await {
                Ok(done) => break Ok(done),
                Err(error) => {
                    if let Err(error) = attempts.again(error).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}
pub(super) use transact;
