//! The runner of a process: looks for due jobs, takes their leases, drives their turns.

use std::{any::Any, collections::HashSet, sync::Arc, time::Duration};

use database::{Database, Error};
use telemetry::{
    events::jobs::{BACKLOG, Event, FAILURES, LATE_S},
    task::{self, Name, Stopped},
};
use tokio::{
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Failure, Job, Next, State, Turn, list,
    table::{self, End, Lease, Taken, ms},
};

/// The times of a runner.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two looks for due jobs.
    pub look: Duration,
    /// How long a lease holds when it is not renewed; a third of it is the time between renewals.
    pub lease: Duration,
    /// When a failed turn is tried again; twice that after each further failure.
    pub first_retry: Duration,
    /// The longest of those times.
    pub longest_retry: Duration,
}

impl Timing {
    /// Those of a service.
    pub const SERVICE: Self = Self {
        look: Duration::from_secs(1),
        lease: Duration::from_secs(15),
        first_retry: Duration::from_secs(5),
        longest_retry: Duration::from_secs(15 * 60),
    };

    fn retry(&self, failures: i64) -> Duration {
        let doublings = u32::try_from(failures.clamp(1, 20) - 1).unwrap_or_default();
        (self.first_retry * 2_u32.pow(doublings)).min(self.longest_retry)
    }
}

/// The runner of a process.
pub struct Runner {
    database: Database,
    shutdown: CancellationToken,
    timing: Timing,
    /// Another one for each runner, so that no other takes its leases for their own.
    holder: String,
}

/// A job that does not run here any more.
struct Ended {
    job: &'static str,
    /// It is due again.
    is_due: bool,
}

/// The outcome of a turn.
enum Outcome {
    Done(Next),
    Failed(Failure),
    /// The process ends.
    Drained,
}

impl Runner {
    /// Runs the jobs until `shutdown`, then gives back their leases at once. The task is a vital one.
    pub fn start(
        database: Database,
        shutdown: CancellationToken,
        timing: Timing,
        jobs: Vec<Job>,
    ) -> JoinHandle<()> {
        let runner = Arc::new(Self {
            database,
            shutdown,
            timing,
            holder: format!("{}-{:016x}", std::process::id(), rand::random::<u64>()),
        });
        task::vital(Name::Jobs, runner.run(jobs.into_iter().map(Arc::new).collect()))
    }

    async fn run(self: Arc<Self>, jobs: Vec<Arc<Job>>) -> Stopped {
        let mut turns = JoinSet::new();
        let mut running = HashSet::new();
        let mut is_declared = false;
        let mut looks = interval(self.timing.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some(ended) = turns.join_next() => {
                    if ended_well(ended, &mut running) {
                        looks.reset_immediately();
                    }
                    continue;
                }
                _ = looks.tick() => {}
            }
            let due = match self.due(&jobs, &running, &mut is_declared).await {
                Ok(due) => due,
                Err(error) => {
                    report(&error);
                    continue;
                }
            };
            for job in due {
                running.insert(job.name);
                turns.spawn(self.clone().take_turn(job));
            }
        }
        while let Some(ended) = turns.join_next().await {
            ended_well(ended, &mut running);
        }
        Stopped
    }

    /// The jobs that may be taken now and do not run here.
    async fn due(
        &self,
        jobs: &[Arc<Job>],
        running: &HashSet<&str>,
        is_declared: &mut bool,
    ) -> Result<Vec<Arc<Job>>, Error> {
        if !*is_declared {
            table::declare(&self.database, jobs.iter().map(|job| job.name).collect()).await?;
            jobs.iter()
                .for_each(|job| Event::Declared { job: job.name }.emit());
            *is_declared = true;
        }
        let states = list(&self.database).await?;
        let mut due = Vec::new();
        for job in jobs {
            let Some(state) = states.iter().find(|state| state.name == job.name) else {
                *is_declared = false;
                continue;
            };
            show(job.name, state);
            let is_takeable = state.is_takeable(ms(self.timing.lease), ms(self.longest_wait(job)));
            if is_takeable && !running.contains(job.name) {
                due.push(job.clone());
            }
        }
        Ok(due)
    }

    fn longest_wait(&self, job: &Job) -> Duration {
        job.every.max(self.timing.longest_retry)
    }

    /// Takes the lease, unless another process is faster, and does a turn.
    async fn take_turn(self: Arc<Self>, job: Arc<Job>) -> Ended {
        let begun = Instant::now();
        let wait = self.longest_wait(&job);
        let taken = table::take(
            &self.database,
            job.name,
            self.holder.clone(),
            self.timing.lease,
            wait,
        )
        .await;
        let is_due = match taken {
            Ok(Some(taken)) => self.drive(&job, taken, begun).await,
            Ok(None) => false,
            Err(error) => {
                report(&error);
                false
            }
        };
        Ended {
            job: job.name,
            is_due,
        }
    }

    /// Whether the job is due again at once.
    async fn drive(&self, job: &Job, taken: Taken, begun: Instant) -> bool {
        let turn = Turn::new(self.database.clone(), &taken, job.bound);
        let mut work = Work(tokio::spawn((job.run)(turn.clone())));
        let outcome = tokio::select! {
            // A turn must survive a crash at any point, so it is aborted without a grace period.
            () = self.shutdown.cancelled() => Outcome::Drained,
            ended = &mut work.0 => outcome(ended),
            () = self.until_lost(&taken.lease, begun) => Outcome::Failed(Failure::Lost),
            () = sleep(job.longest) => {
                Outcome::Failed(Failure::Work(format!("its turn took longer than {:?}", job.longest)))
            }
        };
        work.end().await;
        let is_due = matches!(outcome, Outcome::Done(Next::AtOnce));
        match self.settle(job, taken, outcome, turn.backlog(), begun).await {
            Ok(()) => is_due,
            Err(error) => {
                // The lease expires.
                report(&error);
                false
            }
        }
    }

    /// Renews a lease until it is lost.
    async fn until_lost(&self, lease: &Lease, taken: Instant) {
        let length = self.timing.lease;
        let mut renewed = taken;
        let mut next = renewed + length / 3;
        loop {
            sleep_until(next).await;
            let at = Instant::now();
            next = at + length / 3;
            let renewal = table::renew(&self.database, lease.clone(), length);
            match timeout(length / 3, renewal).await {
                Ok(Ok(true)) => renewed = at,
                Ok(Ok(false)) => return,
                Ok(Err(_)) | Err(_) if renewed.elapsed() >= length => return,
                // The database logs its outages.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    async fn settle(
        &self,
        job: &Job,
        taken: Taken,
        outcome: Outcome,
        backlog: Option<i64>,
        begun: Instant,
    ) -> Result<(), Error> {
        let Taken { lease, failures, .. } = taken;
        let job_name = job.name;
        let end = match outcome {
            Outcome::Drained => return table::give_back(&self.database, lease).await,
            Outcome::Done(next) => {
                let took = begun.elapsed();
                Event::Done { job: job_name, took }.emit();
                End {
                    delay: next.delay(job.every),
                    failures: 0,
                    failure: None,
                    backlog,
                }
            }
            Outcome::Failed(Failure::Lost) => {
                Event::LeaseLost { job: job_name }.emit();
                return Ok(());
            }
            Outcome::Failed(failure) => {
                let failures = failures.saturating_add(1);
                let retry = self.timing.retry(failures);
                let (inner, shown) = (failure.to_string(), failure.shown());
                match failure {
                    Failure::Outage(_) => Event::MetOutage {
                        job: job_name,
                        inner: &inner,
                    },
                    _ => Event::Failed {
                        job: job_name,
                        failures,
                        retry,
                        inner: &inner,
                    },
                }
                .emit();
                End {
                    delay: retry,
                    failures,
                    failure: Some(shown),
                    backlog,
                }
            }
        };
        table::finish(&self.database, lease, end).await
    }
}

/// The task of a turn, which ends with its driver.
struct Work(JoinHandle<Result<Next, Failure>>);

impl Work {
    /// Waits until nothing of it runs.
    async fn end(&mut self) {
        if !self.0.is_finished() {
            self.0.abort();
            let _ = (&mut self.0).await;
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn outcome(ended: Result<Result<Next, Failure>, JoinError>) -> Outcome {
    match ended {
        Ok(Ok(next)) => Outcome::Done(next),
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(error) => {
            let panic = error.try_into_panic().ok();
            let text = panic.as_deref().map_or("it was cancelled", message);
            Outcome::Failed(Failure::Fault(format!("its turn panicked: {text}")))
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Whether its job is due again. A panic of the runner's own code is the end of the vital task.
fn ended_well(ended: Result<Ended, JoinError>, running: &mut HashSet<&'static str>) -> bool {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(ended) => {
            running.remove(ended.job);
            ended.is_due
        }
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => false,
    }
}

fn show(job: &'static str, state: &State) {
    FAILURES.set(job, state.failures as f64);
    BACKLOG.set(job, state.backlog as f64);
    LATE_S.set(job, state.late_s());
}

fn report(error: &Error) {
    if error.outage().is_none() {
        Event::LookFailed { error }.emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_further_and_further_apart() {
        let timing = Timing::SERVICE;
        let after = |failures| timing.retry(failures).as_secs();
        assert_eq!([1, 2, 3, 4].map(after), [5, 10, 20, 40]);
        assert_eq!([8, 9, 100, i64::MAX].map(after), [640, 900, 900, 900]);
    }
}
