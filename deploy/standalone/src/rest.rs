//! A client of the REST service.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A client of REST, with or without an access token.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    http: reqwest::Client,
    base: String,
    access_token: Option<String>,
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// No answer came, or the answer was not one of the service.
    Unreachable(String),
    /// The service refused.
    Refused {
        status: u16,
        /// The error code.
        error: String,
        /// The sentence for users.
        message: String,
        /// The service's Retry-After.
        retry_after: Option<Duration>,
    },
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(cause) => write!(f, "{cause}"),
            Self::Refused {
                status,
                error,
                message,
                ..
            } => write!(f, "{status} {error}: {message}"),
        }
    }
}

impl std::error::Error for CallError {}

impl Rest {
    /// The service at an address like `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str) -> anyhow::Result<Self> {
        let builder = reqwest::Client::builder().timeout(TIMEOUT);
        // Without TLS no root certificates are needed; a bare machine has none.
        let builder = if base.starts_with("http://") {
            builder.no_proxy().tls_certs_only([])
        } else {
            builder
        };
        Ok(Self {
            http: builder.build().context("the HTTP client cannot be made")?,
            base: base.trim_end_matches('/').to_owned(),
            access_token: None,
        })
    }

    /// The same service with an access token.
    pub(crate) fn by(&self, access_token: &str) -> Self {
        Self {
            access_token: Some(access_token.to_owned()),
            ..self.clone()
        }
    }

    /// The `result` of a GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call(self.http.get(self.url(path))).await
    }

    /// The `result` of a POST.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value, CallError> {
        self.call(self.http.post(self.url(path)).json(&body)).await
    }

    /// The `result` of a POST with an idempotency key.
    pub(crate) async fn post_once(&self, path: &str, key: &str, body: Value) -> Result<Value, CallError> {
        let request = self
            .http
            .post(self.url(path))
            .header("idempotency-key", key)
            .json(&body);
        self.call(request).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Value, CallError> {
        let request = match &self.access_token {
            Some(token) => request.header("x-auth-token", token),
            None => request,
        };
        let unreachable =
            |error: reqwest::Error| CallError::Unreachable(format!("{}: {}", self.base, causes(&error)));
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = answer.bytes().await.map_err(unreachable)?;
        let envelope: Value = serde_json::from_slice(&body).map_err(|_| {
            CallError::Unreachable(format!("{} is no Huizhen service (status {status})", self.base))
        })?;
        if envelope["success"] == json!(true) {
            return Ok(envelope["result"].clone());
        }
        let text = |key: &str| envelope[key].as_str().unwrap_or_default().to_owned();
        Err(CallError::Refused {
            status,
            error: text("error"),
            message: text("message"),
            retry_after,
        })
    }
}

/// An error with its causes: reqwest's own text omits them.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut error = error.source();
    while let Some(cause) = error {
        text = format!("{text}: {cause}");
        error = cause.source();
    }
    text
}
