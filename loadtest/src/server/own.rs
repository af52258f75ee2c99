//! The server that a workload starts for itself, in a folder that is removed with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testkit::process::beside_this_program;
use tokio::time::sleep;

use super::certificate::Certificate;
use super::{Ports, Spawned};

/// Its name in logs, and in its environment.
pub const NAME: &str = "server";

/// A workload's demands on its server.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The program; by default the one beside this program.
    pub program: Option<PathBuf>,
    /// Further arguments, which win over the ones given here.
    pub arguments: Vec<String>,
    /// Where codes are to be sent.
    pub sms_webhook_url: String,
    /// How many connections there will be.
    pub connections: usize,
    /// With a TLS listener.
    pub certificate: Option<Certificate>,
    /// Variables of its environment besides ours; `{name}` in a value stands for `server`.
    pub environment: Vec<(String, String)>,
}

/// A server of our own.
#[derive(Debug)]
pub struct OwnServer {
    folder: TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    spawned: Option<Spawned>,
    ports: Ports,
}

impl OwnServer {
    /// Starts a server in `folder`.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub async fn start(folder: TempDir, wanted: Wanted) -> Result<Self> {
        let program = match wanted.program {
            Some(program) => program,
            None => beside_this_program("huizhen")?,
        };
        ensure!(
            program.is_file(),
            "there is no server at {}: build it with `cargo build --release -p standalone`, or tell where it is with \
             --server PATH, or use a running fleet with --api URL",
            program.display()
        );
        let mut arguments = arguments(folder.path(), wanted.connections, &wanted.sms_webhook_url);
        if let Some(certificate) = &wanted.certificate {
            arguments.extend([
                "--tls-addr=127.0.0.1:0".to_owned(),
                format!("--tls-cert={}", certificate.certificate.display()),
                format!("--tls-key={}", certificate.key.display()),
            ]);
        }
        arguments.extend(wanted.arguments);
        let (spawned, ports) =
            Spawned::start_in(&program, &arguments, &wanted.environment, folder.path(), NAME).await?;
        Ok(Self {
            folder,
            program,
            arguments,
            environment: wanted.environment,
            spawned: Some(spawned),
            ports,
        })
    }

    /// The folder of its data and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Where it listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Its process id; none while it is killed.
    pub fn pid(&self) -> Option<u32> {
        self.spawned.as_ref().map(Spawned::pid)
    }

    /// Its REST address as a URL.
    ///
    /// # Errors
    /// When it has none.
    pub fn api(&self) -> Result<String> {
        let rest = self
            .ports
            .rest
            .context("the server says of no REST listener in its ports file")?;
        Ok(format!("http://{rest}"))
    }

    /// Kills it, as a power cut would end it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        match self.spawned.take() {
            Some(mut spawned) => spawned.kill(),
            None => Ok(()),
        }
    }

    /// Starts it again on the same data and the same ports.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        let mut arguments = self.arguments.clone();
        for (flag, address) in [
            ("--im-addr", self.ports.im),
            ("--ws-addr", self.ports.ws),
            ("--tls-addr", self.ports.tls),
            ("--rest-addr", self.ports.rest),
            ("--admin-addr", self.ports.admin),
        ] {
            keep_address(&mut arguments, flag, address);
        }
        let (spawned, ports) = Spawned::start_in(
            &self.program,
            &arguments,
            &self.environment,
            self.folder.path(),
            NAME,
        )
        .await?;
        self.spawned = Some(spawned);
        self.ports = ports;
        Ok(())
    }

    /// Freezes it for this long (SIGSTOP, SIGCONT).
    pub async fn pause_for(&self, length: Duration) {
        if let Some(spawned) = &self.spawned {
            spawned.pause();
            sleep(length).await;
            spawned.resume();
        }
    }

    /// Runs a command of its program to the end.
    ///
    /// # Errors
    /// When it does not end well, with what it said.
    pub async fn command(&self, arguments: &[&str]) -> Result<()> {
        command(&self.program, arguments).await.map(|_| ())
    }

    /// Starts another one beside it on a copy of its data, on ports of its own, for as long as it is kept.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_copy(&self, folder: &Path) -> Result<(Spawned, Ports)> {
        self.start_on(&folder.join("data"), folder, "copy").await
    }

    /// Starts another one beside it on the same data, which it must refuse; its log goes to `logs`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_beside(&self, logs: &Path) -> Result<(Spawned, Ports)> {
        self.start_on(&self.folder.path().join("data"), logs, "beside")
            .await
    }

    async fn start_on(&self, data: &Path, logs: &Path, name: &str) -> Result<(Spawned, Ports)> {
        let mut arguments = self.arguments.clone();
        for argument in &mut arguments {
            let flag = argument.split('=').next().unwrap_or_default().to_owned();
            match flag.as_str() {
                "--data" => *argument = format!("--data={}", data.display()),
                "--im-addr" | "--ws-addr" | "--rest-addr" | "--admin-addr" => {
                    *argument = format!("{flag}=127.0.0.1:0");
                }
                _ => {}
            }
        }
        arguments.retain(|argument| !argument.starts_with("--advertise="));
        Spawned::start(&self.program, &arguments, logs, name).await
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn end(mut self) -> Result<()> {
        self.stop().await
    }

    /// Ends it and keeps its folder.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(&mut self) -> Result<()> {
        match self.spawned.take() {
            Some(spawned) => spawned.end().await,
            None => Ok(()),
        }
    }
}

/// Runs a command of `huizhen` to the end; returns what it printed.
///
/// # Errors
/// When it does not end well, with what it said.
pub async fn command(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "huizhen {} ended with {}: {said}{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

fn keep_address(arguments: &mut [String], flag: &str, address: Option<SocketAddr>) {
    let Some(address) = address else { return };
    for argument in arguments {
        if argument.split('=').next() == Some(flag) {
            *argument = format!("{flag}={address}");
        }
    }
}

/// Free ports, and limits out of the way: what is measured is the server, not its patience with one address.
fn arguments(folder: &Path, connections: usize, sms_webhook_url: &str) -> Vec<String> {
    const UNLIMITED: &str = "1000000";
    let sessions = (connections + 1000).to_string();
    let mut arguments = vec![
        "serve".to_owned(),
        format!("--data={}", folder.join("data").display()),
    ];
    for (flag, value) in [
        ("rest-addr", "127.0.0.1:0"),
        ("im-addr", "127.0.0.1:0"),
        ("ws-addr", "127.0.0.1:0"),
        ("admin-addr", "127.0.0.1:0"),
        ("sms-provider", "webhook"),
        ("sms-webhook-url", sms_webhook_url),
        ("doctor-verification", "none"),
        ("max-sessions", sessions.as_str()),
        ("connections-per-address", sessions.as_str()),
        ("sends-per-s", UNLIMITED),
        ("failed-logins-per-minute", UNLIMITED),
        ("requests-per-s-user", UNLIMITED),
        ("requests-per-s-address", UNLIMITED),
        ("sms-countries", "+7"),
        ("sms-per-hour-address", UNLIMITED),
        ("wrong-logins-address", UNLIMITED),
    ] {
        arguments.push(format!("--{flag}={value}"));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_the_addresses() {
        let mut arguments = arguments(Path::new("/x"), 10, "http://y");
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        keep_address(&mut arguments, "--im-addr", Some(address));
        keep_address(&mut arguments, "--ws-addr", None);
        assert!(arguments.contains(&"--im-addr=127.0.0.1:4711".to_owned()));
        assert!(arguments.contains(&"--ws-addr=127.0.0.1:0".to_owned()));
        assert!(arguments.contains(&"--max-sessions=1010".to_owned()));
    }

    #[tokio::test]
    async fn a_missing_server_is_an_error_that_tells_what_to_do() {
        let wanted = Wanted {
            program: Some("/nowhere/huizhen".into()),
            ..Wanted::default()
        };
        let error = OwnServer::start(TempDir::new().unwrap(), wanted)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("cargo build --release -p standalone"), "{error}");
    }
}
