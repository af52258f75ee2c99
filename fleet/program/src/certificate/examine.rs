//! What is wrong with a certificate's files.

use std::{os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};

use super::{Files, Standing, Validity};
use crate::advice::Advice;

/// How to get another.
const RENEW: &str =
    "renew it where it came from (a development certificate: huizhen init --renew-certificate)";
/// Reading and writing by all, and writing by the group. A group may read: secrets are mounted so for a user that is not
/// root.
const OPEN_BITS: u32 = 0o027;

/// Looks at certificate and key: whether they are a pair, the dates, the names that apps connect to (`hosts`, IP addresses
/// or domain names), and who may read the key.
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

/// The dates.
pub(super) fn validity(chain: &Path, validity: Validity, now: Timestamp) -> Advice {
    let name = chain.display();
    let Validity {
        not_before,
        not_after,
    } = validity;
    match validity.standing(now) {
        Standing::NotYet => Advice::failure(
            format!("{name} is not valid before {not_before}: apps refuse it until then"),
            "look at this machine's clock, or take another certificate",
        ),
        Standing::Expired => Advice::failure(
            format!("{name} has expired at {not_after}: apps refuse it"),
            RENEW,
        ),
        standing => {
            let days = validity.whole_days_left(now);
            let text = format!("{name} is good for {days} more days");
            if standing == Standing::EndsSoon {
                Advice::warning(text, RENEW)
            } else {
                Advice::fine(text)
            }
        }
    }
}

/// A name that apps connect to, and the certificate is not for.
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
            "{} is not for {host}, which apps are told to connect to (--advertise): they refuse it",
            chain.display()
        ),
        "take a certificate that names it, or let --advertise be a name of the certificate",
    ))
}

/// Who may read the key.
pub(super) fn readers(files: &Files) -> Option<Advice> {
    let key = files.key();
    let name = key.display();
    // A key that is missing is told as such.
    let mode = std::fs::metadata(key).ok()?.permissions().mode();
    Some(if mode & OPEN_BITS == 0 {
        if mode & 0o040 == 0 {
            Advice::fine(format!("only its owner may read {name}"))
        } else {
            Advice::fine(format!("only its owner and its group may read {name}"))
        }
    } else {
        Advice::warning(
            format!("others may read or change {name}: whoever has the key can pose as this server"),
            format!("chmod 600 {name}"),
        )
    })
}
