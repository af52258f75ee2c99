//! Signed requests, and the verification of their answers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Alipay,
    answer::{Outcome, Signed, parse},
    keys::{CERTIFICATE, is_sn},
    params::Params,
};
use crate::{
    Failure,
    wire::{Answer, PublicKey, REPLY_MAX_BYTES, local},
};

/// The method that gives a certificate of Alipay.
const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

/// A certificate of Alipay, PEM in base64.
#[derive(Deserialize)]
struct Downloaded {
    alipay_cert_content: String,
}

impl Alipay {
    /// The signed parameters of a request; `more` are beside the common ones.
    pub(super) fn signed(&self, method: &str, content: &Value, more: &[(&str, &str)]) -> Params {
        let mut params = Params::default();
        for (name, value) in [
            ("app_id", self.app_id.as_str()),
            ("method", method),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("version", "1.0"),
        ] {
            params.set(name, value);
        }
        params.set("timestamp", local((self.clock)()));
        params.set("biz_content", content.to_string());
        for (name, value) in more.iter().chain(&self.keys.params()) {
            params.set(name, *value);
        }
        let signature = self.private_key.sign(params.joined().as_bytes());
        params.set("sign", signature);
        params
    }

    /// Asks the gateway.
    pub(super) async fn call(
        &self,
        method: &str,
        content: &Value,
        more: &[(&str, &str)],
    ) -> Result<Outcome, Failure> {
        let answer = self.ask(method, content, more).await?;
        let signed = Signed::of(method, &answer.body)?;
        let key = self.key_of(signed.sn.as_deref()).await?;
        signed.verify(&key)
    }

    async fn ask(&self, method: &str, content: &Value, more: &[(&str, &str)]) -> Result<Answer, Failure> {
        let mut params = self.signed(method, content, more);
        // The gateway learns the charset from the query before it reads the body.
        let mut body = Params::default();
        body.set("biz_content", params.remove("biz_content").unwrap_or_default());
        let mut url = self.client.base().clone();
        url.set_query(Some(&params.encoded()));
        let request = self
            .client
            .http()
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded;charset=utf-8")
            .body(body.encoded());
        let answer = self.client.send(request, REPLY_MAX_BYTES).await?;
        if answer.status != 200 {
            return Err(Failure::Away(format!("status {}", answer.status)));
        }
        Ok(answer)
    }

    /// The key of an answer. A certificate that is not known is asked for.
    async fn key_of(&self, sn: Option<&str>) -> Result<PublicKey, Failure> {
        if let Some(key) = self.keys.find(sn, (self.clock)()) {
            return Ok(key);
        }
        match sn {
            // A failed look for a key does not refuse the request: the provider may have carried it out.
            Some(sn) if is_sn(sn) => self.download(sn).await.map_err(Failure::of_look)?,
            _ => {}
        }
        let key = self.keys.find(sn, (self.clock)());
        key.ok_or_else(|| Failure::Away("an answer by a certificate that is not in force".to_owned()))
    }

    /// Asks for a certificate of Alipay. The answer is not verified, since its key may be that of this very certificate:
    /// whose the certificate is, its issuers prove.
    async fn download(&self, sn: &str) -> Result<(), Failure> {
        let answer = self.ask(DOWNLOAD, &json!({ "alipay_cert_sn": sn }), &[]).await?;
        match Signed::of(DOWNLOAD, &answer.body)?.unverified()? {
            Outcome::Good(node) => {
                let sent: Downloaded = parse(&node)?;
                let taken = self.keys.take(sn, &sent.alipay_cert_content, (self.clock)());
                taken.map_err(|why| Failure::Away(why.to_owned()))
            }
            Outcome::Bad(refusal) => Err(refusal.failure()),
        }
    }

    /// Asks for the certificate that a notice names, unless a look was made just now.
    pub(crate) async fn look_for_notice(&self, form: &[u8]) {
        let params = Params::parse(form).unwrap_or_default();
        if let Some(sn) = params.get(CERTIFICATE)
            && self.keys.begin_look(sn, (self.clock)())
        {
            // Without it the notice is refused, and repeated by Alipay.
            let _ = self.download(sn).await;
        }
    }
}
