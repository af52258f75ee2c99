//! A private Redis with a replica and three sentinels that put the one in the other's place.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::redis::{Options, Redis};

/// How the sentinels call their master.
pub const MASTER_NAME: &str = "main";
/// How long the sentinels may take to find each other, and to replace a master.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// The logins of a guarded set.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// The one user of the servers.
    pub user: &'static str,
    /// That user's password.
    pub password: &'static str,
    /// The sentinels' own password.
    pub sentinel_password: &'static str,
}

/// Two servers and their three sentinels; dropped, all are ended.
pub struct SentinelSet {
    /// The master at the start, then its replica.
    pub servers: [Redis; 2],
    /// Who decide.
    pub sentinels: [Redis; 3],
    guard: Option<Guard>,
}

impl SentinelSet {
    /// Starts all of it and waits until the sentinels know each other and the replica. A master that does not answer for
    /// one second is replaced.
    ///
    /// # Errors
    /// When Redis is not installed (with what to install), or something does not start in time.
    pub fn start(guard: Option<Guard>) -> anyhow::Result<Self> {
        let server = |mut settings: Vec<String>| {
            if let Some(Guard { user, password, .. }) = guard {
                settings.extend([format!("masteruser {user}"), format!("masterauth {password}")]);
            }
            Redis::start(Options {
                user: guard.map(|guard| guard.user.into()),
                password: guard.map(|guard| guard.password.into()),
                settings,
                ..Options::default()
            })
        };
        let master = server(Vec::new())?;
        let port = master.address().port();
        let replica = server(vec![format!("replicaof 127.0.0.1 {port}")])?;
        let set = Self {
            servers: [master, replica],
            sentinels: [
                sentinel(port, 2, guard)?,
                sentinel(port, 2, guard)?,
                sentinel(port, 2, guard)?,
            ],
            guard,
        };
        wait("the sentinels find each other", || set.is_whole())?;
        Ok(set)
    }

    fn is_whole(&self) -> anyhow::Result<bool> {
        for sentinel in &self.sentinels {
            let answer = sentinel.command(&["SENTINEL", "MASTER", MASTER_NAME])?;
            let lines: Vec<&str> = answer.lines().collect();
            let is = |name, value| lines.windows(2).any(|pair| pair == [name, value]);
            if !is("num-slaves", "1") || !is("num-other-sentinels", "2") {
                return Ok(false);
            }
        }
        let link = self.servers[1].command(&["INFO", "replication"])?;
        Ok(link.contains("master_link_status:up"))
    }

    /// Waits until the sentinels have put the replica of the start in its master's place.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_until_replaced(&self) -> anyhow::Result<()> {
        let port = self.servers[1].address().port().to_string();
        wait("the master is replaced", || {
            let asked = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
            Ok(self.sentinels.iter().all(|sentinel| {
                sentinel
                    .command(&asked)
                    .is_ok_and(|answer| answer.lines().last() == Some(&*port))
            }))
        })
    }

    /// The address as `--redis-url` takes it.
    pub fn url(&self) -> String {
        url(&self.sentinels.iter().collect::<Vec<_>>(), self.guard)
    }

    /// A sentinel that is behind: it knows the replica of the start as the master, and nobody else.
    ///
    /// # Errors
    /// When it does not start.
    pub fn stale_sentinel(&self) -> anyhow::Result<Redis> {
        sentinel(self.servers[1].address().port(), 9, self.guard)
    }
}

/// The address with these sentinels, as `--redis-url` takes it.
pub fn url(sentinels: &[&Redis], guard: Option<Guard>) -> String {
    let places: Vec<String> = sentinels
        .iter()
        .map(|sentinel| sentinel.address().to_string())
        .collect();
    let places = places.join(",");
    match guard {
        None => format!("redis+sentinel://{places}/{MASTER_NAME}"),
        Some(Guard {
            user,
            password,
            sentinel_password,
        }) => format!(
            "redis+sentinel://{user}:{password}@{places}/{MASTER_NAME}?sentinel_password={sentinel_password}"
        ),
    }
}

fn sentinel(port: u16, quorum: u8, guard: Option<Guard>) -> anyhow::Result<Redis> {
    let mut settings = vec![
        format!("sentinel monitor {MASTER_NAME} 127.0.0.1 {port} {quorum}"),
        format!("sentinel down-after-milliseconds {MASTER_NAME} 1000"),
        format!("sentinel failover-timeout {MASTER_NAME} 3000"),
    ];
    if let Some(guard) = guard {
        settings.extend([
            format!("sentinel auth-user {MASTER_NAME} {}", guard.user),
            format!("sentinel auth-pass {MASTER_NAME} {}", guard.password),
            format!("sentinel sentinel-pass {}", guard.sentinel_password),
        ]);
    }
    Redis::start(Options {
        password: guard.map(|guard| guard.sentinel_password.into()),
        is_sentinel: true,
        settings,
        ..Options::default()
    })
}

/// Waits until something holds.
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(POLL);
    }
    Ok(())
}
