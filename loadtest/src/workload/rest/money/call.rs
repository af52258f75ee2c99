//! A call that moves money: sent again under its key until it is answered, through restarts of servers and their database.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use crate::world::rest::{CallError, Rest};

/// How long a call is repeated: longer than a server and its database take to start again.
const PATIENCE: Duration = Duration::from_secs(90);
/// The pause before it.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes calls, each under a key of its own.
#[derive(Debug)]
pub(super) struct Caller {
    rest: Rest,
    number: u64,
    calls: u64,
    /// Calls that were sent again.
    pub(super) resent: u64,
}

impl Caller {
    /// Of the worker with this number.
    pub(super) fn new(rest: Rest, number: u64) -> Self {
        Self {
            rest,
            number,
            calls: 0,
            resent: 0,
        }
    }

    /// The `result` of a POST.
    pub(super) async fn post(&mut self, path: &str, token: &str, body: Value) -> Result<Value> {
        self.write(Method::POST, path, token, body).await
    }

    /// The `result` of a PUT.
    pub(super) async fn put(&mut self, path: &str, token: &str, body: Value) -> Result<Value> {
        self.write(Method::PUT, path, token, body).await
    }

    async fn write(&mut self, method: Method, path: &str, token: &str, body: Value) -> Result<Value> {
        self.calls += 1;
        let key = format!("loadtest-{}-{}", self.number, self.calls);
        self.repeated(Call::Write {
            method,
            path,
            token,
            key,
            body,
        })
        .await
    }

    /// Presses a button of a page: what it does once, it does not do twice.
    pub(super) async fn press(&mut self, path: &str) -> Result<()> {
        self.repeated(Call::Press { path }).await.map(|_| ())
    }

    /// The `result` of a GET.
    pub(super) async fn get(&mut self, path: &str, token: &str) -> Result<Value> {
        self.repeated(Call::Get { path, token }).await
    }

    /// Makes a call until it has an answer.
    async fn repeated(&mut self, call: Call<'_>) -> Result<Value> {
        let begun = Instant::now();
        loop {
            match call.once(&self.rest).await {
                Err(error) if is_unknown(&error) && begun.elapsed() < PATIENCE => {
                    self.resent += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                answered => return Ok(answered?),
            }
        }
    }
}

/// A call that can be repeated.
enum Call<'c> {
    Write {
        method: Method,
        path: &'c str,
        token: &'c str,
        key: String,
        body: Value,
    },
    Press {
        path: &'c str,
    },
    Get {
        path: &'c str,
        token: &'c str,
    },
}

impl Call<'_> {
    async fn once(&self, rest: &Rest) -> Result<Value, CallError> {
        match self {
            Self::Write {
                method,
                path,
                token,
                key,
                body,
            } => {
                rest.call_once(method.clone(), path, token, key, body.clone())
                    .await
            }
            Self::Press { path } => rest.press(path).await.map(|()| Value::Null),
            Self::Get { path, token } => rest.call(Method::GET, path, token, None).await,
        }
    }
}

/// Whether it may or may not have taken effect: the same key decides.
fn is_unknown(error: &CallError) -> bool {
    match error {
        CallError::Failed { .. } => true,
        CallError::Refused { status, error, .. } => *status >= 500 || error == "idempotency.running",
    }
}
