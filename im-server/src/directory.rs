//! The node's line in the directory of live nodes, from which `/im/servers` is answered.

use std::{net::IpAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use backplane::{NodeAddress, NodeRecord};

use crate::{Listeners, Settings, clock, node::Shared};

/// How often the line is renewed.
const EVERY: Duration = Duration::from_secs(2);
/// How long it stands unrenewed: a dead node is gone from `/im/servers` within 10 s.
const LASTS: Duration = Duration::from_secs(8);

/// Where apps reach this node.
pub(crate) fn address(settings: &Settings, listeners: &Listeners) -> anyhow::Result<NodeAddress> {
    let listening = listeners.tcp.local_addr()?;
    let (ip, port) = match &settings.advertise {
        Some(advertise) => match advertise.rsplit_once(':') {
            // An IPv6 address has colons of its own.
            Some((ip, port)) if ip.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => {
                let port = port
                    .parse()
                    .with_context(|| format!("--advertise {advertise}: {port} is no port"))?;
                (ip.trim_matches(['[', ']']).to_owned(), port)
            }
            _ => (advertise.clone(), listening.port()),
        },
        None => (listening.ip().to_string(), listening.port()),
    };
    let Ok(parsed) = ip.parse::<IpAddr>() else {
        bail!(
            "--advertise must be IP or IP:PORT, as in 192.168.3.1:9501; got {:?}",
            settings.advertise
        )
    };
    if parsed.is_unspecified() {
        tracing::warn!(
            "apps are told to connect to {ip}, which is no address they can reach: set --advertise to this machine's IP"
        );
    }
    let port_of = |listener: &Option<tokio::net::TcpListener>| {
        listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
            .map(|address| address.port())
    };
    Ok(NodeAddress {
        ip,
        port,
        tls_port: port_of(&listeners.tls),
        ws_port: port_of(&listeners.ws),
    })
}

/// Puts or renews the line.
pub(crate) async fn announce(shared: &Shared, address: &NodeAddress) {
    let record = NodeRecord {
        node_id: shared.node_id.clone(),
        address: address.clone(),
        sessions: u64::from(shared.limits.sessions()),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let lasts_ms = i64::try_from(LASTS.as_millis()).unwrap_or(i64::MAX / 2);
    let announced = shared
        .backplane
        .announce_node(record, clock::now_ms(), lasts_ms)
        .await;
    if let Err(error) = announced {
        tracing::warn!(%error, "the node could not be announced; it tries again");
    }
}

/// Renews the line until the node drains.
pub(crate) async fn keep_announcing(shared: Arc<Shared>, address: NodeAddress) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut resumed = shared.backplane.resumed();
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            _ = ticks.tick() => {}
            Ok(()) = resumed.changed() => {}
        }
        if !shared.is_draining() {
            announce(&shared, &address).await;
        }
    }
    // Should a renewal have crossed the withdrawal.
    shared.backplane.withdraw_node(&shared.node_id).await;
}
