//! What strangers may reach that they should not.

use std::net::{IpAddr, SocketAddr};

use program::listener;

use super::{Finding, serve::Arguments};

const ABOUT: &str = "exposure";

/// Listeners without TLS and codes in the log, where strangers may come.
pub(super) async fn findings(settings: &Arguments) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(address) = address(&settings.im.im_addr).await {
        found.extend(im_server::exposure::examine(&settings.im, address));
    }
    if let Some(address) = address(&settings.api.rest_addr).await {
        found.extend(api_server::exposure::examine(&settings.api, address));
    }
    if found.is_empty() {
        return vec![Finding::ok(
            ABOUT,
            "nothing is open to strangers that should not be",
        )];
    }
    found
        .into_iter()
        .map(|advice| Finding::of(ABOUT, advice))
        .collect()
}

/// None where the address cannot be used, which is told with the ports.
async fn address(text: &str) -> Option<IpAddr> {
    let addresses = listener::resolve(text).await.ok()?;
    addresses.first().map(SocketAddr::ip)
}
