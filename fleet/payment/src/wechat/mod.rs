//! WeChat Pay, APIv3, for a merchant of its own or for the merchant of a partner.
//!
//! Requests and answers are signed by RSA, notices are sealed by AES-256-GCM besides. WeChat Pay signs by a public key, or
//! by platform certificates that it rotates; a merchant may be between the two.

mod answer;
mod bill;
mod keys;
mod notice;
mod order;
mod refund;
mod request;
mod sealed;
mod settings;
mod sign;

use std::fmt;

use ring::aead::LessSafeKey;

pub use self::settings::Settings;
use self::{
    keys::Keys,
    settings::{AppIds, Partner},
    sign::Signer,
};
use crate::{
    Clock, Reply, SettingsError,
    wire::{Address, Client},
};

/// A merchant at WeChat Pay.
pub struct Wechat {
    client: Client,
    signer: Signer,
    partner: Option<Partner>,
    keys: Keys,
    /// Held by the one look for certificates.
    looking: tokio::sync::Mutex<()>,
    api_v3_key: LessSafeKey,
    app_ids: AppIds,
    notify_url: Address,
    clock: Clock,
}

impl Wechat {
    /// Reads the keys that the settings name.
    ///
    /// # Errors
    /// When one is missing, open to others, or wrong.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, SettingsError> {
        let fixed = settings.public_key()?;
        let accepts_certificates = settings.accepts_certificates();
        if fixed.is_none() && !accepts_certificates {
            return Err(SettingsError(
                "WeChat Pay needs public_key or platform_certificates = true".to_owned(),
            ));
        }
        Ok(Self {
            client: Client::new(&settings.base_url)?,
            signer: Signer {
                mch_id: settings.mch_id.clone(),
                serial: settings.serial.clone(),
                key: settings.private_key()?,
            },
            partner: settings.partner.clone(),
            keys: Keys::new(fixed, accepts_certificates),
            looking: tokio::sync::Mutex::default(),
            api_v3_key: settings.api_v3_key()?,
            app_ids: settings.app_ids.clone(),
            notify_url: settings.notify_url.clone(),
            clock,
        })
    }

    pub(crate) fn reply(ok: bool) -> Reply {
        if ok {
            Reply {
                status: 204,
                content_type: "",
                body: "",
            }
        } else {
            Reply {
                status: 500,
                content_type: "application/json",
                body: r#"{"code":"FAIL","message":"失败"}"#,
            }
        }
    }
}

impl fmt::Debug for Wechat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wechat")
            .field("mch_id", &self.signer.mch_id)
            .finish_non_exhaustive()
    }
}
