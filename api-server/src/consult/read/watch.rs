//! Each user who may read a consult sees the media of its complaint.

use crate::{
    consult::table,
    http::error::ErrorCode,
    media::{self, Watch},
};

pub(crate) const WATCH: Watch = Watch {
    record: media::Record::Consult,
    sees: |app, id, user| {
        Box::pin(async move {
            match table::seen(&app.database, id, user.id).await {
                Ok(_) => Ok(true),
                Err(error) if error.code() == ErrorCode::ConsultNotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
    },
};
