//! The right to see a medium: its uploader has it until it is used, then each user who sees an entry or a record that names
//! it, as long as they see that.

use crate::{
    app::App,
    caller::{Role, User},
    http::error::{Error, ErrorCode},
    media::{
        Medium, Record, Watches,
        table::{self, State},
    },
};

/// A medium that the user may see. The others look as if they did not exist: all are asked the same questions.
pub(super) async fn visible(app: &App, id: i64, user: &User) -> Result<Medium, Error> {
    let medium = table::medium(&app.database, id).await?;
    let records = table::records(&app.database, id).await?;
    let is_in_entry = app.journal.sees_media(id, user.id).await?;
    let medium = medium
        .filter(|medium| medium.state == State::Finished)
        .ok_or(ErrorCode::MediaNotFound)?;
    let is_new = !medium.is_used && medium.owner == user.id;
    if is_new || is_in_entry || sees_record(app, &medium, &records, user).await? {
        return Ok(medium);
    }
    Err(ErrorCode::MediaNotFound.into())
}

async fn sees_record(
    app: &App,
    medium: &Medium,
    records: &[(Record, i64)],
    user: &User,
) -> Result<bool, Error> {
    for (record, id) in records {
        if *record == Record::Verification {
            if medium.owner == user.id || user.role == Role::Operator {
                return Ok(true);
            }
            continue;
        }
        let watch = app
            .part::<Watches>()
            .0
            .iter()
            .find(|watch| watch.record == *record);
        if let Some(watch) = watch
            && (watch.sees)(app, *id, user).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A medium that an entry or a record names, also after a recall: for operators, whose reading is logged.
pub(crate) async fn used(app: &App, id: i64) -> Result<Medium, Error> {
    let medium = table::medium(&app.database, id).await?;
    medium
        .filter(|medium| medium.is_used && medium.state == State::Finished)
        .ok_or_else(|| ErrorCode::MediaNotFound.into())
}
