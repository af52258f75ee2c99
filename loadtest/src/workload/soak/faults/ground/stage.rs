//! A whole fleet on loopback to be disturbed: PostgreSQL, Redis, api-servers and nodes, with a proxy on every way
//! between them and between the nodes and their clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::fleet::{DATABASE, Fleet, Server, Ways, apart};
use testkit::proxy::Proxy;
use testkit::redis::Redis;
use tokio::time::sleep;

use crate::arguments::Target;
use crate::arguments::fault::{CLOCK, Fault, HOLDER, LEASE};
use crate::workload::fleet::{Size, start_processes};
use crate::workload::soak::due::Place;
use crate::workload::soak::faults::effect::clients::{self, Front, delay};
use crate::workload::soak::faults::effect::clock::Clocks;
use crate::workload::soak::faults::effect::{backplane, database, foreign, forge, process, rude};
use crate::workload::soak::faults::plan::Disturbance;
use crate::workload::soak::notes::Notes;
use crate::world::rest::{Rest, reachable};
use crate::world::{Builder, SmsWebhook};

pub(in crate::workload::soak) struct Stage {
    pub(in crate::workload::soak) builder: Builder,
    pub(in crate::workload::soak) rest: Rest,
    pub(in crate::workload::soak) fleet: Fleet,
    sms: Arc<SmsWebhook>,
    seed: u64,
    /// Where servers have clocks of their own.
    clocks: Option<Clocks>,
}

impl Stage {
    /// Starts a fleet of `target`'s size for this many connections, with proxies between everything or without.
    pub(in crate::workload::soak) async fn start(
        target: &Target,
        seed: u64,
        connections: usize,
        proxies: bool,
    ) -> Result<Self> {
        let sms = Arc::new(SmsWebhook::listen(target.sms_webhook_listen).await?);
        let size = Size::of(target);
        let clocks = Clocks::make()?;
        let environment = clocks.environment();
        let fleet = Box::pin(start_processes(&size, &sms, connections, proxies, environment)).await?;
        Self::over(fleet, sms, seed, Some(clocks)).await
    }

    /// Over a fleet that runs.
    pub(in crate::workload::soak) async fn over(
        fleet: Fleet,
        sms: Arc<SmsWebhook>,
        seed: u64,
        clocks: Option<Clocks>,
    ) -> Result<Self> {
        let rest = Rest::new(&fleet.rest_urls().join(","))?;
        reachable(&rest).await?;
        let builder = Builder::new(rest.clone(), sms.clone(), seed);
        Ok(Self {
            builder,
            rest,
            fleet,
            sms,
            seed,
            clocks,
        })
    }

    /// Does one thing to the fleet and undoes it after its length.
    pub(in crate::workload::soak) async fn disturb(
        &mut self,
        disturbance: Disturbance,
        notes: &Notes,
    ) -> Result<()> {
        let Disturbance {
            fault,
            target,
            length,
            ..
        } = disturbance;
        let node = target % self.fleet.nodes.len();
        let api = target % self.fleet.api_servers.len();
        if let Some(ms) = fault.clock_ms() {
            return self.shift_clock(ms, target, length).await;
        }
        if clients::disturb(&self.fronts(), fault, target, length).await {
            return Ok(());
        }
        match fault {
            Fault::KillNodeTwice => {
                for _ in 0..2 {
                    self.fleet.nodes[node].kill()?;
                    self.fleet.nodes[node].start().await?;
                }
            }
            Fault::StopNode => {
                self.fleet.nodes[node].terminate().await?;
                sleep(length).await;
                self.fleet.nodes[node].start().await?;
            }
            Fault::RefuseDatabase => {
                let postgres = SocketAddr::from(([127, 0, 0, 1], self.fleet.postgres.port()));
                let ways = self.fleet.nodes[node]
                    .ways
                    .as_ref()
                    .context("a node without proxies")?;
                ways.database.refuse();
                sleep(length).await;
                ways.database.lead_to(postgres);
            }
            Fault::DelayDatabase => {
                self.ways().for_each(|ways| ways.database.delay(delay(target)));
                sleep(length).await;
                self.ways().for_each(|ways| ways.database.delay(Duration::ZERO));
            }
            Fault::RefuseBackplane => {
                let redis = self.single_redis()?.address();
                self.backplane_proxies().for_each(Proxy::refuse);
                sleep(length).await;
                self.backplane_proxies().for_each(|proxy| proxy.lead_to(redis));
            }
            Fault::RudeClients => {
                let fronts: Vec<SocketAddr> =
                    self.fronts().iter().map(|front| front.proxy.address()).collect();
                rude::stay(&fronts, length).await;
            }
            Fault::RudeRest => {
                let rest: Vec<SocketAddr> = self
                    .fleet
                    .api_servers
                    .iter()
                    .filter_map(Server::address)
                    .collect();
                rude::stay(&rest, length).await;
            }
            Fault::ClockJitter => {
                let clocks = self.clocks.as_ref().context("servers have the machine's clock")?;
                clocks
                    .jitter(&self.fleet.nodes[node].name, length + CLOCK)
                    .await?;
            }
            Fault::StutterNode => process::stutter(self.pid(node)?, length).await?,
            Fault::FewFiles => process::few_files(self.pid(node)?, length).await?,
            Fault::KillInDrain => {
                process::begin_to_drain(self.pid(node)?).await?;
                self.fleet.nodes[node].kill()?;
                sleep(length).await;
                self.fleet.nodes[node].start().await?;
            }
            Fault::ForgedBodies | Fault::ForgedSeqs => {
                let redis = self.fleet.backplane.clone();
                apart(move || forge::publish(&redis, fault, length)).await?;
            }
            Fault::ForeignFleet => {
                foreign::beside(&self.fleet, &self.sms, self.seed, length, notes).await?;
            }
            Fault::KillNode => {
                self.fleet.nodes[node].kill()?;
                sleep(length).await;
                self.fleet.nodes[node].start().await?;
            }
            Fault::PauseNode => self.fleet.nodes[node].pause_for(length).await,
            Fault::KillApi | Fault::PauseApi | Fault::KillHolder | Fault::PauseHolder => {
                self.disturb_api(fault, api, length).await?;
            }
            Fault::KillPostgres
            | Fault::PausePostgres
            | Fault::EndJournalConnections
            | Fault::LockConversation
            | Fault::KillWorker
            | Fault::PauseWorker
            | Fault::MoveShard => {
                let servers = (self.fleet.postgres.clone(), self.fleet.workers.clone());
                apart(move || database::disturb(&servers.0, &servers.1, fault, target, length)).await?;
            }
            Fault::HalfOpenClients => {
                half_open(&self.fleet.nodes[node], length, |ways| Some(&ways.front)).await;
            }
            Fault::CutBackplane if self.backplane_proxies().next().is_some() => {
                self.backplane_proxies().for_each(Proxy::cut);
            }
            Fault::HalfOpenBackplane => {
                half_open(&self.fleet.nodes[node], length, |ways| ways.backplane.as_ref()).await;
            }
            Fault::CutDatabase => self.ways().for_each(|ways| ways.database.cut()),
            Fault::HalfOpenDatabase => {
                half_open(&self.fleet.nodes[node], length, |ways| Some(&ways.database)).await;
            }
            Fault::StopReading => {
                notes.reads.send_replace(false);
                sleep(length).await;
                notes.reads.send_replace(true);
            }
            Fault::KillRedis
            | Fault::PauseRedis
            | Fault::KillMaster
            | Fault::PauseMaster
            | Fault::RestartMaster
            | Fault::HandOverMaster
            | Fault::KillReplica
            | Fault::PauseReplica
            | Fault::KillSentinel
            | Fault::PauseSentinel
            | Fault::MoveSlot
            | Fault::EmptyRedis
            | Fault::KillSubscriptions
            | Fault::TinyPubSubBuffer
            | Fault::CutBackplane => {
                let redis = self.fleet.backplane.clone();
                apart(move || backplane::disturb(&redis, fault, target, length)).await?;
            }
            _ => bail!("{fault} is nothing that happens to a fleet so"),
        }
        Ok(())
    }

    /// Shifts the clock of one server for a while, by turns of an api-server and of a node. Where Redis is one server,
    /// an api-server cannot publish meanwhile, so that nodes must find what it did by comparing with the database.
    async fn shift_clock(&self, ms: i64, target: usize, length: Duration) -> Result<()> {
        let clocks = self.clocks.as_ref().context("servers have the machine's clock")?;
        let apis = &self.fleet.api_servers;
        let is_api = target.is_multiple_of(2);
        let server = if is_api {
            &apis[target / 2 % apis.len()]
        } else {
            &self.fleet.nodes[target / 2 % self.fleet.nodes.len()]
        };
        clocks.shift(&server.name, ms)?;
        let proxy = server
            .ways
            .as_ref()
            .and_then(|ways| ways.backplane.as_ref())
            .filter(|_| is_api);
        if let Some(proxy) = proxy {
            proxy.refuse();
        }
        sleep(length + CLOCK).await;
        if let Some(proxy) = proxy {
            proxy.lead_to(self.single_redis()?.address());
        }
        clocks.shift(&server.name, 0)
    }

    /// Waits until this fault finds all of Redis that it needs.
    pub(in crate::workload::soak) async fn prepare(&self, fault: Fault) -> Result<()> {
        if !fault.needs_whole_redis() {
            return Ok(());
        }
        let redis = self.fleet.backplane.clone();
        apart(move || redis.wait_until_whole()).await
    }

    /// The one Redis of a fleet that has one.
    pub(in crate::workload::soak) fn single_redis(&self) -> Result<Arc<Redis>> {
        let redis = self
            .fleet
            .backplane
            .single()
            .context("this Redis is several servers")?;
        Ok(redis.clone())
    }

    /// Kills or freezes an api-server: this one, or the one that looks at deadlines right now.
    async fn disturb_api(&mut self, fault: Fault, api: usize, length: Duration) -> Result<()> {
        let (api, length) = match fault {
            Fault::KillHolder => (self.holder(api).await, length),
            // Another one takes its lease meanwhile.
            Fault::PauseHolder => (self.holder(api).await, LEASE + length),
            _ => (api, length),
        };
        let server = &mut self.fleet.api_servers[api];
        if matches!(fault, Fault::PauseApi | Fault::PauseHolder) {
            server.pause_for(length).await;
            return Ok(());
        }
        server.kill()?;
        sleep(length).await;
        server.start().await
    }

    /// Where its database is looked into while it runs.
    pub(in crate::workload::soak) fn place(&self) -> Place {
        Place::Server(self.fleet.postgres.url(DATABASE))
    }

    /// The api-server that looks at deadlines right now; `other` when none was seen to.
    async fn holder(&self, other: usize) -> usize {
        let pid = self.place().holder(HOLDER).await;
        let servers = &self.fleet.api_servers;
        let found = servers
            .iter()
            .position(|server| pid.is_some() && server.pid() == pid);
        found.unwrap_or(other)
    }

    fn backplane_proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.ways().filter_map(|ways| ways.backplane.as_ref())
    }

    fn ways(&self) -> impl Iterator<Item = &Ways> {
        let servers = self.fleet.nodes.iter().chain(&self.fleet.api_servers);
        servers.filter_map(|server| server.ways.as_ref())
    }

    /// The proxies between nodes and their clients.
    fn fronts(&self) -> Vec<Front<'_>> {
        let nodes = self.fleet.nodes.iter().filter_map(|node| {
            Some(Front {
                proxy: &node.ways.as_ref()?.front,
                server: node.ports().im?,
            })
        });
        nodes.collect()
    }

    fn pid(&self, node: usize) -> Result<u32> {
        self.fleet.nodes[node].pid().context("the node does not run")
    }

    /// Ends everything.
    pub(in crate::workload::soak) async fn close(self) -> Result<()> {
        Box::pin(self.fleet.end()).await
    }
}

async fn half_open(server: &Server, length: Duration, which: impl Fn(&Ways) -> Option<&Proxy>) {
    if let Some(proxy) = server.ways.as_ref().and_then(which) {
        proxy.half_open();
        sleep(length).await;
        proxy.cut();
    }
}
