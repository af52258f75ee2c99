//! PostgreSQL, Redis, api-servers and nodes, started together.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    backplane::{Backplane, Kind},
    postgres::{self, Postgres},
    process::{Ports, Spawned, beside_this_program},
    proxy::Proxy,
};

/// The name of the fleet's database.
pub const DATABASE: &str = "huizhen";

/// The parts of a fleet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many im-servers.
    pub nodes: u32,
    /// How many api-servers.
    pub api_servers: u32,
    /// The topology of Redis.
    pub redis: Kind,
    /// The folder of the programs; by default that of this program.
    pub programs: Option<PathBuf>,
    /// Further arguments of every node.
    pub node_arguments: Vec<String>,
    /// Further arguments of every api-server.
    pub api_arguments: Vec<String>,
    /// Whether a proxy stands on every way: between clients and servers, servers and PostgreSQL, and servers and Redis
    /// where that is one server (of others the addresses come from Redis itself).
    pub proxies: bool,
    /// The workers of its database: each a PostgreSQL with Citus; 0: its database is one server.
    pub database_workers: u32,
    /// Variables of every server's environment; `{name}` in a value stands for the server's name.
    pub environment: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 3,
            api_servers: 2,
            redis: Kind::Single,
            programs: None,
            node_arguments: Vec::new(),
            api_arguments: Vec::new(),
            proxies: false,
            database_workers: 0,
            environment: Vec::new(),
        }
    }
}

/// A running fleet. Everything ends when it is dropped.
pub struct Fleet {
    /// Its database server, or the coordinator of several.
    pub postgres: Arc<Postgres>,
    /// The workers of its database, if it has any.
    pub workers: Vec<Arc<Postgres>>,
    /// Its Redis.
    pub backplane: Backplane,
    /// The im-servers.
    pub nodes: Vec<Server>,
    /// The api-servers.
    pub api_servers: Vec<Server>,
    plan: Plan,
    folder: TempDir,
}

/// The proxies around one server.
#[derive(Debug)]
pub struct Ways {
    /// Between its clients and it.
    pub front: Proxy,
    /// Between it and Redis, where that is one server.
    pub backplane: Option<Proxy>,
    /// Between it and PostgreSQL.
    pub database: Proxy,
}

/// A node or an api-server.
#[derive(Debug)]
pub struct Server {
    /// Its name, which is also that of its log.
    pub name: String,
    /// The proxies, if there are any.
    pub ways: Option<Ways>,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    spawned: Option<Spawned>,
    ports: Ports,
}

impl Fleet {
    /// Starts everything and waits until it listens.
    ///
    /// # Errors
    /// When something is not installed, not built, or does not start.
    pub async fn start(plan: Plan) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("huizhen-fleet-").tempdir()?;
        let (postgres, workers) = start_database(&plan).await?;
        let kind = plan.redis;
        let backplane = apart(move || Backplane::start(kind)).await?;
        let mut fleet = Self {
            postgres: Arc::new(postgres),
            workers: workers.into_iter().map(Arc::new).collect(),
            backplane,
            nodes: Vec::new(),
            api_servers: Vec::new(),
            plan,
            folder,
        };
        for _ in 0..fleet.plan.api_servers {
            fleet.add_api_server().await?;
        }
        for _ in 0..fleet.plan.nodes {
            fleet.add_node().await?;
        }
        Ok(fleet)
    }

    /// Starts one more api-server.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_api_server(&mut self) -> Result<()> {
        let name = format!("api-{}", self.api_servers.len() + 1);
        let mut server = self.server(name, "api-server").await?;
        server.arguments.push("--rest-addr=127.0.0.1:0".to_owned());
        server.arguments.extend(self.plan.api_arguments.clone());
        server.start().await?;
        self.api_servers.push(server);
        Ok(())
    }

    /// Starts one more node.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn add_node(&mut self) -> Result<()> {
        let name = format!("im-{}", self.nodes.len() + 1);
        let mut server = self.server(name, "im-server").await?;
        server.arguments.extend([
            "--im-addr=127.0.0.1:0".to_owned(),
            "--ws-addr=127.0.0.1:0".to_owned(),
            format!("--node-id={}", server.name),
        ]);
        if let Some(ways) = &server.ways {
            server
                .arguments
                .push(format!("--advertise={}", ways.front.address()));
        }
        server.arguments.extend(self.plan.node_arguments.clone());
        server.start().await?;
        self.nodes.push(server);
        Ok(())
    }

    /// Starts an api-server and a node of another fleet, with a new database of this name, on the same Redis.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start_foreign(&self, database: &str) -> Result<(Server, Server)> {
        let (postgres, name) = (self.postgres.clone(), database.to_owned());
        apart(move || postgres.create_database(&name, None)).await?;
        let mut servers = Vec::new();
        for (name, program) in [("foreign-api", "api-server"), ("foreign-im", "im-server")] {
            let mut server = self.server(name.to_owned(), program).await?;
            for argument in &mut server.arguments {
                *argument = argument.replace(&format!("/{DATABASE}?"), &format!("/{database}?"));
            }
            if program == "api-server" {
                server.arguments.push("--rest-addr=127.0.0.1:0".to_owned());
                server.arguments.extend(self.plan.api_arguments.clone());
            } else {
                let advertise = server
                    .ways
                    .as_ref()
                    .map(|ways| format!("--advertise={}", ways.front.address()));
                server.arguments.extend(advertise);
                server.arguments.extend([
                    "--im-addr=127.0.0.1:0".to_owned(),
                    "--ws-addr=127.0.0.1:0".to_owned(),
                    format!("--node-id={name}"),
                ]);
                server.arguments.extend(self.plan.node_arguments.clone());
            }
            server.start().await?;
            servers.push(server);
        }
        let node = servers.pop().context("two were started")?;
        let api = servers.pop().context("two were started")?;
        Ok((api, node))
    }

    /// The REST services, for clients that know several.
    pub fn rest_urls(&self) -> Vec<String> {
        self.api_servers
            .iter()
            .filter_map(|server| Some(format!("http://{}", server.address()?)))
            .collect()
    }

    /// Where logs lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends nodes, then api-servers, each by SIGTERM; the rest goes with this.
    ///
    /// # Errors
    /// When one does not end well.
    pub async fn end(mut self) -> Result<()> {
        for server in self.nodes.iter_mut().chain(&mut self.api_servers) {
            server.terminate().await?;
        }
        Ok(())
    }

    async fn server(&self, name: String, program: &str) -> Result<Server> {
        let program = program_of(&self.plan, program)?;
        ensure!(
            program.is_file(),
            "there is no server at {}: build it with `cargo build --release -p im-server -p api-server`",
            program.display()
        );
        let postgres = SocketAddr::from(([127, 0, 0, 1], self.postgres.port()));
        let ways = if self.plan.proxies {
            Some(Ways {
                front: Proxy::listen().await?,
                backplane: match self.backplane.single() {
                    Some(redis) => Some(Proxy::start(redis.address()).await?),
                    None => None,
                },
                database: Proxy::start(postgres).await?,
            })
        } else {
            None
        };
        let postgres = ways.as_ref().map_or(postgres, |ways| ways.database.address());
        let proxy = ways.as_ref().and_then(|ways| ways.backplane.as_ref());
        let redis = match proxy {
            Some(proxy) => format!("redis://{}", proxy.address()),
            None => self.backplane.url(),
        };
        Ok(Server {
            name,
            ways,
            program,
            arguments: vec![
                format!("--database-url=postgres://postgres@{postgres}/{DATABASE}?sslmode=disable"),
                format!("--redis-url={redis}"),
                "--admin-addr=127.0.0.1:0".to_owned(),
            ],
            environment: self.plan.environment.clone(),
            folder: self.folder.path().to_owned(),
            spawned: None,
            ports: Ports::default(),
        })
    }
}

impl Server {
    /// Starts it, for the first time or again, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self) -> Result<()> {
        let (spawned, ports) = Spawned::start_in(
            &self.program,
            &self.arguments,
            &self.environment,
            &self.folder,
            &self.name,
        )
        .await?;
        self.spawned = Some(spawned);
        self.ports = ports;
        let own = ports
            .im
            .or(ports.rest)
            .with_context(|| format!("{} says of no listener", self.name))?;
        if let Some(ways) = &self.ways {
            ways.front.lead_to(own);
        }
        Ok(())
    }

    /// Where clients reach it: framed TCP of a node, REST of an api-server.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.ways {
            Some(ways) => Some(ways.front.address()),
            None => self.ports.im.or(self.ports.rest),
        }
    }

    /// Its own listeners.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.spawned.as_ref().map(Spawned::pid)
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        match self.spawned.take() {
            Some(mut spawned) => spawned.kill(),
            None => Ok(()),
        }
    }

    /// Ends it (SIGTERM) and waits for the end.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn terminate(&mut self) -> Result<()> {
        match self.spawned.take() {
            Some(spawned) => spawned.end().await,
            None => Ok(()),
        }
    }

    /// Freezes it for this long (SIGSTOP, SIGCONT).
    pub async fn pause_for(&self, length: Duration) {
        if let Some(spawned) = &self.spawned {
            spawned.pause();
            sleep(length).await;
            spawned.resume();
        }
    }
}

fn program_of(plan: &Plan, program: &str) -> Result<PathBuf> {
    match &plan.programs {
        Some(folder) => Ok(folder.join(program)),
        None => beside_this_program(program),
    }
}

/// One server with an empty database, or several with the tables in their places.
async fn start_database(plan: &Plan) -> Result<(Postgres, Vec<Postgres>)> {
    let count = plan.database_workers;
    if count == 0 {
        let one = apart(|| {
            let postgres = Postgres::start(postgres::Options::default())?;
            postgres.create_database(DATABASE, None)?;
            Ok(postgres)
        });
        return Ok((one.await?, Vec::new()));
    }
    let huizhen = program_of(plan, "huizhen")?;
    apart(move || Postgres::start_distributed(DATABASE, count, huizhen)).await
}

/// Runs work that waits for other processes on a thread of its own.
///
/// # Errors
/// The work's own.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("it panicked")?
}
