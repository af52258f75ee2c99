//! A database with a table of what turns have done, and runners on it.

use std::time::Duration;

use database::{Database, params};
use jobs::{Failure, Job, Next, Refused, Runner, State, Timing, Turn};
use testkit::{
    eventually,
    store::{Place, Store},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Short enough to wait for, long enough for a loaded machine.
pub const LEASE: Duration = Duration::from_millis(1500);

pub const TIMING: Timing = Timing {
    look: Duration::from_millis(20),
    lease: LEASE,
    first_retry: Duration::from_millis(40),
    longest_retry: Duration::from_secs(3),
};

pub struct World {
    pub place: Place,
    pub database: Database,
}

impl World {
    pub async fn on(store: Store) -> Self {
        let place = store
            .place(|url| async move {
                Database::open(&url).await?.close().await;
                Ok(())
            })
            .await;
        let database = Database::open(place.url()).await.unwrap();
        let made = database.transaction(|tx| {
            Box::pin(async move {
                tx.execute(
                    "CREATE TABLE done (place BIGINT NOT NULL PRIMARY KEY, runner TEXT NOT NULL)",
                    params![],
                )
                .await?;
                Ok::<_, database::Error>(())
            })
        });
        made.await.unwrap();
        Self { place, database }
    }

    /// The handle of another process: a file has one for all.
    pub async fn beside(&self) -> Database {
        if self.place.url().starts_with("postgres") {
            Database::open(self.place.url()).await.unwrap()
        } else {
            self.database.clone()
        }
    }

    pub async fn state(&self, job: &str) -> State {
        let states = jobs::list(&self.database).await.unwrap();
        states.into_iter().find(|state| state.name == job).unwrap()
    }

    /// Waits until a runner has written the job's row and it is like that.
    pub async fn state_until(&self, job: &str, holds: impl Fn(&State) -> bool) {
        eventually(&format!("the state of {job}"), async || {
            let states = jobs::list(&self.database).await.unwrap();
            states.iter().any(|state| state.name == job && holds(state))
        })
        .await;
    }

    pub async fn done(&self) -> i64 {
        let row = self.database.query_first("SELECT count(*) FROM done", params![]);
        row.await.unwrap().unwrap().get(0).unwrap()
    }

    pub async fn done_at_least(&self, count: i64) {
        eventually(&format!("{count} turns are done"), async || {
            self.done().await >= count
        })
        .await;
    }

    pub async fn pause(&self, job: &'static str) -> bool {
        let paused = self
            .database
            .transaction(move |tx| Box::pin(async move { jobs::pause(tx, job).await }));
        paused.await.unwrap()
    }

    pub async fn resume(&self, job: &'static str) -> bool {
        let resumed = self
            .database
            .transaction(move |tx| Box::pin(async move { jobs::resume(tx, job).await }));
        resumed.await.unwrap()
    }
}

/// A runner of a test.
pub struct Running {
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    pub fn start(database: Database, timing: Timing, jobs: Vec<Job>) -> Self {
        let shutdown = CancellationToken::new();
        let task = Runner::start(database, shutdown.clone(), timing, jobs);
        Self { shutdown, task }
    }

    pub async fn drain(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Writes the next place of `done`, and moves the cursor with it.
pub async fn write(turn: &Turn, runner: &'static str) -> Result<(), Refused<database::Error>> {
    let place = turn.cursor().parse::<i64>().unwrap_or(0) + 1;
    let of = turn.clone();
    let written = turn.transaction(move |tx| {
        Box::pin(async move {
            let insert = "INSERT INTO done (place, runner) VALUES ($1, $2)";
            tx.execute(insert, params![place, runner]).await?;
            of.save_cursor(tx, &place.to_string()).await
        })
    });
    written.await
}

/// A job that writes and is due again at once.
pub fn writer(name: &'static str, runner: &'static str) -> Job {
    Job::new(name, Duration::from_secs(60), 1, move |turn| async move {
        write(&turn, runner).await?;
        Ok::<_, Failure>(Next::AtOnce)
    })
}
