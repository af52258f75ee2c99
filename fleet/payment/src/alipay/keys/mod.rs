//! The keys that Alipay signs by: one public key of the settings, or its certificates, which it replaces every few years.

mod certificate;

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::RwLock;

use self::certificate::{Certificate, Roots};
use crate::{
    SettingsError,
    wire::{PrivateKey, PublicKey, local},
};

/// The name of the number of the certificate that Alipay signs by.
pub(super) const CERTIFICATE: &str = "alipay_cert_sn";
/// The shortest time between two downloads for notices, which are not trusted.
const MIN_LOOK_MS: i64 = 60 * 1000;
/// The most certificates that are kept beside that of the settings; there is one during a replacement.
const FETCHED_MAX: usize = 8;

/// The keys that are known.
#[derive(Debug)]
pub(super) enum Keys {
    /// Public-key mode.
    Public(PublicKey),
    /// Certificate mode.
    Certificates(Box<Certificates>),
}

#[derive(Debug)]
pub(super) struct Certificates {
    app: Certificate,
    alipay: Certificate,
    roots: Roots,
    fetched: RwLock<Fetched>,
}

/// Certificates of Alipay by number, and when a notice last made us look.
#[derive(Debug, Default)]
struct Fetched {
    certificates: HashMap<String, Certificate>,
    looked_ms: Option<i64>,
}

/// The names of the files, for sentences.
pub(super) struct Named<'n> {
    pub(super) app: &'n str,
    pub(super) alipay: &'n str,
    pub(super) roots: &'n str,
}

impl Keys {
    /// Certificate mode, by the texts of its files.
    ///
    /// # Errors
    /// A file that is no certificate, or another one's.
    pub(super) fn certificates(
        texts: [&str; 3],
        named: &Named<'_>,
        private_key: &PrivateKey,
    ) -> Result<Self, SettingsError> {
        let wrong = |file: &str, what: &str| SettingsError(format!("{file} {what}"));
        let [app, alipay, roots] = texts;
        let app = Certificate::parse(app)
            .ok_or_else(|| wrong(named.app, "is not a certificate with an RSA key"))?;
        let alipay = Certificate::parse(alipay)
            .ok_or_else(|| wrong(named.alipay, "is not a certificate with an RSA key"))?;
        let roots = Roots::parse(roots)
            .ok_or_else(|| wrong(named.roots, "has no root certificate with an RSA key"))?;
        let proof = b"huizhen";
        if !app.key.verifies(proof, &private_key.sign(proof)) {
            return Err(wrong(named.app, "is not the certificate of private_key_file"));
        }
        if alipay.key == app.key {
            return Err(wrong(
                named.alipay,
                "is the certificate of the app, not that of Alipay",
            ));
        }
        if !roots.issued(&alipay, alipay.from_ms) && !roots.cannot_tell(&alipay) {
            let what = format!("was not issued under a root of {}", named.roots);
            return Err(wrong(named.alipay, &what));
        }
        Ok(Self::Certificates(Box::new(Certificates {
            app,
            alipay,
            roots,
            fetched: RwLock::default(),
        })))
    }

    /// The parameters that name the certificates in each request.
    pub(super) fn params(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Public(_) => Vec::new(),
            Self::Certificates(known) => vec![
                ("app_cert_sn", known.app.sn.as_str()),
                ("alipay_root_cert_sn", known.roots.sn.as_str()),
            ],
        }
    }

    /// The key of an answer or a notice that names a certificate, or none.
    pub(super) fn find(&self, sn: Option<&str>, now_ms: i64) -> Option<PublicKey> {
        let known = match self {
            Self::Public(key) => return Some(key.clone()),
            Self::Certificates(known) => known,
        };
        let fetched = known.fetched.read();
        let certificate = match sn {
            None => &known.alipay,
            Some(sn) if sn == known.alipay.sn => &known.alipay,
            Some(sn) => fetched.certificates.get(sn)?,
        };
        certificate.is_in_force(now_ms).then(|| certificate.key.clone())
    }

    /// Whether a certificate that a notice names may be asked for now; if so, the next one not for a while.
    pub(super) fn begin_look(&self, sn: &str, now_ms: i64) -> bool {
        let Self::Certificates(known) = self else {
            return false;
        };
        let mut fetched = known.fetched.write();
        let is_early = fetched
            .looked_ms
            .is_some_and(|ms| now_ms.abs_diff(ms) < MIN_LOOK_MS.unsigned_abs());
        if is_early || !is_sn(sn) || fetched.certificates.contains_key(sn) {
            return false;
        }
        fetched.looked_ms = Some(now_ms);
        true
    }

    /// Takes a certificate that Alipay sent, PEM in base64.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it. Apps have certificates under the same roots, by another issuer: only
    /// that of the certificate of the settings has issued Alipay's.
    pub(super) fn take(&self, sn: &str, content: &str, now_ms: i64) -> Result<(), &'static str> {
        let Self::Certificates(known) = self else {
            return Err("certificates are not asked for");
        };
        let pem = STANDARD
            .decode(content)
            .ok()
            .and_then(|pem| String::from_utf8(pem).ok());
        let certificate = pem.and_then(|pem| Certificate::parse(&pem));
        let certificate = certificate.ok_or("Alipay sent no certificate")?;
        if certificate.sn != sn {
            return Err("Alipay sent a certificate with another number");
        }
        if !known.roots.issued(&certificate, now_ms) {
            return Err("Alipay sent a certificate of another root");
        }
        if certificate.issuer != known.alipay.issuer {
            return Err("Alipay sent a certificate of another issuer: replace alipay_certificate_file");
        }
        if !certificate.is_in_force(now_ms) {
            return Err("Alipay sent a certificate that is not in force");
        }
        let mut fetched = known.fetched.write();
        fetched.certificates.retain(|_, known| known.is_in_force(now_ms));
        if fetched.certificates.len() >= FETCHED_MAX {
            return Err("too many certificates of Alipay");
        }
        fetched.certificates.insert(certificate.sn.clone(), certificate);
        Ok(())
    }

    /// # Errors
    /// The sentence that names a certificate which is not in force.
    pub(super) fn in_force(&self, now_ms: i64) -> Result<(), SettingsError> {
        let Self::Certificates(known) = self else {
            return Ok(());
        };
        for (field, certificate) in [
            ("app_certificate_file", &known.app),
            ("alipay_certificate_file", &known.alipay),
        ] {
            let (is_early, is_late) = (now_ms < certificate.from_ms, now_ms > certificate.until_ms);
            if is_early || is_late {
                let (word, ms) = match is_late {
                    true => ("has expired on", certificate.until_ms),
                    false => ("is valid from", certificate.from_ms),
                };
                let time = local(ms);
                return Err(SettingsError(format!(
                    "the certificate of {field} {word} {time} (Beijing time)"
                )));
            }
        }
        Ok(())
    }
}

/// Whether a text may be the number of a certificate.
pub(super) fn is_sn(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
