//! How SMS codes reach phones.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::{
    account::phone::Phone,
    http::error::{Error, ErrorCode},
    settings::{Settings, SmsProvider},
};

/// How long a provider may take; the person waits in front of the app.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The provider.
pub enum Sms {
    /// Writes codes to the log: for development, and the one place where a code is in a log.
    Log,
    /// Posts codes to a URL.
    Webhook {
        /// The client, with its connections.
        client: reqwest::Client,
        /// The URL.
        url: url::Url,
    },
}

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
                // The client takes the process's default; another part of the process may have installed it already.
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

    /// Sends a code.
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
                // The error's text would hold the URL, which may hold a secret.
                outcome.map(drop).map_err(|error| {
                    Error::new(ErrorCode::SmsUnavailable)
                        .retry_after(60)
                        .because(error.without_url())
                })
            }
        }
    }
}
