//! Notices of providers: compared with our rows, recorded and done in one transaction.

mod apply;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use ledger::Outside;
use payment::{Notice, Reply};
use sha2::{Digest, Sha256};

pub(crate) use apply::{Applied, apply, apply_paid};

use super::table::notice::{Received, record};
use crate::{
    app::App,
    clock::now_ms,
    http::{
        error::{Error, ErrorCode},
        input::{PathText, Raw},
    },
};

/// Providers want an answer within 5 s. What was begun is completed afterwards, and a repetition finds it.
const TIMEOUT: Duration = Duration::from_millis(4500);
/// Rows of refused notices of one provider: the newest of each hash stands.
const REFUSED_ROWS: u16 = 1000;

/// The route of notices.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/payment/{provider}/notice", post(receive))
}

async fn receive(
    State(app): State<App>,
    PathText(provider): PathText,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Error> {
    let provider = Outside::from_word(&provider).ok_or(ErrorCode::NoRoute)?;
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let reply = take(&app, provider, headers, body).await?;
    let mut response = Body::from(reply.body).into_response();
    *response.status_mut() = StatusCode::from_u16(reply.status).map_err(Error::internal)?;
    if !reply.content_type.is_empty() {
        let kind = header::HeaderValue::from_static(reply.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}

/// Takes a notice: the answer is the provider's own.
pub(super) async fn take(
    app: &App,
    provider: Outside,
    headers: Vec<(String, String)>,
    body: Bytes,
) -> Result<Reply, Error> {
    let state = app.clone();
    let work = app.to_the_end(async move { decide(&state, provider, &headers, &body).await });
    let late = |_| Error::unavailable("a notice took too long");
    tokio::time::timeout(TIMEOUT, work).await.map_err(late)?
}

async fn decide(
    app: &App,
    provider: Outside,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Reply, Error> {
    let driver = app.providers.get(provider).ok_or(ErrorCode::NoRoute)?;
    let body_hash: [u8; 32] = Sha256::digest(body).into();
    let notice = Notice {
        headers,
        body,
        now_ms: now_ms(),
    };
    let decided = match driver.receive(notice).await {
        Ok(decided) => decided,
        Err(error) => {
            refuse(app, provider, body_hash, error.to_string()).await?;
            return Err(Error::new(ErrorCode::PaymentNoticeRefused).because(error));
        }
    };
    let received = Received {
        id: decided.notice_id,
        body_hash,
    };
    let applied = apply::applied(app, provider, decided.event, Some(received)).await?;
    Ok(driver.reply(!matches!(applied, Applied::Refused(_))))
}

/// Records a notice that no provider signed. Strangers can send any number of them: the rate is limited, and so are the rows.
async fn refuse(app: &App, provider: Outside, body_hash: [u8; 32], reason: String) -> Result<(), Error> {
    if !app.limits.take_refused_notice() {
        return Ok(());
    }
    let row = u16::from_be_bytes([body_hash[0], body_hash[1]]) % REFUSED_ROWS;
    let received = Received {
        id: format!("refused:{row}"),
        body_hash,
    };
    app.database
        .transaction(move |tx| {
            Box::pin(async move { record(tx, provider, &received, (None, &reason), now_ms()).await })
        })
        .await
}
