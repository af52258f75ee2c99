//! Which shard has which key and channel, and asking them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind, Value, from_redis_value,
};
use parking_lot::RwLock;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use super::{layout::Layout, publisher::count_lost, shard::Shard};
use crate::{Channel, Unavailable, redis::link::Live};

/// How often a command that met the wrong master is sent.
const TRIES: usize = 4;
/// Names tried for one that falls to a shard: a shard with a single slot has one in 16384.
const NAMES: u32 = 200_000;
/// How long a command that met a change of the cluster waits for the new map.
const LOOK_WAIT: Duration = Duration::from_millis(700);
/// How long a migrating slot is waited for.
const TRY_AGAIN_WAIT: Duration = Duration::from_millis(50);

/// The way to each key and channel.
pub(crate) struct Routes {
    /// A cluster: sharded publications, and slots that move.
    pub(crate) is_cluster: bool,
    map: RwLock<Arc<Map>>,
    /// Counts the maps.
    version: AtomicU64,
    /// Counts the looks at the cluster.
    looked: watch::Sender<u64>,
    pub(crate) look: Notify,
}

/// Shards and their slots.
#[derive(Default)]
pub(crate) struct Map {
    pub(crate) shards: Vec<Arc<Shard>>,
    /// Its masters are the shards; empty for one server.
    pub(crate) layout: Layout,
}

impl Routes {
    pub(crate) fn new(is_cluster: bool) -> Self {
        Self {
            is_cluster,
            map: RwLock::default(),
            version: AtomicU64::new(0),
            looked: watch::channel(0).0,
            look: Notify::new(),
        }
    }

    pub(crate) fn map(&self) -> Arc<Map> {
        self.map.read().clone()
    }

    /// Replaces the map, if there is another, and notifies that it was refreshed.
    pub(crate) fn looked(&self, map: Option<Map>) {
        if let Some(map) = map {
            *self.map.write() = Arc::new(map);
            self.version.fetch_add(1, Ordering::Release);
        }
        self.looked.send_modify(|times| *times += 1);
    }

    /// Changes with the map, after it.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Changes with every refresh.
    pub(crate) fn looks(&self) -> watch::Receiver<u64> {
        self.looked.subscribe()
    }

    fn owner(&self, key: &[u8]) -> Option<Arc<Shard>> {
        let map = self.map.read();
        let at = if self.is_cluster {
            map.layout.owner(key)?
        } else {
            0
        };
        map.shards.get(at).cloned()
    }

    /// Whether a key or channel falls to this shard.
    pub(crate) fn is_owner(&self, number: u64, key: &[u8]) -> bool {
        if !self.is_cluster {
            return true;
        }
        let map = self.map.read();
        let shard = map.layout.owner(key).and_then(|at| map.shards.get(at));
        shard.is_some_and(|shard| shard.number == number)
    }

    /// Whether any slot falls to this shard.
    pub(crate) fn has_slots(&self, number: u64) -> bool {
        if !self.is_cluster {
            return true;
        }
        let map = self.map.read();
        let at = map.shards.iter().position(|shard| shard.number == number);
        at.is_some_and(|at| map.layout.has_slots(at))
    }

    /// A name that begins with `base` and falls to this shard; `None` when it has no slots.
    pub(crate) fn name_for(&self, number: u64, base: &str) -> Option<String> {
        if !self.has_slots(number) {
            return None;
        }
        (0..NAMES)
            .map(|at| format!("{base}:{at}"))
            .find(|name| self.is_owner(number, name.as_bytes()))
    }

    /// Whether every server is there.
    pub(crate) fn is_available(&self) -> bool {
        self.problem().is_none()
    }

    /// The problem, if there is one.
    pub(crate) fn problem(&self) -> Option<String> {
        let map = self.map();
        if !self.is_cluster {
            return map.shards.iter().find_map(|shard| shard.problem());
        }
        if !map.layout.is_whole() {
            return Some("is a cluster whose slots are not all served".to_owned());
        }
        let shards = map.shards.iter().enumerate();
        let mut with_slots = shards.filter(|(at, _)| map.layout.has_slots(*at));
        with_slots.find_map(|(_, shard)| shard.problem())
    }

    /// Queues a command for the shard of its key or channel; `bytes` is about its size.
    pub(crate) fn send(&self, key: &[u8], command: Cmd, bytes: usize) {
        match self.owner(key) {
            Some(shard) => shard.publisher.send(command, bytes),
            None => count_lost("away", 1),
        }
    }

    /// Subscribes at the shard that has the channel; confirmed when it returns.
    pub(crate) async fn subscribe(&self, name: &[u8], channel: Channel) -> Result<(), Unavailable> {
        for _ in 0..TRIES {
            let looks = self.looks();
            if let Some(shard) = self.owner(name)
                && shard.supervisor.subscribe(channel).await.is_ok()
            {
                return Ok(());
            }
            if !self.is_cluster {
                break;
            }
            self.await_look(looks).await?;
        }
        Err(Unavailable)
    }

    /// Returns at once.
    pub(crate) fn unsubscribe(&self, name: &[u8], channel: Channel) {
        if let Some(shard) = self.owner(name) {
            shard.supervisor.unsubscribe(channel);
        }
    }

    async fn await_look(&self, mut looks: watch::Receiver<u64>) -> Result<(), Unavailable> {
        looks.mark_unchanged();
        self.look.notify_one();
        match timeout(LOOK_WAIT, looks.changed()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Unavailable),
        }
    }

    /// Runs a command on its key; an answer of the wrong type and a refusal count as unavailable.
    pub(crate) async fn ask<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T, Unavailable> {
        let value = self.ask_raw(key, command).await?;
        from_redis_value(value).map_err(|_| Unavailable)
    }

    async fn ask_raw(&self, key: &str, command: &Cmd) -> Result<Value, Unavailable> {
        let mut asked_to: Option<Arc<Shard>> = None;
        for _ in 0..TRIES {
            let looks = self.looks();
            let is_ask = asked_to.is_some();
            let Some(shard) = asked_to.take().or_else(|| self.owner(key.as_bytes())) else {
                self.await_look(looks).await?;
                continue;
            };
            let live = shard.asking.live().await?;
            let answer = if is_ask {
                ask_while_it_moves(&live, command).await
            } else {
                live.run(command).await
            };
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => self.await_look(looks).await?,
                ErrorKind::Server(ServerErrorKind::Ask) => match self.named(&error) {
                    Some(shard) => asked_to = Some(shard),
                    None => self.await_look(looks).await?,
                },
                ErrorKind::Server(ServerErrorKind::TryAgain) => tokio::time::sleep(TRY_AGAIN_WAIT).await,
                _ => return Err(Unavailable),
            }
        }
        Err(Unavailable)
    }

    /// The shard that a redirection names.
    fn named(&self, error: &RedisError) -> Option<Arc<Shard>> {
        let (address, _) = error.redirect_node()?;
        let (host, port) = address.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let map = self.map();
        let is_named = |shard: &&Arc<Shard>| {
            let place = shard.place.as_ref();
            place.is_some_and(|place| place.1 == port && (place.0 == host || host.is_empty()))
        };
        map.shards.iter().find(is_named).cloned()
    }

    /// Runs several commands, each on its key; the answers come in their order.
    pub(crate) async fn ask_each<T: FromRedisValue>(
        &self,
        commands: Vec<(String, Cmd)>,
    ) -> Result<Vec<T>, Unavailable> {
        let map = self.map();
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); map.shards.len().max(1)];
        let mut again = Vec::new();
        for (at, (key, _)) in commands.iter().enumerate() {
            let owner = match self.is_cluster {
                true => map.layout.owner(key.as_bytes()),
                false => Some(0),
            };
            match owner {
                Some(owner) => groups[owner].push(at),
                None => again.push(at),
            }
        }
        let mut asking = JoinSet::new();
        for (shard, group) in map.shards.iter().zip(groups) {
            if group.is_empty() {
                continue;
            }
            let mut together = Pipeline::with_capacity(group.len());
            for at in &group {
                together.add_command(commands[*at].1.clone());
            }
            let link = shard.asking.clone();
            asking.spawn(async move {
                let live = link.live().await?;
                let answers = live.run_each(together).await.map_err(|_| Unavailable)?;
                Ok::<_, Unavailable>((group, answers))
            });
        }
        let mut values: Vec<Option<Value>> = vec![None; commands.len()];
        while let Some(answered) = asking.join_next().await {
            let (group, answers) = answered.map_err(|_| Unavailable)??;
            for (at, answer) in group.into_iter().zip(answers) {
                match answer {
                    Ok(value) => values[at] = Some(value),
                    Err(error) if error.is_cluster_error() => again.push(at),
                    Err(_) => return Err(Unavailable),
                }
            }
        }
        for at in again {
            let (key, command) = &commands[at];
            values[at] = Some(self.ask_raw(key, command).await?);
        }
        values
            .into_iter()
            .map(|value| from_redis_value(value.ok_or(Unavailable)?).map_err(|_| Unavailable))
            .collect()
    }
}

/// A command on a key that has moved ahead of its slot.
async fn ask_while_it_moves(live: &Live, command: &Cmd) -> Result<Value, RedisError> {
    let mut together = Pipeline::with_capacity(2);
    together.add_command(::redis::cmd("ASKING"));
    together.add_command(command.clone());
    let mut answers = live.run_each(together).await?;
    answers
        .pop()
        .unwrap_or_else(|| Err(std::io::Error::other("no answer").into()))
}
