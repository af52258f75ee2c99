//! A private PostgreSQL instance: its own folder, its own free port on 127.0.0.1 and its own socket. What a fault test
//! needs is here too: kill -9, freeze, restart.
//!
//! An instance ends with its handle, and also with this process whatever way that ends: a watcher ends it then, and
//! removes its folder.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError, atomic::AtomicU64},
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

mod databases;
mod initialize;
mod installation;
pub mod pooler;
mod standby;
mod workers;

use installation::{DEBIAN_FOLDER, Owner, owner, programs};
use workers::Citus;

pub use self::initialize::{Certificate, Options};
use crate::{
    port::Port,
    process::{
        child::{await_end, await_start},
        pid::{children_of, freeze, is_alive, signal},
        watcher::Watcher,
    },
};

/// How the watcher ends an instance. Each backend is a process group of its own. The postmaster is killed first, which
/// would start over when it saw the others die.
const END: &str = "if read -r pid 2>/dev/null < \"$1/data/postmaster.pid\"; then
        children=$(cat \"/proc/$pid/task/$pid/children\" 2>/dev/null)
        kill -KILL $pid $children 2>/dev/null
    fi";

/// A private instance; dropped, it is ended and its folder removed.
pub struct Postgres {
    programs: PathBuf,
    port: Port,
    owner: Option<Owner>,
    postmaster: Mutex<Option<Child>>,
    template: tokio::sync::OnceCell<String>,
    next_database: AtomicU64,
    _watcher: Watcher,
    folder: TempDir,
}

impl Postgres {
    /// The instance that all tests of this process share: started by the first who asks, ended with the process.
    ///
    /// # Panics
    /// When there is none to be had, with what to install.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let options = Citus::asked_for().map_or_else(Options::default, |_| Options::of_citus());
            Self::start(options).unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error:#}"))
        })
    }

    /// Makes and starts an instance.
    ///
    /// # Errors
    /// When PostgreSQL is not installed (with what to install) or does not start (with the end of its log).
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let postgres = Self::prepare()?;
        postgres.initialize(&options)?;
        postgres.start_again()?;
        Ok(postgres)
    }

    /// A folder, a port and a watcher; nothing runs yet.
    fn prepare() -> anyhow::Result<Self> {
        let programs = programs(Path::new(DEBIAN_FOLDER))?;
        let owner = owner()?;
        let folder = tempfile::Builder::new().prefix("huizhen-pg-").tempdir()?;
        if let Some(Owner { uid, gid }) = owner {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let watcher = Watcher::over(folder.path(), END)?;
        let port = Port::take()?;
        Ok(Self {
            programs,
            port,
            owner,
            postmaster: Mutex::new(None),
            template: tokio::sync::OnceCell::new(),
            next_database: AtomicU64::new(1),
            _watcher: watcher,
            folder,
        })
    }

    /// A program of PostgreSQL's, as the user that owns the instance. In a process group of its own: a Ctrl-C at the
    /// terminal is for the tests, which then end it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0)
            .env("LC_ALL", "C");
        if let Some(Owner { uid, gid }) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The port on 127.0.0.1; it stays the same over a restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder of the socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a folder that belongs to the server's user, for a tablespace.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn own_folder(&self, path: &Path) -> anyhow::Result<()> {
        fs::create_dir(path)?;
        if let Some(Owner { uid, gid }) = self.owner {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// The address of a database, over TCP and without a password.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port()
        )
    }

    /// Starts it after [`Self::stop`] or [`Self::kill`] and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let mut postmaster = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(postmaster.is_none(), "PostgreSQL runs already");
        let log_path = self.folder.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&log_path)?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = command.spawn().context("postgres cannot be run")?;
        await_start("PostgreSQL", &mut child, &log_path, |pid| {
            // The eighth line says whether connections are taken.
            let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let mut lines = status.lines();
            lines.next() == Some(pid.to_string().as_str())
                && lines.nth(6).is_some_and(|line| line.trim() == "ready")
        })?;
        *postmaster = Some(child);
        Ok(())
    }

    /// Stops it in order: connections are cut, what was committed is on the disk.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.end(libc::SIGINT)
    }

    /// Kills the server and everything it started with SIGKILL, as a crash of the machine's memory would.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.end(libc::SIGKILL)
    }

    /// Stops and starts it.
    ///
    /// # Errors
    /// As [`Self::stop`] and [`Self::start_again`].
    pub fn restart(&self) -> anyhow::Result<()> {
        self.stop()?;
        self.start_again()
    }

    fn end(&self, how: i32) -> anyhow::Result<()> {
        let mut postmaster = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = postmaster.take() else {
            return Ok(());
        };
        if how == libc::SIGKILL {
            // Or it makes one more that we do not know of, and that keeps the next server from starting.
            freeze(child.id());
        }
        let children = children_of(child.id());
        signal(child.id(), how);
        if how == libc::SIGKILL {
            // The postmaster first, which would start over when it saw the others die.
            children.iter().for_each(|pid| signal(*pid, how));
        }
        for pid in children.iter().chain([&child.id()]) {
            signal(*pid, libc::SIGCONT);
        }
        await_end("PostgreSQL", &mut child, || {
            !children.iter().any(|pid| is_alive(*pid))
        })
    }

    /// Freezes it: connections stay open and nothing answers, as on a machine that hangs.
    pub fn pause(&self) {
        let postmaster = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = &*postmaster {
            // First, or it would make more.
            freeze(child.id());
            children_of(child.id()).into_iter().for_each(freeze);
        }
    }

    /// Ends [`Self::pause`].
    pub fn resume(&self) {
        self.pids()
            .into_iter()
            .rev()
            .for_each(|pid| signal(pid, libc::SIGCONT));
    }

    /// The server's process ids, the postmaster first; none while it is stopped.
    pub fn pids(&self) -> Vec<u32> {
        let postmaster = self.postmaster.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = &*postmaster else {
            return Vec::new();
        };
        let mut pids = vec![child.id()];
        pids.extend(children_of(child.id()));
        pids
    }

    /// Runs statements through `psql`, past all pools; returns the rows, columns parted by `|`.
    ///
    /// # Errors
    /// PostgreSQL's own.
    pub fn psql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql];
        self.run("psql", database, &options)
    }

    /// Runs a client of PostgreSQL's to its end; returns what it printed.
    ///
    /// # Errors
    /// When it fails, with its own words.
    pub fn run(&self, program: &str, database: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self
            .command(program)
            .args(arguments)
            .env("PGUSER", "postgres")
            .env("PGHOST", self.folder.path())
            .env("PGPORT", self.port().to_string())
            .env("PGDATABASE", database)
            .output()
            .with_context(|| format!("{program} cannot be run"))?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing here is worth keeping.
        let _ = self.end(libc::SIGKILL);
    }
}
