//! The TLS certificate of a process: read and examined at the start, and reloaded when its files change.
//!
//! Listeners use a [`Certificate`]. [`examine`] gives advice on the files, at the start and in `huizhen check`;
//! [`validity`] reads the dates from DER.

mod examine;
mod files;
mod validity;

use std::sync::Arc;

use ::telemetry::events::program::{CERTIFICATE_DAYS_LEFT, Event};
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

/// A certificate with its key, shared by all listeners of a process. It may change while they serve.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    current: ArcSwap<Loaded>,
    watch: Mutex<Watch>,
}

/// The state that [`Certificate::refresh`] compares with.
#[derive(Debug)]
struct Watch {
    /// The files at the time when the certificate in force was loaded.
    loaded: Option<Stamp>,
    /// Why the present files were refused.
    refused: Option<String>,
    standing: Standing,
}

impl Certificate {
    /// Loads certificate and key and logs advice on them; `hosts` are the names that apps connect to.
    ///
    /// # Errors
    /// When they are unreadable or not a pair.
    pub fn load(files: &Files, hosts: &[String]) -> anyhow::Result<Arc<Self>> {
        let now = Timestamp::now();
        let stamp = files.stamp();
        let loaded = files.read()?;
        for advice in examine(files, hosts, now) {
            advice.log();
        }
        let standing = loaded.validity.standing(now);
        let certificate = Self {
            files: files.clone(),
            current: ArcSwap::from_pointee(loaded),
            watch: Mutex::new(Watch {
                loaded: stamp,
                refused: None,
                standing,
            }),
        };
        certificate.record(now);
        Ok(Arc::new(certificate))
    }

    /// A TLS configuration that presents the certificate in force at each handshake; `protocols` are those of ALPN.
    ///
    /// # Errors
    /// When the TLS library supports no protocol version.
    pub fn server_config(self: &Arc<Self>, protocols: &[&[u8]]) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // An idle connection must be cheap.
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }

    /// The dates of the certificate in force.
    pub fn validity(&self) -> Validity {
        self.current.load().validity
    }

    /// Reloads the files if they have changed; call it once a second. Certificate and key are written one after the other,
    /// so a mismatch is retried, and the old pair stays in force. Each change of state is logged once.
    pub fn refresh(&self) {
        self.refresh_at(Timestamp::now());
    }

    fn refresh_at(&self, now: Timestamp) {
        let mut watch = self.watch.lock();
        let seen = self.files.stamp();
        if seen != watch.loaded {
            match self.newer(seen, now) {
                Newer::Unfinished => {}
                Newer::Refused(why) => watch.refuse(why),
                Newer::Usable(loaded) => {
                    self.current.store(Arc::new(loaded));
                    watch.loaded = seen;
                    watch.refused = None;
                    Event::CertificateReplaced {
                        file: self.files.chain(),
                    }
                    .emit();
                    if let Some(advice) = examine::readers(&self.files) {
                        advice.log();
                    }
                }
            }
        } else if watch.refused.take().is_some() {
            Event::CertificateRestored {
                file: self.files.chain(),
            }
            .emit();
        }
        let validity = self.validity();
        let standing = validity.standing(now);
        if standing != watch.standing {
            watch.standing = standing;
            examine::validity(self.files.chain(), validity, now).log();
        }
        self.record(now);
    }

    /// Loads the present files, which may be written at this moment.
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
        CERTIFICATE_DAYS_LEFT.set(self.validity().days_left(now));
    }
}

/// The outcome of a reload.
enum Newer {
    /// The files changed during the reload.
    Unfinished,
    Refused(String),
    Usable(Loaded),
}

impl Watch {
    fn refuse(&mut self, why: String) {
        if self.refused.as_ref() != Some(&why) {
            Event::CertificateRefused { why: &why }.emit();
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
