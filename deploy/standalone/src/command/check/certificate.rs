//! The TLS certificate: how long it is good, and who may read its key.

use std::{os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;
use program::certificate::not_after;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{Finding, serve::Arguments};

const ABOUT: &str = "certificate";
/// From here on somebody should renew it, days.
const SOON_DAYS: i64 = 21;

/// Nothing to find when TLS is off.
pub(super) fn findings(settings: &Arguments) -> Vec<Finding> {
    let (Some(certificate), Some(key)) = (&settings.im.tls_cert, &settings.im.tls_key) else {
        return vec![Finding::ok(ABOUT, "none: TLS is off")];
    };
    vec![validity(certificate), readers(key)]
}

fn validity(file: &Path) -> Finding {
    let name = file.display();
    let renew = "huizhen init --renew-certificate (for development), or renew it where it came from";
    let ends = match CertificateDer::from_pem_file(file) {
        Ok(certificate) => not_after(&certificate),
        Err(error) => {
            return Finding::fail(ABOUT, format!("{name} cannot be read: {error}"), renew);
        }
    };
    let Some(ends) = ends else {
        return Finding::fail(ABOUT, format!("{name} is no certificate"), renew);
    };
    let days = (ends.as_second() - Timestamp::now().as_second()).div_euclid(24 * 60 * 60);
    let text = format!("{name} is good for {days} more days");
    if days < 0 {
        Finding::fail(ABOUT, format!("{name} has expired at {ends}"), renew)
    } else if days < SOON_DAYS {
        Finding::warn(ABOUT, text, renew)
    } else {
        Finding::ok(ABOUT, text)
    }
}

fn readers(key: &Path) -> Finding {
    let name = key.display();
    match std::fs::metadata(key) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => {
            Finding::ok(ABOUT, format!("only its owner may read {name}"))
        }
        Ok(_) => Finding::warn(
            ABOUT,
            format!("others may read {name}"),
            format!("chmod 600 {name}"),
        ),
        Err(error) => Finding::fail(
            ABOUT,
            format!("{name} cannot be read: {error}"),
            "huizhen init, or set --tls-key to the key's file",
        ),
    }
}
