//! The settings of S3, a TOML file of its own with mode 0600.

use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

/// Where S3 is, and by which credential.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// The address of the service, as in `https://s3.example.com`, without the bucket.
    pub(super) endpoint: String,
    /// The same service by the name that apps reach it by; by default the endpoint.
    pub(super) public_endpoint: Option<String>,
    /// The region that signatures name.
    pub(super) region: String,
    /// The id of the key.
    pub(super) access_key_id: String,
    /// The secret of the key.
    pub(super) secret_access_key: String,
    /// Whether the bucket is part of the host name, as some services demand.
    #[serde(default)]
    pub(super) virtual_hosted: bool,
    /// The longest wait for an answer, seconds.
    #[serde(default = "timeout_s")]
    pub(super) timeout_s: u32,
}

/// Why settings are refused. Its text has names of fields, never their content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct S3SettingsError(pub(super) String);

fn timeout_s() -> u32 {
    10
}

impl S3Settings {
    /// Reads the text of a settings file.
    ///
    /// # Errors
    /// When it is not TOML, lacks a field, or has an invalid one.
    pub fn parse(text: &str) -> Result<Self, S3SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            // The error's own text quotes the line, which may hold the secret.
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            let reason = error.message().split(':').next().unwrap_or_default();
            S3SettingsError(format!("line {line}: {reason}"))
        })?;
        settings.validated()
    }

    fn validated(self) -> Result<Self, S3SettingsError> {
        for (name, text) in [
            ("region", &self.region),
            ("access_key_id", &self.access_key_id),
            ("secret_access_key", &self.secret_access_key),
        ] {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(S3SettingsError(format!(
                    "{name} must be printable ASCII without spaces"
                )));
            }
        }
        if !(1..=60).contains(&self.timeout_s) {
            return Err(S3SettingsError("timeout_s must be 1 to 60".to_owned()));
        }
        address("endpoint", &self.endpoint)?;
        if let Some(public) = &self.public_endpoint {
            address("public_endpoint", public)?;
        }
        Ok(self)
    }

    /// The address of a bucket for this program.
    pub(super) fn bucket_url(&self, bucket: &str) -> Result<Url, S3SettingsError> {
        self.with_bucket(address("endpoint", &self.endpoint)?, bucket)
    }

    /// The address of a bucket for apps.
    pub(super) fn public_url(&self, bucket: &str) -> Result<Url, S3SettingsError> {
        let public = self.public_endpoint.as_ref().unwrap_or(&self.endpoint);
        self.with_bucket(address("public_endpoint", public)?, bucket)
    }

    fn with_bucket(&self, mut url: Url, bucket: &str) -> Result<Url, S3SettingsError> {
        if self.virtual_hosted {
            let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
            let refused = |_| {
                S3SettingsError("the endpoint must be a host name where virtual_hosted is true".to_owned())
            };
            url.set_host(Some(&host)).map_err(refused)?;
        } else {
            url.set_path(bucket);
        }
        Ok(url)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }
}

/// An address that credentials may travel to: with TLS, or on this machine.
fn address(name: &str, text: &str) -> Result<Url, S3SettingsError> {
    let url = Url::parse(text).map_err(|_| S3SettingsError(format!("{name} is not a URL")))?;
    let is_loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err(S3SettingsError(format!(
            "{name} must begin with https://; http:// is for this machine"
        )));
    }
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err(S3SettingsError(format!(
            "{name} must have a host and no path: the bucket has its own setting"
        )));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "endpoint = \"https://s3.example.com\"\nregion = \"cn-north-1\"\n\
                        access_key_id = \"AKID\"\nsecret_access_key = \"s3cret\"\n";

    fn refusal(text: &str) -> String {
        S3Settings::parse(text)
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn the_bucket_stands_in_path_or_host() {
        let settings = S3Settings::parse(GOOD).unwrap();
        assert_eq!(
            settings.bucket_url("b-1").unwrap().as_str(),
            "https://s3.example.com/b-1"
        );
        let settings = S3Settings::parse(&format!("{GOOD}virtual_hosted = true")).unwrap();
        assert_eq!(
            settings.public_url("b-1").unwrap().as_str(),
            "https://b-1.s3.example.com/"
        );
        let public = format!("{GOOD}public_endpoint = \"https://media.example.com:8443\"");
        let settings = S3Settings::parse(&public).unwrap();
        assert_eq!(
            settings.public_url("b-1").unwrap().as_str(),
            "https://media.example.com:8443/b-1"
        );
    }

    #[test]
    fn a_refusal_names_the_field_and_no_secret() {
        assert!(refusal(&GOOD.replace("https", "http")).starts_with("endpoint must begin with https"));
        assert!(refusal(&GOOD.replace(".com", ".com/b")).contains("no path"));
        assert!(refusal(&GOOD.replace("s3cret", "s3 cret")).starts_with("secret_access_key must"));
        assert!(refusal(&format!("{GOOD}timeout_s = 0")).starts_with("timeout_s"));
        assert!(refusal(&format!("{GOOD}bucket = \"x\"")).starts_with("line 5: unknown field"));
        assert!(refusal(&GOOD.replace("region", "reg")).contains("line 2"));
        for broken in [
            GOOD.replace("\"s3cret\"", "s3cret"),
            GOOD.replace("\"s3cret\"", "[\"s3cret\"]"),
        ] {
            let refusal = refusal(&broken);
            assert!(
                refusal.starts_with("line 4") && !refusal.contains("s3cret"),
                "{refusal}"
            );
        }
    }
}
