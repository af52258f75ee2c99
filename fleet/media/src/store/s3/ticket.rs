//! Tickets straight to the bucket, and addresses for reading.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use url::Url;

use super::{
    super::{Form, Key, READ_LIFETIME_S, Shown, TICKET_LIFETIME_S, Ticket, Way},
    S3,
    sign::{Moment, Request, Signer},
};
use crate::medium::Announced;

impl S3 {
    pub(in super::super) fn ticket(&self, key: &Key, announced: &Announced, way: Way, now_ms: i64) -> Ticket {
        let expires_ms = now_ms + i64::from(TICKET_LIFETIME_S) * 1000;
        match way {
            Way::Put => self.put_ticket(key, announced, now_ms, expires_ms),
            Way::Form => self.form_ticket(key, announced, now_ms, expires_ms),
        }
    }

    /// Size and SHA-256 are signed headers, so that the bucket refuses other bytes.
    fn put_ticket(&self, key: &Key, announced: &Announced, now_ms: i64, expires_ms: i64) -> Ticket {
        let sha256 = BASE64_STANDARD.encode(announced.sha256);
        let headers = [
            ("content-length", announced.bytes.to_string()),
            ("x-amz-checksum-sha256", sha256.clone()),
        ];
        let request = Request {
            method: "PUT",
            url: self.public(&self.staged_name(key)),
            headers: &headers,
            query: &[],
            expires_s: TICKET_LIFETIME_S,
        };
        Ticket {
            method: "PUT",
            url: self.signer().sign(request, &Moment::of_ms(now_ms)).into(),
            headers: vec![("x-amz-checksum-sha256", sha256)],
            fields: Vec::new(),
            expires_ms,
        }
    }

    /// The policy has the exact size. The bucket does not compare the SHA-256 here; the finish does.
    fn form_ticket(&self, key: &Key, announced: &Announced, now_ms: i64, expires_ms: i64) -> Ticket {
        let moment = Moment::of_ms(now_ms);
        let signer = self.signer();
        let name = self.staged_name(key);
        let mut fields = vec![
            ("key", name),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential", signer.credential(&moment)),
            ("x-amz-date", moment.time.clone()),
            ("success_action_status", "204".to_owned()),
        ];
        let mut conditions: Vec<serde_json::Value> = fields
            .iter()
            .map(|(name, value)| json!({ *name: value }))
            .collect();
        conditions.push(json!({ "bucket": self.bucket() }));
        conditions.push(json!(["content-length-range", announced.bytes, announced.bytes]));
        let expiration = jiff::Timestamp::from_millisecond(expires_ms).unwrap_or_default();
        let policy = json!({
            "expiration": expiration.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
            "conditions": conditions,
        });
        let policy = BASE64_STANDARD.encode(policy.to_string());
        let signature = signer.signature(&policy, &moment);
        fields.push(("policy", policy));
        fields.push(("x-amz-signature", signature));
        Ticket {
            method: "POST",
            url: self.public("").into(),
            headers: Vec::new(),
            fields,
            expires_ms,
        }
    }

    pub(in super::super) fn signed_read(&self, key: &Key, form: Form, shown: &Shown, now_ms: i64) -> String {
        let query = [
            (
                "response-cache-control",
                format!("private, max-age={READ_LIFETIME_S}"),
            ),
            ("response-content-disposition", shown.disposition.clone()),
            ("response-content-type", shown.mime.name().to_owned()),
        ];
        let request = Request {
            method: "GET",
            url: self.public(&self.kept_name(key, form)),
            headers: &[],
            query: &query,
            expires_s: READ_LIFETIME_S,
        };
        self.signer().sign(request, &Moment::of_ms(now_ms)).into()
    }

    /// The address of an object as apps reach it. Its name needs no escape.
    fn public(&self, name: &str) -> Url {
        let mut url = self.parts.public_url.clone();
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(path.trim_end_matches('/'));
        url
    }

    fn signer(&self) -> Signer<'_> {
        let settings = &self.parts.settings;
        Signer {
            access_key_id: &settings.access_key_id,
            secret_access_key: &settings.secret_access_key,
            region: &settings.region,
        }
    }
}
