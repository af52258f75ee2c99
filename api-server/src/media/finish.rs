//! The end of an upload: its bytes are compared with what was announced.

use std::time::Duration;

use axum::extract::State;
use database::Transaction;
use media::{Announced, FinishError, Finished, Refused, StoreError};

use super::{
    Media, Shown,
    table::{self, Medium, State as Stage},
};
use crate::{
    account,
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
};

/// How often an upload that another request holds is tried.
const ATTEMPTS: u32 = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// Finishes an upload
///
/// By its uploader. Its size, its SHA-256 and its type must be what was announced, else it is gone. A repetition gets the same
/// answer.
#[utoipa::path(
    operation_id = "finishUpload",
    post, path = "/media/{id}/finish", tag = "media", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Shown>),
        (status = 404, description = "`media.not_found`"),
        (status = 409, description = "`media.off`, `media.no_bytes`, `media.busy`"),
        (status = 422, description = "`media.refused`"),
        (status = 503, description = "`media.store_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn finish(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { once, .. }: Write<Nothing>,
) -> Result<Answer, Error> {
    let parts = app.part::<Media>().parts()?.clone();
    let _alone = parts.alone(id.get()).await;
    let medium = table::medium(&app.database, id.get()).await?;
    let medium = medium
        .filter(|medium| medium.owner == user.id)
        .ok_or(ErrorCode::MediaNotFound)?;
    let found = match medium.state {
        Stage::Finished => Finished::default(),
        Stage::Gone => return Err(ErrorCode::MediaRefused.into()),
        Stage::Asked => match verify(&app, &medium).await {
            Ok(found) => {
                parts.note_served();
                found
            }
            Err(FinishError::Refused(refused)) => {
                give_up(&app, id.get(), user).await?;
                return Err(describe(refused));
            }
            Err(FinishError::Store(StoreError::NotFound)) => return Err(nothing(&app, id.get()).await?),
            Err(FinishError::Store(StoreError::Busy)) => return Err(ErrorCode::MediaBusy.into()),
            Err(FinishError::Store(error)) => return Err(parts.refuse(error)),
        },
    };
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            table::finish(tx, id.get(), found, now_ms).await?;
            Ok(Written::new(Answer::one(&finished(tx, id.get()).await?)?))
        })
    })
    .await
}

async fn verify(app: &App, medium: &Medium) -> Result<Finished, FinishError> {
    let Ok(parts) = app.part::<Media>().parts() else {
        return Err(StoreError::NotFound.into());
    };
    let announced = Announced {
        mime: medium.mime,
        bytes: u64::try_from(medium.bytes).unwrap_or(0),
        sha256: medium.sha256,
    };
    for _ in 1..ATTEMPTS {
        match media::finish(&parts.store, &medium.key, &announced).await {
            // Another process seals it, which is short, or its sender goes on.
            Err(FinishError::Store(StoreError::Busy)) => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
            outcome => return outcome,
        }
    }
    media::finish(&parts.store, &medium.key, &announced).await
}

/// The refusal of an upload without bytes: none came, or another process has refused them meanwhile.
async fn nothing(app: &App, id: i64) -> Result<Error, Error> {
    let medium = table::medium(&app.database, id).await?;
    let is_gone = medium.is_none_or(|medium| medium.state == Stage::Gone);
    Ok(Error::new(match is_gone {
        true => ErrorCode::MediaRefused,
        false => ErrorCode::MediaNoBytes,
    }))
}

/// The upload after its end. Another process may have given it up in between.
async fn finished(tx: &mut Transaction<'_>, id: i64) -> Result<Shown, Error> {
    let medium = table::medium_in(tx, id).await?;
    let medium = medium.filter(|medium| medium.state == Stage::Finished);
    Ok(medium.ok_or(ErrorCode::MediaRefused)?.into())
}

/// Its bytes are deleted already: the row says so from now on.
async fn give_up(app: &App, id: i64, user: User) -> Result<(), Error> {
    let given_up = app.database.transaction(move |tx| {
        Box::pin(async move {
            table::refuse(tx, id).await?;
            account::lock_device(tx, &user).await
        })
    });
    given_up.await
}

fn describe(refused: Refused) -> Error {
    let (field, zh) = match refused {
        Refused::Size { received, announced } => (
            "size",
            format!("收到 {received} 字节，与申请时的 {announced} 字节不符"),
        ),
        Refused::Sha256 => ("sha256", "与收到的内容不符".to_owned()),
        Refused::Type { announced } => ("mime_type", format!("内容不是 {announced}")),
        Refused::Damaged => ("mime_type", "内容已损坏或不完整".to_owned()),
        Refused::Pixels { width, height, max } => (
            "mime_type",
            format!("图片为 {width} × {height} 像素，超过 {max} 像素"),
        ),
        Refused::Moves => ("mime_type", "不支持动图，请发送静态图片或视频".to_owned()),
        Refused::Parts => ("mime_type", "内容的分段过多".to_owned()),
    };
    Error::invalid(field, zh, refused.to_string()).coded(ErrorCode::MediaRefused)
}
