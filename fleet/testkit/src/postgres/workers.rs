//! A coordinator of Citus and its workers, each an instance of its own. Citus must be installed beside PostgreSQL; no test
//! asks for it, load runs may.

use anyhow::Context;

use super::{Options, Postgres};

impl Options {
    /// What a machine of Citus needs.
    fn of_citus() -> Self {
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

impl Postgres {
    /// Starts a coordinator and some workers that it knows, with an empty database on each.
    ///
    /// # Errors
    /// When PostgreSQL or Citus is not installed, or does not start.
    pub fn start_distributed(database: &str, workers: u32) -> anyhow::Result<(Self, Vec<Self>)> {
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
