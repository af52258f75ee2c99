//! One process with everything in it, with a proxy before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::fleet::apart;
use testkit::proxy::Proxy;
use tokio::time::sleep;

use crate::arguments::fault::{CLOCK, Fault, HOLDER};
use crate::arguments::{SoakArguments, Transport};
use crate::server::own::{NAME, OwnServer};
use crate::workload::fleet::{Extra, Fleet};
use crate::workload::soak::due::Place;
use crate::workload::soak::faults::effect::clients::{self, Front};
use crate::workload::soak::faults::effect::clock::{Clocks, Disk};
use crate::workload::soak::faults::effect::{copy, file, process, rude};
use crate::workload::soak::faults::plan::Disturbance;
use crate::workload::soak::notes::Notes;

/// Between a kill and the next one, which comes while it starts.
const SOON: Duration = Duration::from_millis(30);

pub(in crate::workload::soak) struct One {
    pub(in crate::workload::soak::faults) fleet: Fleet,
    /// Before a server of our own.
    front: Option<Proxy>,
    clocks: Clocks,
}

impl One {
    pub(in crate::workload::soak::faults) async fn open(
        arguments: &SoakArguments,
        connections: usize,
    ) -> Result<Self> {
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
            Extra {
                environment: clocks.environment(),
                ..Extra::default()
            },
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
    pub(in crate::workload::soak::faults) async fn kill(&mut self, away: Duration) -> Result<()> {
        self.own()?.kill()?;
        sleep(away).await;
        self.own()?
            .start_again()
            .await
            .context("the killed server does not start again")?;
        self.lead();
        Ok(())
    }

    /// Where its database is looked into while it runs.
    pub(in crate::workload::soak::faults) fn place(&self) -> Option<Place> {
        let own = self.fleet.own.as_ref()?;
        Some(Place::File(own.folder().join("data/huizhen.db")))
    }

    fn pid(&mut self) -> Result<u32> {
        self.own()?.pid().context("the server does not run")
    }

    /// Spoils its disk for this long.
    async fn spoil(&self, disk: Disk, length: Duration) -> Result<()> {
        self.clocks.disk(NAME, disk, true)?;
        sleep(length).await;
        self.clocks.disk(NAME, disk, false)
    }

    /// Kills it while its disk is spoiled, and starts it on one that is whole.
    async fn kill_spoiled(&mut self, disk: Disk, length: Duration) -> Result<()> {
        self.clocks.disk(NAME, disk, true)?;
        sleep(length).await;
        self.own()?.kill()?;
        self.clocks.disk(NAME, disk, false)?;
        self.kill(Duration::ZERO).await
    }

    /// The proxy before the clients.
    fn fronts(&self) -> Vec<Front<'_>> {
        let own = self.fleet.own.as_ref();
        let server = own.and_then(|own| own.ports().im);
        let front = self.front.as_ref().zip(server);
        front
            .map(|(proxy, server)| Front { proxy, server })
            .into_iter()
            .collect()
    }

    /// Does one thing to it and undoes it after its length.
    pub(in crate::workload::soak::faults) async fn disturb(
        &mut self,
        disturbance: Disturbance,
        notes: &Arc<Notes>,
    ) -> Result<()> {
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
        if clients::disturb(&self.fronts(), fault, target, length).await {
            return Ok(());
        }
        match fault {
            Fault::ClockJitter => self.clocks.jitter(NAME, length + CLOCK).await?,
            Fault::KillNode => self.kill(length).await?,
            Fault::KillHolder => {
                // Whether it holds the lease or only might: there is one process.
                let place = self.place().context("the server is not ours")?;
                place.holder(HOLDER).await;
                self.kill(length).await?;
            }
            Fault::KillNodeTwice => {
                self.kill(Duration::ZERO).await?;
                sleep(SOON).await;
                self.kill(Duration::ZERO).await?;
            }
            Fault::StopNode => {
                self.own()?.stop().await?;
                self.kill(length).await?;
            }
            Fault::KillInDrain => {
                process::begin_to_drain(self.pid()?).await?;
                self.kill(length).await?;
            }
            Fault::PauseNode => self.own()?.pause_for(length).await,
            Fault::StutterNode => process::stutter(self.pid()?, length).await?,
            Fault::FewFiles => process::few_files(self.pid()?, length).await?,
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
            Fault::RudeRest => {
                let rest = self.own()?.ports().rest;
                rude::stay(rest.as_slice(), length).await;
            }
            Fault::SecondServer => copy::start_beside(self.own()?, notes).await?,
            Fault::ServeBackup => {
                let promised = notes.acked_seqs();
                copy::serve_backup(self.own()?, target, promised, notes).await?;
            }
            Fault::FlipDatabase | Fault::FlipLog => {
                let folder = copy::kill_and_copy(self.own()?)?;
                let promised = notes.acked_seqs();
                self.own()?.start_again().await?;
                self.lead();
                copy::serve_flipped(self.own()?, &folder, fault, target, promised, notes).await?;
            }
            _ => self.disturb_file(fault, length).await?,
        }
        Ok(())
    }

    /// Does one thing to its database file or its disk.
    async fn disturb_file(&mut self, fault: Fault, length: Duration) -> Result<()> {
        let path = self.database()?;
        match fault {
            Fault::LockDatabase => apart(move || file::lock(path, length)).await,
            Fault::HoldReader => apart(move || file::hold_reader(path, length)).await,
            Fault::Checkpoint => apart(move || file::checkpoint(path, length)).await,
            Fault::SlowDisk => self.spoil(Disk::SlowSyncs, length).await,
            Fault::SlowWrites => self.spoil(Disk::SlowWrites, length).await,
            Fault::FullDisk => self.spoil(Disk::Full, length).await,
            Fault::ShortWrites => self.spoil(Disk::ShortWrites, length).await,
            Fault::FailReads => self.spoil(Disk::FailingReads, length).await,
            // A server whose commit has failed ends itself: the state of the disk is unknown.
            Fault::FailWrites => self.kill_spoiled(Disk::FailingWrites, length).await,
            Fault::FailSyncs => self.kill_spoiled(Disk::FailingSyncs, length).await,
            Fault::KillInSync => self.kill_spoiled(Disk::SlowSyncs, length).await,
            Fault::KillOnFullDisk => self.kill_spoiled(Disk::Full, length).await,
            _ => anyhow::bail!("{fault} is nothing that happens to one process"),
        }
    }
}
