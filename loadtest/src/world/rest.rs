//! The calls of an app to the REST service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::client::{Address, Directory, DirectoryError, Password};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::sleep;

use super::User;
use super::sms::SmsWebhook;

/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The same where another api-server can be asked instead.
const SWITCH_LIMIT: Duration = Duration::from_secs(5);
/// How often a call is made that is told to come later.
const ATTEMPTS: u32 = 20;
/// The longest pause that is kept when a call is told to come later; a phone gets one code a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A connection is not used again after this time: services close idle ones, and a call may cross with that.
const IDLE_LIMIT: Duration = Duration::from_secs(3);

/// The password of those who log in on a second device.
pub(super) const LOGIN_PASSWORD: &str = "load test, second device";

/// Why a call gave no result.
#[derive(Debug, Error)]
pub enum CallError {
    /// The service answered, and refuses.
    #[error("{method} {path} answers {status} {error}: {message}")]
    Refused {
        /// The call.
        method: Method,
        /// The call.
        path: String,
        /// Of the answer.
        status: StatusCode,
        /// The stable word.
        error: String,
        /// For people.
        message: String,
    },
    /// There was no answer, or one that is none.
    #[error("{path}: {cause}")]
    Failed {
        /// The call.
        path: String,
        /// What happened.
        cause: String,
    },
}

impl CallError {
    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Failed { .. } => None,
        }
    }
}

/// A REST service: one api-server, or several that are interchangeable.
#[derive(Clone, Debug)]
pub struct Rest {
    bases: Arc<[String]>,
    /// Which of them is asked; the next one when it does not answer.
    preferred: Arc<AtomicUsize>,
    client: reqwest::Client,
    /// How long one call may take.
    limit: Duration,
}

/// Where a node listens, as `GET /im/servers` says.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    ip: String,
    port: u16,
    #[serde(default)]
    tls_port: Option<u16>,
    #[serde(default)]
    ws_port: Option<u16>,
}

impl Server {
    /// Framed TCP.
    ///
    /// # Errors
    /// When the service names something that is no IP address.
    pub fn tcp(&self) -> Result<SocketAddr> {
        self.at(Some(self.port), "TCP")
    }

    /// TLS.
    ///
    /// # Errors
    /// When the node has no TLS listener.
    pub fn tls(&self) -> Result<SocketAddr> {
        self.at(self.tls_port, "TLS")
    }

    /// WebSocket.
    ///
    /// # Errors
    /// When the node has no WebSocket listener.
    pub fn ws(&self) -> Result<SocketAddr> {
        self.at(self.ws_port, "WebSocket")
    }

    fn at(&self, port: Option<u16>, what: &str) -> Result<SocketAddr> {
        let port = port.with_context(|| format!("the node at {} has no {what} listener", self.ip))?;
        let ip = self
            .ip
            .parse()
            .with_context(|| format!("`{}` is not an IP address", self.ip))?;
        Ok(SocketAddr::new(ip, port))
    }
}

/// Who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Member,
    Doctor,
}

#[derive(Deserialize)]
struct Account {
    user_id: i64,
    access_token: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    commit: String,
}

#[derive(Deserialize)]
struct ImPassword {
    expire: u64,
    password: String,
}

impl Rest {
    /// The service at a URL like `http://127.0.0.1:8080`, or at several with commas between them.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(base: &str) -> Result<Self> {
        let bases: Arc<[String]> = base
            .split(',')
            .map(|base| base.trim().trim_end_matches('/').to_owned())
            .collect();
        let limit = if bases.len() > 1 { SWITCH_LIMIT } else { CALL_LIMIT };
        Ok(Self {
            bases,
            preferred: Arc::default(),
            limit,
            client: reqwest::Client::builder()
                .pool_idle_timeout(IDLE_LIMIT)
                .build()
                .context("cannot make an HTTP client")?,
        })
    }

    /// The same, which waits for an answer as long as if there were nobody else to ask: for what is done while nothing is
    /// disturbed, where a slow answer is better than none.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.limit = CALL_LIMIT;
        self
    }

    /// Makes a call, again when it is told to come later, and gives the `result` of its answer.
    ///
    /// # Errors
    /// When the service refuses or cannot be reached.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Result<T, CallError> {
        let failed = |cause: String| CallError::Failed {
            path: path.to_owned(),
            cause,
        };
        let mut attempt = 0;
        let mut unanswered = 0;
        loop {
            attempt += 1;
            let preferred = self.preferred.load(Ordering::Relaxed);
            let base = &self.bases[preferred % self.bases.len()];
            let mut request = self.client.request(method.clone(), format!("{base}{path}"));
            request = request.timeout(self.limit);
            if !token.is_empty() {
                request = request.header("X-AUTH-TOKEN", token);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    // Of those who fail at once only one moves on.
                    let _ = self.preferred.compare_exchange(
                        preferred,
                        preferred.wrapping_add(1),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    unanswered += 1;
                    // What only asks may ask again.
                    if method == Method::GET && unanswered < self.bases.len() {
                        continue;
                    }
                    return Err(failed(format!("{:#}", anyhow::Error::new(error))));
                }
            };
            let status = answer.status();
            let pause = answer
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map_or(Duration::from_millis(200), Duration::from_secs);
            let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
            let later = matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            );
            if later && attempt < ATTEMPTS {
                sleep(pause.min(LONGEST_PAUSE)).await;
                continue;
            }
            let mut envelope: Value = serde_json::from_str(&text)
                .map_err(|_| failed(format!("answers {status} and something that is not JSON")))?;
            if !status.is_success() || envelope["success"] != json!(true) {
                let word = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
                return Err(CallError::Refused {
                    method,
                    path: path.to_owned(),
                    status,
                    error: word("error"),
                    message: word("message"),
                });
            }
            return serde_json::from_value(envelope["result"].take())
                .map_err(|error| failed(format!("the result has another form: {error}")));
        }
    }

    /// `GET /im/servers`
    ///
    /// # Errors
    /// When the call fails.
    pub async fn servers(&self, token: &str) -> Result<Vec<Server>, CallError> {
        self.call(Method::GET, "/im/servers", token, None).await
    }

    /// `GET /version`: the commit that the service was built from.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn commit(&self) -> Result<String, CallError> {
        let got: Version = self.call(Method::GET, "/version", "", None).await?;
        Ok(got.commit)
    }

    /// `GET /im/password`: the password and how long it is good, s.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn im_password(&self, token: &str) -> Result<(String, u64), CallError> {
        let got: ImPassword = self.call(Method::GET, "/im/password", token, None).await?;
        Ok((got.password, got.expire))
    }

    /// Registers somebody with a code by SMS.
    pub(super) async fn account(
        &self,
        sms: &SmsWebhook,
        kind: Kind,
        phone: &str,
        name: &str,
        device_id: &str,
        password: Option<&str>,
    ) -> Result<User> {
        let code = self.code(sms, phone).await?;
        let role = match kind {
            Kind::Member => "member",
            Kind::Doctor => "doctor",
        };
        let mut body = json!({
            "phone": phone, "code": code, "name": name, "role": role, "device_id": device_id, "platform": "android",
        });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        let account = self
            .call(Method::POST, "/account/register", "", Some(body))
            .await?;
        Ok(user(account, device_id))
    }

    /// Logs a second device in by password: codes are for one device a minute.
    pub(super) async fn log_in_by_password(&self, phone: &str, device_id: &str) -> Result<User> {
        let body = json!({
            "phone": phone, "password": LOGIN_PASSWORD, "device_id": device_id, "platform": "desktop",
        });
        let account = self.call(Method::POST, "/account/login", "", Some(body)).await?;
        Ok(user(account, device_id))
    }

    /// `POST /team`; gives its id.
    pub(super) async fn team(&self, owner: &User, name: &str) -> Result<i64> {
        let body = json!({
            "name": name, "introduction": "load test", "agreement": "load test",
            "membership_fee_fen": 0, "consult_price_fen": 0,
        });
        let team: Value = self
            .call(Method::POST, "/team", &owner.access_token, Some(body))
            .await?;
        team["team_id"].as_i64().context("POST /team gives no team_id")
    }

    /// Brings a doctor into a team: the owner invites them, and they accept.
    pub(super) async fn team_doctor(&self, owner: &User, team_id: i64, doctor: &User) -> Result<()> {
        let path = format!("/team/{team_id}/doctor");
        let body = json!({"doctor_id": doctor.user_id});
        self.call::<Value>(Method::POST, &path, &owner.access_token, Some(body))
            .await?;
        let token = &doctor.access_token;
        let got: Value = self.call(Method::GET, "/invitation_list", token, None).await?;
        let id = got[0]["invitation_id"]
            .as_i64()
            .context("GET /invitation_list gives no invitation_id")?;
        let path = format!("/invitation/{id}/accept");
        self.call::<Value>(Method::POST, &path, token, Some(json!({})))
            .await?;
        Ok(())
    }

    /// Logs the team's assistant in on a device of their own.
    pub(super) async fn assistant(&self, owner: &User, team_id: i64, device_id: &str) -> Result<User> {
        let path = format!("/team/{team_id}/assistant/login");
        let body = json!({"device_id": device_id, "platform": "desktop"});
        let account = self
            .call(Method::POST, &path, &owner.access_token, Some(body))
            .await?;
        Ok(user(account, device_id))
    }

    /// `POST /consult` for oneself; gives its id, which is also that of its conversation.
    pub(crate) async fn consult(&self, patient: &User, team_id: i64) -> Result<i64> {
        let body = json!({
            "creator_member_id": patient.user_id, "target_member_id": patient.user_id, "team_id": team_id,
            "symptom_content": "load test", "symptom_type": "text/plain", "images": [],
        });
        let consult: Value = self
            .call(Method::POST, "/consult", &patient.access_token, Some(body))
            .await?;
        consult["consultation_id"]
            .as_i64()
            .context("POST /consult gives no consultation_id")
    }

    /// The team that a consult is with.
    pub(crate) async fn team_of_consult(&self, user: &User, consult_id: i64) -> Result<i64> {
        let path = format!("/consult/{consult_id}");
        let consult: Value = self.call(Method::GET, &path, &user.access_token, None).await?;
        consult["team_id"]
            .as_i64()
            .context("GET /consult/:id gives no team_id")
    }

    /// Brings a doctor into a consult.
    pub(crate) async fn consult_doctor(
        &self,
        assistant: &User,
        consult_id: i64,
        doctor_id: i64,
    ) -> Result<()> {
        let path = format!("/consult/{consult_id}/doctor");
        let body = json!({"doctor_id": doctor_id});
        self.call::<Value>(Method::POST, &path, &assistant.access_token, Some(body))
            .await?;
        Ok(())
    }

    /// `POST /chat`; gives the conversation.
    pub(super) async fn chat(&self, user: &User, other: i64) -> Result<i64> {
        let body = json!({"user_id": other});
        let chat: Value = self
            .call(Method::POST, "/chat", &user.access_token, Some(body))
            .await?;
        chat["conversation_id"]
            .as_i64()
            .context("POST /chat gives no conversation_id")
    }

    async fn code(&self, sms: &SmsWebhook, phone: &str) -> Result<String> {
        let code = sms.expect(phone);
        let body = json!({"phone": phone});
        self.call::<Value>(Method::POST, "/account/code", "", Some(body))
            .await?;
        code.receive().await
    }
}

fn user(account: Account, device_id: &str) -> User {
    User {
        user_id: account.user_id,
        device_id: device_id.to_owned(),
        password: String::new(),
        access_token: account.access_token,
    }
}

/// What a good client asks for, of this service and for one device.
#[derive(Clone, Debug)]
pub struct RestDirectory {
    rest: Rest,
    access_token: String,
}

impl RestDirectory {
    /// For the device that this access token is of.
    pub fn new(rest: Rest, access_token: &str) -> Self {
        Self {
            rest,
            access_token: access_token.to_owned(),
        }
    }
}

impl Directory for RestDirectory {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        let servers = self
            .rest
            .servers(&self.access_token)
            .await
            .map_err(refused_or_away)?;
        Ok(servers
            .iter()
            .filter_map(|server| server.tcp().ok())
            .map(Address::tcp)
            .collect())
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        let (password, expire_s) = self
            .rest
            .im_password(&self.access_token)
            .await
            .map_err(refused_or_away)?;
        Ok(Password { password, expire_s })
    }
}

fn refused_or_away(error: CallError) -> DirectoryError {
    match error.status() {
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => DirectoryError::Refused(error.to_string()),
        _ => DirectoryError::Unavailable(error.to_string()),
    }
}

/// Ends with an error when a service at `base` does not answer at all.
///
/// # Errors
/// When it does not.
pub async fn reachable(rest: &Rest) -> Result<()> {
    match rest.servers("").await {
        Err(CallError::Failed { path, cause }) => bail!("{}{path}: {cause}", rest.bases.join(",")),
        _ => Ok(()),
    }
}
