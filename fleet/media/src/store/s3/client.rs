//! The way to the bucket: each request is bounded in time, goes to the host of the settings, and fails with a kind.

use std::{error::Error as _, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind},
};
use url::Url;

use super::{
    super::{Outage, StoreError},
    settings::{S3Settings, S3SettingsError},
};

/// The longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// Further attempts after a broken connection or an answer of the 500s.
const RETRIES: usize = 2;

/// A client that follows no redirect and asks no proxy.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

pub(super) fn open(settings: &S3Settings, bucket: &str, url: &Url) -> Result<AmazonS3, S3SettingsError> {
    // The client uses the process's default provider, which may be installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_WAIT)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|_| S3SettingsError("the client of S3 cannot be made".to_owned()))?;
    let endpoint = if settings.virtual_hosted {
        url.as_str().trim_end_matches('/')
    } else {
        settings.endpoint.trim_end_matches('/')
    };
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_virtual_hosted_style_request(settings.virtual_hosted)
        .with_region(&settings.region)
        .with_bucket_name(bucket)
        .with_access_key_id(&settings.access_key_id)
        .with_secret_access_key(&settings.secret_access_key)
        .with_allow_http(url.scheme() == "http")
        .with_http_connector(Connector(client))
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: settings.timeout(),
        })
        .build()
        .map_err(|_| S3SettingsError("the settings of S3 cannot be used".to_owned()))
}

/// Waits for an answer no longer than this.
pub(super) async fn within<T>(
    wait: Duration,
    asked: impl Future<Output = object_store::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(wait, asked).await {
        Ok(answer) => answer.map_err(|error| kind(&error)),
        Err(_) => Err(slow()),
    }
}

pub(super) fn slow() -> StoreError {
    Outage::Slow.because("no answer in time")
}

/// The kind of an error, without its text, which has names of the bucket and of objects.
pub(super) fn kind(error: &object_store::Error) -> StoreError {
    // A listing wraps the error of its request, so that the text alone tells.
    let text = error.to_string();
    let answers = |status: &str| text.contains(&format!("status code: {status}"));
    if text.contains("NoSuchBucket") {
        return Outage::Refused.because("there is no such bucket");
    }
    if matches!(error, object_store::Error::NotFound { .. }) {
        return StoreError::NotFound;
    }
    if answers("403") || answers("401") {
        return Outage::Refused.because("it answers 403: the key is wrong, or may not do this");
    }
    if answers("429") || text.contains("SlowDown") {
        return Outage::Slow.because("it asks for fewer requests");
    }
    if answers("5") {
        return Outage::Down.because("it answers with an error of its own");
    }
    transport(error)
}

/// Without an answer.
fn transport(error: &object_store::Error) -> StoreError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return match http.kind() {
                HttpErrorKind::Timeout => slow(),
                HttpErrorKind::Connect => Outage::Down.because("no connection"),
                _ => Outage::Down.because("the connection broke"),
            };
        }
        source = cause.source();
    }
    Outage::Faulty.because("it answers with an error")
}
