//! Asking for an upload.

use std::collections::BTreeMap;

use axum::extract::State;
use media::{Announced, Key, MimeType, store::Way};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    Media, Purpose,
    table::{self, Medium, State as Stage},
};
use crate::{
    account,
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Envelope},
        docs::{IdempotencyKey, one_of},
        error::{Error, ErrorCode},
        input::{Ascii, Line, Within, Write},
    },
};

/// How long an upload waits for its end, and a finished one for its use, milliseconds.
pub(super) const UNUSED_MS: i64 = 24 * 60 * 60 * 1000;
/// Uploads of a user that are not finished, at most.
const MAX_UNFINISHED: i64 = ErrorCode::MediaUnfinished.limit();

/// An upload.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "mime_type": "image/jpeg", "size": 183422, "purpose": "message", "file_name": "rash.jpg",
    "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
}))]
pub(crate) struct AskUpload {
    #[schema(schema_with = mime_type)]
    mime_type: Ascii<1, 127>,
    /// Bytes: at most 20 MiB of a picture, 100 MiB of another medium.
    size: Within<1, 9_007_199_254_740_991>,
    /// Of all bytes, as 64 hexadecimal digits.
    sha256: Ascii<64, 64>,
    purpose: Purpose,
    /// Text alone, never a path.
    file_name: Option<Line<0, 255>>,
    /// How the bytes will come.
    #[serde(default)]
    way: UploadWay,
}

/// How the bytes of an upload come.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UploadWay {
    /// By one PUT.
    #[default]
    Put,
    /// By a multipart form, whose last field is `file`: mini-programs can do nothing else.
    Form,
}

/// Where the bytes of an upload go.
#[derive(Debug, Serialize, ToSchema)]
struct UploadTicket {
    #[schema(schema_with = method)]
    method: &'static str,
    /// Of this service where it begins with `/`: then the request needs the access token. Else it must not have it.
    url: String,
    /// The headers that the request must have.
    headers: BTreeMap<&'static str, String>,
    /// The fields that a form must have before its file.
    fields: BTreeMap<&'static str, String>,
    /// When it ends, epoch milliseconds.
    expires_ms: i64,
}

/// An upload that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upload {
    media_id: i64,
    /// `media:ID`, once it is finished.
    uri: String,
    ticket: UploadTicket,
    /// Of this service: takes the bytes in parts, also after an interruption.
    resume_url: String,
}

fn mime_type() -> RefOr<Schema> {
    one_of(MimeType::ALL.map(MimeType::name))
}

fn method() -> RefOr<Schema> {
    one_of(["PUT", "POST"])
}

/// Asks for an upload
///
/// The answer says where the bytes go. Then finish it: until then it is shown to no user. One that is not finished, or not used by a
/// message or record, is deleted after 24 hours. A user has 20 unfinished uploads at most, and a daily sum of bytes in which
/// a small upload counts as 256 KiB.
#[utoipa::path(
    operation_id = "askUpload",
    post, path = "/media", tag = "media", request_body = AskUpload, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Upload>),
        (status = 409, description = "`media.off`, `media.unfinished_limit_reached`"),
        (status = 413, description = "`media.too_large`"),
        (status = 429, description = "`media.daily_limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<AskUpload>,
) -> Result<Answer, Error> {
    let mime = MimeType::parse(&body.mime_type).ok_or_else(unknown_type)?;
    if !body.purpose.permits(mime.class()) {
        return Err(Error::invalid(
            "mime_type",
            "此用途只接受图片",
            "must be that of a picture for this purpose",
        ));
    }
    let bytes = u64::try_from(body.size.get()).unwrap_or(u64::MAX);
    if bytes > mime.max_bytes() {
        return Err(Error::new(ErrorCode::MediaTooLarge).field("size"));
    }
    let sha256 = digest(&body.sha256)?;
    let parts = app.part::<Media>().parts()?.clone();
    let medium = Medium {
        id: app.database.allocate_id(table::SEQUENCE).await?,
        owner: user.id,
        purpose: body.purpose,
        mime,
        bytes: body.size.get(),
        sha256,
        file_name: body.file_name.map(Line::into_string).unwrap_or_default(),
        key: Key::random(),
        state: Stage::Asked,
        width: 0,
        height: 0,
        duration_ms: 0,
        is_used: false,
    };
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            // Uploads of one user are counted one by one.
            account::lock(tx, user.id).await?;
            let (recent, unfinished) = table::recent(tx, user.id, now_ms - UNUSED_MS).await?;
            if unfinished >= MAX_UNFINISHED {
                return Err(ErrorCode::MediaUnfinished.into());
            }
            if recent + table::counted(medium.bytes) > parts.daily_bytes {
                return Err(ErrorCode::MediaDaily.into());
            }
            table::put(tx, &medium, now_ms).await?;
            let announced = Announced { mime, bytes, sha256 };
            let way = match body.way {
                UploadWay::Put => Way::Put,
                UploadWay::Form => Way::Form,
            };
            let resume_url = format!("/media/{}/content", medium.id);
            let ticket = parts.store.ticket(&medium.key, &announced, way, now_ms);
            let ticket = match ticket {
                Some(ticket) => UploadTicket {
                    method: ticket.method,
                    url: ticket.url,
                    headers: ticket.headers.into_iter().collect(),
                    fields: ticket.fields.into_iter().collect(),
                    expires_ms: ticket.expires_ms,
                },
                None => UploadTicket {
                    method: match body.way {
                        UploadWay::Put => "PUT",
                        UploadWay::Form => "POST",
                    },
                    url: resume_url.clone(),
                    headers: BTreeMap::new(),
                    fields: BTreeMap::new(),
                    expires_ms: now_ms + UNUSED_MS,
                },
            };
            let upload = Upload {
                media_id: medium.id,
                uri: medium.uri(),
                ticket,
                resume_url,
            };
            Ok(Written::new(Answer::one(&upload)?))
        })
    })
    .await
}

fn unknown_type() -> Error {
    let names = MimeType::ALL.map(MimeType::name).join(", ");
    Error::invalid(
        "mime_type",
        format!("应为 {names} 之一；其他文件用 application/octet-stream"),
        format!("must be one of {names}; application/octet-stream for other files"),
    )
}

fn digest(text: &str) -> Result<[u8; 32], Error> {
    let decoded = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or_else(|| {
        Error::invalid(
            "sha256",
            "应为 64 位十六进制数字",
            "must be 64 hexadecimal digits",
        )
    })
}
