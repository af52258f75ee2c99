//! One process does the work, and another one when it is gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use database::{Database, params};
use jobs::{Failure, Job, Next, Refused, Timing};
use testkit::{eventually, store::Store};
use tokio::sync::Notify;

use crate::world::{LEASE, Running, TIMING, World, write, writer};

/// No test waits that long: a job that goes on before has been given back.
const LONG: Timing = Timing {
    lease: Duration::from_secs(3600),
    ..TIMING
};

testkit::on_both!(
    each_due_turn_happens_once,
    a_killed_holder_is_followed_after_its_lease,
    a_frozen_holder_writes_nothing_after_its_lease,
    a_slow_turn_keeps_its_lease,
    a_drain_gives_back_at_once,
    a_pause_holds_from_its_commit,
    a_clock_that_was_set_back_stops_no_job,
);

/// A job whose turns hang, after they have said so.
fn hanging(begun: Arc<Notify>) -> Job {
    Job::new("work", Duration::from_secs(60), 1, move |_| {
        begun.notify_one();
        std::future::pending()
    })
}

async fn each_due_turn_happens_once(store: Store) {
    const TURNS: i64 = 60;
    let world = World::on(store).await;
    let begun = Arc::new(AtomicI64::new(0));
    let counted = |runner: &'static str| {
        let begun = begun.clone();
        Job::new("work", Duration::from_secs(60), 1, move |turn| {
            let begun = begun.clone();
            async move {
                begun.fetch_add(1, Ordering::SeqCst);
                write(&turn, runner).await?;
                // A look of the other runner falls between two turns.
                Ok::<_, Failure>(Next::After(Duration::from_millis(1)))
            }
        })
    };
    let one = Running::start(world.database.clone(), TIMING, vec![counted("one")]);
    let other = Running::start(world.beside().await, TIMING, vec![counted("other")]);
    world.done_at_least(TURNS).await;
    one.drain().await;
    other.drain().await;
    let done = world.done().await;
    let cursor = "SELECT CAST(cursor AS BIGINT) FROM job WHERE name = 'work'";
    let row = world.database.query_first(cursor, params![]).await.unwrap();
    assert_eq!(row.unwrap().get::<i64>(0).unwrap(), done);
    // The drain may have cut one of each before it wrote.
    let begun = begun.load(Ordering::SeqCst);
    assert!(
        (done..=done + 2).contains(&begun),
        "{begun} turns began, {done} are done"
    );
    world.database.close().await;
}

/// Its runtime ends at once, as at a kill: nothing is given back.
async fn a_killed_holder_is_followed_after_its_lease(store: Store) {
    let world = World::on(store).await;
    let begun = Arc::new(Notify::new());
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let database = {
        let url = world.place.url().to_owned();
        let of_file = world.beside().await;
        let opened = process.spawn(async move {
            if url.starts_with("postgres") {
                Database::open(&url).await.unwrap()
            } else {
                of_file
            }
        });
        opened.await.unwrap()
    };
    let jobs = vec![hanging(begun.clone())];
    let _entered = process.spawn(async move {
        let _running = Running::start(database, TIMING, jobs);
        std::future::pending::<()>().await;
    });
    begun.notified().await;
    process.shutdown_background();
    let left = world.state("work").await;
    assert!(left.holder.is_some(), "{left:?}");

    let next = Running::start(world.database.clone(), TIMING, vec![writer("work", "next")]);
    let held = world.state("work").await;
    if held.now_ms < held.until_ms {
        assert_eq!(held.holder, left.holder, "its lease holds");
        assert_eq!(world.done().await, 0);
    }
    world.done_at_least(1).await;
    assert!(world.state("work").await.now_ms >= left.until_ms);
    next.drain().await;
    world.database.close().await;
}

/// As by SIGSTOP: its only thread stands in the midst of a turn, so that it renews nothing. Then it goes on.
async fn a_frozen_holder_writes_nothing_after_its_lease(store: Store) {
    let world = World::on(store).await;
    let begun = Arc::new(Notify::new());
    let (thaw, frozen) = mpsc::sync_channel::<()>(1);
    let (say, outcome) = tokio::sync::oneshot::channel();
    let process = {
        let (begun, of_file, url) = (begun.clone(), world.beside().await, world.place.url().to_owned());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let frozen = Arc::new(std::sync::Mutex::new(Some((frozen, say))));
            runtime.block_on(async {
                let database = match url.starts_with("postgres") {
                    true => Database::open(&url).await.unwrap(),
                    false => of_file,
                };
                let work = Job::new("work", Duration::from_secs(60), 1, move |turn| {
                    let (begun, frozen) = (begun.clone(), frozen.clone());
                    async move {
                        let Some((frozen, say)) = frozen.lock().unwrap().take() else {
                            return Ok(Next::Usual);
                        };
                        begun.notify_one();
                        frozen.recv().unwrap();
                        let written = write(&turn, "frozen").await;
                        say.send(matches!(written, Err(Refused::Lost))).unwrap();
                        Ok::<_, Failure>(Next::Usual)
                    }
                });
                let _running = Running::start(database, TIMING, vec![work]);
                std::future::pending::<()>().await;
            });
        })
    };
    begun.notified().await;
    let next = Running::start(world.database.clone(), TIMING, vec![writer("work", "next")]);
    world.done_at_least(3).await;
    thaw.send(()).unwrap();
    // Sent, unless the runner ends the turn before its transaction: it has lost the lease either way.
    let refused = outcome.await;
    assert!(refused.unwrap_or(true), "the turn wrote after its lease");
    next.drain().await;
    let by_frozen = "SELECT count(*) FROM done WHERE runner = 'frozen'";
    let row = world.database.query_first(by_frozen, params![]).await.unwrap();
    assert_eq!(row.unwrap().get::<i64>(0).unwrap(), 0);
    drop(process);
    world.database.close().await;
}

async fn a_slow_turn_keeps_its_lease(store: Store) {
    let world = World::on(store).await;
    let begun = Arc::new(Notify::new());
    let finish = Arc::new(Notify::new());
    let slow = {
        let (begun, finish) = (begun.clone(), finish.clone());
        Job::new("work", Duration::from_secs(60), 1, move |turn| {
            let (begun, finish) = (begun.clone(), finish.clone());
            async move {
                begun.notify_one();
                finish.notified().await;
                write(&turn, "slow").await?;
                Ok::<_, Failure>(Next::Usual)
            }
        })
    };
    let one = Running::start(world.database.clone(), TIMING, vec![slow]);
    begun.notified().await;
    let first = world.state("work").await;
    let other = Running::start(world.beside().await, TIMING, vec![writer("work", "other")]);
    let twice_ms = first.now_ms + 2 * i64::try_from(LEASE.as_millis()).unwrap();
    eventually("two leases are over", async || {
        let state = world.state("work").await;
        assert_eq!(state.holder, first.holder, "it was renewed");
        state.now_ms > twice_ms
    })
    .await;
    finish.notify_one();
    world.done_at_least(1).await;
    eventually("the lease is given back", async || {
        world.state("work").await.holder.is_none()
    })
    .await;
    one.drain().await;
    other.drain().await;
    let row = world
        .database
        .query_first("SELECT runner FROM done", params![])
        .await;
    assert_eq!(row.unwrap().unwrap().get::<String>(0).unwrap(), "slow");
    world.database.close().await;
}

async fn a_drain_gives_back_at_once(store: Store) {
    let world = World::on(store).await;
    let begun = Arc::new(Notify::new());
    let one = Running::start(world.database.clone(), LONG, vec![hanging(begun.clone())]);
    begun.notified().await;
    assert!(world.state("work").await.holder.is_some());
    let drained = Instant::now();
    one.drain().await;
    assert!(
        drained.elapsed() < LONG.lease / 10,
        "it does not wait for the turn"
    );
    let state = world.state("work").await;
    assert_eq!(state.holder, None);
    assert!(state.due_ms <= state.now_ms, "it stays due");

    let next = Running::start(world.beside().await, LONG, vec![writer("work", "next")]);
    world.done_at_least(1).await;
    next.drain().await;
    world.database.close().await;
}

async fn a_pause_holds_from_its_commit(store: Store) {
    let world = World::on(store).await;
    let begun = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let refused = Arc::new(AtomicI64::new(0));
    let work = {
        let (begun, go_on, refused) = (begun.clone(), go_on.clone(), refused.clone());
        Job::new("work", Duration::from_secs(60), 1, move |turn| {
            let (begun, go_on, refused) = (begun.clone(), go_on.clone(), refused.clone());
            async move {
                begun.notify_one();
                go_on.notified().await;
                let written = write(&turn, "work").await;
                if matches!(written, Err(Refused::Lost)) {
                    refused.fetch_add(1, Ordering::SeqCst);
                }
                written?;
                Ok::<_, Failure>(Next::AtOnce)
            }
        })
    };
    let looks = Arc::new(AtomicI64::new(0));
    let counter = {
        let looks = looks.clone();
        Job::new("counter", Duration::from_millis(1), 1, move |_| {
            looks.fetch_add(1, Ordering::SeqCst);
            async { Ok(Next::Usual) }
        })
    };
    assert!(!world.pause("work").await, "there is no such job yet");
    let running = Running::start(world.database.clone(), LONG, vec![work, counter]);
    begun.notified().await;
    assert!(world.pause("work").await);
    assert!(!world.pause("work").await, "it is paused already");
    go_on.notify_one();
    eventually("the turn is refused", async || {
        refused.load(Ordering::SeqCst) == 1
    })
    .await;
    let before = looks.load(Ordering::SeqCst);
    eventually("more looks", async || looks.load(Ordering::SeqCst) > before + 5).await;
    assert_eq!(world.done().await, 0);
    let state = world.state("work").await;
    assert!(
        state.paused && state.holder.is_none() && state.failures == 0,
        "{state:?}"
    );

    assert!(world.resume("work").await);
    assert!(!world.resume("work").await, "it is not paused any more");
    begun.notified().await;
    go_on.notify_one();
    world.done_at_least(1).await;
    running.drain().await;
    world.database.close().await;
}

/// The clock of the database was days ahead when it wrote these times.
async fn a_clock_that_was_set_back_stops_no_job(store: Store) {
    let world = World::on(store).await;
    let first = Running::start(world.database.clone(), TIMING, vec![writer("work", "first")]);
    world.done_at_least(1).await;
    first.drain().await;
    let ahead = world.database.transaction(|tx| {
        Box::pin(async move {
            let set = "UPDATE job SET holder = 'gone', until_ms = until_ms + $1, due_ms = due_ms + $1";
            tx.execute(set, params![10_i64 * 24 * 3600 * 1000]).await?;
            Ok::<_, database::Error>(())
        })
    });
    ahead.await.unwrap();
    let done = world.done().await;
    let next = Running::start(world.beside().await, TIMING, vec![writer("work", "next")]);
    world.done_at_least(done + 1).await;
    next.drain().await;
    world.database.close().await;
}
