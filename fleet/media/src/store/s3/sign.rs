//! AWS Signature Version 4 for requests that another sends: by query, or as the policy of a form. By ring alone, since
//! `object_store` signs neither headers nor forms.

use ring::{
    digest::{SHA256, digest},
    hmac::{self, HMAC_SHA256},
};
use url::Url;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A moment, as signatures spell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// `20130524T000000Z`.
    pub(super) time: String,
    /// `20130524`.
    date: String,
}

/// The key of signatures, and what they name.
pub(super) struct Signer<'s> {
    pub(super) access_key_id: &'s str,
    pub(super) secret_access_key: &'s str,
    pub(super) region: &'s str,
}

/// A request that another will send.
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    pub(super) url: Url,
    /// Headers that it must have, their names in lower case and sorted, `host` apart.
    pub(super) headers: &'r [(&'r str, String)],
    /// Parts of the query beside the signature's.
    pub(super) query: &'r [(&'r str, String)],
    pub(super) expires_s: u32,
}

impl Moment {
    pub(super) fn of_ms(ms: i64) -> Self {
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        Self {
            time: time.strftime("%Y%m%dT%H%M%SZ").to_string(),
            date: time.strftime("%Y%m%d").to_string(),
        }
    }
}

impl Signer<'_> {
    /// The credential that a request or a form names.
    pub(super) fn credential(&self, moment: &Moment) -> String {
        format!("{}/{}", self.access_key_id, self.scope(moment))
    }

    fn scope(&self, moment: &Moment) -> String {
        format!("{}/{}/s3/aws4_request", moment.date, self.region)
    }

    /// The address of a request with its signature in the query.
    pub(super) fn sign(&self, request: Request<'_>, moment: &Moment) -> Url {
        let Request {
            method,
            mut url,
            headers,
            query,
            expires_s,
        } = request;
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let mut signed: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        signed.push(("host", &host));
        signed.sort_unstable();
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut pairs = vec![
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", self.credential(moment)),
            ("X-Amz-Date", moment.time.clone()),
            ("X-Amz-Expires", expires_s.to_string()),
            ("X-Amz-SignedHeaders", names.clone()),
        ];
        pairs.extend(query.iter().cloned());
        let mut pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        pairs.sort_unstable();
        let query = pairs.join("&");
        let lines: String = signed
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let canonical = format!(
            "{method}\n{}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD",
            url.path()
        );
        let text = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            moment.time,
            self.scope(moment),
            hex::encode(digest(&SHA256, canonical.as_bytes()))
        );
        let signature = self.signature(&text, moment);
        url.set_query(Some(&format!("{query}&X-Amz-Signature={signature}")));
        url
    }

    /// The signature of a text: of a canonical request's hash, or of a policy in base64.
    pub(super) fn signature(&self, text: &str, moment: &Moment) -> String {
        let secret = format!("AWS4{}", self.secret_access_key);
        let parts = [moment.date.as_str(), self.region, "s3", "aws4_request", text];
        let signed = parts.iter().fold(secret.into_bytes(), |key, part| {
            let key = hmac::Key::new(HMAC_SHA256, &key);
            hmac::sign(&key, part.as_bytes()).as_ref().to_vec()
        });
        hex::encode(signed)
    }
}

/// Text with everything escaped but RFC 3986's unreserved characters.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};

    use super::*;

    const SIGNER: Signer<'static> = Signer {
        access_key_id: "AKIAIOSFODNN7EXAMPLE",
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
    };

    // AWS, "Authenticating Requests: Using Query Parameters", the example of 24 May 2013.
    #[test]
    fn the_address_of_aws_example_is_signed_as_there() {
        let request = Request {
            method: "GET",
            url: Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap(),
            headers: &[],
            query: &[],
            expires_s: 86_400,
        };
        let signed = SIGNER.sign(request, &Moment::of_ms(1_369_353_600_000));
        assert_eq!(
            signed.as_str(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&\
             X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&\
             X-Amz-Expires=86400&X-Amz-SignedHeaders=host&\
             X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    // AWS, "Example: Browser-Based Upload using HTTP POST", of 29 December 2015: the policy there has lines that end with
    // CR LF.
    #[test]
    fn the_policy_of_aws_example_is_signed_as_there() {
        let policy = "{ \"expiration\": \"2015-12-30T12:00:00.000Z\",\r\n  \"conditions\": [\r\n    \
                      {\"bucket\": \"sigv4examplebucket\"},\r\n    [\"starts-with\", \"$key\", \"user/user1/\"],\r\n    \
                      {\"acl\": \"public-read\"},\r\n    \
                      {\"success_action_redirect\": \"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html\"},\r\n    \
                      [\"starts-with\", \"$Content-Type\", \"image/\"],\r\n    {\"x-amz-meta-uuid\": \"14365123651274\"},\r\n    \
                      {\"x-amz-server-side-encryption\": \"AES256\"},\r\n    [\"starts-with\", \"$x-amz-meta-tag\", \"\"],\r\n\r\n    \
                      {\"x-amz-credential\": \"AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request\"},\r\n    \
                      {\"x-amz-algorithm\": \"AWS4-HMAC-SHA256\"},\r\n    {\"x-amz-date\": \"20151229T000000Z\" }\r\n  ]\r\n}";
        let moment = Moment::of_ms(1_451_347_200_000);
        assert_eq!(moment.time, "20151229T000000Z");
        assert_eq!(
            SIGNER.signature(&BASE64_STANDARD.encode(policy), &moment),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }
}
