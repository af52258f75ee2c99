//! Examines the files of a certificate and advises their owner.

use std::{os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};

use super::{Files, Standing, Validity};
use crate::output::Advice;

/// The remedy for a bad certificate.
const RENEW: &str =
    "renew it where it came from (a development certificate: huizhen init --renew-certificate)";
/// Permissions of all others, and write permission of the group. The group may read: containers mount secrets this way for
/// a user that is not root.
const OPEN_BITS: u32 = 0o027;

/// Examines the pair of certificate and key, the dates, the names that apps connect to (`hosts`, IP addresses or domain
/// names), and the permissions of the key.
pub fn examine(files: &Files, hosts: &[String], now: Timestamp) -> Vec<Advice> {
    let mut found = Vec::new();
    match files.read() {
        Ok(loaded) => {
            found.push(validity(files.chain(), loaded.validity, now));
            if let Some(leaf) = loaded.key.cert.first() {
                found.extend(hosts.iter().filter_map(|host| name(files.chain(), leaf, host)));
            }
        }
        Err(error) => found.push(Advice::failure(format!("{error:#}"), RENEW)),
    }
    found.extend(readers(files));
    found
}

pub(super) fn validity(chain: &Path, validity: Validity, now: Timestamp) -> Advice {
    let name = chain.display();
    let Validity {
        not_before,
        not_after,
    } = validity;
    match validity.standing(now) {
        Standing::NotYet => Advice::failure(
            format!("{name} is not valid before {not_before}: apps refuse it until then"),
            "check this machine's clock, or use another certificate",
        ),
        Standing::Expired => Advice::failure(
            format!("{name} has expired at {not_after}: apps refuse it"),
            RENEW,
        ),
        standing => {
            let days = validity.whole_days_left(now);
            let text = format!("{name} is valid for {days} more days");
            if standing == Standing::EndsSoon {
                Advice::warning(text, RENEW)
            } else {
                Advice::fine(text)
            }
        }
    }
}

/// Advises when the certificate does not name a host that apps connect to.
fn name(chain: &Path, leaf: &CertificateDer<'_>, host: &str) -> Option<Advice> {
    let is_named = || -> Result<bool, rustls::Error> {
        let Ok(name) = ServerName::try_from(host) else {
            return Ok(false);
        };
        Ok(verify_server_name(&ParsedCertificate::try_from(leaf)?, &name).is_ok())
    };
    if is_named().unwrap_or(false) {
        return None;
    }
    Some(Advice::warning(
        format!(
            "{} is not for {host}, the address that apps get (--advertise): they refuse it",
            chain.display()
        ),
        "use a certificate that names it, or set --advertise to a name of the certificate",
    ))
}

/// Advises on the permissions of the key.
pub(super) fn readers(files: &Files) -> Option<Advice> {
    let key = files.key();
    let name = key.display();
    // `Files::read` reports a missing key.
    let mode = std::fs::metadata(key).ok()?.permissions().mode();
    Some(if mode & OPEN_BITS == 0 {
        if mode & 0o040 == 0 {
            Advice::fine(format!("only its owner may read {name}"))
        } else {
            Advice::fine(format!("only its owner and its group may read {name}"))
        }
    } else {
        Advice::warning(
            format!("others may read or change {name}: the key lets its holder pose as this server"),
            format!("chmod 600 {name}"),
        )
    })
}
