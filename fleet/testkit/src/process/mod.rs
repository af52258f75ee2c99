//! A child process that says in a ports file where it listens.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

pub(crate) mod child;
pub(crate) mod pid;
pub mod port;
pub(crate) mod watcher;

use child::log_tail;
use pid::{freeze, signal};

/// How long a start may take: a first start makes its database.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to end by itself; then it is killed.
const END_LIMIT: Duration = Duration::from_secs(60);

/// The program of this name beside this one, where cargo puts them all.
///
/// # Errors
/// When it is not known where this program lies.
pub fn beside_this_program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find out where this program lies")?;
    Ok(own.with_file_name(name))
}

/// Where a program listens; what it does not open is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Framed TCP.
    pub im: Option<SocketAddr>,
    /// WebSocket.
    pub ws: Option<SocketAddr>,
    /// TLS.
    pub tls: Option<SocketAddr>,
    /// REST.
    pub rest: Option<SocketAddr>,
    /// Metrics and health.
    pub admin: Option<SocketAddr>,
}

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Spawned {
    /// Starts a program and waits until it listens. `--ports-file` is added to its arguments; what it prints is
    /// appended to `<name>.log` in `folder`.
    ///
    /// # Errors
    /// When it cannot be started, ends at once, or does not listen in time.
    pub async fn start(
        program: &Path,
        arguments: &[String],
        folder: &Path,
        name: &str,
    ) -> Result<(Self, Ports)> {
        Self::start_in(program, arguments, &[], folder, name).await
    }

    /// The same, with these variables in its environment besides ours; `{name}` in a value stands for its name. It runs
    /// in `folder`: what its settings name relatively lies there, and programs of one folder share it.
    ///
    /// # Errors
    /// When it cannot be started, ends at once, or does not listen in time.
    pub async fn start_in(
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        folder: &Path,
        name: &str,
    ) -> Result<(Self, Ports)> {
        let log = folder.join(format!("{name}.log"));
        let ports_file = folder.join(format!("{name}.ports.json"));
        match fs::remove_file(&ports_file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("cannot remove the old ports file"),
        }
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(std::path::absolute(program)?)
            .current_dir(folder)
            .args(arguments)
            .arg("--ports-file")
            .arg(&ports_file)
            .envs(
                environment
                    .iter()
                    .map(|(key, value)| (key, value.replace("{name}", name))),
            )
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut spawned = Self {
            child,
            name: name.to_owned(),
            log,
        };
        let ports = spawned.wait_until_it_listens(&ports_file).await?;
        Ok((spawned, ports))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Freezes it (SIGSTOP) until [`resume`](Self::resume).
    pub fn pause(&self) {
        freeze(self.child.id());
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        signal(self.child.id(), libc::SIGCONT);
    }

    /// Ends it (SIGTERM) and waits; an error when it did not end well.
    ///
    /// # Errors
    /// When it does not end in time, or ends with an error.
    pub async fn end(mut self) -> Result<()> {
        signal(self.child.id(), libc::SIGTERM);
        let status = self.await_end("SIGTERM").await?;
        if !status.success() {
            bail!("{} ended with {status}{}", self.name, log_tail(&self.log));
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(mut self) -> Result<ExitStatus> {
        self.await_end("its failure").await
    }

    async fn await_end(&mut self, cause: &str) -> Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < END_LIMIT {
            match self.child.try_wait()? {
                Some(status) => return Ok(status),
                None => sleep(Duration::from_millis(20)).await,
            }
        }
        self.kill()?;
        bail!(
            "{} did not end within {END_LIMIT:?} of {cause} and was killed{}",
            self.name,
            log_tail(&self.log)
        )
    }

    async fn wait_until_it_listens(&mut self, ports_file: &Path) -> Result<Ports> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended at its start with {status}{}",
                    self.name,
                    log_tail(&self.log)
                );
            }
            // Until it is written whole it does not parse.
            if let Some(ports) = fs::read(ports_file)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            {
                return Ok(ports);
            }
            sleep(Duration::from_millis(10)).await;
        }
        bail!(
            "{} does not listen after {START_LIMIT:?}{}",
            self.name,
            log_tail(&self.log)
        )
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // It has ended already, or is not needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
