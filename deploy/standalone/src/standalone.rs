//! Everything in one process: an im-server node and the REST service on one database.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Context;
use api_server::{Listeners as RestListeners, Service};
use backplane::{Backplane, Identity};
use database::Database;
use im_server::{Listeners, Node};
use journal::Journal;
use metrics_exporter_prometheus::PrometheusHandle;
use program::{
    admin::{self, About, Readiness},
    listener::{self, Ports},
    memory, open_files,
    telemetry::LogFormat,
};
use proto::media::MediaHosts;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{access, command::serve::Arguments, operator_channel};

/// How long REST's last answers may take after a signal.
const REST_GRACE: Duration = Duration::from_secs(10);

/// The running servers.
pub(crate) struct Standalone {
    ports: Ports,
    database: Database,
    node: Node,
    drain: Duration,
    rest: JoinHandle<anyhow::Result<()>>,
    stop_rest: CancellationToken,
    readiness: Readiness,
    stop_admin: CancellationToken,
}

struct Bound {
    ports: Ports,
    im: Listeners,
    rest: TcpListener,
    rest_tls: Option<TcpListener>,
    admin: TcpListener,
}

impl Standalone {
    /// Binds all listeners, opens the database and starts to serve.
    pub(crate) async fn start(arguments: &Arguments, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        if let Err(error) = open_files::raise() {
            tracing::warn!(%error, "the open-file limit cannot be raised");
        }
        if let Err(error) = memory::use_small_pages() {
            tracing::warn!(%error, "huge pages cannot be switched off; connections cost more memory");
        }
        access::make_private_folder(&arguments.data)?;
        let media_hosts = MediaHosts::parse(&arguments.common.media_hosts)
            .map_err(|error| anyhow::anyhow!("--media-hosts: {error}"))?;
        let (mut api, mut im) = (arguments.api.clone(), node_settings(arguments));
        api.media_hosts = media_hosts.clone();
        im.media_hosts = media_hosts;
        arguments.set_layer();
        let bound = bind(arguments).await?;
        let database = Database::open(&arguments.database_url()).await?;
        let fleet = database.fleet().await?;
        let backplane = match &arguments.common.redis_url {
            Some(url) => Backplane::open(url, &Identity::new(fleet.id, fleet.key)).await?,
            None => Backplane::memory(),
        };

        let journal = Journal::new(database.clone(), backplane.clone());
        let stop_rest = CancellationToken::new();
        let rest = Service::prepare(
            api,
            database.clone(),
            journal.clone(),
            backplane.clone(),
            stop_rest.clone(),
        )
        .await?;
        // Last of what can fail: from here on people come in.
        let node = Node::start_with(&im, journal, bound.im).await?;
        let rest = tokio::spawn(rest.serve(RestListeners {
            plain: bound.rest,
            // One certificate for all listeners, so that it changes for all at once.
            tls: bound.rest_tls.zip(node.certificate()),
        }));
        let about = About::new("huizhen", fleet.id_text(), &bound.ports);
        let readiness = readiness(&database, &backplane).with_about(about);
        let stop_admin = CancellationToken::new();
        tokio::spawn(admin::serve(
            bound.admin,
            metrics,
            readiness.clone(),
            stop_admin.clone(),
        ));
        open_to_operators(arguments, &database, &stop_admin);
        Ok(Self {
            ports: bound.ports,
            database,
            node,
            drain: Duration::from_secs(arguments.im.drain_s.into()),
            rest,
            stop_rest,
            readiness,
            stop_admin,
        })
    }

    /// Tells where the listeners are.
    pub(crate) fn announce(&self, ports_file: Option<&Path>, format: LogFormat) -> anyhow::Result<()> {
        self.ports.announce(ports_file, format)
    }

    /// Where REST is.
    pub(crate) fn rest_address(&self) -> anyhow::Result<SocketAddr> {
        self.ports.get("rest").context("REST has no listener")
    }

    /// Serves until the signal, then drains: out of the directory, Bye to sessions, journal flushed.
    pub(crate) async fn until(mut self, signal: CancellationToken) -> anyhow::Result<()> {
        let ended = tokio::select! {
            () = signal.cancelled() => None,
            ended = &mut self.rest => Some(ended),
        };
        self.readiness.drain();
        self.stop_rest.cancel();
        self.node.drain(self.drain).await;
        let ended = match ended {
            Some(ended) => Some(ended),
            None => tokio::time::timeout(REST_GRACE, &mut self.rest).await.ok(),
        };
        self.stop_admin.cancel();
        self.database.close().await;
        match ended {
            Some(ended) => ended.context("the REST service panicked")?,
            None => {
                tracing::warn!(
                    "requests that took longer than {} s were cut off",
                    REST_GRACE.as_secs()
                );
                Ok(())
            }
        }
    }
}

/// Lets `huizhen operator` in while this process has the database file. On a server each command has its own connection.
fn open_to_operators(arguments: &Arguments, database: &Database, stop: &CancellationToken) {
    let Some(file) = arguments.database_file() else {
        return;
    };
    match operator_channel::open(&file) {
        Ok(listener) => {
            let path = operator_channel::beside(&file);
            tokio::spawn(operator_channel::serve(
                listener,
                path,
                database.clone(),
                stop.clone(),
            ));
        }
        Err(error) => {
            tracing::warn!(%error, "`huizhen operator` cannot reach this process; it works when it is stopped");
        }
    }
}

/// Of the node: which proxies are believed is set once for both servers.
fn node_settings(arguments: &Arguments) -> im_server::Settings {
    im_server::Settings {
        trusted_proxies: arguments.api.trusted_proxies.clone(),
        ..arguments.im.clone()
    }
}

async fn bind(arguments: &Arguments) -> anyhow::Result<Bound> {
    let mut ports = Ports::default();
    let im = listener::bind("--im-addr", &arguments.im.im_addr).await?;
    ports.add("im", &im)?;
    let ws = listener::bind("--ws-addr", &arguments.im.ws_addr).await?;
    ports.add("ws", &ws)?;
    let tls = match &arguments.im.tls_cert {
        Some(_) => {
            let tls = listener::bind("--tls-addr", &arguments.im.tls_addr).await?;
            ports.add("tls", &tls)?;
            Some(tls)
        }
        None => None,
    };
    let rest = listener::bind("--rest-addr", &arguments.api.rest_addr).await?;
    ports.add("rest", &rest)?;
    let rest_tls = match &arguments.api.rest_tls_addr {
        Some(address) => {
            arguments
                .im
                .certificate()
                .context("--rest-tls-addr needs a certificate: set --tls-cert and --tls-key")?;
            let rest_tls = listener::bind("--rest-tls-addr", address).await?;
            ports.add("rest-tls", &rest_tls)?;
            Some(rest_tls)
        }
        None => None,
    };
    let admin = listener::bind("--admin-addr", &arguments.common.admin_addr).await?;
    ports.add("admin", &admin)?;
    Ok(Bound {
        ports,
        im: Listeners {
            tcp: im,
            ws: Some(ws),
            tls,
        },
        rest,
        rest_tls,
        admin,
    })
}

fn readiness(database: &Database, backplane: &Backplane) -> Readiness {
    let database = database.clone();
    let backplane = backplane.clone();
    Readiness::builder()
        .require("database", move || {
            let database = database.clone();
            async move { database.is_ready().await }
        })
        .degrade("backplane", move || {
            let backplane = backplane.clone();
            async move { backplane.is_ready().await }
        })
        .build()
}
