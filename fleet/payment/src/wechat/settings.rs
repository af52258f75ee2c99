//! The merchant's settings for WeChat Pay.

use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use serde::Deserialize;

use crate::{
    Scene, SettingsError,
    wire::{Address, Folder, PrivateKey, PublicKey},
};

/// A settings file of WeChat Pay. Paths in it begin at its folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The merchant's number (mchid), or in partner mode the partner's (sp_mchid), by whose keys all is signed.
    pub(super) mch_id: String,
    /// Partner mode: the merchant that the partner acts for.
    pub(super) partner: Option<Partner>,
    /// The serial of the merchant's API certificate, hexadecimal.
    pub(super) serial: String,
    /// The private key of that certificate (`apiclient_key.pem`), mode 0600.
    private_key_file: PathBuf,
    /// The APIv3 key, 32 characters, mode 0600.
    api_v3_key_file: PathBuf,
    /// Apps that are bound to the merchant, by scene. A scene without one is not offered.
    pub(super) app_ids: AppIds,
    /// Where WeChat Pay posts its notices: `https://…/payment/wechat/notice` of this service.
    pub(super) notify_url: Address,
    /// The public key of WeChat Pay, where the merchant has one.
    public_key: Option<PublicKeySettings>,
    /// Whether platform certificates are fetched and accepted. By default where no public key is set; with both during the
    /// change from one to the other.
    platform_certificates: Option<bool>,
    /// Another address, for a stand-in.
    #[serde(default = "base_url")]
    pub(super) base_url: Address,
    #[serde(skip)]
    folder: Folder,
}

/// The merchant of a partner (服务商模式). Money is that merchant's; requests, answers and notices name both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Partner {
    /// The partner's own app (sp_appid).
    pub(super) sp_app_id: String,
    /// The merchant's number (sub_mchid).
    pub(super) sub_mch_id: String,
}

impl Partner {
    /// The app of a scene where it is the merchant's (sub_appid), and not the partner's.
    pub(super) fn sub_app_id<'a>(&self, app_id: &'a str) -> Option<&'a str> {
        (app_id != self.sp_app_id).then_some(app_id)
    }
}

/// Apps by scene. In partner mode those of the merchant, or the partner's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppIds {
    /// Of the app, from the Open Platform.
    app: Option<String>,
    /// Of the mini-program or official account.
    jsapi: Option<String>,
    /// Of any of them.
    native: Option<String>,
    /// Of any of them.
    h5: Option<String>,
}

/// The public key that WeChat Pay signs by.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeySettings {
    /// As `PUB_KEY_ID_…`.
    id: String,
    /// PEM.
    file: PathBuf,
}

impl AppIds {
    /// The app of a scene.
    pub(super) fn of(&self, scene: Scene) -> Option<&str> {
        match scene {
            Scene::App => self.app.as_deref(),
            Scene::Jsapi => self.jsapi.as_deref(),
            Scene::Native => self.native.as_deref(),
            Scene::H5 => self.h5.as_deref(),
        }
    }

    /// Whether an app is one of them.
    pub(super) fn has(&self, app_id: &str) -> bool {
        Scene::ALL.iter().any(|scene| self.of(*scene) == Some(app_id))
    }
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// When it is missing, open to others, or wrong.
    pub fn read(file: &Path) -> Result<Self, SettingsError> {
        let (folder, settings) = Folder::read::<Self>(file)?;
        if Scene::ALL
            .iter()
            .all(|scene| settings.app_ids.of(*scene).is_none())
        {
            return Err(SettingsError(format!("{}: app_ids names no app", file.display())));
        }
        Ok(Self { folder, ..settings })
    }

    pub(super) fn private_key(&self) -> Result<PrivateKey, SettingsError> {
        let kind = "a private RSA key, PEM, of 2048 bits or more";
        self.folder.parse(&self.private_key_file, kind, PrivateKey::parse)
    }

    pub(super) fn api_v3_key(&self) -> Result<LessSafeKey, SettingsError> {
        self.folder
            .parse(&self.api_v3_key_file, "a key of 32 characters", |text| {
                let key = UnboundKey::new(&AES_256_GCM, text.trim_end().as_bytes()).ok()?;
                Some(LessSafeKey::new(key))
            })
    }

    /// The id and the key of the public-key mode.
    pub(super) fn public_key(&self) -> Result<Option<(String, PublicKey)>, SettingsError> {
        let Some(PublicKeySettings { id, file }) = &self.public_key else {
            return Ok(None);
        };
        let key = self
            .folder
            .parse(file, "a public RSA key, PEM", PublicKey::parse)?;
        Ok(Some((id.clone(), key)))
    }

    pub(super) fn accepts_certificates(&self) -> bool {
        self.platform_certificates.unwrap_or(self.public_key.is_none())
    }
}

fn base_url() -> Address {
    Address::constant("https://api.mch.weixin.qq.com")
}
