//! The two files of a certificate.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use rustls::{Error, InconsistentKeys, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::Validity;

/// The settings of a program that has no others for its certificate.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct CertificateSettings {
    /// The certificate chain, PEM; read again when the files change
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

impl CertificateSettings {
    /// Both files, if both are set.
    pub fn files(&self) -> Option<Files> {
        Files::of(self.tls_cert.as_ref(), self.tls_key.as_ref())
    }
}

/// The paths of certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    tls_cert: PathBuf,
    tls_key: PathBuf,
}

/// The identity of a file's contents: every write changes it, and so does a replacement of the same age and size.
type FileStamp = (u64, u64, u64, i64, i64, i64, i64);

/// The stamps of both files at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    chain: FileStamp,
    key: FileStamp,
}

/// The contents of both files.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) validity: Validity,
}

impl Files {
    /// Both paths, if both are set.
    pub fn of(chain: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<Self> {
        Some(Self {
            tls_cert: chain?.clone(),
            tls_key: key?.clone(),
        })
    }

    pub(super) fn chain(&self) -> &Path {
        &self.tls_cert
    }

    pub(super) fn key(&self) -> &Path {
        &self.tls_key
    }

    /// `None` while one of them is missing.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        Some(Stamp {
            chain: stamp(&self.tls_cert)?,
            key: stamp(&self.tls_key)?,
        })
    }

    /// The certificate chain, leaf first.
    pub(super) fn read_chain(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let name = self.tls_cert.display();
        let chain = CertificateDer::pem_file_iter(&self.tls_cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("--tls-cert {name} holds no PEM certificates"))?;
        if chain.is_empty() {
            bail!("--tls-cert {name} holds no PEM certificates");
        }
        Ok(chain)
    }

    /// Certificate and key, verified to be a pair.
    pub(super) fn read(&self) -> anyhow::Result<Loaded> {
        let chain = self.read_chain()?;
        let validity = Validity::of(&chain[0])
            .with_context(|| format!("--tls-cert {} is no certificate", self.tls_cert.display()))?;
        let key = PrivateKeyDer::from_pem_file(&self.tls_key)
            .with_context(|| format!("--tls-key {} holds no PEM private key", self.tls_key.display()))?;
        let provider = rustls::crypto::ring::default_provider();
        let key = match CertifiedKey::from_der(chain, key, &provider) {
            Ok(key) => key,
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => bail!(
                "--tls-cert {} and --tls-key {} do not belong together",
                self.tls_cert.display(),
                self.tls_key.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "--tls-cert {} and --tls-key {} cannot be used",
                        self.tls_cert.display(),
                        self.tls_key.display()
                    )
                });
            }
        };
        let key = Arc::new(key);
        Ok(Loaded { key, validity })
    }
}

fn stamp(file: &Path) -> Option<FileStamp> {
    let found = std::fs::metadata(file).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}
