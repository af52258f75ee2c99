//! Everything in one process: an im-server node and the REST service on one database.

use std::time::Duration;

use anyhow::Context;
use api_server::{Listeners as RestListeners, Service};
use database::Database;
use im_server::{Listeners, Node};
use journal::Journal;
use program::serve::{Connected, Process};
use telemetry::task::{self, Name, Stopped};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{access, operator_channel, settings::Settings};

/// How long REST's last answers may take after a signal.
const REST_GRACE: Duration = Duration::from_secs(10);

/// The running servers.
pub(crate) struct Standalone {
    node: Node,
    drain: Duration,
    rest: JoinHandle<anyhow::Result<()>>,
    stop_rest: CancellationToken,
    stop_operators: CancellationToken,
}

struct Bound {
    im: Listeners,
    rest: TcpListener,
    rest_tls: Option<TcpListener>,
}

impl Standalone {
    /// Binds all listeners, opens the database and starts to serve.
    pub(crate) async fn start(settings: &Settings) -> anyhow::Result<(Connected, Self)> {
        let mut process = Process::start("huizhen", &settings.common)?;
        process.use_small_pages();
        access::make_private_folder(&settings.data)?;
        let (api, im) = of_servers(settings)?;
        settings.set_layer();
        let bound = bind(&mut process, settings).await?;
        let process = process
            .open(Database::open(&settings.database_url()), None)
            .await?;

        let stores = process.stores();
        let journal = Journal::new(stores.database.clone(), stores.backplane.clone());
        let stop_rest = CancellationToken::new();
        let rest = Service::prepare(
            api,
            stores.database.clone(),
            journal.clone(),
            stores.backplane.clone(),
            stop_rest.clone(),
        )
        .await?;
        // The last step that can fail: sessions begin with it.
        let node = Node::start_with(&im, journal, bound.im).await?;
        let rest = tokio::spawn(rest.serve(RestListeners {
            plain: bound.rest,
            // One certificate for all listeners, so that a renewed one reaches all of them at once.
            tls: bound.rest_tls.zip(node.certificate()),
        }));
        let stop_operators = CancellationToken::new();
        open_to_operators(settings, &stores.database, &stop_operators);
        let standalone = Self {
            node,
            drain: Duration::from_secs(im.drain_s.into()),
            rest,
            stop_rest,
            stop_operators,
        };
        Ok((process, standalone))
    }

    /// Serves until `stop`, then drains the node and lets REST's requests end.
    pub(crate) async fn until(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            ended = &mut self.rest => Some(ended),
        };
        stop.cancel();
        self.stop_rest.cancel();
        self.node.drain(self.drain).await;
        let ended = match ended {
            Some(ended) => Some(ended),
            None => tokio::time::timeout(REST_GRACE, &mut self.rest).await.ok(),
        };
        self.stop_operators.cancel();
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

/// Opens the socket of `huizhen operator` while this process owns the database file. On PostgreSQL each command connects
/// by itself.
fn open_to_operators(settings: &Settings, database: &Database, stop: &CancellationToken) {
    let Some(file) = settings.database_file() else {
        return;
    };
    match operator_channel::open(&file) {
        Ok(listener) => {
            let path = operator_channel::beside(&file);
            let serving = operator_channel::serve(listener, path, database.clone(), stop.clone());
            task::vital(Name::Operators, async move {
                serving.await;
                Stopped
            });
        }
        Err(error) => {
            tracing::warn!(%error, "`huizhen operator` cannot reach this process; it works while the process is stopped");
        }
    }
}

/// The settings of both servers. Media hosts and trusted proxies are set once for both.
fn of_servers(settings: &Settings) -> anyhow::Result<(api_server::Settings, im_server::Settings)> {
    let media_hosts = settings.common.media_hosts()?;
    let media_place = settings.media_place();
    let im = im_server::Settings {
        trusted_proxies: settings.api.trusted_proxies.clone(),
        media_hosts: media_hosts.clone(),
        checks_media: media_place != api_server::MediaPlace::None,
        ..settings.im.clone()
    };
    let api = api_server::Settings {
        media_hosts,
        media_place,
        ..settings.api.clone()
    };
    Ok((api, im))
}

async fn bind(process: &mut Process, settings: &Settings) -> anyhow::Result<Bound> {
    let (im, api) = (&settings.im, &settings.api);
    let tcp = process.listen("im", &im.im_addr).await?;
    let ws = process.listen("ws", &im.ws_addr).await?;
    let tls = match im.certificate() {
        Some(_) => Some(process.listen("tls", &im.tls_addr).await?),
        None => None,
    };
    let rest = process.listen("rest", &api.rest_addr).await?;
    let rest_tls = match &api.rest_tls_addr {
        Some(address) => {
            im.certificate()
                .context("--rest-tls-addr needs a certificate: set --tls-cert and --tls-key")?;
            Some(process.listen("rest-tls", address).await?)
        }
        None => None,
    };
    Ok(Bound {
        im: Listeners {
            tcp,
            ws: Some(ws),
            tls,
        },
        rest,
        rest_tls,
    })
}
