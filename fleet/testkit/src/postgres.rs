//! A private PostgreSQL instance: its own folder, its own free port on 127.0.0.1 and its own socket. What a fault test
//! needs is here too: kill -9, freeze, restart.
//!
//! An instance ends with its handle, and also with this process whatever way that ends: a watcher (a shell that waits
//! for the end of its input) ends the instance and removes its folder. PR_SET_PDEATHSIG would not do: it fires at the end
//! of the thread that started the child, and tests have a thread each.

use std::{
    fmt::Write as _,
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::{
    installation::{DEBIAN_FOLDER, Owner, owner, programs},
    pid::{children_of, freeze, is_alive, signal},
    port::Port,
};

/// How long a start (also one that repairs after a crash) and an orderly stop may take.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);
/// Many tests of one process share an instance, each with a few pools.
const CONNECTIONS: u32 = 400;

/// How an instance differs from the plain one: no password on loopback, no TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Connections over TCP must give this password of the user `postgres` (scram-sha-256).
    pub password: Option<String>,
    /// Connections over TCP must use TLS, and meet this certificate.
    pub certificate: Option<Certificate>,
    /// More lines of postgresql.conf.
    pub settings: Vec<String>,
}

/// What a server shows to its clients.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain, PEM.
    pub chain_pem: String,
    /// The private key, PEM.
    pub key_pem: String,
}

/// A private instance; dropped, it is ended and its folder removed.
pub struct Postgres {
    programs: PathBuf,
    port: Port,
    owner: Option<Owner>,
    postmaster: Mutex<Option<Child>>,
    template: tokio::sync::OnceCell<String>,
    next_database: std::sync::atomic::AtomicU64,
    watcher: Option<(Child, ChildStdin)>,
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
            Self::start(Options::default())
                .unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error:#}"))
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

    /// Makes and starts a standby of another instance, which streams what that one commits.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn standby_of(primary: &Self) -> anyhow::Result<Self> {
        let postgres = Self::prepare()?;
        postgres.follow(primary)?;
        Ok(postgres)
    }

    /// Comes back as a standby of another instance, on its own port: whatever it had is replaced. It must be stopped.
    ///
    /// # Errors
    /// When the copy fails, or it does not start.
    pub fn follow(&self, primary: &Self) -> anyhow::Result<()> {
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let mut copy = self.command("pg_basebackup");
        copy.args([
            "-U",
            "postgres",
            "-h",
            "127.0.0.1",
            "-p",
            &primary.port().to_string(),
        ]);
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"])
            .arg(&data);
        let output = copy.output().context("pg_basebackup cannot be run")?;
        ensure!(
            output.status.success(),
            "pg_basebackup failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let own = format!(
            "port = {}\nunix_socket_directories = '{}'\n",
            self.port(),
            self.folder.path().display()
        );
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, own.as_bytes()))?;
        self.start_again()
    }

    /// Makes a standby the primary, and waits until it takes writes.
    ///
    /// # Errors
    /// As PostgreSQL says.
    pub fn promote(&self) -> anyhow::Result<()> {
        let promoted = self.psql("postgres", "SELECT pg_promote(true, 60)")?;
        ensure!(promoted == "t", "the standby was not promoted");
        Ok(())
    }

    /// Waits until a standby streams.
    ///
    /// # Errors
    /// When none does.
    pub fn await_standby_to_stream(&self) -> anyhow::Result<()> {
        const STREAM: &str = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        self.await_rows(STREAM)
    }

    /// Waits until its standbys have everything that is committed.
    ///
    /// # Errors
    /// When none catches up.
    pub fn await_standby(&self) -> anyhow::Result<()> {
        const HAVE_ALL: &str =
            "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()";
        self.await_rows(HAVE_ALL)
    }

    fn await_rows(&self, count: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.psql("postgres", count)? == "0" {
            ensure!(Instant::now() < deadline, "no standby follows");
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// A folder, a port and a watcher; nothing runs yet.
    fn prepare() -> anyhow::Result<Self> {
        let programs = programs(Path::new(DEBIAN_FOLDER))?;
        let owner = owner()?;
        let folder = tempfile::Builder::new().prefix("huizhen-pg-").tempdir()?;
        if let Some(Owner { uid, gid }) = owner {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        let watcher = watch(folder.path())?;
        let port = Port::take()?;
        Ok(Self {
            programs,
            port,
            owner,
            postmaster: Mutex::new(None),
            template: tokio::sync::OnceCell::new(),
            next_database: std::sync::atomic::AtomicU64::new(1),
            watcher: Some(watcher),
            folder,
        })
    }

    fn initialize(&self, options: &Options) -> anyhow::Result<()> {
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb.args([
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C",
            "--username=postgres",
        ]);
        initdb.args(["--auth=trust", "-D"]).arg(&data);
        let output = initdb.output().context("initdb cannot be run")?;
        ensure!(
            output.status.success(),
            "initdb failed; may user id {:?} use {}? It said: {}",
            self.owner.map(|owner| owner.uid),
            self.folder.path().display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let mut settings = String::new();
        let socket = self.folder.path().display();
        // fsync stays on: what these tests are about is what survives.
        write!(
            settings,
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{socket}'\n\
             max_connections = {CONNECTIONS}\nshared_buffers = '64MB'\nfsync = on\nsynchronous_commit = on\n\
             logging_collector = off\nlog_min_messages = warning\nlog_line_prefix = '%m [%p] %d '\n",
            self.port()
        )?;
        for line in &options.settings {
            writeln!(settings, "{line}")?;
        }
        if let Some(certificate) = &options.certificate {
            for (name, pem) in [
                ("server.crt", &certificate.chain_pem),
                ("server.key", &certificate.key_pem),
            ] {
                self.write(&data.join(name), pem)?;
            }
            settings.push_str("ssl = on\n");
        }
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, settings.as_bytes()))?;
        let host = if options.certificate.is_some() {
            "hostssl"
        } else {
            "host"
        };
        let method = if options.password.is_some() {
            "scram-sha-256"
        } else {
            "trust"
        };
        let rules = format!(
            "local all all trust\n{host} all all 127.0.0.1/32 {method}\nhost replication postgres 127.0.0.1/32 trust\n"
        );
        self.write(&data.join("pg_hba.conf"), &rules)?;
        if let Some(password) = &options.password {
            self.start_again()?;
            let quoted = password.replace('\'', "''");
            self.psql("postgres", &format!("ALTER USER postgres PASSWORD '{quoted}'"))?;
            self.stop()?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        if let Some(Owner { uid, gid }) = self.owner {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
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
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The eighth line says whether connections are taken.
            let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let mut lines = status.lines();
            let is_its = lines.next() == Some(child.id().to_string().as_str());
            if is_its && lines.nth(6).is_some_and(|line| line.trim() == "ready") {
                *postmaster = Some(child);
                return Ok(());
            }
            let ended = child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                signal(child.id(), libc::SIGKILL);
                let _ = child.wait();
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("PostgreSQL does not start ({ended:?}):\n{}", tail.join("\n"));
            }
            std::thread::sleep(POLL);
        }
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
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() || children.iter().any(|pid| is_alive(*pid)) {
            if Instant::now() > deadline {
                signal(child.id(), libc::SIGKILL);
                let _ = child.wait();
                bail!("PostgreSQL does not end");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
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

    /// Makes a database, empty or as a copy of one that nobody is connected to.
    ///
    /// # Errors
    /// As PostgreSQL says.
    pub fn create_database(&self, name: &str, template: Option<&str>) -> anyhow::Result<()> {
        let template = template.unwrap_or("template1");
        self.psql(
            "postgres",
            &format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\""),
        )?;
        Ok(())
    }

    /// The address of a new empty database.
    ///
    /// # Errors
    /// As PostgreSQL says.
    pub fn empty_database(&self) -> anyhow::Result<String> {
        let name = self.next_name();
        self.create_database(&name, None)?;
        Ok(self.url(&name))
    }

    /// The address of a new database, a copy of one that `prepare` (given its address) has filled once for this
    /// instance. `prepare` must leave no connection behind.
    ///
    /// # Errors
    /// As PostgreSQL or `prepare` says.
    pub async fn prepared_database<F>(&self, prepare: impl FnOnce(String) -> F) -> anyhow::Result<String>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let make = || async {
            let name = self.next_name();
            self.create_database(&name, None)?;
            prepare(self.url(&name)).await?;
            anyhow::Ok(name)
        };
        let template = self.template.get_or_try_init(make).await?;
        let name = self.next_name();
        // A connection that was just closed may still be counted for a moment.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.create_database(&name, Some(template)) {
            ensure!(
                error.to_string().contains("being accessed") && Instant::now() < deadline,
                "{error:#}"
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(self.url(&name))
    }

    fn next_name(&self) -> String {
        let at = self
            .next_database
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("test_{at}")
    }

    /// Runs statements through `psql`, past everything that knows better; gives the rows, columns parted by `|`.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn psql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let output = self
            .command("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
            ])
            .arg(self.folder.path())
            .args(["-p", &self.port().to_string(), "-d", database, "-c", sql])
            .output()
            .context("psql cannot be run")?;
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
        if let Some((mut watcher, input)) = self.watcher.take() {
            drop(input);
            let _ = watcher.wait();
        }
    }
}

/// Starts the shell that ends the instance in `folder` and removes it once this process is gone.
fn watch(folder: &Path) -> anyhow::Result<(Child, ChildStdin)> {
    // Each backend is a process group of its own. The postmaster is killed first, which would start over when it saw the
    // others die.
    const SCRIPT: &str = "trap '' INT TERM HUP
        read -r _
        if read -r pid 2>/dev/null < \"$1/data/postmaster.pid\"; then
            children=$(cat \"/proc/$pid/task/$pid/children\" 2>/dev/null)
            kill -KILL $pid $children 2>/dev/null
        fi
        rm -rf \"$1\" 2>/dev/null || { sleep 1; rm -rf \"$1\"; }";
    let mut watcher = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "huizhen-watcher"])
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("/bin/sh cannot be run")?;
    let input = watcher.stdin.take().context("the watcher has no input")?;
    Ok((watcher, input))
}
