//! The calls of an app to the REST service (docs/openapi.json), and what [`client`](crate::client) asks of it.

mod media;

use std::{
    error::Error as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;
use tokio::time::sleep;

pub use self::media::{Downloaded, NewMedia, Uploaded};
use crate::client::{Address, Directory, DirectoryError, Password};

/// The pause before a call is repeated where the service names none.
const DEFAULT_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause before a call is repeated; a phone gets one code a minute.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// How long an idle connection is kept: services close idle ones, and a call may cross with that.
const MAX_IDLE: Duration = Duration::from_secs(3);

/// Why a call has no result.
#[derive(Debug, Error)]
pub enum CallError {
    /// There was no answer, or not one of this service.
    #[error("{url}: {cause}")]
    Failed {
        /// Where the call went.
        url: String,
        /// The cause.
        cause: String,
    },
    /// The service refused.
    #[error("{method} {path} answers {status} {error}: {message}")]
    Refused {
        /// The call.
        method: Method,
        /// The call.
        path: String,
        /// The status of the answer.
        status: u16,
        /// The stable error code, for programs.
        error: String,
        /// The sentence, for people.
        message: String,
        /// When to try again, where the service says so.
        retry_after: Option<Duration>,
    },
}

/// How long and how often a call is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long one answer may take.
    pub answer: Duration,
    /// How often a call is made that the service asks to repeat later (429, 503).
    pub attempts: u32,
}

impl Default for Patience {
    /// That of a person who waits: one attempt of 15 s.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            attempts: 1,
        }
    }
}

/// A REST service, and who calls it: one api-server, or several that are interchangeable.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    bases: Arc<[String]>,
    /// Which of them is asked; the next one once it does not answer.
    preferred: Arc<AtomicUsize>,
    patience: Patience,
    access_token: Option<String>,
}

impl Rest {
    /// The service at a URL like `http://127.0.0.1:8080`, or at several with commas between them.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(base: &str, patience: Patience) -> Result<Self, CallError> {
        let bases: Arc<[String]> = base
            .split(',')
            .map(|base| base.trim().trim_end_matches('/').to_owned())
            .collect();
        let builder = reqwest::Client::builder().pool_idle_timeout(MAX_IDLE);
        // Without TLS no certificates are needed, and a bare machine has none.
        let builder = if bases.iter().all(|base| base.starts_with("http://")) {
            builder.no_proxy().tls_certs_only([])
        } else {
            builder
        };
        let http = builder.build().map_err(|error| failed(base, &error))?;
        Ok(Self {
            http,
            bases,
            preferred: Arc::default(),
            patience,
            access_token: None,
        })
    }

    /// The same service, called by the device that an access token belongs to.
    #[must_use]
    pub fn by(&self, access_token: &str) -> Self {
        Self {
            access_token: Some(access_token.to_owned()),
            ..self.clone()
        }
    }

    /// The same service with another patience.
    #[must_use]
    pub fn with(&self, patience: Patience) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// The `result` of a GET.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call(Method::GET, path, None, None).await
    }

    /// The `result` of a POST.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value, CallError> {
        self.call(Method::POST, path, None, Some(body)).await
    }

    /// The `result` of a POST that takes effect once, however often it is sent with this key.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Result<Value, CallError> {
        self.call(Method::POST, path, Some(key), Some(body)).await
    }

    /// Presses a button of a page of the service, and follows where it leads.
    ///
    /// # Errors
    /// When the service does not answer with success.
    pub async fn press(&self, path: &str) -> Result<(), CallError> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let url = format!("{}{path}", self.bases[preferred % self.bases.len()]);
        let sent = self.http.post(&url).timeout(self.patience.answer).send().await;
        let pressed = sent.and_then(reqwest::Response::error_for_status);
        match pressed {
            Ok(_) => Ok(()),
            Err(error) => {
                self.turn_from(preferred);
                Err(failed(&url, &error))
            }
        }
    }

    /// The `result` of any call, repeated as [`Patience`] says. A GET without an answer goes to each api-server once; of
    /// another method it is unknown whether it took effect.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<Value>,
    ) -> Result<T, CallError> {
        let mut attempts = 0;
        let mut unanswered = 0;
        loop {
            attempts += 1;
            let preferred = self.preferred.load(Ordering::Relaxed);
            let url = format!("{}{path}", self.bases[preferred % self.bases.len()]);
            let mut request = self.http.request(method.clone(), &url);
            request = request.timeout(self.patience.answer);
            if let Some(token) = &self.access_token {
                request = request.header("x-auth-token", token);
            }
            if let Some(key) = idempotency_key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => {
                    self.turn_from(preferred);
                    unanswered += 1;
                    if method == Method::GET && unanswered < self.bases.len() {
                        continue;
                    }
                    return Err(failed(&url, &error));
                }
            };
            let answer = Answer::read(response)
                .await
                .map_err(|error| failed(&url, &error))?;
            if answer.asks_to_repeat() && attempts < self.patience.attempts {
                sleep(answer.retry_after.unwrap_or(DEFAULT_PAUSE).min(MAX_PAUSE)).await;
                continue;
            }
            return answer.result(&url, method, path);
        }
    }

    /// Asks the next api-server from now on; of calls that fail at once only one moves on.
    fn turn_from(&self, preferred: usize) {
        let next = preferred.wrapping_add(1);
        let _ = self
            .preferred
            .compare_exchange(preferred, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// `GET /im/servers`
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn servers(&self) -> Result<Vec<Server>, CallError> {
        self.call(Method::GET, "/im/servers", None, None).await
    }

    /// `GET /im/password`
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn im_password(&self) -> Result<Password, CallError> {
        #[derive(Deserialize)]
        struct ImPassword {
            expire: u64,
            password: String,
        }
        let ImPassword { expire, password } = self.call(Method::GET, "/im/password", None, None).await?;
        Ok(Password {
            password,
            expire_s: expire,
        })
    }
}

/// A response, read to its end.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: bytes::Bytes,
}

impl Answer {
    async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let status = response.status();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        Ok(Self {
            status,
            retry_after,
            body: response.bytes().await?,
        })
    }

    fn asks_to_repeat(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        )
    }

    /// The content of the envelope.
    fn result<T: DeserializeOwned>(self, url: &str, method: Method, path: &str) -> Result<T, CallError> {
        let status = self.status;
        let failed = |cause: String| CallError::Failed {
            url: url.to_owned(),
            cause,
        };
        let mut envelope: Value = serde_json::from_slice(&self.body)
            .map_err(|_| failed(format!("not an answer of Huizhen (status {status})")))?;
        if status.is_success() && envelope["success"] == true {
            return serde_json::from_value(envelope["result"].take())
                .map_err(|error| failed(format!("the result has another form: {error}")));
        }
        let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
        Err(CallError::Refused {
            method,
            path: path.to_owned(),
            status: status.as_u16(),
            error: text("error"),
            message: text("message"),
            retry_after: self.retry_after,
        })
    }
}

fn failed(url: &str, error: &reqwest::Error) -> CallError {
    // reqwest's own text names no cause.
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        cause = format!("{cause}: {error}");
        source = error.source();
    }
    CallError::Failed {
        url: url.to_owned(),
        cause,
    }
}

// protocol: "Skip unknown fields of the answer"
/// Where a node listens, as `GET /im/servers` says.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Its IP address.
    pub ip: String,
    port: u16,
    #[serde(default)]
    tls_port: Option<u16>,
    #[serde(default)]
    ws_port: Option<u16>,
}

impl Server {
    /// Framed TCP; none when the service names no IP address.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.at(Some(self.port))
    }

    /// TLS; none without such a listener.
    pub fn tls(&self) -> Option<SocketAddr> {
        self.at(self.tls_port)
    }

    /// WebSocket; none without such a listener.
    pub fn ws(&self) -> Option<SocketAddr> {
        self.at(self.ws_port)
    }

    fn at(&self, port: Option<u16>) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip.parse().ok()?, port?))
    }
}

/// The answers to a client's questions, of one service and for one device.
#[derive(Clone, Debug)]
pub struct RestDirectory {
    rest: Rest,
}

impl RestDirectory {
    /// For the device that the access token of `rest` belongs to.
    pub fn new(rest: Rest) -> Self {
        Self { rest }
    }
}

impl Directory for RestDirectory {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        let servers = self.rest.servers().await.map_err(refused_or_away)?;
        Ok(servers.iter().filter_map(Server::tcp).map(Address::tcp).collect())
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        self.rest.im_password().await.map_err(refused_or_away)
    }
}

fn refused_or_away(error: CallError) -> DirectoryError {
    match error {
        CallError::Refused {
            status: 401 | 403, ..
        } => DirectoryError::Refused(error.to_string()),
        other => DirectoryError::Unavailable(other.to_string()),
    }
}
