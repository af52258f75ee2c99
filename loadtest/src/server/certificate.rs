//! A certificate for a server that lives as long as one run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A self-signed certificate for `localhost`, in files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, PEM; also the root to trust.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn make(folder: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .context("cannot make a certificate")?;
        let files = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        fs::write(&files.certificate, made.cert.pem())?;
        fs::write(&files.key, made.signing_key.serialize_pem())?;
        Ok(files)
    }
}
