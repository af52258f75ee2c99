//! A private Redis Cluster: three masters with all slots, a replica for each where one is wanted, and a spare master
//! without any.

use std::sync::OnceLock;

use anyhow::{Context, bail, ensure};

use super::{Certificate, Options, Redis};
use crate::{port::Port, wait::block_until};

/// Masters with slots.
pub const MASTERS: usize = 3;
const SLOTS: usize = 16_384;

/// The nodes of a cluster; dropped, all are ended.
pub struct Cluster {
    /// Three masters, the spare one if there is one, then the replicas, each in the order of its master.
    pub nodes: Vec<Redis>,
    has_replicas: bool,
    login: String,
    is_tls: bool,
    /// The ports that the nodes speak to each other on.
    _buses: Vec<Port>,
}

/// The parts of a cluster beside its three masters.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Each master has a replica, which takes over when its master has not answered for one second.
    pub replicas: bool,
    /// There is one more master, without a slot.
    pub spare: bool,
    /// User and password that all nodes want.
    pub login: Option<(&'static str, &'static str)>,
    /// All nodes take TLS only, also among each other, and show this certificate.
    pub certificate: Option<Certificate>,
}

impl Cluster {
    /// The cluster that all tests of this process share: three masters, started by the first who asks.
    ///
    /// # Panics
    /// When there is none to be had, with what to install.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::start(Shape::default())
                .unwrap_or_else(|error| panic!("no Redis Cluster for the tests: {error:#}"))
        })
    }

    /// Starts all nodes and waits until each says that the cluster is whole.
    ///
    /// # Errors
    /// When Redis is not installed (with what to install), or something does not start in time.
    pub fn start(shape: Shape) -> anyhow::Result<Self> {
        let masters = MASTERS + usize::from(shape.spare);
        let replicas = if shape.replicas { MASTERS } else { 0 };
        let nodes = (0..masters + replicas)
            .map(|_| node(&shape))
            .collect::<anyhow::Result<Vec<(Redis, Port)>>>()?;
        let (nodes, buses) = nodes.into_iter().unzip();
        let cluster = Self {
            nodes,
            _buses: buses,
            has_replicas: shape.replicas,
            login: shape
                .login
                .map(|(user, password)| format!("{user}:{password}@"))
                .unwrap_or_default(),
            is_tls: shape.certificate.is_some(),
        };
        for (at, node) in cluster.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()])?;
            if at < MASTERS {
                let (first, last) = (at * SLOTS / MASTERS, (at + 1) * SLOTS / MASTERS - 1);
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            }
            let port = cluster.nodes[0].address().port().to_string();
            let bus = bus_port(&cluster.nodes[0])?;
            if at > 0 {
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        let known = format!("cluster_known_nodes:{}", cluster.nodes.len());
        block_until("all nodes know each other", || {
            cluster.all_say(&[&known, "cluster_state:ok"])
        })?;
        for at in 0..replicas {
            let master = cluster.id(at)?;
            cluster.nodes[masters + at].command(&["CLUSTER", "REPLICATE", &master])?;
        }
        block_until("the replicas are in step", || {
            for at in 0..replicas {
                let info = cluster.nodes[masters + at].command(&["INFO", "replication"])?;
                let counted = cluster.nodes[at].command(&["INFO", "replication"])?;
                if !info.contains("master_link_status:up") || !counted.contains("connected_slaves:1") {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(cluster)
    }

    fn all_say(&self, words: &[&str]) -> anyhow::Result<bool> {
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            let info = node.command(&["CLUSTER", "INFO"])?;
            if !words.iter().all(|word| info.contains(word)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until all nodes that run say that the cluster is whole.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_until_whole(&self) -> anyhow::Result<()> {
        block_until("the cluster is whole", || self.all_say(&["cluster_state:ok"]))
    }

    /// The replica of a master.
    ///
    /// # Panics
    /// Where there are no replicas.
    pub fn replica(&self, master: usize) -> &Redis {
        &self.nodes[self.pair(master)[1]]
    }

    /// Waits until the replica of a master has taken its place.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_until_replaced(&self, master: usize) -> anyhow::Result<()> {
        block_until("the replica has taken over", || {
            let info = self.replica(master).command(&["INFO", "replication"])?;
            Ok(info.contains("role:master"))
        })?;
        self.wait_until_whole()
    }

    /// Which node has the slots of a shard now: the one that had them at the start, or its replica.
    ///
    /// # Errors
    /// When neither says so.
    ///
    /// # Panics
    /// Where there are no replicas.
    pub fn master(&self, shard: usize) -> anyhow::Result<usize> {
        for at in self.pair(shard) {
            let is_there = self.nodes[at].pid().is_some();
            if is_there && self.role(at)?.contains("role:master") {
                return Ok(at);
            }
        }
        bail!("shard {shard} has no master")
    }

    /// The two nodes of a shard.
    ///
    /// # Panics
    /// Where there are no replicas.
    pub fn pair(&self, shard: usize) -> [usize; 2] {
        assert!(self.has_replicas, "a cluster without replicas");
        [shard, self.nodes.len() - MASTERS + shard]
    }

    fn role(&self, node: usize) -> anyhow::Result<String> {
        self.nodes[node].command(&["INFO", "replication"])
    }

    /// Waits until a node is a master and says that the cluster is whole.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_until_master(&self, node: usize) -> anyhow::Result<()> {
        block_until("the replica has taken over", || {
            let info = self.nodes[node].command(&["CLUSTER", "INFO"])?;
            Ok(self.role(node)?.contains("role:master") && info.contains("cluster_state:ok"))
        })
    }

    /// Waits until all nodes run, say that the cluster is whole and no node fails, and each shard has a replica that
    /// is in step: only then can any master be replaced.
    ///
    /// # Errors
    /// When that is not so in time.
    ///
    /// # Panics
    /// Where there are no replicas.
    pub fn wait_until_in_step(&self) -> anyhow::Result<()> {
        block_until("the cluster is whole and in step", || {
            // A node that has just been started may not answer yet.
            Ok(self.is_in_step().unwrap_or(false))
        })
    }

    fn is_in_step(&self) -> anyhow::Result<bool> {
        for node in &self.nodes {
            let info = node.command(&["CLUSTER", "INFO"])?;
            let view = node.command(&["CLUSTER", "NODES"])?;
            if !info.contains("cluster_state:ok") || view.contains("fail") {
                return Ok(false);
            }
        }
        for shard in 0..MASTERS {
            let master = self.master(shard)?;
            let replica = self.pair(shard).into_iter().find(|at| *at != master);
            let info = self.role(replica.context("a shard of two nodes")?)?;
            let port = self.nodes[master].address().port();
            if !info.contains("master_link_status:up") || !info.contains(&format!("master_port:{port}")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Masters by their place among the nodes, each with the channels that are subscribed to there.
    ///
    /// # Errors
    /// When a node does not answer.
    ///
    /// # Panics
    /// Where there are no replicas.
    pub fn heard_channels(&self) -> anyhow::Result<Vec<(usize, Vec<String>)>> {
        let mut masters = (0..MASTERS)
            .map(|shard| self.master(shard))
            .collect::<anyhow::Result<Vec<usize>>>()?;
        // The spare ones.
        masters.extend(MASTERS..self.nodes.len() - MASTERS);
        let mut heard = Vec::with_capacity(masters.len());
        for at in masters {
            let names = self.nodes[at].command(&["PUBSUB", "SHARDCHANNELS"])?;
            let names = names.lines().filter(|name| !name.is_empty());
            heard.push((at, names.map(str::to_owned).collect()));
        }
        Ok(heard)
    }

    fn id(&self, node: usize) -> anyhow::Result<String> {
        self.nodes[node].command(&["CLUSTER", "MYID"])
    }

    /// The slot of a key or channel.
    ///
    /// # Errors
    /// When the first node does not answer.
    pub fn slot(&self, name: &str) -> anyhow::Result<usize> {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", name])?;
        slot.parse().context("CLUSTER KEYSLOT returns a number")
    }

    /// The master that has a key or channel at the start.
    ///
    /// # Errors
    /// When the first node does not answer.
    pub fn first_owner(&self, name: &str) -> anyhow::Result<usize> {
        let slot = self.slot(name)?;
        let is_owner = |at: &usize| slot < (at + 1) * SLOTS / MASTERS;
        (0..MASTERS).find(is_owner).context("a slot below 16384")
    }

    /// Begins to move a slot, and moves the keys that it has; what comes new goes to either end by ASK.
    ///
    /// # Errors
    /// Redis's own.
    pub fn begin_move(&self, slot: usize, from: usize, to: usize) -> anyhow::Result<()> {
        let slot = slot.to_string();
        let (from_id, to_id) = (self.id(from)?, self.id(to)?);
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])?;
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])?;
        let keys = self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"])?;
        let port = self.nodes[to].address().port().to_string();
        for key in keys.lines().filter(|key| !key.is_empty()) {
            let moved = self.nodes[from].command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"])?;
            ensure!(["OK", "NOKEY"].contains(&&*moved), "MIGRATE {key}: {moved}");
        }
        Ok(())
    }

    /// Ends what [`Self::begin_move`] began.
    ///
    /// # Errors
    /// Redis's own.
    pub fn finish_move(&self, slot: usize, from: usize, to: usize) -> anyhow::Result<()> {
        let to_id = self.id(to)?;
        for node in [to, from] {
            self.nodes[node].command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &to_id])?;
        }
        Ok(())
    }

    /// The address as `--redis-url` takes it, with the masters that have slots.
    pub fn url(&self) -> String {
        let places: Vec<String> = self.nodes[..MASTERS]
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        let (login, places) = (&self.login, places.join(","));
        if self.is_tls {
            let authority = self.nodes[0].certificate_path();
            return format!("rediss+cluster://{login}{places}?ca_cert={}", authority.display());
        }
        format!("redis+cluster://{login}{places}")
    }

    /// The address with a prefix of its own before every key and channel.
    pub fn prefixed_url(&self) -> String {
        let at = self.nodes[0].next_prefix();
        format!("{}?prefix=test{at}:", self.url())
    }
}

fn node(shape: &Shape) -> anyhow::Result<(Redis, Port)> {
    let login = shape.login;
    // 10000 above the port, as Redis has it by itself, may be no port at all.
    let bus = Port::take()?;
    let mut settings = vec![
        "cluster-enabled yes".to_owned(),
        format!("cluster-port {}", bus.number()),
        "cluster-node-timeout 1000".to_owned(),
        "cluster-replica-validity-factor 0".to_owned(),
        "cluster-require-full-coverage no".to_owned(),
        // Else a master that loses its last slot becomes a replica by itself.
        "cluster-allow-replica-migration no".to_owned(),
    ];
    if let Some((user, password)) = login {
        settings.extend([format!("masteruser {user}"), format!("masterauth {password}")]);
    }
    if shape.certificate.is_some() {
        settings.extend(["tls-cluster yes".to_owned(), "tls-replication yes".to_owned()]);
    }
    let redis = Redis::start(Options {
        user: login.map(|(user, _)| user.to_owned()),
        password: login.map(|(_, password)| password.to_owned()),
        certificate: shape.certificate.clone(),
        settings,
        ..Options::default()
    })?;
    Ok((redis, bus))
}

fn bus_port(node: &Redis) -> anyhow::Result<String> {
    let answer = node.command(&["CONFIG", "GET", "cluster-port"])?;
    match answer.lines().last() {
        Some(port) => Ok(port.to_owned()),
        None => bail!("CONFIG GET cluster-port returns nothing"),
    }
}
