//! A private PgBouncer before a [`Postgres`]: what fleets of many processes put between themselves and the server.
//!
//! It ends with its handle, and also with this process whatever way that ends: the shell that started it waits for the
//! end of its input.

use std::{
    fs,
    net::TcpStream,
    os::unix::{fs::chown, process::CommandExt},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::{
    Postgres,
    installation::{Owner, owner},
};
use crate::{PATIENCE, port::Port};

const POLL: Duration = Duration::from_millis(5);

/// Starts the pooler, and ends it once the input ends.
const SCRIPT: &str = "trap '' INT TERM HUP
    PATH=$PATH:/usr/sbin
    pgbouncer -q \"$1/pgbouncer.ini\" </dev/null >\"$1/log\" 2>&1 &
    read -r _
    kill -KILL $! 2>/dev/null
    wait";

/// A running pooler.
pub struct PgBouncer {
    port: Port,
    shell: Child,
    input: Option<ChildStdin>,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one in a mode (`session`, `transaction` or `statement`), with more lines of its settings.
    ///
    /// # Errors
    /// When it is not installed, with what to install, or does not start, with its log.
    pub fn start(server: &Postgres, pool_mode: &str, settings: &[&str]) -> anyhow::Result<Self> {
        let owner = owner()?;
        let folder = tempfile::Builder::new().prefix("huizhen-pool-").tempdir()?;
        let port = Port::take()?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {pool_mode}\nmax_client_conn = 400\ndefault_pool_size = 50\n{}\n",
            server.port(),
            port.number(),
            settings.join("\n")
        );
        fs::write(folder.path().join("pgbouncer.ini"), text)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "huizhen-pooler"])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        if let Some(Owner { uid, gid }) = owner {
            chown(folder.path(), Some(uid), Some(gid))?;
            chown(folder.path().join("pgbouncer.ini"), Some(uid), Some(gid))?;
            command.uid(uid).gid(gid);
        }
        let mut shell = command.spawn().context("/bin/sh cannot be run")?;
        let input = shell.stdin.take();
        let pooler = Self {
            port,
            shell,
            input,
            folder,
        };
        pooler.wait()?;
        Ok(pooler)
    }

    /// The address of a database through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@{}/{database}?sslmode=disable",
            self.port.address()
        )
    }

    fn wait(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.port.address()).is_err() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if log.contains("not found") {
                bail!(
                    "PgBouncer is not installed; on Debian: apt-get install --no-install-recommends pgbouncer"
                );
            }
            if Instant::now() > deadline {
                bail!("PgBouncer does not start:\n{log}");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}
