//! Checks for listeners that strangers can reach.

use std::net::{IpAddr, SocketAddr};

use program::accept;

use super::Finding;
use crate::settings::Settings;

const ABOUT: &str = "exposure";

/// Advises on listeners without TLS, and on codes in the log, where strangers can connect.
pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
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

/// `None` for an unusable address, which the check of ports reports.
async fn address(text: &str) -> Option<IpAddr> {
    let addresses = accept::resolve(text).await.ok()?;
    addresses.first().map(SocketAddr::ip)
}
