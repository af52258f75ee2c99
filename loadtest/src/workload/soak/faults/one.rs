//! One process with everything in it, with a proxy before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use fleet_local::fleet::apart;
use fleet_local::proxy::Proxy;
use tokio::time::sleep;

use super::clock::Clocks;
use super::plan::{CLOCK, Disturbance, Fault};
use super::{copy, file, rude};
use crate::arguments::{SoakArguments, Transport};
use crate::server::own::{NAME, OwnServer};
use crate::workload::fleet::Fleet;
use crate::workload::soak::notes::Notes;

/// The longest delay of one piece of data.
const LONGEST_DELAY: Duration = Duration::from_millis(300);
/// How long each sync to a slow disk takes.
const SLOW_SYNC: Duration = Duration::from_millis(250);
/// Between a kill and the next one, which comes while it starts.
const SOON: Duration = Duration::from_millis(30);

pub(in crate::workload::soak) struct One {
    pub(super) fleet: Fleet,
    /// Before a server of our own.
    front: Option<Proxy>,
    clocks: Clocks,
}

impl One {
    pub(super) async fn open(arguments: &SoakArguments, connections: usize) -> Result<Self> {
        let mut target = arguments.target.clone();
        let clocks = Clocks::make()?;
        let mut front = None;
        if target.api.is_none() {
            let proxy = Proxy::listen().await?;
            target
                .server_argument
                .push(format!("--advertise={}", proxy.address()));
            front = Some(proxy);
        }
        let opened = Fleet::open_in(
            target,
            arguments.output.seed,
            connections,
            0,
            Transport::Tcp,
            clocks.environment(),
        );
        let one = Self {
            fleet: Box::pin(opened).await?,
            front,
            clocks,
        };
        one.lead();
        Ok(one)
    }

    /// The proxy leads to where the server listens.
    fn lead(&self) {
        if let (Some(front), Some(own)) = (&self.front, &self.fleet.own)
            && let Some(address) = own.ports().im
        {
            front.lead_to(address);
        }
    }

    fn own(&mut self) -> Result<&mut OwnServer> {
        self.fleet.own.as_mut().context("the server is not ours")
    }

    fn front(&self) -> Result<&Proxy> {
        self.front.as_ref().context("the server is not ours")
    }

    fn database(&mut self) -> Result<PathBuf> {
        Ok(self.own()?.folder().join("data/huizhen.db"))
    }

    /// Kills it and starts it again on the same data.
    pub(super) async fn kill(&mut self, away: Duration) -> Result<()> {
        self.own()?.kill()?;
        sleep(away).await;
        self.own()?
            .start_again()
            .await
            .context("the killed server does not start again")?;
        self.lead();
        Ok(())
    }

    /// Does one thing to it and undoes it after its length.
    pub(super) async fn disturb(&mut self, disturbance: Disturbance, notes: &Arc<Notes>) -> Result<()> {
        let Disturbance {
            fault,
            target,
            length,
            ..
        } = disturbance;
        if let Some(ms) = fault.clock_ms() {
            self.clocks.shift(NAME, ms)?;
            sleep(length + CLOCK).await;
            return self.clocks.shift(NAME, 0);
        }
        match fault {
            Fault::KillNode => self.kill(length).await?,
            Fault::KillNodeTwice => {
                self.kill(Duration::ZERO).await?;
                sleep(SOON).await;
                self.kill(Duration::ZERO).await?;
            }
            Fault::StopNode => {
                self.own()?.stop().await?;
                self.kill(length).await?;
            }
            Fault::PauseNode => self.own()?.pause_for(length).await,
            Fault::CutClients => self.front()?.cut(),
            Fault::DelayClients => {
                let delay = LONGEST_DELAY.mul_f64((target % 100 + 1) as f64 / 100.0);
                self.front()?.delay(delay);
                sleep(length).await;
                self.front()?.delay(Duration::ZERO);
            }
            Fault::HalfOpenClients => {
                self.front()?.half_open();
                sleep(length).await;
                self.front()?.cut();
            }
            Fault::StopReading => {
                notes.reads.send_replace(false);
                sleep(length).await;
                notes.reads.send_replace(true);
            }
            Fault::RudeClients => rude::stay(&[self.front()?.address()], length).await,
            Fault::LockDatabase => {
                let path = self.database()?;
                apart(move || file::lock(path, length)).await?;
            }
            Fault::HoldReader => {
                let path = self.database()?;
                apart(move || file::hold_reader(path, length)).await?;
            }
            Fault::Checkpoint => {
                let path = self.database()?;
                apart(move || file::checkpoint(path, length)).await?;
            }
            Fault::SlowDisk => {
                self.clocks.slow_disk(NAME, SLOW_SYNC)?;
                sleep(length).await;
                self.clocks.slow_disk(NAME, Duration::ZERO)?;
            }
            Fault::FullDisk => {
                self.clocks.full_disk(NAME, true)?;
                sleep(length).await;
                self.clocks.full_disk(NAME, false)?;
            }
            Fault::FlipDatabase | Fault::FlipLog => {
                let folder = copy::kill_and_copy(self.own()?)?;
                let promised = notes.acked_seqs();
                self.own()?.start_again().await?;
                self.lead();
                copy::serve_flipped(self.own()?, &folder, fault, target, promised, notes).await?;
            }
            _ => anyhow::bail!("{fault} is nothing that happens to one process"),
        }
        Ok(())
    }
}
