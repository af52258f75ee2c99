//! Sending SMS codes.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::{
    account::phone::Phone,
    app::Part,
    http::error::{Error, ErrorCode},
    settings::{Settings, SmsProvider},
};

/// The longest wait for a provider: the user is waiting too.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The provider.
pub enum Sms {
    /// Writes codes to the log, for development. No other line has a code in it.
    Log,
    /// Posts codes to a URL.
    Webhook { client: reqwest::Client, url: url::Url },
}

impl Part for Sms {}

#[derive(Serialize)]
struct Message<'m> {
    phone: &'m str,
    code: &'m str,
}

impl Sms {
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        match settings.sms_provider {
            SmsProvider::Log => Ok(Self::Log),
            SmsProvider::Webhook => {
                let url = settings
                    .sms_webhook_url
                    .clone()
                    .context("sms-provider webhook needs sms-webhook-url")?;
                // The client uses the process's default provider, which may be installed already.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = reqwest::Client::builder()
                    .timeout(TIMEOUT)
                    .no_proxy()
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .context("the SMS webhook's client cannot be made")?;
                Ok(Self::Webhook { client, url })
            }
        }
    }

    pub(super) async fn send(&self, phone: &Phone, code: &str) -> Result<(), Error> {
        match self {
            Self::Log => {
                tracing::info!(phone = phone.as_str(), code, "SMS code");
                Ok(())
            }
            Self::Webhook { client, url } => {
                let message = Message {
                    phone: phone.as_str(),
                    code,
                };
                let outcome = client.post(url.clone()).json(&message).send().await;
                let outcome = outcome.and_then(reqwest::Response::error_for_status);
                // The error's text contains the URL, which may contain a secret.
                outcome.map(drop).map_err(|error| {
                    Error::new(ErrorCode::SmsUnavailable)
                        .retry_after(60)
                        .because(error.without_url())
                })
            }
        }
    }
}
