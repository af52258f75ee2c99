//! Media: pictures, voice messages, videos and files. Their bytes are in a store (crate `media`), their rows here.
//!
//! An upload is asked for ([`ask`]), its bytes come ([`content`]), and it is finished ([`finish`]): then its bytes are proved
//! to be what was announced. An entry or a record that names it makes it a used one; others are deleted after a day
//! ([`collect`]). Entries are named in the journal's append, records by [`Media::use_in_record`].
//!
//! A user sees a medium by what names it, as long as they see that ([`show`]).

pub(crate) mod ask;
mod collect;
pub(crate) mod content;
pub(crate) mod finish;
mod purpose;
mod record;
pub(crate) mod show;
mod store;
mod table;

use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{answer::Answer, error::Error, input::PageQuery},
};

pub(crate) use self::{
    collect::jobs,
    purpose::Purpose,
    record::{Named, Record, Watch, Watches},
    store::Media,
    table::Medium,
};

/// A finished upload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredMedia)]
pub(crate) struct Shown {
    media_id: i64,
    /// `media:ID`, for messages and records.
    uri: String,
    purpose: Purpose,
    mime_type: &'static str,
    /// As uploaded, bytes. A picture is served without its metadata, which may be less.
    size: i64,
    /// As its uploader names the file.
    file_name: String,
    /// Of a picture or video as it is shown, pixels; else 0.
    width: i64,
    /// Likewise.
    height: i64,
    /// Of a voice message or video, milliseconds; else 0.
    duration_ms: i64,
}

/// A page of the finished uploads of a user, with the addresses of their bytes.
pub(crate) async fn own(app: &App, user: UserId, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(table::own(user).page(&app.database, &page).await?)
}

impl From<Medium> for Shown {
    fn from(medium: Medium) -> Self {
        Self {
            media_id: medium.id,
            uri: medium.uri(),
            purpose: medium.purpose,
            mime_type: medium.mime.name(),
            size: medium.bytes,
            file_name: medium.file_name,
            width: medium.width,
            height: medium.height,
            duration_ms: medium.duration_ms,
        }
    }
}
