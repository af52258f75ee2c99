//! The calls of an app to the REST service.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::rest::{Patience, RestDirectory, Server};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use proto::rest::CallError;

use super::sms::SmsWebhook;
use super::{Clock, User};

/// How long a call waits for its answer, and how often it is repeated when it is asked to come later.
const PATIENCE: Patience = Patience {
    answer: Duration::from_secs(30),
    attempts: 20,
};
/// The same where another api-server can be asked instead.
const SWITCHING: Patience = Patience {
    answer: Duration::from_secs(5),
    ..PATIENCE
};

/// The password of accounts that have one.
pub(crate) const PASSWORD: &str = "load test, second device";

/// The prices of a team.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prices {
    /// Of a membership, paid in advance.
    pub(crate) membership_fee_fen: i64,
    /// Of a consult.
    pub(crate) consult_price_fen: i64,
}

/// A REST service: one api-server, or several that are interchangeable.
#[derive(Clone, Debug)]
pub struct Rest(proto::rest::Rest);

/// The role of an account.
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

impl Rest {
    /// The service at a URL like `http://127.0.0.1:8080`, or at several with commas between them.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(base: &str) -> Result<Self> {
        let patience = if base.contains(',') { SWITCHING } else { PATIENCE };
        Ok(Self(proto::rest::Rest::new(base, patience)?))
    }

    /// The same, which waits for an answer as long as if there were no other api-server: for what is done while nothing
    /// is disturbed, where a slow answer is better than none.
    #[must_use]
    pub fn patient(self) -> Self {
        Self(self.0.with(PATIENCE))
    }

    fn by(&self, token: &str) -> proto::rest::Rest {
        if token.is_empty() {
            self.0.clone()
        } else {
            self.0.by(token)
        }
    }

    /// Makes a call, again when it is asked to come later; returns the `result` of its answer.
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
        self.by(token).call(method, path, None, body).await
    }

    /// As [`Self::call`], under a key: repeated, it takes effect once.
    ///
    /// # Errors
    /// When the service refuses or cannot be reached.
    pub async fn call_once<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: &str,
        body: Value,
    ) -> Result<T, CallError> {
        self.by(token).call(method, path, Some(key), Some(body)).await
    }

    /// Presses a button of a page.
    ///
    /// # Errors
    /// When the service does not answer with success.
    pub(crate) async fn press(&self, path: &str) -> Result<(), CallError> {
        self.0.press(path).await
    }

    /// The directory of a good client, for the device of this access token.
    pub fn directory(&self, access_token: &str) -> RestDirectory {
        RestDirectory::new(self.by(access_token))
    }

    /// `GET /im/servers`
    ///
    /// # Errors
    /// When the call fails.
    pub async fn servers(&self, token: &str) -> Result<Vec<Server>, CallError> {
        self.by(token).servers().await
    }

    /// `GET /version`: the commit that the service was built from.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn commit(&self) -> Result<String, CallError> {
        let got: Version = self.call(Method::GET, "/version", "", None).await?;
        Ok(got.commit)
    }

    /// `GET /im/password`
    ///
    /// # Errors
    /// When the call fails.
    pub async fn im_password(&self, token: &str) -> Result<String, CallError> {
        Ok(self.by(token).im_password().await?.password)
    }

    /// Registers a user with a code by SMS.
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
            "phone": phone, "password": PASSWORD, "device_id": device_id, "platform": "desktop",
        });
        let account = self.call(Method::POST, "/account/login", "", Some(body)).await?;
        Ok(user(account, device_id))
    }

    /// `POST /team`; returns the team's id.
    pub(super) async fn team(&self, owner: &User, name: &str, prices: Prices) -> Result<i64> {
        let body = json!({
            "name": name, "introduction": "load test", "agreement": "load test",
            "membership_fee_fen": prices.membership_fee_fen, "consult_price_fen": prices.consult_price_fen,
            "max_open_consults": 1000,
        });
        let team: Value = self
            .call(Method::POST, "/team", &owner.access_token, Some(body))
            .await?;
        team["team_id"].as_i64().context("POST /team returns no team_id")
    }

    /// The owner sets a team's clock.
    pub(super) async fn clock(&self, owner: &User, team_id: i64, clock: Clock) -> Result<()> {
        let path = format!("/team/{team_id}");
        let body = json!({"clock": {
            "answer_minutes": clock.answer_minutes, "reminder_minutes": clock.reminder_minutes,
            "silence_days": clock.silence_days,
        }});
        self.call::<Value>(Method::PUT, &path, &owner.access_token, Some(body))
            .await?;
        Ok(())
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
            .context("GET /invitation_list returns no invitation_id")?;
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

    /// `POST /consult` for oneself; returns its id, which is also that of its conversation.
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
            .context("POST /consult returns no consultation_id")
    }

    /// The team that a consult is with.
    pub(crate) async fn team_of_consult(&self, user: &User, consult_id: i64) -> Result<i64> {
        let path = format!("/consult/{consult_id}");
        let consult: Value = self.call(Method::GET, &path, &user.access_token, None).await?;
        consult["team_id"]
            .as_i64()
            .context("GET /consult/:id returns no team_id")
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

    /// The patient or the team's assistant cancels a consult.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub(crate) async fn cancel(&self, user: &User, consult_id: i64) -> Result<(), CallError> {
        let path = format!("/consult/{consult_id}/cancel");
        self.call::<Value>(Method::POST, &path, &user.access_token, Some(json!({})))
            .await?;
        Ok(())
    }

    /// `POST /chat`; returns the conversation.
    pub(super) async fn chat(&self, user: &User, other: i64) -> Result<i64> {
        let body = json!({"user_id": other});
        let chat: Value = self
            .call(Method::POST, "/chat", &user.access_token, Some(body))
            .await?;
        chat["conversation_id"]
            .as_i64()
            .context("POST /chat returns no conversation_id")
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

/// Ends with an error when a service does not answer at all.
///
/// # Errors
/// When it does not.
pub async fn reachable(rest: &Rest) -> Result<()> {
    match rest.servers("").await {
        Err(error @ CallError::Failed { .. }) => bail!(error),
        _ => Ok(()),
    }
}
