//! The merchant's settings for Alipay.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keys::{Keys, Named};
use crate::{
    SettingsError,
    wire::{Address, Folder, PrivateKey, PublicKey},
};

/// A settings file of Alipay. Paths in it begin at its folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The app's number.
    pub(super) app_id: String,
    /// The merchant's number (PID), which begins with 2088.
    pub(super) seller_id: String,
    /// The app's private key (RSA2), mode 0600.
    private_key_file: PathBuf,
    /// Public-key mode: Alipay's public key, as its console shows it, not the app's own.
    alipay_public_key_file: Option<PathBuf>,
    /// Certificate mode: the app's certificate (`appCertPublicKey_….crt`).
    app_certificate_file: Option<PathBuf>,
    /// Certificate mode: Alipay's certificate (`alipayCertPublicKey_RSA2.crt`).
    alipay_certificate_file: Option<PathBuf>,
    /// Certificate mode: Alipay's roots (`alipayRootCert.crt`).
    alipay_root_certificate_file: Option<PathBuf>,
    /// Where Alipay posts its notices: `https://…/payment/alipay/notice` of this service.
    pub(super) notify_url: Address,
    /// Where a browser goes after a payment.
    pub(super) return_url: Option<Address>,
    /// Another gateway: the sandbox, or a stand-in.
    #[serde(default = "base_url")]
    pub(super) base_url: Address,
    #[serde(skip)]
    folder: Folder,
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// When it is missing, open to others, or wrong.
    pub fn read(file: &Path) -> Result<Self, SettingsError> {
        let (folder, settings) = Folder::read::<Self>(file)?;
        Ok(Self { folder, ..settings })
    }

    pub(super) fn private_key(&self) -> Result<PrivateKey, SettingsError> {
        let kind = "a private RSA key of 2048 bits or more";
        self.folder.parse(&self.private_key_file, kind, PrivateKey::parse)
    }

    pub(super) fn keys(&self, private_key: &PrivateKey) -> Result<Keys, SettingsError> {
        let certificates = [
            &self.app_certificate_file,
            &self.alipay_certificate_file,
            &self.alipay_root_certificate_file,
        ];
        match (&self.alipay_public_key_file, certificates) {
            (Some(file), [None, None, None]) => {
                let key = self.folder.parse(file, "a public RSA key", PublicKey::parse)?;
                Ok(Keys::Public(key))
            }
            (None, [Some(app), Some(alipay), Some(roots)]) => {
                let text = |file: &PathBuf| self.folder.parse(file, "text", |text| Some(text.to_owned()));
                let texts = [text(app)?, text(alipay)?, text(roots)?];
                let named = [app, alipay, roots].map(|file| self.folder.path(file).display().to_string());
                let named = Named {
                    app: &named[0],
                    alipay: &named[1],
                    roots: &named[2],
                };
                Keys::certificates([&texts[0], &texts[1], &texts[2]], &named, private_key)
            }
            _ => Err(SettingsError(
                "name alipay_public_key_file; or, in certificate mode, app_certificate_file, alipay_certificate_file and \
                 alipay_root_certificate_file"
                    .to_owned(),
            )),
        }
    }
}

fn base_url() -> Address {
    Address::constant("https://openapi.alipay.com/gateway.do")
}
