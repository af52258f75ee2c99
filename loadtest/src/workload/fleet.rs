//! The target of the load: a running fleet, a server of our own, or the bare relay.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use tempfile::TempDir;
use testkit::backplane::Kind;
use testkit::fleet::{Fleet as Processes, Plan, apart};
use testkit::postgres::{self, Postgres};

use crate::arguments::{Target, Transport};
use crate::generator::quiet::link::Endpoint;
use crate::server::relay::Fault;
use crate::server::system;
use crate::server::unlimited::{api_arguments, node_arguments};
use crate::server::usage::Watch;
use crate::server::{Certificate, OwnServer, Spawned, Wanted};
use crate::world::rest::{Rest, reachable};
use crate::world::{Builder, SmsWebhook};

/// Files that are open beside the connections: listeners, logs, REST.
pub(super) const SPARE_FILES: u64 = 500;

/// A running fleet, a server of our own, or a whole fleet of our own.
pub(super) struct Fleet {
    pub(super) builder: Builder,
    pub(super) rest: Rest,
    pub(super) own: Option<OwnServer>,
    pub(super) processes: Option<Box<Processes>>,
    target: Target,
    transport: Transport,
    certificate: Option<Certificate>,
}

impl Fleet {
    /// Finds the fleet, or starts a server for these connections of this process and of others.
    pub(super) async fn open(
        target: Target,
        seed: u64,
        connections: usize,
        of_others: usize,
        transport: Transport,
    ) -> Result<Self> {
        Box::pin(Self::open_in(
            target,
            seed,
            connections,
            of_others,
            transport,
            Extra::default(),
        ))
        .await
    }

    /// The same, with more for servers of our own.
    pub(super) async fn open_in(
        target: Target,
        seed: u64,
        connections: usize,
        of_others: usize,
        transport: Transport,
        extra: Extra,
    ) -> Result<Self> {
        let Extra {
            environment,
            api_arguments,
            node_arguments,
            proxies,
        } = extra;
        enough_files(connections)?;
        let sms = Arc::new(SmsWebhook::listen(target.sms_webhook_listen).await?);
        let mut processes = None;
        let (api, own, certificate) = match &target.api {
            Some(api) => (api.clone(), None, None),
            None if target.nodes > 0 => {
                ensure!(
                    transport != Transport::Tls,
                    "a fleet of our own has no certificate: leave --transport tls or --nodes out"
                );
                let mut size = Size::of(&target);
                size.api_arguments = api_arguments;
                size.node_arguments.extend(node_arguments);
                let started = Box::pin(start_processes(
                    &size,
                    &sms,
                    connections + of_others,
                    proxies,
                    environment,
                ))
                .await?;
                let api = started.rest_urls().join(",");
                processes = Some(Box::new(started));
                (api, None, None)
            }
            None => {
                let folder = tempfile::Builder::new().prefix("loadtest-").tempdir()?;
                let certificate = match transport {
                    Transport::Tls => Some(Certificate::make(folder.path())?),
                    Transport::Tcp | Transport::Ws => None,
                };
                let wanted = Wanted {
                    program: target.server.clone(),
                    arguments: [api_arguments, target.server_argument.clone()].concat(),
                    sms_webhook_url: sms.url(),
                    connections,
                    certificate: certificate.clone(),
                    environment,
                };
                let own = OwnServer::start(folder, wanted).await?;
                (own.api()?, Some(own), certificate)
            }
        };
        let rest = Rest::new(&api)?;
        reachable(&rest)
            .await
            .context("the REST service does not answer")?;
        // On a running fleet there may be users of earlier runs, who cannot be registered again.
        let run = if own.is_some() || processes.is_some() {
            seed
        } else {
            SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()
        };
        Ok(Self {
            builder: Builder::new(rest.clone(), sms, run),
            rest,
            own,
            processes,
            target,
            transport,
            certificate,
        })
    }

    /// Where the nodes listen; any `access_token` will do.
    pub(super) async fn endpoints(&self, access_token: &str) -> Result<Vec<Endpoint>> {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        if let Some(own) = &self.own {
            let ports = own.ports();
            let address = match self.transport {
                Transport::Tcp => ports.im,
                Transport::Ws => ports.ws,
                Transport::Tls => ports.tls,
            };
            addresses.push(address.context("the server does not listen for this transport")?);
        } else if let Some(processes) = &self.processes {
            // In the order of their numbers, whatever the load.
            for node in &processes.nodes {
                let ports = node.ports();
                let address = match self.transport {
                    Transport::Tcp => ports.im,
                    Transport::Ws => ports.ws,
                    Transport::Tls => ports.tls,
                };
                addresses.push(address.context("a node does not listen for this transport")?);
            }
        } else {
            for server in self.rest.servers(access_token).await? {
                let address = match self.transport {
                    Transport::Tcp => server.tcp(),
                    Transport::Ws => server.ws(),
                    Transport::Tls => server.tls(),
                };
                addresses.push(address.with_context(|| {
                    format!("the node at {} does not listen for this transport", server.ip)
                })?);
            }
        }
        ensure!(!addresses.is_empty(), "GET /im/servers names no node");
        addresses
            .into_iter()
            .map(|address| match self.transport {
                Transport::Tcp => Ok(Endpoint::Tcp(address)),
                Transport::Ws => Ok(Endpoint::Ws(address)),
                Transport::Tls => Endpoint::tls(address, &self.roots()?, &self.target.tls_name),
            })
            .collect()
    }

    /// The TCP listeners of the nodes.
    pub(super) async fn addresses(&self, access_token: &str) -> Result<Vec<SocketAddr>> {
        let endpoints = self.endpoints(access_token).await?;
        Ok(endpoints
            .into_iter()
            .map(|(Endpoint::Tcp(address) | Endpoint::Ws(address) | Endpoint::Tls(address, _))| address)
            .collect())
    }

    /// The REST services, each by itself.
    pub(super) fn rest_urls(&self) -> Result<Vec<String>> {
        Ok(match (&self.processes, &self.own, &self.target.api) {
            (Some(processes), _, _) => processes.rest_urls(),
            (None, Some(own), _) => vec![own.api()?],
            (None, None, api) => api
                .iter()
                .flat_map(|api| api.split(','))
                .map(|api| api.trim().trim_end_matches('/').to_owned())
                .collect(),
        })
    }

    /// The processes to be measured.
    pub(super) fn watch(&self) -> Watch {
        if let Some(processes) = &self.processes {
            return watch_processes(processes);
        }
        match self.own.as_ref().and_then(OwnServer::pid) {
            Some(pid) => {
                let admin = self.own.as_ref().and_then(|own| own.ports().admin);
                Watch::process("server", pid).telling(admin.map(|admin| format!("http://{admin}/metrics")))
            }
            None => Watch::of(&self.target.server_pid, &self.target.server_metrics),
        }
    }

    /// Ends the server, if it is our own.
    pub(super) async fn close(self) -> Result<()> {
        if let Some(processes) = self.processes {
            return Box::pin(processes.end()).await;
        }
        match self.own {
            Some(own) => own.end().await,
            None => Ok(()),
        }
    }

    fn roots(&self) -> Result<Vec<u8>> {
        let file: &PathBuf = match (&self.certificate, &self.target.tls_ca) {
            (Some(certificate), _) => &certificate.certificate,
            (None, Some(file)) => file,
            (None, None) => bail!("TLS to a running fleet needs --tls-ca FILE"),
        };
        fs::read(file).with_context(|| format!("cannot read {}", file.display()))
    }
}

/// More for servers of our own.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    /// Variables of each server's environment; `{name}` in a value stands for its name.
    pub(super) environment: Vec<(String, String)>,
    /// Arguments of the REST service.
    pub(super) api_arguments: Vec<String>,
    /// Further arguments of each node of a fleet.
    pub(super) node_arguments: Vec<String>,
    /// Whether a proxy stands on every way of a fleet.
    pub(super) proxies: bool,
}

/// How large a whole fleet of our own is.
#[derive(Clone, Debug)]
pub(super) struct Size {
    pub(super) nodes: u32,
    pub(super) api_servers: u32,
    pub(super) redis: Kind,
    /// The workers of its database; 0: one server.
    pub(super) database_workers: u32,
    /// The folder of the programs; by default that of this program.
    pub(super) programs: Option<PathBuf>,
    /// Further arguments of every node.
    pub(super) node_arguments: Vec<String>,
    /// Further arguments of every api-server.
    pub(super) api_arguments: Vec<String>,
}

impl Size {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            nodes: target.nodes,
            api_servers: target.api_servers,
            redis: target.redis,
            database_workers: target.database_workers,
            programs: target.programs.clone(),
            node_arguments: target.server_argument.clone(),
            api_arguments: Vec::new(),
        }
    }
}

/// Starts a whole fleet for this many connections.
pub(super) async fn start_processes(
    size: &Size,
    sms: &SmsWebhook,
    connections: usize,
    proxies: bool,
    environment: Vec<(String, String)>,
) -> Result<Processes> {
    let mut node_arguments = node_arguments(connections);
    node_arguments.extend(size.node_arguments.iter().cloned());
    Processes::start(Plan {
        nodes: size.nodes,
        api_servers: size.api_servers,
        redis: size.redis,
        programs: size.programs.clone(),
        node_arguments,
        api_arguments: [api_arguments(&sms.url()), size.api_arguments.clone()].concat(),
        proxies,
        database_workers: size.database_workers,
        environment,
    })
    .await
}

/// Every process of a fleet: the nodes, which also count their publications, the api-servers, Redis and PostgreSQL.
pub(super) fn watch_processes(processes: &Processes) -> Watch {
    let mut watch = Watch::default();
    for node in &processes.nodes {
        if let Some(pid) = node.pid() {
            watch = watch.and(&node.name, pid);
        }
        let admin = node.ports().admin;
        watch = watch.telling(admin.map(|admin| format!("http://{admin}/metrics")));
    }
    for server in &processes.api_servers {
        if let Some(pid) = server.pid() {
            watch = watch.and(&server.name, pid);
        }
    }
    for (name, pid) in processes.backplane.processes() {
        watch = watch.and(&name, pid);
    }
    if let Some(pid) = processes.postgres.pids().first() {
        watch = watch.and_children("postgresql", *pid);
    }
    for (at, worker) in processes.workers.iter().enumerate() {
        if let Some(pid) = worker.pids().first() {
            watch = watch.and_children(&format!("postgresql-worker-{}", at + 1), *pid);
        }
    }
    watch
}

/// A running relay, in a folder that is removed with it.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    spawned: Spawned,
    /// Of a relay that keeps its entries there; its process id is that of the postmaster.
    server: Option<(Arc<Postgres>, u32)>,
    _folder: TempDir,
}

/// Whether the relay acknowledges after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    Nothing,
    /// By group commit into SQLite.
    Entries,
    /// By an INSERT for each into PostgreSQL, over this many connections.
    SingleInserts(u32),
}

impl Relay {
    /// Starts one for `users`, in conversations of `members`.
    pub(super) async fn start(
        users: u32,
        conversations: u32,
        members: u32,
        keeps: Keeps,
        fault: Option<Fault>,
    ) -> Result<Self> {
        enough_files(users as usize)?;
        let folder = tempfile::Builder::new().prefix("loadtest-").tempdir()?;
        let program = env::current_exe().context("cannot find out where this program lies")?;
        let mut arguments = vec![
            "relay".to_owned(),
            format!("--users={users}"),
            format!("--conversations={conversations}"),
            format!("--members={members}"),
        ];
        let fault = fault.as_ref().and_then(ValueEnum::to_possible_value);
        arguments.extend(fault.map(|fault| format!("--fault={}", fault.get_name())));
        let mut server = None;
        match keeps {
            Keeps::Nothing => {}
            Keeps::Entries => {
                arguments.push(format!("--store={}", folder.path().join("entries.db").display()));
            }
            Keeps::SingleInserts(connections) => {
                let started = apart(|| Postgres::start(postgres::Options::default())).await?;
                arguments.push(format!("--inserts-into={}", started.url("postgres")));
                arguments.push(format!("--insert-connections={connections}"));
                let pid = *started.pids().first().context("PostgreSQL has ended")?;
                server = Some((Arc::new(started), pid));
            }
        }
        let (spawned, ports) = Spawned::start(&program, &arguments, folder.path(), "relay").await?;
        Ok(Self {
            address: ports.im.context("the relay says of no listener")?,
            spawned,
            server,
            _folder: folder,
        })
    }

    pub(super) fn watch(&self) -> Watch {
        let watch = Watch::process("relay", self.spawned.pid());
        match &self.server {
            Some((_, pid)) => watch.and_children("postgresql", *pid),
            None => watch,
        }
    }

    pub(super) async fn end(self) -> Result<()> {
        self.spawned.end().await?;
        match self.server {
            Some((server, _)) => apart(move || server.stop()).await,
            None => Ok(()),
        }
    }
}

fn enough_files(connections: usize) -> Result<()> {
    let (needed, allowed) = (connections as u64 + SPARE_FILES, system::open_files());
    ensure!(
        needed <= allowed,
        "{connections} connections need {needed} open files and {allowed} are allowed: raise the hard limit \
         (`ulimit -Hn`) or ask for fewer connections"
    );
    Ok(())
}
