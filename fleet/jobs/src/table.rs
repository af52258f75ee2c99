//! SQL of the table `job`, and the clock that its times are of.

use std::time::Duration;

use database::{Database, Error, Row, Transaction, params};

/// A statement by the clock of the database: on SQLite that of this process. The clock is read once, so that a statement
/// which waited for a lock decides by a time before the wait: too early to take a lease over, never too late.
macro_rules! timed {
    ($text:literal) => {
        database::clocked!("WITH clock AS MATERIALIZED (SELECT ", " AS now_ms) ", $text)
    };
}

const DECLARE: &str =
    "INSERT INTO job (name, holder, lease, until_ms, due_ms, cursor, failures, failure, paused, backlog)
     VALUES ($1, NULL, 0, 0, 0, '', 0, NULL, FALSE, 0) ON CONFLICT (name) DO NOTHING";

const LIST: [&str; 2] = timed!(
    "SELECT name, holder, until_ms, due_ms, failures, failure, paused, backlog, now_ms FROM job, clock ORDER BY name"
);

/// Times too far ahead are those of a clock that was set back since: they bind nobody.
const TAKE: [&str; 2] = timed!(
    "UPDATE job SET holder = $2, lease = lease + 1, until_ms = (SELECT now_ms FROM clock) + $3
     WHERE name = $1 AND NOT paused
       AND (holder IS NULL OR until_ms <= (SELECT now_ms FROM clock) OR until_ms > (SELECT now_ms FROM clock) + $3)
       AND (due_ms <= (SELECT now_ms FROM clock) OR due_ms > (SELECT now_ms FROM clock) + $4)
     RETURNING lease, cursor, failures"
);

const RENEW: [&str; 2] = timed!(
    "UPDATE job SET until_ms = (SELECT now_ms FROM clock) + $4 WHERE name = $1 AND holder = $2 AND lease = $3"
);

const FENCE: &str = "SELECT lease FROM job WHERE name = $1 AND holder = $2 AND lease = $3";

const GIVE_BACK: &str = "UPDATE job SET holder = NULL WHERE name = $1 AND holder = $2 AND lease = $3";

const FINISH: [&str; 2] = timed!(
    "UPDATE job SET holder = NULL, due_ms = (SELECT now_ms FROM clock) + $4, failures = $5, failure = $6,
            backlog = coalesce($7, backlog)
     WHERE name = $1 AND holder = $2 AND lease = $3"
);

const SAVE_CURSOR: &str = "UPDATE job SET cursor = $2 WHERE name = $1";

const KNOWN: &str = "SELECT name FROM job WHERE name = $1";

const PAUSE: &str = "UPDATE job SET paused = TRUE, holder = NULL WHERE name = $1 AND NOT paused";

const RESUME: &str = "UPDATE job SET paused = FALSE, due_ms = 0 WHERE name = $1 AND paused";

/// A lease of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) job: &'static str,
    pub(crate) holder: String,
    pub(crate) number: i64,
}

/// A lease that was taken, and the state of its job.
pub(crate) struct Taken {
    pub(crate) lease: Lease,
    pub(crate) cursor: String,
    pub(crate) failures: i64,
}

/// The end of a turn.
pub(crate) struct End {
    pub(crate) delay: Duration,
    pub(crate) failures: i64,
    pub(crate) failure: Option<String>,
    pub(crate) backlog: Option<i64>,
}

pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

pub(crate) async fn declare(database: &Database, names: Vec<&'static str>) -> Result<(), Error> {
    let declared = database.transaction(move |tx| {
        Box::pin(async move {
            for name in names {
                tx.execute(DECLARE, params![name]).await?;
            }
            Ok(())
        })
    });
    declared.await
}

pub(crate) async fn list(database: &Database) -> Result<Vec<Row>, Error> {
    let [on_sqlite, on_postgres] = LIST;
    database
        .query(database.text(on_sqlite, on_postgres), Vec::new())
        .await
}

/// Takes the lease of a job that is due and free. `longest_wait` is the longest that a job may wait until it is due.
pub(crate) async fn take(
    database: &Database,
    job: &'static str,
    holder: String,
    lease: Duration,
    longest_wait: Duration,
) -> Result<Option<Taken>, Error> {
    let taken = database.transaction(move |tx| {
        Box::pin(async move {
            let [on_sqlite, on_postgres] = TAKE;
            let params = params![job, holder.as_str(), ms(lease), ms(longest_wait)];
            let row = tx.query_first(tx.text(on_sqlite, on_postgres), params).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Taken {
                lease: Lease {
                    job,
                    holder,
                    number: row.get(0)?,
                },
                cursor: row.get(1)?,
                failures: row.get(2)?,
            }))
        })
    });
    taken.await
}

/// Whether the lease was still there.
pub(crate) async fn renew(database: &Database, lease: Lease, length: Duration) -> Result<bool, Error> {
    let renewed = database.transaction(move |tx| {
        Box::pin(async move {
            let [on_sqlite, on_postgres] = RENEW;
            let params = params![lease.job, lease.holder, lease.number, ms(length)];
            Ok(tx.execute(tx.text(on_sqlite, on_postgres), params).await? == 1)
        })
    });
    renewed.await
}

/// Whether the lease is still there; it stays to the end of the transaction.
pub(crate) async fn fence(tx: &mut Transaction<'_>, lease: &Lease) -> Result<bool, Error> {
    let params = params![lease.job, lease.holder.as_str(), lease.number];
    tx.lock_row(FENCE, params).await
}

/// Frees a job that stays due.
pub(crate) async fn give_back(database: &Database, lease: Lease) -> Result<(), Error> {
    let given = database.transaction(move |tx| {
        Box::pin(async move {
            tx.execute(GIVE_BACK, params![lease.job, lease.holder, lease.number])
                .await?;
            Ok(())
        })
    });
    given.await
}

pub(crate) async fn finish(database: &Database, lease: Lease, end: End) -> Result<(), Error> {
    let finished = database.transaction(move |tx| {
        Box::pin(async move {
            let [on_sqlite, on_postgres] = FINISH;
            let params = params![
                lease.job,
                lease.holder,
                lease.number,
                ms(end.delay),
                end.failures,
                end.failure,
                end.backlog
            ];
            tx.execute(tx.text(on_sqlite, on_postgres), params).await?;
            Ok(())
        })
    });
    finished.await
}

pub(crate) async fn save_cursor(
    tx: &mut Transaction<'_>,
    job: &'static str,
    cursor: &str,
) -> Result<(), Error> {
    tx.execute(SAVE_CURSOR, params![job, cursor]).await?;
    Ok(())
}

pub(crate) async fn is_known(tx: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    Ok(tx.query_first(KNOWN, params![name]).await?.is_some())
}

pub(crate) async fn pause(tx: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    Ok(tx.execute(PAUSE, params![name]).await? == 1)
}

pub(crate) async fn resume(tx: &mut Transaction<'_>, name: &str) -> Result<bool, Error> {
    Ok(tx.execute(RESUME, params![name]).await? == 1)
}
