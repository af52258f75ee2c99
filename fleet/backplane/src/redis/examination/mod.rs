//! Examines a Redis that answers: whether our user may run our commands, and whether its limits drop publications.

pub(crate) mod fleets;

use ::redis::{Cmd, RedisError, cmd};

use super::{
    cluster::{Routes, Shard},
    server::refusal::{cure, takes_no_writes},
};
use crate::{Complaint, Unavailable};

const MIB: u64 = 1024 * 1024;
/// The limits in deploy/redis/redis.conf, bytes: at once, and for longer.
const PUBSUB_LIMITS: [u64; 2] = [256 * MIB, 64 * MIB];
/// The defaults of Redis; below them a single busy moment is too much.
const PUBSUB_DEFAULTS: [u64; 2] = [32 * MIB, 8 * MIB];
const MEND_LIMITS: &str = "in redis.conf: client-output-buffer-limit pubsub 256mb 64mb 60";
const MEND_RIGHTS: &str = "give the user the rights that deploy/redis/redis.conf names";

/// All commands of our scripts, on a key that expires at once.
const TRIAL: &str = "
redis.call('TIME')
redis.call('HSET', KEYS[1], 'a', 'b')
redis.call('HGET', KEYS[1], 'a')
redis.call('HGETALL', KEYS[1])
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('HDEL', KEYS[1], 'a')
redis.call('RPUSH', KEYS[1], 'a')
redis.call('LTRIM', KEYS[1], -8, -1)
redis.call('PEXPIREAT', KEYS[1], '1', 'NX')
redis.call('PEXPIREAT', KEYS[1], '1', 'GT')
return 0";

/// Examines every server.
///
/// # Errors
/// When one does not answer.
pub(crate) async fn complaints(routes: &Routes, prefix: &str) -> Result<Vec<Complaint>, Unavailable> {
    let map = routes.map();
    let mut complaints: Vec<Complaint> = Vec::new();
    for shard in &map.shards {
        let base = format!("{prefix}check:{:016x}", rand::random::<u64>());
        // A master without slots has no keys to try.
        let mut found = match routes.name_for(shard.number, &base) {
            Some(name) => rights(routes, shard, &name).await?,
            None => Vec::new(),
        };
        found.extend(settings(shard).await?);
        for complaint in found {
            // Servers of one set mostly have the same findings.
            if !complaints.contains(&complaint) {
                complaints.push(complaint);
            }
        }
    }
    Ok(complaints)
}

async fn rights(routes: &Routes, shard: &Shard, name: &str) -> Result<Vec<Complaint>, Unavailable> {
    let live = shard.asking.live().await?;
    let publish = if routes.is_cluster { "SPUBLISH" } else { "PUBLISH" };
    let on = |command: &str| {
        let mut on = cmd(command);
        on.arg(name);
        on
    };
    let mut set = on("SET");
    set.arg(1).arg("PX").arg(1_000).arg("GET");
    let mut trial = cmd("EVAL");
    trial.arg(TRIAL).arg(1).arg(name);
    let mut range = on("LRANGE");
    range.arg(0).arg(-1);
    let mut put_in = on("HSET");
    put_in.arg("a").arg("b");
    let mut read = on("HGET");
    read.arg("a");
    let mut take_out = on("HDEL");
    take_out.arg("a");
    let mut say = cmd(publish);
    say.arg(name).arg("");
    let mut info = cmd("CLIENT");
    info.arg("INFO");
    let commands: [(&str, Cmd); 11] = [
        ("SET", set),
        ("DEL", on("DEL")),
        ("EVAL", trial),
        ("LRANGE", range),
        ("HSET", put_in),
        ("HGET", read),
        ("HGETALL", on("HGETALL")),
        ("HDEL", take_out),
        ("TIME", cmd("TIME")),
        (publish, say),
        ("CLIENT INFO", info),
    ];
    let mut complaints = Vec::new();
    for (name, command) in commands {
        let answer = live.run::<::redis::Value>(&command).await;
        complain(&mut complaints, name, answer.map(drop))?;
    }
    let listening = shard.listening.live().await?;
    let names = [name.as_bytes().to_vec()];
    let (subscribe, answer) = if routes.is_cluster {
        ("SSUBSCRIBE", listening.subscribe_sharded(&names).await.map(drop))
    } else {
        ("SUBSCRIBE", listening.subscribe(&names).await)
    };
    complain(&mut complaints, subscribe, answer)?;
    Ok(complaints)
}

/// A refusal is a complaint; no answer at all ends the examination.
fn complain(
    complaints: &mut Vec<Complaint>,
    command: &str,
    answer: Result<(), RedisError>,
) -> Result<(), Unavailable> {
    match answer {
        Ok(()) => Ok(()),
        Err(error) if error.is_io_error() || error.is_timeout() => Err(Unavailable),
        Err(error) => {
            let remedy = if takes_no_writes(&error) {
                cure(&error)
            } else {
                MEND_RIGHTS
            };
            complaints.push(Complaint {
                is_grave: true,
                problem: format!("{command} is refused: {error}"),
                cure: remedy.into(),
            });
            Ok(())
        }
    }
}

async fn settings(shard: &Shard) -> Result<Vec<Complaint>, Unavailable> {
    let live = shard.asking.live().await?;
    let seen = |answer: Result<String, RedisError>| match answer {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_io_error() || error.is_timeout() => Err(Unavailable),
        // The user may not ask: no finding.
        Err(_) => Ok(None),
    };
    let mut complaints = Vec::new();
    if let Some(info) = seen(live.run(cmd("INFO").arg("server")).await)? {
        complaints.extend(version(&info));
    }
    if let Some(info) = seen(live.run(cmd("INFO").arg("memory")).await)? {
        complaints.extend(memory(&info));
    }
    let mut ask = cmd("CONFIG");
    ask.arg("GET").arg("client-output-buffer-limit");
    let limits = live.run::<(String, String)>(&ask).await.map(|(_, limits)| limits);
    if let Some(limits) = seen(limits)? {
        complaints.extend(pubsub(&limits));
    }
    Ok(complaints)
}

fn field<'t>(info: &'t str, name: &str) -> Option<&'t str> {
    info.lines()
        .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
}

fn version(info: &str) -> Option<Complaint> {
    let version = field(info, "redis_version")?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < 7).then(|| Complaint {
        is_grave: true,
        problem: format!("it is Redis {version}"),
        cure: "install Redis 7 or newer".into(),
    })
}

fn memory(info: &str) -> Option<Complaint> {
    let policy = field(info, "maxmemory_policy")?;
    let limit: u64 = field(info, "maxmemory")?.parse().ok()?;
    if limit == 0 {
        return Some(Complaint {
            is_grave: false,
            problem: "its memory has no limit: it may grow until the machine has none left".into(),
            cure: "in redis.conf: maxmemory 1gb, maxmemory-policy noeviction".into(),
        });
    }
    (policy != "noeviction").then(|| Complaint {
        is_grave: true,
        problem: format!(
            "when its memory is full it throws away logins and passwords (maxmemory-policy {policy}), and an older login \
             may live on"
        ),
        cure: "in redis.conf: maxmemory-policy noeviction".into(),
    })
}

/// `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`
fn pubsub(limits: &str) -> Option<Complaint> {
    let mut words = limits
        .split_whitespace()
        .skip_while(|word| *word != "pubsub")
        .skip(1);
    let mut number = || -> Option<u64> {
        let limit: u64 = words.next()?.parse().ok()?;
        // 0: no limit.
        Some(if limit == 0 { u64::MAX } else { limit })
    };
    let limits = [number()?, number()?];
    let is_below = |wanted: [u64; 2]| limits.iter().zip(wanted).any(|(limit, wanted)| *limit < wanted);
    is_below(PUBSUB_LIMITS).then(|| {
        let [at_once, for_longer] = limits.map(|limit| limit / MIB);
        Complaint {
            is_grave: is_below(PUBSUB_DEFAULTS),
            problem: format!(
                "it cuts off a node that is {at_once} MiB behind with reading publications, or {for_longer} MiB for a while; \
                 each time the node fetches what it missed from the database"
            ),
            cure: MEND_LIMITS.into(),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn versions_below_seven_will_not_do() {
        assert!(version("# Server\r\nredis_version:6.2.14\r\n").unwrap().is_grave);
        assert_eq!(version("redis_version:7.0.15\r\n"), None);
        assert_eq!(version("redis_version:10.1.0\r\n"), None);
        assert_eq!(version("nonsense"), None);
    }

    #[test]
    fn memory_has_a_limit_and_nothing_is_evicted() {
        let info = |limit: u64, policy: &str| format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(memory(&info(1 << 30, "noeviction")), None);
        assert!(memory(&info(1 << 30, "allkeys-lru")).unwrap().is_grave);
        assert!(!memory(&info(0, "allkeys-lru")).unwrap().is_grave);
    }

    #[test]
    fn the_pubsub_limits_are_those_of_the_deployed_file() {
        let limits = |text: &str| pubsub(&format!("normal 0 0 0 slave 1 1 60 {text}"));
        assert_eq!(limits("pubsub 268435456 67108864 60"), None);
        assert_eq!(limits("pubsub 0 0 0"), None);
        assert!(!limits("pubsub 33554432 8388608 60").unwrap().is_grave);
        assert!(!limits("pubsub 268435456 8388608 60").unwrap().is_grave);
        assert!(limits("pubsub 65536 32768 1").unwrap().is_grave);
        assert_eq!(pubsub("normal 0 0 0"), None);
    }
}
