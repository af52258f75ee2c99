//! Alipay's open platform, for a merchant's own app, in public-key mode or in certificate mode.
//!
//! Requests, answers and notices are signed by RSA (RSA2). An app pays by an order string, a phone's browser by a URL, a
//! code is precreated, a mini-program pays an order that was created for its user.

mod answer;
mod bill;
mod keys;
mod notice;
mod order;
mod params;
mod refund;
mod request;
mod settings;

use std::fmt;

use self::keys::Keys;
pub use self::settings::Settings;
use crate::{
    Clock, Reply, SettingsError,
    wire::{Address, Client, PrivateKey},
};

/// A merchant's app at Alipay.
pub struct Alipay {
    client: Client,
    app_id: String,
    seller_id: String,
    private_key: PrivateKey,
    keys: Keys,
    notify_url: Address,
    return_url: Option<Address>,
    clock: Clock,
}

impl Alipay {
    /// Reads the keys that the settings name.
    ///
    /// # Errors
    /// When one is missing, open to others, or wrong.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, SettingsError> {
        let private_key = settings.private_key()?;
        Ok(Self {
            client: Client::new(&settings.base_url)?,
            app_id: settings.app_id.clone(),
            seller_id: settings.seller_id.clone(),
            keys: settings.keys(&private_key)?,
            private_key,
            notify_url: settings.notify_url.clone(),
            return_url: settings.return_url.clone(),
            clock,
        })
    }

    /// # Errors
    /// The sentence that names a certificate which is not in force.
    pub(crate) fn in_force(&self) -> Result<(), SettingsError> {
        self.keys.in_force((self.clock)())
    }

    pub(crate) fn reply(ok: bool) -> Reply {
        Reply {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body: if ok { "success" } else { "fail" },
        }
    }
}

impl fmt::Debug for Alipay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alipay")
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}
