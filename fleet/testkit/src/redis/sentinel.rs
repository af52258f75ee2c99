//! A private Redis with a replica and three sentinels that put the one in the other's place.

use anyhow::Context;

use super::{Certificate, Options, Redis};
use crate::wait::block_until;

/// How the sentinels call their master.
pub const MASTER_NAME: &str = "main";
/// By themselves sentinels look at a master that has come back after ten seconds, and wait for eight more before they
/// make a replica of it; one that was frozen keeps out of everything for thirty.
const HURRY: [&str; 10] = [
    "SENTINEL",
    "DEBUG",
    "info-period",
    "1000",
    "publish-period",
    "500",
    "tilt-period",
    "2000",
    "min-link-reconnect-period",
    "2000",
];

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

/// How a set differs from the plain one, which has no login and no TLS.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The logins that servers and sentinels want.
    pub guard: Option<Guard>,
    /// Servers and sentinels take TLS only, also among each other, and show this certificate.
    pub certificate: Option<Certificate>,
}

/// Two servers and their three sentinels; dropped, all are ended.
pub struct SentinelSet {
    /// The master at the start, then its replica.
    pub servers: [Redis; 2],
    /// The sentinels.
    pub sentinels: [Redis; 3],
    shape: Shape,
}

impl SentinelSet {
    /// Starts all of it and waits until it is whole. A master that does not answer for one second is replaced.
    ///
    /// # Errors
    /// When Redis is not installed (with what to install), or something does not start in time.
    pub fn start(shape: Shape) -> anyhow::Result<Self> {
        let master = shape.server(Vec::new())?;
        let port = master.address().port();
        let replica = shape.server(vec![format!("replicaof 127.0.0.1 {port}")])?;
        let set = Self {
            servers: [master, replica],
            sentinels: [
                shape.sentinel(port, 2)?,
                shape.sentinel(port, 2)?,
                shape.sentinel(port, 2)?,
            ],
            shape,
        };
        set.wait_until_whole()?;
        Ok(set)
    }

    /// Waits until everything runs, the sentinels know each other and agree on a master, and the other server is its
    /// replica, in step, as the sentinels see it, too: only then can the master be replaced.
    ///
    /// # Errors
    /// When that is not so in time.
    pub fn wait_until_whole(&self) -> anyhow::Result<()> {
        block_until("the sentinels agree and the replica is in step", || {
            // A server that has just been started, or was frozen for long, may not answer yet.
            Ok(self.is_whole().unwrap_or(false))
        })
    }

    fn is_whole(&self) -> anyhow::Result<bool> {
        let master = self.master()?;
        let port = self.servers[master].address().port().to_string();
        for sentinel in &self.sentinels {
            let seen = sentinel.command(&["SENTINEL", "MASTER", MASTER_NAME])?;
            let replicas = sentinel.command(&["SENTINEL", "REPLICAS", MASTER_NAME])?;
            let is_right = says(&seen, "port", &port)
                && says(&seen, "flags", "master")
                && says(&seen, "num-slaves", "1")
                && says(&seen, "num-other-sentinels", "2")
                && says(&replicas, "flags", "slave")
                && says(&replicas, "master-link-status", "ok");
            if !is_right {
                return Ok(false);
            }
        }
        let link = self.servers[1 - master].command(&["INFO", "replication"])?;
        Ok(link.contains("master_link_status:up") && link.contains(&format!("master_port:{port}")))
    }

    /// Which of the servers most sentinels name as the master: one that has just come back may be behind.
    ///
    /// # Errors
    /// When most name neither.
    pub fn master(&self) -> anyhow::Result<usize> {
        let asked = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
        let named: Vec<String> = self
            .sentinels
            .iter()
            .filter(|sentinel| sentinel.pid().is_some())
            .filter_map(|sentinel| sentinel.command(&asked).ok())
            .collect();
        let is_named = |server: &Redis| {
            let port = server.address().port().to_string();
            let votes = named.iter().filter(|said| said.lines().last() == Some(&*port));
            votes.count() * 2 > self.sentinels.len()
        };
        self.servers
            .iter()
            .position(is_named)
            .context("most sentinels name neither server as the master")
    }

    /// Waits until most sentinels name this server as the master, and it says so, too.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_until_master(&self, server: usize) -> anyhow::Result<()> {
        block_until("the master is replaced", || {
            let is_named = self.master().is_ok_and(|master| master == server);
            Ok(is_named
                && self.servers[server]
                    .command(&["INFO", "replication"])
                    .is_ok_and(|info| info.contains("role:master")))
        })
    }

    /// Starts a sentinel again that has been stopped or killed; it knows what it knew.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_sentinel_again(&self, sentinel: usize) -> anyhow::Result<()> {
        self.sentinels[sentinel].start_again()?;
        hurry(&self.sentinels[sentinel])
    }

    /// The address as `--redis-url` takes it.
    pub fn url(&self) -> String {
        self.url_of(&self.sentinels.iter().collect::<Vec<_>>())
    }

    /// The address with these sentinels.
    pub fn url_of(&self, sentinels: &[&Redis]) -> String {
        let places: Vec<String> = sentinels
            .iter()
            .map(|sentinel| sentinel.address().to_string())
            .collect();
        let places = places.join(",");
        let mut options = Vec::new();
        let scheme = if self.shape.certificate.is_some() {
            let authority = self.servers[0].certificate_path();
            options.push(format!("ca_cert={}", authority.display()));
            "rediss"
        } else {
            "redis"
        };
        let mut login = String::new();
        if let Some(Guard {
            user,
            password,
            sentinel_password,
        }) = self.shape.guard
        {
            login = format!("{user}:{password}@");
            options.push(format!("sentinel_password={sentinel_password}"));
        }
        let mark = if options.is_empty() { "" } else { "?" };
        let options = options.join("&");
        format!("{scheme}+sentinel://{login}{places}/{MASTER_NAME}{mark}{options}")
    }

    /// A sentinel that is behind: it knows the replica of the start as the master, and no other server.
    ///
    /// # Errors
    /// When it does not start.
    pub fn stale_sentinel(&self) -> anyhow::Result<Redis> {
        self.shape.sentinel(self.servers[1].address().port(), 9)
    }
}

impl Shape {
    fn server(&self, mut settings: Vec<String>) -> anyhow::Result<Redis> {
        if let Some(Guard { user, password, .. }) = self.guard {
            settings.extend([format!("masteruser {user}"), format!("masterauth {password}")]);
        }
        settings.extend(self.tls_among_each_other());
        Redis::start(Options {
            user: self.guard.map(|guard| guard.user.into()),
            password: self.guard.map(|guard| guard.password.into()),
            certificate: self.certificate.clone(),
            settings,
            ..Options::default()
        })
    }

    fn sentinel(&self, port: u16, quorum: u8) -> anyhow::Result<Redis> {
        let mut settings = vec![
            format!("sentinel monitor {MASTER_NAME} 127.0.0.1 {port} {quorum}"),
            format!("sentinel down-after-milliseconds {MASTER_NAME} 1000"),
            format!("sentinel failover-timeout {MASTER_NAME} 3000"),
        ];
        if let Some(guard) = self.guard {
            settings.extend([
                format!("sentinel auth-user {MASTER_NAME} {}", guard.user),
                format!("sentinel auth-pass {MASTER_NAME} {}", guard.password),
                format!("sentinel sentinel-pass {}", guard.sentinel_password),
            ]);
        }
        settings.extend(self.tls_among_each_other());
        let sentinel = Redis::start(Options {
            password: self.guard.map(|guard| guard.sentinel_password.into()),
            certificate: self.certificate.clone(),
            is_sentinel: true,
            settings,
            ..Options::default()
        })?;
        hurry(&sentinel)?;
        Ok(sentinel)
    }

    fn tls_among_each_other(&self) -> Option<String> {
        self.certificate
            .as_ref()
            .map(|_| "tls-replication yes".to_owned())
    }
}

/// [`HURRY`] is not kept over a restart.
fn hurry(sentinel: &Redis) -> anyhow::Result<()> {
    sentinel.command(&HURRY).map(drop)
}

/// Whether an answer of names and values, one a line, has this pair.
fn says(answer: &str, name: &str, value: &str) -> bool {
    let lines: Vec<&str> = answer.lines().collect();
    lines.windows(2).any(|pair| pair == [name, value])
}
