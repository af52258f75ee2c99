//! The ports: each is free, or held by the very server that is being checked.

use std::{net::SocketAddr, time::Duration};

use database::Database;
use program::{admin::About, listener};
use tokio::net::lookup_host;

use super::{Finding, serve::Arguments};

const ABOUT: &str = "port";
/// How long a running server may take to say what it is.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// The running server of these settings, if there is one.
pub(super) struct Running {
    about: About,
    /// Whether it works on the database of the settings.
    is_own: bool,
}

impl Running {
    /// Asks the admin port of the settings.
    pub(super) async fn find(settings: &Arguments) -> Option<Self> {
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

    /// Whether it is the settings' own.
    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    fn told(&self) -> String {
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

/// Where to connect to what listens on an address.
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

/// The id of the fleet whose database is set.
async fn fleet(settings: &Arguments) -> Option<String> {
    let database = Database::look(&settings.database_url()).await.ok()?;
    let fleet = database.find_fleet().await.ok().flatten();
    database.close().await;
    fleet.map(|fleet| fleet.id_text())
}

/// A line for each port.
pub(super) async fn findings(settings: &Arguments, running: Option<&Running>) -> Vec<Finding> {
    let mut wanted = vec![
        ("--im-addr", &settings.im.im_addr),
        ("--ws-addr", &settings.im.ws_addr),
        ("--rest-addr", &settings.api.rest_addr),
        ("--admin-addr", &settings.common.admin_addr),
    ];
    if settings.im.tls_cert.is_some() {
        wanted.push(("--tls-addr", &settings.im.tls_addr));
    }
    let mut findings = Vec::new();
    for (flag, address) in wanted {
        let free = listener::bind(flag, address).await;
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
                    running.told()
                ),
            ),
            (Err(_), Some(running)) => Finding::fail(
                ABOUT,
                format!(
                    "{flag} {address} is held by a server of another database: {}",
                    running.told()
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
