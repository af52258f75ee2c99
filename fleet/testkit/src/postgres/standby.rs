//! Standbys, which stream what their primary commits.

use std::fs;

use anyhow::{Context, ensure};

use super::Postgres;
use crate::wait::block_until;

impl Postgres {
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
        block_until("a standby follows", || Ok(self.psql("postgres", count)? != "0"))
    }
}
