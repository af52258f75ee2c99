//! The ground of a soak: one process that is killed again and again, or a whole fleet that is disturbed in every way.

pub(in crate::workload::soak) mod one;
pub(in crate::workload::soak) mod stage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::fleet::DATABASE;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::ground::one::One;
use super::ground::stage::Stage;
use super::plan::{Disturbance, Plan};
use crate::arguments::SoakArguments;
use crate::arguments::fault::Fault;
use crate::judge::database::Database;
use crate::progress::Progress;
use crate::workload::soak::Disturbed;
use crate::workload::soak::clients::newcomer::log_in;
use crate::workload::soak::due::Place;
use crate::workload::soak::notes::Notes;
use crate::world::rest::Rest;
use crate::world::{Builder, User};

/// After a heal, a success must come within this time.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);
/// The fault of one process that comes at its own times, beside the plan.
const KILL: &str = "kill-server";

pub(in crate::workload::soak) enum Ground {
    /// One process with everything in it, or a running fleet that is left alone.
    One(Box<One>),
    /// Our own fleet.
    Many(Box<Stage>),
}

impl Ground {
    /// Starts the ground for this many connections.
    pub(in crate::workload::soak) async fn open(
        arguments: &SoakArguments,
        connections: usize,
    ) -> Result<Self> {
        if arguments.target.nodes > 0 {
            arguments.chosen_faults()?;
            let stage = Box::pin(Stage::start(
                &arguments.target,
                arguments.output.seed,
                connections,
                true,
            ))
            .await?;
            return Ok(Self::Many(Box::new(stage)));
        }
        if arguments.target.api.is_none() {
            arguments.chosen_faults()?;
        }
        Ok(Self::One(Box::new(
            Box::pin(One::open(arguments, connections)).await?,
        )))
    }

    pub(in crate::workload::soak) fn builder(&self) -> &Builder {
        match self {
            Self::One(one) => &one.fleet.builder,
            Self::Many(stage) => &stage.builder,
        }
    }

    pub(in crate::workload::soak) fn rest(&self) -> &Rest {
        match self {
            Self::One(one) => &one.fleet.rest,
            Self::Many(stage) => &stage.rest,
        }
    }

    /// Disturbs by the plan until sending has ended: a fault, its heal, a wait for the first success since and for a
    /// login of `newcomer`, a pause, the next fault. One process is also killed every `kill_every`.
    pub(in crate::workload::soak) async fn disturb_while(
        &mut self,
        arguments: &SoakArguments,
        notes: &Arc<Notes>,
        newcomer: &User,
        sending: AbortHandle,
    ) -> Result<Disturbed> {
        let begun = Instant::now();
        let mut progress = Progress::begin("soaking", arguments.duration.as_secs());
        let mut disturbed = Disturbed::default();
        // A running fleet is left alone.
        let faults = if self.is_ours() {
            arguments.chosen_faults()?
        } else {
            Vec::new()
        };
        let plan = Plan::new(faults, arguments.fault_pause, arguments.output.seed);
        // The last heal leaves time to recover while sends still come.
        let last_fault = arguments.duration.saturating_sub(RECOVERY_LIMIT);
        let mut next_kill = arguments.kill_every;
        for disturbance in plan {
            let name = disturbance.fault.name();
            let prepared = self.prepare(disturbance.fault).await;
            let takes = disturbance.length + disturbance.fault.takes_besides();
            if begun.elapsed() + takes > last_fault || sending.is_finished() {
                break;
            }
            progress.at(
                begun.elapsed().as_secs(),
                &format!("s; fault {}: {name}", disturbed.faults() + 1),
            );
            notes.disturbed(name, disturbance.target);
            let result = match prepared {
                Ok(()) => Box::pin(self.disturb(disturbance, notes)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                sending.abort();
                return Err(error.context(format!("the fleet does not come back after {name}")));
            }
            notes.healed(name, disturbance.target);
            disturbed.count(name);
            await_recovery(self.rest().clone(), notes, newcomer, name, &sending).await;
            sleep(disturbance.pause).await;
            if self
                .kill_when_due(&begun, arguments.kill_every, &mut next_kill, notes)
                .await?
            {
                disturbed.killed(KILL);
                await_recovery(self.rest().clone(), notes, newcomer, KILL, &sending).await;
            }
        }
        while !sending.is_finished() {
            sleep(Duration::from_millis(100)).await;
            progress.at(
                begun.elapsed().as_secs(),
                &format!("s; {} faults", disturbed.faults()),
            );
            if self
                .kill_when_due(&begun, arguments.kill_every, &mut next_kill, notes)
                .await?
            {
                disturbed.killed(KILL);
                await_recovery(self.rest().clone(), notes, newcomer, KILL, &sending).await;
            }
        }
        Ok(disturbed)
    }

    fn is_ours(&self) -> bool {
        match self {
            Self::One(one) => one.fleet.own.is_some(),
            Self::Many(_) => true,
        }
    }

    async fn prepare(&self, fault: Fault) -> Result<()> {
        match self {
            Self::One(_) => Ok(()),
            Self::Many(stage) => stage.prepare(fault).await,
        }
    }

    async fn disturb(&mut self, disturbance: Disturbance, notes: &Arc<Notes>) -> Result<()> {
        match self {
            Self::One(one) => Box::pin(one.disturb(disturbance, notes)).await,
            Self::Many(stage) => Box::pin(stage.disturb(disturbance, notes)).await,
        }
    }

    async fn kill_when_due(
        &mut self,
        begun: &Instant,
        every: Duration,
        next: &mut Duration,
        notes: &Notes,
    ) -> Result<bool> {
        let Self::One(one) = self else { return Ok(false) };
        if begun.elapsed() < *next || one.fleet.own.is_none() {
            return Ok(false);
        }
        *next = begun.elapsed() + every;
        notes.disturbed(KILL, 0);
        one.kill(Duration::ZERO).await?;
        notes.healed(KILL, 0);
        Ok(true)
    }

    /// Where the database of a ground of our own is looked into while it runs.
    pub(in crate::workload::soak) fn place(&self) -> Option<Place> {
        match self {
            Self::One(one) => one.place(),
            Self::Many(stage) => Some(stage.place()),
        }
    }

    /// Where the truth lies; none on a running fleet. The one process is ended for it.
    pub(in crate::workload::soak) async fn database(&mut self) -> Result<Option<Database>> {
        Ok(match self {
            Self::One(one) => match &mut one.fleet.own {
                Some(own) => {
                    own.stop().await?;
                    Some(Database::file(&own.folder().join("data/huizhen.db"))?)
                }
                None => None,
            },
            Self::Many(stage) => Some(Database::server(&stage.fleet.postgres.url(DATABASE)).await?),
        })
    }

    /// Ends what was started.
    pub(in crate::workload::soak) async fn close(self) -> Result<()> {
        match self {
            Self::One(one) => one.fleet.close().await,
            Self::Many(stage) => stage.close().await,
        }
    }
}

/// Waits until a send has been acknowledged and a user has logged in since the heal; notes a fault for each that did
/// not.
async fn await_recovery(
    rest: Rest,
    notes: &Arc<Notes>,
    newcomer: &User,
    fault: &'static str,
    sending: &AbortHandle,
) {
    let (of_login, user) = (notes.clone(), newcomer.clone());
    let mut login = JoinSet::new();
    login.spawn(async move {
        match log_in(rest, user).await {
            Ok(()) => {
                let now_us = of_login.now_us();
                of_login.recovery(|recovery| recovery.logged_in(now_us));
            }
            Err(error) => of_login.fault(format!("no user could log in after {fault}: {error:#}")),
        }
    });
    let healed = Instant::now();
    loop {
        let _ = login.try_join_next();
        let is_acked = notes.recovery(|recovery| recovery.is_recovered()) || sending.is_finished();
        if is_acked && login.is_empty() {
            return;
        }
        if healed.elapsed() > RECOVERY_LIMIT {
            for (is_missing, what) in [
                (!is_acked, "no send was acknowledged"),
                (!login.is_empty(), "no user could log in"),
            ] {
                if is_missing {
                    notes.fault(format!(
                        "{what} within {RECOVERY_LIMIT:?} after {fault} was healed"
                    ));
                }
            }
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
