//! The TLS certificate of a process: read at the start, checked, and read again when its files change.
//!
//! [`Certificate`] is what listeners use, [`examine`] what is told about the files at the start and by `huizhen check`,
//! [`validity`] reads the dates of a certificate from its bytes.

mod examine;
mod files;
mod validity;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

pub use examine::examine;
pub use files::{CertificateSettings, Files};
use files::{Loaded, Stamp};
use validity::Standing;
pub use validity::{Validity, not_after};

/// A certificate with its key, the same for all listeners of a process. It changes while they serve.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    current: ArcSwap<Loaded>,
    watch: Mutex<Watch>,
}

/// What [`Certificate::refresh`] has seen and said.
#[derive(Debug)]
struct Watch {
    /// The files as they were when the certificate in force was read.
    taken: Option<Stamp>,
    /// Why the files are not taken as they are now.
    refused: Option<String>,
    standing: Standing,
}

impl Certificate {
    /// Reads certificate and key, and logs what is wrong with them; `hosts` are the names that apps connect to.
    ///
    /// # Errors
    /// When they cannot be used at all: unreadable, or not a pair.
    pub fn load(files: &Files, hosts: &[String]) -> anyhow::Result<Arc<Self>> {
        let now = Timestamp::now();
        let taken = files.stamp();
        let loaded = files.read()?;
        for advice in examine(files, hosts, now) {
            advice.log();
        }
        let standing = loaded.validity.standing(now);
        let certificate = Self {
            files: files.clone(),
            current: ArcSwap::from_pointee(loaded),
            watch: Mutex::new(Watch {
                taken,
                refused: None,
                standing,
            }),
        };
        certificate.record(now);
        Ok(Arc::new(certificate))
    }

    /// TLS by this certificate, whichever is in force when a connection comes; `protocols` are those of ALPN.
    ///
    /// # Errors
    /// When the TLS library has no protocol version in common with itself.
    pub fn server_config(self: &Arc<Self>, protocols: &[&[u8]]) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // An idle connection should cost little.
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }

    /// The dates of the certificate in force.
    pub fn validity(&self) -> Validity {
        self.current.load().validity
    }

    /// Reads the files again if they have changed; call it once a second. Certificate and key are written one after the
    /// other, so files that do not fit together are looked at again until they do, and the old pair stays in force.
    /// Each change of state is logged once.
    pub fn refresh(&self) {
        self.refresh_at(Timestamp::now());
    }

    fn refresh_at(&self, now: Timestamp) {
        let mut watch = self.watch.lock();
        let seen = self.files.stamp();
        if seen != watch.taken {
            match self.newer(seen, now) {
                Newer::Unfinished => {}
                Newer::Refused(why) => watch.refuse(why),
                Newer::Usable(loaded) => {
                    self.current.store(Arc::new(loaded));
                    watch.taken = seen;
                    watch.refused = None;
                    tracing::info!(file = %self.files.chain().display(), "a new certificate is in force");
                    if let Some(advice) = examine::readers(&self.files) {
                        advice.log();
                    }
                }
            }
        } else if watch.refused.take().is_some() {
            tracing::info!(file = %self.files.chain().display(), "the files are those of the certificate in force again");
        }
        let validity = self.validity();
        let standing = validity.standing(now);
        if standing != watch.standing {
            watch.standing = standing;
            examine::validity(self.files.chain(), validity, now).log();
        }
        self.record(now);
    }

    /// What the files hold now. They may be written while they are read.
    fn newer(&self, seen: Option<Stamp>, now: Timestamp) -> Newer {
        let read = self.files.read();
        if self.files.stamp() != seen {
            return Newer::Unfinished;
        }
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(error) => return Newer::Refused(format!("{error:#}")),
        };
        let is_worse = !loaded.validity.is_in_force(now) && self.validity().is_in_force(now);
        if is_worse {
            return Newer::Refused(examine::validity(self.files.chain(), loaded.validity, now).text);
        }
        Newer::Usable(loaded)
    }

    fn record(&self, now: Timestamp) {
        metrics::gauge!("huizhen_certificate_days_left").set(self.validity().days_left(now));
    }
}

/// What was found where the files have changed.
enum Newer {
    /// They changed while they were read.
    Unfinished,
    Refused(String),
    Usable(Loaded),
}

impl Watch {
    fn refuse(&mut self, why: String) {
        if self.refused.as_ref() != Some(&why) {
            tracing::error!(
                %why,
                "the new certificate is not taken: the old one stays in force, and the files are looked at again each second"
            );
            self.refused = Some(why);
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().key.clone())
    }
}

#[cfg(test)]
mod tests;
