//! Looks into the database beside the servers while a run goes on: which deadlines are ahead, and who does the work.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

use crate::judge::deadline::GRACE_MS;
use crate::progress::Progress;
use crate::workload::soak::notes::Notes;
use crate::world::World;
use crate::world::rest::Rest;

/// The longest first answer that a team promises, and some time to open the last consult.
const LONGEST_MS: i64 = 2 * 60_000 + 15_000;
/// As far ahead as a clock fault sets a deadline; those of silence are further.
const FAR_MS: i64 = 3 * 3_600_000;
/// Between two looks at the end.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks for who does the work: a turn is short.
const GLANCE: Duration = Duration::from_millis(2);

/// How many deadlines are due up to a time.
const AHEAD: &str = "SELECT count(*) FROM consult_deadline WHERE due_ms <= $1";
/// Consults with one that is due between two times, with their assistants.
const BETWEEN: &str =
    "SELECT DISTINCT c.id, c.assistant_id FROM consult_deadline d JOIN consult c ON c.id = d.consult_id
     WHERE d.due_ms > $1 AND d.due_ms < $2";
/// Once, however often it is tried.
const AGE: &str =
    "UPDATE consult_deadline SET due_ms = due_ms - $2::bigint, changed_ms = changed_ms - $2::bigint
     WHERE consult_id = $1 AND kind = 'silence_end'
         AND due_ms > CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) + 3600000";
/// How often it is tried while the database is disturbed.
const AGE_ATTEMPTS: u32 = 100;
const AGE_PAUSE: Duration = Duration::from_millis(200);
const HOLDER: &str = "SELECT holder FROM job WHERE name = 'deadlines' AND holder IS NOT NULL";
const NOW_OF_FILE: &str = "SELECT CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)";
const NOW_OF_SERVER: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";

/// The database of the run.
#[derive(Clone, Debug)]
pub(in crate::workload::soak) enum Place {
    File(PathBuf),
    Server(String),
}

/// A connection to it.
enum View {
    File(rusqlite::Connection),
    Server(Connected),
}

/// A connection to PostgreSQL, which ends with this.
struct Connected {
    client: Client,
    task: JoinHandle<()>,
}

impl Connected {
    async fn to(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // An error ends the client's next question, too.
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { client, task })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Place {
    async fn open(&self) -> Result<View> {
        Ok(match self {
            Self::File(path) => View::File(database::sqlite::connect(path)?),
            Self::Server(url) => View::Server(Connected::to(url).await?),
        })
    }

    /// The process that looks at deadlines right now, waited for this long; none when none was seen.
    pub(in crate::workload::soak) async fn holder(&self, within: Duration) -> Option<u32> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Ok(view) = self.open().await {
                while begun.elapsed() < within {
                    match view.texts(HOLDER).await {
                        Ok(holders) => {
                            if let Some(pid) = holders.first().and_then(|holder| pid_of(holder)) {
                                return Some(pid);
                            }
                        }
                        Err(_) => break,
                    }
                    sleep(GLANCE).await;
                }
            }
            sleep(GLANCE).await;
        }
        None
    }

    /// Whether time can be made pass here: a file belongs to its server alone.
    pub(in crate::workload::soak) fn can_age(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Makes a day of silence pass for a consult, as good as that: brings its end forward by this much.
    pub(in crate::workload::soak) async fn age(&self, consult: i64, by_ms: i64) {
        let Self::Server(url) = self else { return };
        for _ in 0..AGE_ATTEMPTS {
            if let Ok(connected) = Connected::to(url).await
                && connected.client.execute(AGE, &[&consult, &by_ms]).await.is_ok()
            {
                return;
            }
            sleep(AGE_PAUSE).await;
        }
    }

    /// Waits until all deadlines of the run have fired. Those that a shifted clock has set far ahead end with their
    /// consults, which the assistant cancels: they must not fire while the verdict is found.
    pub(in crate::workload::soak) async fn await_all(&self, notes: &Notes, rest: &Rest, world: &World) {
        if let Err(error) = self.try_await(notes, rest, world).await {
            notes.fault(format!("the deadlines cannot be looked at: {error:#}"));
        }
    }

    async fn try_await(&self, notes: &Notes, rest: &Rest, world: &World) -> Result<()> {
        let view = self.open().await?;
        let until_ms = view.now_ms().await? + LONGEST_MS;
        for (consult, assistant) in view.between(until_ms, until_ms + FAR_MS).await? {
            let user = world.users.iter().find(|user| user.user_id == assistant);
            let user = user.context("a consult of somebody else has a deadline")?;
            rest.cancel(user, consult)
                .await
                .with_context(|| format!("consult {consult} cannot be cancelled"))?;
        }
        let mut progress = Progress::begin("waiting for deadlines", 1);
        loop {
            let left = view.ahead(until_ms).await?;
            if left == 0 {
                return Ok(());
            }
            if view.now_ms().await? > until_ms + GRACE_MS {
                // The judge tells which.
                notes.fault(format!("{left} deadlines are past their time and have not fired"));
                return Ok(());
            }
            progress.at(0, &format!("{left} deadlines"));
            sleep(LOOK).await;
        }
    }
}

impl View {
    async fn now_ms(&self) -> Result<i64> {
        Ok(match self {
            Self::File(connection) => connection.query_row(NOW_OF_FILE, [], |row| row.get(0))?,
            Self::Server(Connected { client, .. }) => {
                client.query_one(NOW_OF_SERVER, &[]).await?.try_get(0)?
            }
        })
    }

    async fn ahead(&self, until_ms: i64) -> Result<i64> {
        Ok(match self {
            Self::File(connection) => connection.query_row(AHEAD, [until_ms], |row| row.get(0))?,
            Self::Server(Connected { client, .. }) => {
                client.query_one(AHEAD, &[&until_ms]).await?.try_get(0)?
            }
        })
    }

    async fn between(&self, from_ms: i64, to_ms: i64) -> Result<Vec<(i64, i64)>> {
        Ok(match self {
            Self::File(connection) => {
                let mut asked = connection.prepare_cached(BETWEEN)?;
                let rows = asked.query_map([from_ms, to_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<rusqlite::Result<_>>()?
            }
            Self::Server(Connected { client, .. }) => {
                let rows = client.query(BETWEEN, &[&from_ms, &to_ms]).await?;
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                    .collect::<Result<_>>()?
            }
        })
    }

    async fn texts(&self, sql: &str) -> Result<Vec<String>> {
        Ok(match self {
            Self::File(connection) => {
                let mut asked = connection.prepare_cached(sql)?;
                let rows = asked.query_map([], |row| row.get(0))?;
                rows.collect::<rusqlite::Result<_>>()?
            }
            Self::Server(Connected { client, .. }) => {
                let rows = client.query(sql, &[]).await?;
                rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?
            }
        })
    }
}

/// A holder begins with the number of its process.
fn pid_of(holder: &str) -> Option<u32> {
    holder.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_names_its_process() {
        assert_eq!(pid_of("4711-00c0ffee00c0ffee"), Some(4711));
        assert_eq!(pid_of("nobody"), None);
    }
}
