//! A private Redis: its own folder and its own free port on 127.0.0.1, nothing ever on a disk. What a fault test needs
//! is here too: kill -9, freeze, restart.
//!
//! An instance ends with its handle, and also with this process whatever way that ends, in the way of
//! [`crate::postgres`].

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

pub mod backplane;
pub mod cluster;
pub mod sentinel;

pub use crate::postgres::Certificate;
use crate::{
    port::Port,
    process::{
        child::{await_end, await_start},
        pid::{freeze, signal},
        watcher::Watcher,
    },
};

/// How the watcher ends a server; its pid may be another process's by then.
const END: &str = "if read -r pid 2>/dev/null < \"$1/pid\"; then
        grep -q redis \"/proc/$pid/comm\" 2>/dev/null && kill -KILL $pid 2>/dev/null
    fi";

/// How an instance differs from the plain one, which has no login and no TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The one user (ACL); the default user is then switched off. Without one, `password` is the default user's.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The only port takes TLS only, and shows this certificate.
    pub certificate: Option<Certificate>,
    /// It is a sentinel; its `sentinel monitor` is one of the `settings`.
    pub is_sentinel: bool,
    /// More lines of redis.conf.
    pub settings: Vec<String>,
}

/// A private instance; dropped, it is ended and its folder removed.
pub struct Redis {
    program: PathBuf,
    options: Options,
    port: Port,
    server: Mutex<Option<Child>>,
    next_prefix: AtomicU64,
    _watcher: Watcher,
    folder: TempDir,
}

impl Redis {
    /// The instance that all tests of this process share: started by the first who asks, ended with the process. Each
    /// test takes a [`Self::prefixed_url`].
    ///
    /// # Panics
    /// When there is none to be had, with what to install.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::start(Options::default())
                .unwrap_or_else(|error| panic!("no Redis for the tests: {error:#}"))
        })
    }

    /// Makes and starts an instance.
    ///
    /// # Errors
    /// When Redis is not installed (with what to install) or does not start (with the end of its log).
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let program = program(&folders, "redis-server")?;
        let folder = tempfile::Builder::new().prefix("huizhen-redis-").tempdir()?;
        let watcher = Watcher::over(folder.path(), END)?;
        let port = Port::take()?;
        let redis = Self {
            program,
            options,
            port,
            server: Mutex::new(None),
            next_prefix: AtomicU64::new(1),
            _watcher: watcher,
            folder,
        };
        redis.configure()?;
        redis.start_again()?;
        Ok(redis)
    }

    fn configure(&self) -> anyhow::Result<()> {
        let folder = self.folder.path().display();
        let Options {
            user,
            password,
            certificate,
            is_sentinel,
            settings,
        } = &self.options;
        let mut text = format!("bind 127.0.0.1\ndir {folder}\npidfile {folder}/pid\ndaemonize no\n");
        if !is_sentinel {
            text.push_str(
                "save \"\"\nappendonly no\nclient-output-buffer-limit pubsub 256mb 64mb 60\n\
                 repl-diskless-sync yes\nrepl-diskless-sync-delay 0\n",
            );
        }
        match certificate {
            None => writeln!(text, "port {}", self.port.number())?,
            Some(certificate) => {
                for (name, pem) in [
                    ("server.crt", &certificate.chain_pem),
                    ("server.key", &certificate.key_pem),
                ] {
                    fs::write(self.folder.path().join(name), pem)?;
                }
                writeln!(
                    text,
                    "port 0\ntls-port {}\ntls-cert-file {folder}/server.crt\ntls-key-file {folder}/server.key\n\
                     tls-ca-cert-file {folder}/server.crt\ntls-auth-clients no",
                    self.port.number()
                )?;
            }
        }
        match (user, password) {
            (Some(user), password) => writeln!(
                text,
                "user default off\nuser {user} on >{} ~* &* +@all",
                password.as_deref().unwrap_or_default()
            )?,
            (None, Some(password)) => writeln!(text, "requirepass {password}")?,
            (None, None) => {}
        }
        for line in settings {
            writeln!(text, "{line}")?;
        }
        fs::write(self.folder.path().join("redis.conf"), text)?;
        Ok(())
    }

    /// Where it listens; that stays the same over a restart.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The address as `--redis-url` takes it.
    pub fn url(&self) -> String {
        let Options {
            user,
            password,
            certificate,
            ..
        } = &self.options;
        let login = match (user, password) {
            (None, None) => String::new(),
            (user, password) => format!(
                "{}:{}@",
                user.as_deref().unwrap_or_default(),
                password.as_deref().unwrap_or_default()
            ),
        };
        let port = self.port.number();
        match certificate {
            None => format!("redis://{login}127.0.0.1:{port}/0"),
            Some(_) => format!(
                "rediss://{login}127.0.0.1:{port}/0?ca_cert={}/server.crt",
                self.folder.path().display()
            ),
        }
    }

    /// The address with a prefix of its own before every key and channel.
    pub fn prefixed_url(&self) -> String {
        let url = self.url();
        let mark = if url.contains('?') { '&' } else { '?' };
        let at = self.next_prefix();
        format!("{url}{mark}prefix=test{at}:")
    }

    pub(crate) fn certificate_path(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    pub(crate) fn next_prefix(&self) -> u64 {
        self.next_prefix.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts it after [`Self::stop`] or [`Self::kill`], empty, on the same port, and waits until it takes connections.
    ///
    /// # Errors
    /// When it runs already, or does not start, with the end of its log.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(server.is_none(), "Redis runs already");
        let pid_path = self.folder.path().join("pid");
        let _ = fs::remove_file(&pid_path);
        let log_path = self.folder.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&log_path)?;
        // In a process group of its own: a Ctrl-C at the terminal is for the tests, which then end it.
        let mut child = Command::new(&self.program)
            .arg(self.folder.path().join("redis.conf"))
            .args(self.options.is_sentinel.then_some("--sentinel"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("redis-server cannot be run")?;
        await_start("Redis", &mut child, &log_path, |pid| {
            let written = fs::read_to_string(&pid_path).unwrap_or_default();
            // Its own file first: whatever else has got the port is not it.
            written.trim() == pid.to_string() && TcpStream::connect(self.address()).is_ok()
        })?;
        *server = Some(child);
        Ok(())
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.end(libc::SIGTERM)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.end(libc::SIGKILL)
    }

    fn end(&self, how: i32) -> anyhow::Result<()> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = server.take() else {
            return Ok(());
        };
        signal(child.id(), how);
        signal(child.id(), libc::SIGCONT);
        await_end("Redis", &mut child, || true)
    }

    /// Freezes it: connections stay open and nothing answers, as on a machine that hangs.
    pub fn pause(&self) {
        if let Some(pid) = self.pid() {
            freeze(pid);
        }
    }

    /// Ends [`Self::pause`].
    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, which: i32) {
        if let Some(child) = &*self.server.lock().unwrap_or_else(PoisonError::into_inner) {
            signal(child.id(), which);
        }
    }

    /// The server's process id; none while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().map(Child::id)
    }

    /// Runs one command through `redis-cli`; returns its output, one element of an answer a line.
    ///
    /// # Errors
    /// Redis's own, or that it does not answer.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut cli = Command::new("timeout");
        cli.args([
            "60",
            "redis-cli",
            "-e",
            "--raw",
            "--no-auth-warning",
            "-h",
            "127.0.0.1",
            "-p",
        ])
        .arg(self.port.number().to_string())
        .current_dir("/")
        .stdin(Stdio::null());
        if let Some(user) = &self.options.user {
            cli.args(["--user", user]);
        }
        if let Some(password) = &self.options.password {
            cli.env("REDISCLI_AUTH", password);
        }
        if self.options.certificate.is_some() {
            cli.arg("--tls")
                .arg("--cacert")
                .arg(self.folder.path().join("server.crt"));
        }
        let output = cli.args(words).output().context("redis-cli cannot be run")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{}{}",
            said.trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(said.trim_end_matches('\n').to_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Nothing here is worth keeping.
        let _ = self.end(libc::SIGKILL);
    }
}

fn program(folders: &[PathBuf], name: &str) -> anyhow::Result<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|program| program.exists())
        .with_context(|| {
            format!(
                "Redis 7 or newer is not installed: no {name} in the PATH; \
                 on Debian: apt-get install --no-install-recommends redis-server"
            )
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn a_missing_installation_names_the_package() {
        let empty = tempfile::tempdir().unwrap();
        let error = program(&[empty.path().into()], "redis-server").unwrap_err();
        assert!(error.to_string().contains("apt-get install"), "{error}");
    }
}
