//! Signed requests, and the verification of their answers.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{
    Wechat,
    answer::Outcome,
    keys::Keys,
    sign::{Signed, nonce},
};
use crate::{
    Failure, NoticeError,
    wire::{Answer, REPLY_MAX_BYTES},
};

/// The longest look for certificates while a notice waits: WeChat Pay waits 5 s for its answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Where certificates are.
const CERTIFICATES: &str = "/v3/certificates";

/// A request. Its path is with its query.
pub(super) struct Request<'r> {
    pub(super) method: Method,
    pub(super) path: &'r str,
    pub(super) body: Option<Value>,
}

impl<'r> Request<'r> {
    pub(super) fn get(path: &'r str) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
        }
    }

    pub(super) fn post(path: &'r str, body: Value) -> Self {
        Self {
            method: Method::POST,
            path,
            body: Some(body),
        }
    }
}

impl Wechat {
    /// Sends a request. A good answer is verified.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Outcome, Failure> {
        if self.keys.are_old((self.clock)()) {
            // Old keys may still do; without any, the answer is refused below.
            let _ = self.look().await;
        }
        let answer = self.client.send(self.signed(&request), REPLY_MAX_BYTES).await?;
        if (200..300).contains(&answer.status) {
            self.verify(&answer).await?;
        }
        Outcome::of(answer)
    }

    /// The request with its signature.
    pub(super) fn signed(&self, request: &Request<'_>) -> reqwest::RequestBuilder {
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        let url = self.client.url(request.path);
        let path = url.query().map_or_else(
            || url.path().to_owned(),
            |query| format!("{}?{query}", url.path()),
        );
        let time_s = (self.clock)().div_euclid(1000);
        let authorization =
            self.signer
                .authorization(request.method.as_str(), &path, &body, time_s, &nonce());
        let mut built = self
            .client
            .http()
            .request(request.method.clone(), url)
            .header("authorization", authorization)
            .header("accept", "application/json")
            .header("user-agent", "huizhen");
        if let Some(id) = self.keys.fixed_id() {
            built = built.header("wechatpay-serial", id);
        }
        if request.body.is_some() {
            built = built.header("content-type", "application/json").body(body);
        }
        built
    }

    /// Verifies an answer, after a look for certificates where its serial is unknown.
    async fn verify(&self, answer: &Answer) -> Result<(), Failure> {
        let mut verified = self.verify_by(&self.keys, answer);
        // A failed look for a key does not refuse the request: the provider may have carried it out.
        if verified == Err(NoticeError::UnknownSerial) && self.look().await.map_err(Failure::of_look)? {
            verified = self.verify_by(&self.keys, answer);
        }
        verified.map_err(unverified)
    }

    fn verify_by(&self, keys: &Keys, answer: &Answer) -> Result<(), NoticeError> {
        Signed::read(|name| answer.header(name))?.verify(keys, &answer.body, (self.clock)())
    }

    /// Looks for new certificates, unless one has just been. Whether there are some now.
    async fn look(&self) -> Result<bool, Failure> {
        let known = self.keys.fetched_ms();
        let look = async {
            // One at a time; those who waited use what the first one found.
            let _turn = self.looking.lock().await;
            if self.keys.fetched_ms() != known {
                return Ok(true);
            }
            self.look_now().await
        };
        let looked = tokio::time::timeout(LOOK_TIMEOUT, look).await;
        looked.unwrap_or_else(|_| Err(Failure::Away("no certificates in time".to_owned())))
    }

    async fn look_now(&self) -> Result<bool, Failure> {
        if !self.keys.begin_look((self.clock)()) {
            return Ok(false);
        }
        let request = self.signed(&Request::get(CERTIFICATES));
        let answer = self.client.send(request, REPLY_MAX_BYTES).await?;
        if answer.status != 200 {
            return Err(match Outcome::of(answer)? {
                Outcome::Bad(status, refusal) => refusal.failure(status),
                Outcome::Good(_) => Failure::Away("no certificates".to_owned()),
            });
        }
        let found = self.keys.open(&answer.body, &self.api_v3_key);
        let found =
            found.ok_or_else(|| Failure::Away("certificates that the APIv3 key cannot open".to_owned()))?;
        self.verify_by(&found, &answer).map_err(unverified)?;
        self.keys.replace(found, (self.clock)());
        Ok(true)
    }

    /// Looks for the key of a notice.
    pub(crate) async fn look_for_notice(&self) {
        let _ = self.look().await;
    }
}

/// The failure of an answer that cannot be trusted.
fn unverified(error: NoticeError) -> Failure {
    Failure::Away(format!("its answer is not trusted: {error}"))
}
