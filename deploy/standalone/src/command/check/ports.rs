//! Checks that each port is free, or held by the server under check.

use std::{net::SocketAddr, time::Duration};

use database::Database;
use program::{accept, admin::About};
use tokio::net::lookup_host;

use super::Finding;
use crate::settings::Settings;

const ABOUT: &str = "port";
/// The longest wait for /about of a running server.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// The running server of these settings, if there is one.
pub(super) struct Running {
    about: About,
    /// Whether it serves the database of the settings.
    is_own: bool,
}

impl Running {
    /// Requests /about at the admin port of the settings.
    pub(super) async fn find(settings: &Settings) -> Option<Self> {
        let about = ask(&settings.common.admin_addr).await?;
        let fleet = fleet(settings).await;
        let is_own = fleet.as_deref() == Some(about.database.as_str());
        Some(Self { about, is_own })
    }

    fn holds(&self, wanted: SocketAddr) -> bool {
        self.about.listeners.values().any(|held| {
            held.port() == wanted.port()
                && (held.ip() == wanted.ip() || held.ip().is_unspecified() || wanted.ip().is_unspecified())
        })
    }

    /// Whether a port belongs to it.
    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    fn describe(&self) -> String {
        let About {
            program,
            version,
            commit,
            pid,
            ..
        } = &self.about;
        format!("{program} {version} ({commit}), process {pid}")
    }
}

async fn ask(admin_addr: &str) -> Option<About> {
    let address = reachable(resolve(admin_addr).await?);
    let client = reqwest::Client::builder()
        .timeout(ASK_LIMIT)
        .no_proxy()
        .tls_certs_only([])
        .build()
        .ok()?;
    let answer = client.get(format!("http://{address}/about")).send().await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

/// The address to connect to for a listening address.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(at) if at.ip().is_unspecified() => ([127, 0, 0, 1], at.port()).into(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, at.port()).into(),
        other => other,
    }
}

async fn resolve(address: &str) -> Option<SocketAddr> {
    lookup_host(address).await.ok()?.next()
}

/// The id of the fleet that owns the database.
async fn fleet(settings: &Settings) -> Option<String> {
    let database = Database::look(&settings.database_url()).await.ok()?;
    let fleet = database.find_fleet().await.ok().flatten();
    database.close().await;
    fleet.map(|fleet| fleet.id_text())
}

pub(super) async fn findings(settings: &Settings, running: Option<&Running>) -> Vec<Finding> {
    let mut wanted = vec![
        ("--im-addr", &settings.im.im_addr),
        ("--ws-addr", &settings.im.ws_addr),
        ("--rest-addr", &settings.api.rest_addr),
        ("--admin-addr", &settings.common.admin_addr),
    ];
    if settings.im.tls_cert.is_some() {
        wanted.push(("--tls-addr", &settings.im.tls_addr));
    }
    if let Some(address) = &settings.api.rest_tls_addr {
        wanted.push(("--rest-tls-addr", address));
    }
    let mut findings = Vec::new();
    for (flag, address) in wanted {
        let free = accept::bind(flag, address).await;
        let holder = match resolve(address).await {
            Some(wanted) => running.filter(|running| running.holds(wanted)),
            None => None,
        };
        findings.push(match (free, holder) {
            (Ok(_), _) => Finding::ok(ABOUT, format!("{flag} {address} is free")),
            (Err(_), Some(running)) if running.is_own => Finding::ok(
                ABOUT,
                format!(
                    "{flag} {address} is held by the server itself: {}",
                    running.describe()
                ),
            ),
            (Err(_), Some(running)) => Finding::fail(
                ABOUT,
                format!(
                    "{flag} {address} is held by a server of another database: {}",
                    running.describe()
                ),
                format!("stop that one, or huizhen serve {flag} 127.0.0.1:0"),
            ),
            (Err(error), None) => Finding::fail(
                ABOUT,
                format!("{error:#}"),
                format!("huizhen serve {flag} 127.0.0.1:0"),
            ),
        });
    }
    findings
}
