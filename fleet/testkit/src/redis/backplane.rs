//! The Redis of a fleet: one server, a Sentinel set or a cluster.

use std::sync::Arc;

use clap::ValueEnum;

use super::{
    Options, Redis,
    cluster::{self, Cluster},
    sentinel::{self, SentinelSet},
};

/// The topology of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// One server.
    #[default]
    Single,
    /// A master, its replica and three sentinels.
    Sentinel,
    /// A cluster of three masters with a replica each, and a master without slots.
    Cluster,
}

impl Kind {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

/// The processes of it; they end with the last handle.
#[derive(Clone)]
pub enum Backplane {
    /// One server.
    Single(Arc<Redis>),
    /// A master, its replica and three sentinels.
    Sentinel(Arc<SentinelSet>),
    /// A cluster.
    Cluster(Arc<Cluster>),
}

impl Backplane {
    /// Starts one and waits until it is whole.
    ///
    /// # Errors
    /// When Redis is not installed (with what to install), or something does not start in time.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Single => Self::Single(Arc::new(Redis::start(Options::default())?)),
            Kind::Sentinel => Self::Sentinel(Arc::new(SentinelSet::start(sentinel::Shape::default())?)),
            Kind::Cluster => {
                let shape = cluster::Shape {
                    replicas: true,
                    spare: true,
                    ..cluster::Shape::default()
                };
                Self::Cluster(Arc::new(Cluster::start(shape)?))
            }
        })
    }

    /// The address as `--redis-url` takes it.
    pub fn url(&self) -> String {
        match self {
            Self::Single(redis) => redis.url(),
            Self::Sentinel(set) => set.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// The one server, where there is only one.
    pub fn single(&self) -> Option<&Arc<Redis>> {
        match self {
            Self::Single(redis) => Some(redis),
            Self::Sentinel(_) | Self::Cluster(_) => None,
        }
    }

    /// All servers, whether master or replica; no sentinels.
    pub fn servers(&self) -> &[Redis] {
        match self {
            Self::Single(redis) => std::slice::from_ref(redis),
            Self::Sentinel(set) => &set.servers,
            Self::Cluster(cluster) => &cluster.nodes,
        }
    }

    /// The processes that run, with names for reports.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let numbered = |name: &str, which: &[Redis]| -> Vec<(String, u32)> {
            let named = which.iter().zip(1..);
            named
                .filter_map(|(redis, at)| Some((format!("{name}-{at}"), redis.pid()?)))
                .collect()
        };
        match self {
            Self::Single(redis) => redis
                .pid()
                .map(|pid| ("redis".to_owned(), pid))
                .into_iter()
                .collect(),
            Self::Sentinel(set) => {
                let mut all = numbered("redis", &set.servers);
                all.extend(numbered("sentinel", &set.sentinels));
                all
            }
            Self::Cluster(cluster) => numbered("redis", &cluster.nodes),
        }
    }

    /// Waits until everything is there that a replacement needs: all run, agree, and replicas are in step.
    ///
    /// # Errors
    /// When that is not so in time.
    pub fn wait_until_whole(&self) -> anyhow::Result<()> {
        match self {
            Self::Single(_) => Ok(()),
            Self::Sentinel(set) => set.wait_until_whole(),
            Self::Cluster(cluster) => cluster.wait_until_in_step(),
        }
    }
}
