//! Faults of a fleet's Redis: of one server, a Sentinel set or a cluster. It waits for other processes,
//! so it runs on a thread of its own.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::backplane::Backplane;
use testkit::cluster::{Cluster, MASTERS};
use testkit::redis::Redis;
use testkit::sentinel::{MASTER_NAME, SentinelSet};

use crate::arguments::fault::Fault;

const SMALL_PUBSUB_BUFFER: &str = "pubsub 4kb 2kb 1";
const USUAL_PUBSUB_BUFFER: &str = "pubsub 256mb 64mb 60";

/// Does one thing to Redis, which must be whole where the fault needs that, and undoes it after `length`; `target` says
/// to which of several servers.
pub(in crate::workload::soak::faults) fn disturb(
    backplane: &Backplane,
    fault: Fault,
    target: usize,
    length: Duration,
) -> Result<()> {
    match fault {
        Fault::EmptyRedis => command(master(backplane, target)?, &["FLUSHALL"]),
        Fault::KillSubscriptions => everywhere(backplane, &["CLIENT", "KILL", "TYPE", "pubsub"]),
        Fault::TinyPubSubBuffer => {
            limit_pubsub(backplane, SMALL_PUBSUB_BUFFER)?;
            sleep(length);
            limit_pubsub(backplane, USUAL_PUBSUB_BUFFER)
        }
        // Where no proxy can stand, since Redis itself says where its servers are.
        Fault::CutBackplane => {
            everywhere(backplane, &["CLIENT", "KILL", "TYPE", "normal"])?;
            everywhere(backplane, &["CLIENT", "KILL", "TYPE", "pubsub"])
        }
        _ => match backplane {
            Backplane::Single(redis) => disturb_one(redis, fault, length),
            Backplane::Sentinel(set) => disturb_sentinels(set, fault, target, length),
            Backplane::Cluster(cluster) => disturb_cluster(cluster, fault, target, length),
        },
    }
}

fn disturb_one(redis: &Redis, fault: Fault, length: Duration) -> Result<()> {
    match fault {
        Fault::KillRedis => {
            redis.kill()?;
            sleep(length);
            redis.start_again()
        }
        Fault::PauseRedis => {
            freeze(redis, length);
            Ok(())
        }
        _ => bail!("{fault} is nothing that happens to one Redis"),
    }
}

fn disturb_sentinels(set: &SentinelSet, fault: Fault, target: usize, length: Duration) -> Result<()> {
    let sentinel = target % set.sentinels.len();
    match fault {
        Fault::KillSentinel => {
            set.sentinels[sentinel].kill()?;
            sleep(length);
            return set.start_sentinel_again(sentinel);
        }
        Fault::PauseSentinel => {
            freeze(&set.sentinels[sentinel], length);
            return Ok(());
        }
        _ => {}
    }
    let master = set.master()?;
    let pair = Pair {
        master: &set.servers[master],
        replica: &set.servers[1 - master],
    };
    match fault {
        Fault::HandOverMaster => {
            command(&set.sentinels[sentinel], &["SENTINEL", "FAILOVER", MASTER_NAME])?;
            set.wait_until_master(1 - master)
        }
        _ => pair.disturb(fault, length, || set.wait_until_master(1 - master)),
    }
}

fn disturb_cluster(cluster: &Cluster, fault: Fault, target: usize, length: Duration) -> Result<()> {
    if fault == Fault::MoveSlot {
        return move_slot(cluster, target, length);
    }
    let shard = target % MASTERS;
    let master = cluster.master(shard)?;
    let [first, second] = cluster.pair(shard);
    let replica = if master == first { second } else { first };
    let pair = Pair {
        master: &cluster.nodes[master],
        replica: &cluster.nodes[replica],
    };
    match fault {
        Fault::HandOverMaster => {
            command(pair.replica, &["CLUSTER", "FAILOVER"])?;
            cluster.wait_until_master(replica)
        }
        _ => pair.disturb(fault, length, || cluster.wait_until_master(replica)),
    }
}

/// A master and its replica.
struct Pair<'r> {
    master: &'r Redis,
    replica: &'r Redis,
}

impl Pair<'_> {
    /// `replaced` waits until the replica has taken over.
    fn disturb(&self, fault: Fault, length: Duration, replaced: impl FnOnce() -> Result<()>) -> Result<()> {
        match fault {
            Fault::KillMaster => {
                self.master.kill()?;
                replaced()?;
                sleep(length);
                self.master.start_again()
            }
            Fault::PauseMaster => {
                self.master.pause();
                let replaced = replaced();
                sleep(length);
                // Also when it has not been: nothing can be ended in order while it is frozen.
                self.master.resume();
                replaced
            }
            // Back before it counts as dead, and empty.
            Fault::RestartMaster => {
                self.master.kill()?;
                self.master.start_again()
            }
            Fault::KillReplica => {
                self.replica.kill()?;
                sleep(length);
                self.replica.start_again()
            }
            Fault::PauseReplica => {
                freeze(self.replica, length);
                Ok(())
            }
            _ => bail!("{fault} is nothing that happens to a master and its replica"),
        }
    }
}

/// Moves the slot of a channel with subscribers to another master; it is half moved for `length`.
fn move_slot(cluster: &Cluster, target: usize, length: Duration) -> Result<()> {
    let heard = cluster.heard_channels()?;
    let channels: Vec<(usize, &str)> = heard
        .iter()
        .flat_map(|(master, names)| names.iter().map(|name| (*master, name.as_str())))
        .collect();
    if channels.is_empty() {
        bail!("no channel has a subscriber");
    }
    let (from, name) = channels[target % channels.len()];
    let others: Vec<usize> = heard
        .iter()
        .map(|(master, _)| *master)
        .filter(|master| *master != from)
        .collect();
    let to = others[target % others.len()];
    let slot = cluster.slot(name)?;
    cluster.begin_move(slot, from, to)?;
    sleep(length);
    cluster.finish_move(slot, from, to)
}

/// The master, of a cluster the one of this shard.
fn master(backplane: &Backplane, target: usize) -> Result<&Redis> {
    Ok(match backplane {
        Backplane::Single(redis) => redis,
        Backplane::Sentinel(set) => &set.servers[set.master()?],
        Backplane::Cluster(cluster) => &cluster.nodes[cluster.master(target % MASTERS)?],
    })
}

fn freeze(redis: &Redis, length: Duration) {
    redis.pause();
    sleep(length);
    redis.resume();
}

fn limit_pubsub(backplane: &Backplane, limit: &str) -> Result<()> {
    everywhere(backplane, &["CONFIG", "SET", "client-output-buffer-limit", limit])
}

fn everywhere(backplane: &Backplane, words: &[&str]) -> Result<()> {
    backplane
        .servers()
        .iter()
        .try_for_each(|server| command(server, words))
}

fn command(redis: &Redis, words: &[&str]) -> Result<()> {
    redis
        .command(words)
        .map(drop)
        .with_context(|| format!("{} at {}", words.join(" "), redis.address()))
}
