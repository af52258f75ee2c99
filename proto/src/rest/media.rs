//! Uploads and downloads of media.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use reqwest::{Method, Response, header};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, CallError, Rest, failed};

/// The bytes of one request of an upload: a slow network sends them within the patience for one answer.
const PART_BYTES: usize = 512 * 1024;
/// How often an upload goes on after an interruption.
const MAX_INTERRUPTIONS: u32 = 5;
/// The largest medium, bytes.
const MAX_BYTES: usize = 100 * 1024 * 1024;
/// The lowest rate of a transfer that is awaited, bytes a second.
const SLOWEST_BYTES_PER_S: u64 = 32 * 1024;

/// A file to upload.
#[derive(Clone, Debug)]
pub struct NewMedia {
    /// Its MIME type, one of messages.
    pub mime_type: String,
    /// Its purpose: `message`, `symptom`, `profile` or `licence`.
    pub purpose: String,
    /// Its name for other users; may be empty.
    pub file_name: String,
    /// Its bytes, at most 100 MiB.
    pub bytes: Bytes,
}

/// A finished upload.
#[derive(Clone, Debug, Deserialize)]
pub struct Uploaded {
    /// Its id.
    pub media_id: i64,
    /// `media:ID`, for messages and records.
    pub uri: String,
    /// Of a picture or video, pixels; else 0.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// Of a voice message or video, milliseconds; else 0.
    pub duration_ms: u32,
}

/// A medium that was read.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Its MIME type.
    pub mime_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Where the service wants the bytes.
#[derive(Debug, Deserialize)]
struct Upload {
    media_id: i64,
    ticket: Ticket,
    resume_url: String,
}

#[derive(Debug, Deserialize)]
struct Ticket {
    url: String,
    #[serde(default)]
    headers: HashMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Progress {
    received: usize,
}

impl Rest {
    /// Uploads a file: asks for the upload, sends its bytes where the service says, finishes it. After an interruption it
    /// goes on where it stopped.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn upload(&self, new: NewMedia) -> Result<Uploaded, CallError> {
        let sha256: [u8; 32] = Sha256::digest(&new.bytes).into();
        let asked = json!({
            "mime_type": new.mime_type, "purpose": new.purpose, "file_name": new.file_name,
            "size": new.bytes.len(), "sha256": hex(&sha256),
        });
        let upload: Upload = self.call(Method::POST, "/media", None, Some(asked)).await?;
        if upload.ticket.url.starts_with('/') {
            self.send_parts(&upload.resume_url, &new.bytes).await?;
        } else {
            self.send_elsewhere(&upload.ticket, new.bytes).await?;
        }
        let path = format!("/media/{}/finish", upload.media_id);
        self.call(Method::POST, &path, None, Some(json!({}))).await
    }

    /// Reads a medium, or of a picture a smaller one whose sides have at most `max` pixels.
    ///
    /// # Errors
    /// When the service refuses or does not answer.
    pub async fn download(&self, media_id: i64, max: Option<u32>) -> Result<Downloaded, CallError> {
        let path = match max {
            Some(max) => format!("/media/{media_id}?max={max}"),
            None => format!("/media/{media_id}"),
        };
        let url = self.url(&path);
        let timeout = self.patience.answer + transfer_time(MAX_BYTES);
        let mut request = self.http.get(&url).timeout(timeout);
        if let Some(token) = &self.access_token {
            // As a bearer, which the client drops when the service leads it to a store.
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| failed(&url, &error))?;
        if !response.status().is_success() {
            let answer = Answer::read(response)
                .await
                .map_err(|error| failed(&url, &error))?;
            answer.result::<Value>(&url, Method::GET, &path)?;
            return Err(CallError::Failed {
                url,
                cause: "a refusal says success".into(),
            });
        }
        let mime_type = response.headers().get(header::CONTENT_TYPE);
        let mime_type = mime_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Ok(Downloaded {
            mime_type: mime_type.to_owned(),
            bytes: bounded(response, &url).await?,
        })
    }

    async fn send_parts(&self, path: &str, bytes: &Bytes) -> Result<(), CallError> {
        let (mut received, mut interruptions) = (0, 0);
        while received < bytes.len() {
            let end = bytes.len().min(received + PART_BYTES);
            let part = bytes.slice(received..end);
            let Err(error) = self.send_part(path, received, bytes.len(), part).await else {
                received = end;
                continue;
            };
            interruptions += 1;
            let is_final =
                matches!(&error, CallError::Refused { status, .. } if ![408, 409, 503].contains(status));
            if is_final || interruptions > MAX_INTERRUPTIONS {
                return Err(error);
            }
            let progress: Progress = self.call(Method::GET, path, None, None).await?;
            received = progress.received;
        }
        Ok(())
    }

    async fn send_part(
        &self,
        path: &str,
        first: usize,
        total: usize,
        part: Bytes,
    ) -> Result<Progress, CallError> {
        let url = self.url(path);
        let last = first + part.len() - 1;
        let mut request = self
            .http
            .put(&url)
            .timeout(self.patience.answer)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{total}"));
        if let Some(token) = &self.access_token {
            request = request.header("x-auth-token", token);
        }
        let response = request.body(part).send().await;
        let response = response.map_err(|error| failed(&url, &error))?;
        let answer = Answer::read(response)
            .await
            .map_err(|error| failed(&url, &error))?;
        answer.result(&url, Method::PUT, path)
    }

    /// To a store, which must not learn the access token.
    async fn send_elsewhere(&self, ticket: &Ticket, bytes: Bytes) -> Result<(), CallError> {
        let mut request = self.http.put(&ticket.url);
        request = request.timeout(self.patience.answer + transfer_time(bytes.len()));
        for (name, value) in &ticket.headers {
            request = request.header(name, value);
        }
        let sent = request.body(bytes).send().await;
        let host = ticket.url.split('?').next().unwrap_or_default();
        let sent = sent.and_then(Response::error_for_status);
        // The address is signed: its query does not go into logs.
        sent.map(drop).map_err(|error| failed(host, &error.without_url()))
    }

    fn url(&self, path: &str) -> String {
        let preferred = self.preferred.load(std::sync::atomic::Ordering::Relaxed);
        format!("{}{path}", self.bases[preferred % self.bases.len()])
    }
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST_BYTES_PER_S)
}

async fn bounded(mut response: Response, url: &str) -> Result<Bytes, CallError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failed(url, &error))? {
        if bytes.len() + piece.len() > MAX_BYTES {
            return Err(CallError::Failed {
                url: url.to_owned(),
                cause: format!("the medium has more than {MAX_BYTES} bytes"),
            });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
