//! A whole fleet on loopback to be disturbed: PostgreSQL, Redis, api-servers and nodes, with a proxy on every way
//! between them and between the nodes and their clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fleet_local::fleet::{DATABASE, Fleet, Server, Ways, apart};
use fleet_local::proxy::Proxy;
use fleet_local::redis::Redis;
use tokio::time::sleep;

use super::plan::{Disturbance, Fault};
use super::{backplane, notes::Notes};
use crate::arguments::Target;
use crate::workload::fleet::{Size, start_processes};
use crate::world::rest::{Rest, reachable};
use crate::world::{Builder, SmsWebhook};

/// How many conversations a lock is held on.
const LOCKED_CONVERSATIONS: usize = 5;
/// How often connections are ended again while that fault lasts.
const END_AGAIN: Duration = Duration::from_millis(700);
const LONGEST_DELAY: Duration = Duration::from_millis(300);

pub(super) struct Stage {
    pub(super) builder: Builder,
    pub(super) rest: Rest,
    pub(super) fleet: Fleet,
}

impl Stage {
    /// Starts a fleet of `target`'s size for so many connections, with proxies between everything or without.
    pub(super) async fn start(target: &Target, seed: u64, connections: usize, proxies: bool) -> Result<Self> {
        let sms = Arc::new(SmsWebhook::listen(target.sms_webhook_listen).await?);
        let size = Size::of(target);
        let fleet = Box::pin(start_processes(&size, &sms, connections, proxies)).await?;
        Self::over(fleet, sms, seed).await
    }

    /// Over a fleet that runs.
    pub(super) async fn over(fleet: Fleet, sms: Arc<SmsWebhook>, seed: u64) -> Result<Self> {
        let rest = Rest::new(&fleet.rest_urls().join(","))?;
        reachable(&rest).await?;
        let builder = Builder::new(rest.clone(), sms, seed);
        Ok(Self { builder, rest, fleet })
    }

    /// Does one thing to the fleet and undoes it after its length.
    pub(super) async fn disturb(&mut self, disturbance: Disturbance, notes: &Notes) -> Result<()> {
        let Disturbance {
            fault,
            target,
            length,
            ..
        } = disturbance;
        let node = target % self.fleet.nodes.len();
        let api = target % self.fleet.api_servers.len();
        match fault {
            Fault::KillNode => {
                self.fleet.nodes[node].kill()?;
                sleep(length).await;
                self.fleet.nodes[node].start().await?;
            }
            Fault::PauseNode => self.fleet.nodes[node].pause_for(length).await,
            Fault::KillApi => {
                self.fleet.api_servers[api].kill()?;
                sleep(length).await;
                self.fleet.api_servers[api].start().await?;
            }
            Fault::PauseApi => self.fleet.api_servers[api].pause_for(length).await,
            Fault::KillPostgres => {
                let postgres = self.fleet.postgres.clone();
                apart(move || postgres.kill()).await?;
                sleep(length).await;
                let postgres = self.fleet.postgres.clone();
                apart(move || postgres.start_again()).await?;
            }
            Fault::PausePostgres => {
                self.fleet.postgres.pause();
                sleep(length).await;
                self.fleet.postgres.resume();
            }
            Fault::EndJournalConnections => self.end_connections(length).await?,
            Fault::LockConversation => self.lock_conversations(target, length).await?,
            Fault::CutClients => self.fronts().for_each(Proxy::cut),
            Fault::DelayClients => {
                let delay = LONGEST_DELAY.mul_f64((target % 100 + 1) as f64 / 100.0);
                self.fronts().for_each(|front| front.delay(delay));
                sleep(length).await;
                self.fronts().for_each(|front| front.delay(Duration::ZERO));
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
        }
        Ok(())
    }

    /// Waits until this fault finds all of Redis that it needs.
    pub(super) async fn prepare(&self, fault: Fault) -> Result<()> {
        if !fault.needs_whole_redis() {
            return Ok(());
        }
        let redis = self.fleet.backplane.clone();
        apart(move || redis.wait_until_whole()).await
    }

    /// The one Redis of a fleet that has one.
    pub(super) fn single_redis(&self) -> Result<Arc<Redis>> {
        let redis = self
            .fleet
            .backplane
            .single()
            .context("this Redis is several servers")?;
        Ok(redis.clone())
    }

    fn backplane_proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.ways().filter_map(|ways| ways.backplane.as_ref())
    }

    fn ways(&self) -> impl Iterator<Item = &Ways> {
        let servers = self.fleet.nodes.iter().chain(&self.fleet.api_servers);
        servers.filter_map(|server| server.ways.as_ref())
    }

    /// The proxies between nodes and their clients.
    fn fronts(&self) -> impl Iterator<Item = &Proxy> {
        self.fleet
            .nodes
            .iter()
            .filter_map(|node| Some(&node.ways.as_ref()?.front))
    }

    /// Ends the connections that servers have to the database, again and again.
    async fn end_connections(&self, length: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < length {
            self.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    .to_owned(),
            )
            .await?;
            sleep(END_AGAIN).await;
        }
        Ok(())
    }

    /// Holds a lock on the rows of some conversations.
    async fn lock_conversations(&self, from: usize, length: Duration) -> Result<()> {
        let seconds = length.as_secs_f64();
        self.psql(format!(
            "BEGIN; SELECT id FROM conversation WHERE id IN (SELECT id FROM conversation ORDER BY id \
             OFFSET {from} % (SELECT count(*) FROM conversation) LIMIT {LOCKED_CONVERSATIONS}) FOR UPDATE; \
             SELECT pg_sleep({seconds}); ROLLBACK"
        ))
        .await
    }

    async fn psql(&self, sql: String) -> Result<()> {
        let postgres = self.fleet.postgres.clone();
        apart(move || postgres.psql(DATABASE, &sql)).await.map(drop)
    }

    /// Ends everything.
    pub(super) async fn close(self) -> Result<()> {
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
