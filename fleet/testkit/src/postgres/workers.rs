//! A coordinator of Citus and its workers, each an instance of its own. Citus must be installed beside PostgreSQL; no test
//! asks for it, load runs may. [`Citus`] lets tests run on it.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, ensure};

use super::{Options, Postgres};

impl Options {
    /// The settings that a machine of Citus needs.
    pub(super) fn of_citus() -> Self {
        let settings = [
            "shared_preload_libraries = 'citus'",
            "max_prepared_transactions = 400",
            // A shard moves while it is written to.
            "wal_level = logical",
            // Of workers whose address is this machine's.
            "citus.node_conninfo = 'sslmode=disable'",
        ];
        Self {
            settings: settings.map(str::to_owned).to_vec(),
            ..Self::default()
        }
    }
}

/// The program that puts tables in their places.
pub(super) struct Citus {
    program: PathBuf,
}

impl Citus {
    /// Whether the tests of this process are to run on databases of Citus: `HUIZHEN_TEST_CITUS` names the program `huizhen`.
    pub(super) fn asked_for() -> Option<Self> {
        let program = std::env::var_os("HUIZHEN_TEST_CITUS")?.into();
        Some(Self { program })
    }

    pub(super) fn at(program: PathBuf) -> Self {
        Self { program }
    }

    /// Puts each table of a database in its place.
    ///
    /// # Errors
    /// As the program says.
    pub(super) fn distribute(&self, url: &str) -> anyhow::Result<()> {
        let mut migrate = Command::new(&self.program);
        migrate.args(["migrate", "--distributed=citus", "--database-url", url]);
        let output = migrate
            .output()
            .with_context(|| format!("{} cannot be run", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the tables cannot be distributed: {said}"
        );
        Ok(())
    }
}

impl Postgres {
    /// Makes a database of Citus whose only machine is this one.
    pub(super) fn be_its_own_worker(&self, database: &str) -> anyhow::Result<()> {
        let port = self.port();
        for sql in [
            "CREATE EXTENSION citus".to_owned(),
            format!("SELECT citus_set_coordinator_host('127.0.0.1', {port})"),
            format!("SELECT citus_set_node_property('127.0.0.1', {port}, 'shouldhaveshards', true)"),
        ] {
            self.psql(database, &sql)?;
        }
        Ok(())
    }

    /// Ends all connections of a database, and takes no more: Citus keeps one of its own, beside which nothing is copied.
    pub(super) fn close_database(&self, database: &str) -> anyhow::Result<()> {
        for sql in [
            format!("ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS false"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"),
        ] {
            self.psql("postgres", &sql)?;
        }
        Ok(())
    }

    /// Starts a coordinator and some workers that it knows, with a database in which `huizhen`, a program, has put each table in
    /// its place.
    ///
    /// # Errors
    /// When PostgreSQL or Citus is not installed, or does not start; as the program says.
    pub fn start_distributed(
        database: &str,
        workers: u32,
        huizhen: PathBuf,
    ) -> anyhow::Result<(Self, Vec<Self>)> {
        let coordinator = Self::start_machine(database)?;
        let know = |function: &str, port: u16| {
            let sql = format!("SELECT {function}('127.0.0.1', {port})");
            coordinator.psql(database, &sql).map(drop)
        };
        know("citus_set_coordinator_host", coordinator.port())?;
        let mut started = Vec::new();
        for _ in 0..workers {
            let worker = Self::start_machine(database)?;
            know("citus_add_node", worker.port())?;
            started.push(worker);
        }
        Citus::at(huizhen).distribute(&coordinator.url(database))?;
        Ok((coordinator, started))
    }

    fn start_machine(database: &str) -> anyhow::Result<Self> {
        let machine = Self::start(Options::of_citus())
            .context("a PostgreSQL with Citus; it is installed beside PostgreSQL, from its source")?;
        machine.create_database(database, None)?;
        machine.psql(database, "CREATE EXTENSION citus")?;
        Ok(machine)
    }
}
