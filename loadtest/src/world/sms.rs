//! The phones of our users: where the server's SMS webhook delivers the codes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a code may be under way.
const CODE_LIMIT: Duration = Duration::from_secs(20);

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<String>>>>;

/// Receives codes until it is dropped.
#[derive(Debug)]
pub struct SmsWebhook {
    address: SocketAddr,
    waiting: Waiting,
    serving: AbortHandle,
}

/// A code that will come.
#[derive(Debug)]
pub(super) struct ExpectedCode {
    code: oneshot::Receiver<String>,
    phone: String,
}

#[derive(Deserialize)]
struct Delivery {
    phone: String,
    code: String,
}

impl SmsWebhook {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn listen(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen for SMS codes at {address}"))?;
        let address = listener.local_addr()?;
        let waiting = Waiting::default();
        let router = Router::new()
            .route("/", post(deliver))
            .with_state(waiting.clone());
        let serving = tokio::spawn(async move {
            // Ends when it is aborted; without codes the run fails and says so.
            let _ = axum::serve(listener, router).await;
        })
        .abort_handle();
        Ok(Self {
            address,
            waiting,
            serving,
        })
    }

    /// The value for `--sms-webhook-url`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// To be called before a code is asked for.
    pub(super) fn expect(&self, phone: &str) -> ExpectedCode {
        let (sender, code) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(phone.to_owned(), sender);
        ExpectedCode {
            code,
            phone: phone.to_owned(),
        }
    }
}

impl Drop for SmsWebhook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ExpectedCode {
    /// The code.
    ///
    /// # Errors
    /// When it does not come in time.
    pub(super) async fn receive(self) -> Result<String> {
        match timeout(CODE_LIMIT, self.code).await {
            Ok(Ok(code)) => Ok(code),
            _ => anyhow::bail!(
                "no SMS code came for {} within {CODE_LIMIT:?}: the fleet must run with `--sms-provider webhook` and \
                 a `--sms-webhook-url` that reaches --sms-webhook-listen",
                self.phone
            ),
        }
    }
}

async fn deliver(State(waiting): State<Waiting>, Json(delivery): Json<Delivery>) -> StatusCode {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = waiting.remove(&delivery.phone) {
        // The caller may have given up.
        let _ = sender.send(delivery.code);
    }
    StatusCode::OK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_code_reaches_the_phone_it_is_for() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let webhook = SmsWebhook::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let (mine, other) = (webhook.expect("100"), webhook.expect("200"));
        let client = reqwest::Client::new();
        for (phone, code) in [("200", "4711"), ("300", "0"), ("100", "1234")] {
            let body = serde_json::json!({"phone": phone, "code": code});
            let answer = client.post(webhook.url()).json(&body).send().await.unwrap();
            assert!(answer.status().is_success());
        }
        assert_eq!(mine.receive().await.unwrap(), "1234");
        assert_eq!(other.receive().await.unwrap(), "4711");
    }
}
