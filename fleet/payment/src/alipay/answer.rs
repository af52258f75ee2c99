//! The answers of Alipay: one node, whose bytes are signed, and the signature beside it.

use serde::{Deserialize, de::DeserializeOwned};

use super::keys::CERTIFICATE;
use crate::{
    Failure,
    wire::{PublicKey, members, words},
};

/// Refusals behind which nothing is decided: a repetition may succeed.
const PASSING: [&str; 2] = ["SYSTEM_ERROR", "ACQ.SELLER_BALANCE_NOT_ENOUGH"];

/// The meaning of an answer.
pub(super) enum Outcome {
    /// The node's text.
    Good(String),
    /// Its refusal.
    Bad(Refusal),
}

/// The fields of every node.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    code: String,
    #[serde(default)]
    msg: String,
    sub_code: Option<String>,
    sub_msg: Option<String>,
}

impl Refusal {
    pub(super) fn sub_code(&self) -> &str {
        self.sub_code.as_deref().unwrap_or_default()
    }

    pub(super) fn failure(&self) -> Failure {
        let sub_code = self.sub_code();
        let text = if sub_code.is_empty() {
            words(&self.code, &self.msg)
        } else {
            words(sub_code, self.sub_msg.as_deref().unwrap_or_default())
        };
        // 20000 and isp: Alipay's side. Other codes than 40004 are about our keys and contracts, which an operator mends.
        let is_passing = self.code != "40004"
            || sub_code.starts_with("isp.")
            || PASSING.iter().any(|code| sub_code.ends_with(code));
        if is_passing {
            Failure::Away(text)
        } else {
            Failure::Refused(text)
        }
    }
}

/// An answer as it came in.
pub(super) struct Signed<'b> {
    /// The node that is signed, and whether it is that of the method.
    node: &'b str,
    is_own: bool,
    signature: Option<String>,
    /// The certificate that it names.
    pub(super) sn: Option<String>,
}

impl<'b> Signed<'b> {
    /// Reads an answer to a method.
    pub(super) fn of(method: &str, body: &'b [u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
        let members = members(text).ok_or_else(unreadable)?;
        let find = |name: &str| {
            members
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, raw)| *raw)
        };
        let word =
            |name: &str| -> Option<String> { find(name).and_then(|raw| serde_json::from_str(raw).ok()) };
        let own = find(&format!("{}_response", method.replace('.', "_")));
        Ok(Self {
            node: own.or_else(|| find("error_response")).ok_or_else(unreadable)?,
            is_own: own.is_some(),
            signature: word("sign"),
            sn: word(CERTIFICATE),
        })
    }

    /// Verifies it.
    pub(super) fn verify(self, key: &PublicKey) -> Result<Outcome, Failure> {
        let signature = self
            .signature
            .as_deref()
            .ok_or_else(|| Failure::Away("an answer without a signature".to_owned()))?;
        if !is_signed(self.node, signature, key) {
            return Err(Failure::Away("an answer with a wrong signature".to_owned()));
        }
        self.unverified()
    }

    /// Reads it without its signature.
    pub(super) fn unverified(self) -> Result<Outcome, Failure> {
        let head: Refusal = parse(self.node)?;
        Ok(if head.code == "10000" && self.is_own {
            Outcome::Good(self.node.to_owned())
        } else {
            Outcome::Bad(head)
        })
    }
}

/// Some of Alipay's gateways sign before they escape slashes: its SDKs try both.
fn is_signed(node: &str, signature: &str, key: &PublicKey) -> bool {
    key.verifies(node.as_bytes(), signature)
        || (node.contains("\\/") && key.verifies(node.replace("\\/", "/").as_bytes(), signature))
}

pub(super) fn parse<T: DeserializeOwned>(node: &str) -> Result<T, Failure> {
    serde_json::from_str(node).map_err(|_| unreadable())
}

/// The failure of an answer that is not what the documents say.
pub(super) fn unreadable() -> Failure {
    Failure::Away("an answer that cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the answer of alipay-sdk-nodejs-all, `test/alipay.test.ts`, which Alipay signed.
    const KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAk7LzhmMa2c4qQd4fqAqenfbuFoA7stPKvoS1LrZEsVnOOGUUjwoa1oU9xsSPjcOWhIerU/VAN4J95GIAXx59ipcleIyfLn2FhHXPgLJpvo+b2jJFyn/1/DbeJDh+0yDVAOf50Z7HhI0mdUhFMkXlT7BU0ZMtJf/TmISFEfhDU/w6qFd6D42L97byAkq0K6LroglSVF24GqJEa7hSeUIkZWj7RasykXrc2uVJ1+ejkXE0LyPxa2AHykMGbJLf5SiZvaNzUZgnKIR36mLOHpQ/2JCXxhXZYUWHzy0kMH54JcUEeksFWBYLGvLjV1phbcUIc3Q76tIuqApY6E222OoZZQIDAQAB";
    const SIGN: &str = "F+LDzpTNiavn7xVZPGuPCSSVRSmWzJGgtuji6tVELGEaqMaNj0jRKXUEr5nloZJBBmwEnddOyCjjepMmrTKTvoOqQ0Efxpr/R1iEeHTHVbb/Q8TTh6Up5gHJDkILdaWS2q1cWeQ6VT+HQY9P3WRXS7uhILHuDODIhpAyCu5KhWGt0rMCIG+Im6NODJP2oohtSCtmTFXg58HH587Z2y2bdbjzOxLvzD9IrU1imghXQ2S/Q+wMIvRk9on6cWnBLkrNvJKapA2ReNGWOwyuASvB9zDVzhMPbR+3mfRGkVDxsq5HYLjBKGskJMXHw0HuugZij6ScRuaLPODhmHwr/pJ9yw==";
    const NODE: &str = r#"{"code":"10000","msg":"Success","file_id":"CAxAToWB1JsAAAAAAAAAAAAADgSLAQBr"}"#;

    #[test]
    fn the_published_answer_is_verified() {
        let key = PublicKey::parse(KEY).unwrap();
        let of = |method: &str, body: &str| {
            let signed = Signed::of(method, body.as_bytes());
            match signed.and_then(|signed| signed.verify(&key)) {
                Ok(Outcome::Good(node)) => Some(node),
                Ok(Outcome::Bad(_)) | Err(_) => None,
            }
        };
        let method = "alipay.open.file.upload";
        let body = format!("{{\"alipay_open_file_upload_response\":{NODE},\"sign\":\"{SIGN}\"}}");
        assert_eq!(of(method, &body).as_deref(), Some(NODE));
        let spaced = body
            .replace(",\"sign\":", "\r\n , \"sign\" : ")
            .replace("response\":", "response\"\n:\n ");
        assert_eq!(of(method, &spaced).as_deref(), Some(NODE));
        for changed in [
            body.replace("CAxA", "CAxB"),
            body.replace("F+LD", "F+LE"),
            body.replace("\"msg\"", " \"msg\""),
            body.replace(SIGN, ""),
        ] {
            assert_eq!(of(method, &changed), None, "{changed}");
        }
        assert_eq!(of("alipay.trade.query", &body), None);
    }

    #[test]
    fn refusals_are_final_where_the_merchant_is_wrong() {
        let failure = |code: &str, sub_code: &str| {
            let refusal = format!(r#"{{"code":"{code}","msg":"m","sub_code":"{sub_code}","sub_msg":"s"}}"#);
            serde_json::from_str::<Refusal>(&refusal).unwrap().failure()
        };
        assert_eq!(
            failure("40004", "ACQ.TRADE_HAS_CLOSE"),
            Failure::Refused("ACQ.TRADE_HAS_CLOSE: s".into())
        );
        for (code, sub_code) in [
            ("20000", "isp.unknow-error"),
            ("40004", "isp.unknow-error"),
            ("40004", "ACQ.SYSTEM_ERROR"),
            ("40004", "aop.ACQ.SYSTEM_ERROR"),
            ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH"),
            ("40002", "isv.invalid-signature"),
        ] {
            assert!(
                matches!(failure(code, sub_code), Failure::Away(_)),
                "{code} {sub_code}"
            );
        }
    }
}
