//! What a soak stands on: one process that is killed again and again, or a whole fleet that is disturbed in every way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use fleet_local::fleet::DATABASE;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::Disturbed;
use super::newcomer::log_in;
use super::notes::Notes;
use super::plan::Plan;
use super::stage::Stage;
use crate::arguments::{SoakArguments, Transport};
use crate::judge::database::Database;
use crate::progress::Progress;
use crate::workload::fleet::Fleet;
use crate::world::rest::Rest;
use crate::world::{Builder, User};

/// After a heal, a success must come within this time.
pub(super) const RECOVERY_LIMIT: Duration = Duration::from_secs(10);

pub(super) enum Ground {
    /// One process with everything in it, or a running fleet that is left alone.
    One(Box<Fleet>),
    /// Our own fleet.
    Many(Box<Stage>),
}

impl Ground {
    /// Starts what was asked for, for so many connections.
    pub(super) async fn open(arguments: &SoakArguments, connections: usize) -> Result<Self> {
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
        let fleet = Fleet::open(
            arguments.target.clone(),
            arguments.output.seed,
            connections,
            0,
            Transport::Tcp,
        );
        Ok(Self::One(Box::new(Box::pin(fleet).await?)))
    }

    pub(super) fn builder(&self) -> &Builder {
        match self {
            Self::One(fleet) => &fleet.builder,
            Self::Many(stage) => &stage.builder,
        }
    }

    pub(super) fn rest(&self) -> &Rest {
        match self {
            Self::One(fleet) => &fleet.rest,
            Self::Many(stage) => &stage.rest,
        }
    }

    /// Disturbs until sending has ended. After each heal of a fleet `newcomer` logs in.
    pub(super) async fn disturb_while(
        &mut self,
        arguments: &SoakArguments,
        notes: &Arc<Notes>,
        newcomer: &User,
        sending: AbortHandle,
    ) -> Result<Disturbed> {
        match self {
            Self::One(fleet) => kill_while(fleet, arguments, notes, sending).await,
            Self::Many(stage) => disturb_while(stage, arguments, notes, newcomer, sending).await,
        }
    }

    /// Where the truth lies; none on a running fleet. The one process is ended for it.
    pub(super) async fn database(&mut self) -> Result<Option<Database>> {
        Ok(match self {
            Self::One(fleet) => match &mut fleet.own {
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
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::One(fleet) => fleet.close().await,
            Self::Many(stage) => stage.close().await,
        }
    }
}

/// Kills the one server again and again.
async fn kill_while(
    fleet: &mut Fleet,
    arguments: &SoakArguments,
    notes: &Notes,
    sending: AbortHandle,
) -> Result<Disturbed> {
    let begun = Instant::now();
    let mut progress = Progress::begin("soaking", arguments.duration.as_secs());
    let mut disturbed = Disturbed::default();
    let mut next_kill = arguments.kill_every;
    while !sending.is_finished() {
        sleep(Duration::from_millis(100)).await;
        progress.at(
            begun.elapsed().as_secs(),
            &format!("s; {} kills", disturbed.kills),
        );
        if begun.elapsed() < next_kill {
            continue;
        }
        next_kill += arguments.kill_every;
        if let Some(own) = &mut fleet.own {
            notes.disturbed("kill-server", 0);
            own.kill()?;
            if let Err(error) = own.start_again().await {
                sending.abort();
                return Err(error.context("the killed server does not start again"));
            }
            notes.healed("kill-server", 0);
            disturbed.count("kill-server");
            disturbed.kills += 1;
        }
    }
    Ok(disturbed)
}

/// Disturbs the fleet by the plan: a fault, its heal, a wait for the first success since, a pause, the next fault.
async fn disturb_while(
    stage: &mut Stage,
    arguments: &SoakArguments,
    notes: &Arc<Notes>,
    newcomer: &User,
    sending: AbortHandle,
) -> Result<Disturbed> {
    let begun = Instant::now();
    let mut progress = Progress::begin("soaking", arguments.duration.as_secs());
    let mut disturbed = Disturbed::default();
    let plan = Plan::new(
        arguments.chosen_faults()?,
        arguments.fault_pause,
        arguments.output.seed,
    );
    // The last heal leaves time to recover while sends still come.
    let last_fault = arguments.duration.saturating_sub(RECOVERY_LIMIT);
    for disturbance in plan {
        let name = disturbance.fault.name();
        let prepared = stage.prepare(disturbance.fault).await;
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
            Ok(()) => Box::pin(stage.disturb(disturbance, notes)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            sending.abort();
            return Err(error.context(format!("the fleet does not come back after {name}")));
        }
        notes.healed(name, disturbance.target);
        disturbed.count(name);
        await_recovery(stage.rest.clone(), notes, newcomer, name, &sending).await;
        sleep(disturbance.pause).await;
    }
    while !sending.is_finished() {
        sleep(Duration::from_millis(100)).await;
        progress.at(
            begun.elapsed().as_secs(),
            &format!("s; {} faults", disturbed.faults()),
        );
    }
    Ok(disturbed)
}

/// Waits until a send has been acknowledged and somebody has logged in since the heal; notes which of it did not come.
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
            Err(error) => of_login.fault(format!("nobody could log in after {fault}: {error:#}")),
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
                (!login.is_empty(), "nobody could log in"),
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
