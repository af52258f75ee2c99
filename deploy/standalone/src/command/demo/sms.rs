//! Receives the demo's SMS codes: a webhook on loopback with an unguessable path.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Notify, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// Capacity, codes: more than the demo ever awaits at once.
const MAX_CODES: usize = 64;
/// The longest wait for a requested code.
const WAIT: Duration = Duration::from_secs(10);

/// The receiver of codes.
pub(super) struct Sms {
    url: String,
    inbox: Arc<Inbox>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Inbox {
    codes: Mutex<HashMap<String, String>>,
    arrived: Notify,
    prints: AtomicBool,
}

#[derive(Deserialize)]
struct Message {
    phone: String,
    code: String,
}

impl Sms {
    /// Starts to receive.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("the SMS receiver cannot listen")?;
        let address = listener.local_addr()?;
        let path = format!("/{:032x}", rand::random::<u128>());
        let inbox = Arc::new(Inbox::default());
        let routes = Router::new()
            .route(&path, post(receive))
            .with_state(Arc::clone(&inbox));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the SMS receiver ended");
            }
        });
        Ok(Self {
            url: format!("http://{address}{path}"),
            inbox,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The address that the service posts to.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the code of a phone.
    pub(super) async fn code(&self, phone: &str) -> anyhow::Result<String> {
        timeout(WAIT, async {
            loop {
                let mut arrived = std::pin::pin!(self.inbox.arrived.notified());
                // Registered before the look, so that a code that arrives after it wakes this task.
                arrived.as_mut().enable();
                if let Some(code) = self.inbox.take(phone) {
                    return code;
                }
                arrived.await;
            }
        })
        .await
        .context("the SMS code did not come")
    }

    /// Prints codes from now on: a user who registers on /docs has no other way to get theirs.
    pub(super) fn print_from_now_on(&self) {
        self.inbox.prints.store(true, Ordering::Relaxed);
    }
}

impl Inbox {
    /// The service prefixes phones with their country.
    fn take(&self, phone: &str) -> Option<String> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = codes.keys().find(|full| full.ends_with(phone)).cloned()?;
        codes.remove(&full)
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, Json(message): Json<Message>) {
    if inbox.prints.load(Ordering::Relaxed) {
        program::say!("SMS to {}: code {}", message.phone, message.code);
        return;
    }
    let mut codes = inbox.codes.lock().unwrap_or_else(PoisonError::into_inner);
    if codes.len() >= MAX_CODES {
        codes.clear();
    }
    codes.insert(message.phone, message.code);
    drop(codes);
    inbox.arrived.notify_waiters();
}
