//! Checks the TLS certificate: its dates and names, and the permissions of its key.

use jiff::Timestamp;
use program::certificate::examine;

use super::Finding;
use crate::settings::Settings;

const ABOUT: &str = "certificate";

/// No findings while TLS is off.
pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let Some(files) = settings.im.certificate() else {
        return vec![match &settings.api.rest_tls_addr {
            None => Finding::ok(ABOUT, "none: TLS is off"),
            Some(address) => Finding::fail(
                ABOUT,
                format!("--rest-tls-addr {address} needs one"),
                "set --tls-cert and --tls-key (a development certificate: huizhen init)",
            ),
        }];
    };
    let hosts = im_server::exposure::hosts(&settings.im);
    examine(&files, &hosts, Timestamp::now())
        .into_iter()
        .map(|advice| Finding::of(ABOUT, advice))
        .collect()
}
