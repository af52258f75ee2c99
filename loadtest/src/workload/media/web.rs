//! The bytes of media over HTTP, timed call by call.

use std::io::Cursor;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use image::ImageReader;
use reqwest::{Client, RequestBuilder, StatusCode, header};

/// How long a transfer may take.
const TRANSFER_LIMIT: Duration = Duration::from_secs(60);

/// One REST service.
#[derive(Clone, Debug)]
pub(super) struct Web {
    http: Client,
    base: String,
}

impl Web {
    pub(super) fn new(base: &str) -> Result<Self> {
        let builder = Client::builder().timeout(TRANSFER_LIMIT);
        // Without TLS no certificates are needed, and a bare machine has none.
        let builder = if base.starts_with("http://") {
            builder.no_proxy().tls_certs_only([])
        } else {
            builder
        };
        Ok(Self {
            http: builder.build()?,
            base: base.to_owned(),
        })
    }

    /// Sends bytes where a ticket says. A store's own address gets no access token.
    pub(super) async fn put(
        &self,
        url: &str,
        headers: &[(String, String)],
        token: &str,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let mut request = if url.starts_with('/') {
            self.http
                .put(format!("{}{url}", self.base))
                .header("x-auth-token", token)
                .header(header::CONTENT_TYPE, "application/octet-stream")
        } else {
            self.http.put(url)
        };
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.body(bytes).send().await?;
        let status = response.status();
        ensure!(
            status.is_success(),
            "{status}: {}",
            response.text().await.unwrap_or_default()
        );
        Ok(())
    }

    /// A whole medium.
    pub(super) async fn get(&self, id: i64, token: &str) -> Result<Bytes> {
        let asked = self.ask(format!("/media/{id}"), token);
        whole(asked, StatusCode::OK).await
    }

    /// A smaller picture.
    pub(super) async fn get_smaller(&self, id: i64, max: u32, token: &str) -> Result<Bytes> {
        let asked = self.ask(format!("/media/{id}?max={max}"), token);
        whole(asked, StatusCode::OK).await
    }

    /// A part of a medium.
    pub(super) async fn get_part(&self, id: i64, part: &Range<usize>, token: &str) -> Result<Bytes> {
        let asked = self.ask(format!("/media/{id}"), token);
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        whole(asked.header(header::RANGE, range), StatusCode::PARTIAL_CONTENT).await
    }

    fn ask(&self, path: String, token: &str) -> RequestBuilder {
        // As a bearer, which the client drops when the service leads it to a store.
        self.http.get(format!("{}{path}", self.base)).bearer_auth(token)
    }
}

async fn whole(request: RequestBuilder, wanted: StatusCode) -> Result<Bytes> {
    let response = request.send().await?;
    let status = response.status();
    ensure!(
        status == wanted,
        "{status} instead of {wanted}: {}",
        response.text().await.unwrap_or_default()
    );
    Ok(response.bytes().await?)
}

/// The longer side of a picture, pixels.
pub(super) fn longer_side(picture: &[u8]) -> Result<u32> {
    let reader = ImageReader::new(Cursor::new(picture)).with_guessed_format()?;
    let (width, height) = reader.into_dimensions().context("it is no picture")?;
    Ok(width.max(height))
}
