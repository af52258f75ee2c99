//! Turns that fail, and when a job is due again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jobs::{Failure, Job, Next};
use parking_lot::Mutex;
use testkit::store::Store;

use crate::world::{Running, TIMING, World, write, writer};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: i64 = 3_600_000;

testkit::on_both!(
    a_failed_turn_is_tried_again_later_and_later,
    a_panic_or_a_hang_is_a_failure_of_its_job_alone,
    a_job_is_due_by_the_clock_of_the_database,
    a_turn_knows_its_bound_and_reports_its_backlog,
);

async fn a_failed_turn_is_tried_again_later_and_later(store: Store) {
    const FAILING: usize = 5;
    let world = World::on(store).await;
    let tries = Arc::new(Mutex::new(Vec::new()));
    let work = {
        let tries = tries.clone();
        Job::new("work", HOUR, 1, move |turn| {
            let tries = tries.clone();
            async move {
                let before = {
                    let mut tries = tries.lock();
                    tries.push(Instant::now());
                    tries.len()
                };
                if before <= FAILING {
                    return Err(Failure::work("out of paper"));
                }
                write(&turn, "work").await?;
                Ok(Next::Usual)
            }
        })
    };
    let running = Running::start(world.database.clone(), TIMING, vec![work]);
    for failures in 1..=3 {
        world
            .state_until("work", |state| state.failures >= failures)
            .await;
    }
    world.done_at_least(1).await;
    world
        .state_until("work", |state| state.failures == 0 && state.failure.is_none())
        .await;
    running.drain().await;
    let tries = tries.lock().clone();
    assert_eq!(tries.len(), FAILING + 1);
    let gaps: Vec<Duration> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The database's clock counts whole milliseconds, so a turn may come a part of one too early.
    for (gap, doublings) in gaps.iter().zip(0..) {
        let least = TIMING.first_retry * 2_u32.pow(doublings);
        assert!(*gap + Duration::from_millis(1) > least, "{gaps:?}");
    }
    world.database.close().await;
}

async fn a_panic_or_a_hang_is_a_failure_of_its_job_alone(store: Store) {
    let world = World::on(store).await;
    let panics = Job::new("panics", HOUR, 1, |_| async { panic!("out of ink") });
    let hangs = Job::new("hangs", HOUR, 1, |_| std::future::pending()).at_longest(Duration::from_millis(30));
    let jobs = vec![panics, hangs, writer("works", "works")];
    let running = Running::start(world.database.clone(), TIMING, jobs);
    for (job, failure) in [
        ("panics", "an internal error, which the log has"),
        ("hangs", "its turn took longer than 30ms"),
    ] {
        world.state_until(job, |state| state.failures >= 2).await;
        assert_eq!(world.state(job).await.failure.as_deref(), Some(failure));
    }
    let done = world.done().await;
    world.done_at_least(done + 3).await;
    assert!(!running.task.is_finished());
    assert_eq!(telemetry::task::failed(), None);
    running.drain().await;
    world.database.close().await;
}

/// Nothing else decides: no clock of a process is read.
async fn a_job_is_due_by_the_clock_of_the_database(store: Store) {
    let world = World::on(store).await;
    let usual = Job::new("usual", HOUR, 1, |_| async { Ok(Next::Usual) });
    let sooner = Job::new("sooner", HOUR, 1, |_| async { Ok(Next::After(HOUR / 2)) });
    let later = Job::new("later", HOUR, 1, |_| async { Ok(Next::After(HOUR * 2)) });
    let running = Running::start(world.database.clone(), TIMING, vec![usual, sooner, later]);
    for (job, after_ms) in [("usual", HOUR_MS), ("sooner", HOUR_MS / 2), ("later", HOUR_MS)] {
        world.state_until(job, |state| state.due_ms > 0).await;
        let state = world.state(job).await;
        let clock_ms = world.database.clock_ms().await.unwrap().unwrap_or(state.now_ms);
        assert!((clock_ms - state.now_ms).abs() < 60_000, "{state:?}");
        let wait_ms = state.due_ms - state.now_ms;
        assert!(
            (after_ms - 60_000..=after_ms).contains(&wait_ms),
            "{job}: {wait_ms}"
        );
    }
    running.drain().await;
    world.database.close().await;
}

async fn a_turn_knows_its_bound_and_reports_its_backlog(store: Store) {
    let world = World::on(store).await;
    let work = Job::new("work", HOUR, 7, |turn| async move {
        turn.set_backlog(turn.bound() * 100);
        Ok(Next::Usual)
    });
    let running = Running::start(world.database.clone(), TIMING, vec![work]);
    world.state_until("work", |state| state.backlog == 700).await;
    running.drain().await;
    world.database.close().await;
}
