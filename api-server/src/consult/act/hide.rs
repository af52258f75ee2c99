//! 1.7: hiding consults from one's own history, on each device. Nothing is deleted.

use axum::extract::State;
use database::Transaction;
use journal::{Journal, record::Unpublished};
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    account,
    app::{App, Written},
    caller::User,
    consult::table,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::{self, IdempotencyKey},
        error::Error,
        input::{Nothing, PathId, Write},
    },
};

/// The envelope of 1.7, with the spelling of the seed document beside the right one.
#[derive(Serialize, ToSchema)]
pub(crate) struct HiddenEnvelope {
    #[schema(schema_with = docs::yes)]
    success: bool,
    #[schema(schema_with = docs::yes)]
    sucess: bool,
    #[schema(schema_with = docs::ok_status)]
    code: u16,
}

const HIDDEN: HiddenEnvelope = HiddenEnvelope {
    success: true,
    sucess: true,
    code: 200,
};

/// Hides a consult from one's own history (1.7)
///
/// Its conversation and its staff room leave the lists of all devices with it. It stays in the history of other users, and
/// GET /consult/{id} still shows it. An entry that comes later, such as a refund, brings it back.
#[utoipa::path(
    operation_id = "hideConsult",
    delete, path = "/consult/history_list/{id}", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = HiddenEnvelope),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.not_ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hide_one(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    set(app, user, id.get(), write, Answer::whole(&HIDDEN)?, true).await
}

/// Puts a hidden consult back into one's own history
///
/// On each device. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "unhideConsult",
    post, path = "/consult/history_list/{id}", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.not_ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn unhide(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    set(app, user, id.get(), write, Answer::empty()?, false).await
}

async fn set(
    app: App,
    user: User,
    id: i64,
    write: Write<Nothing>,
    answer: Answer,
    hides: bool,
) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(write.once, move |tx| {
        Box::pin(async move {
            // An entry that is being written brings the consult back: before this one or after it.
            table::lock_row(tx, id).await?;
            let conversations = table::set_hidden(tx, id, user.id, hides).await?;
            let unpublished = match hides {
                true => journal.hide(tx, user.id, &conversations).await?,
                false => journal.unhide(tx, user.id, &conversations).await?,
            };
            Ok(Written::new(answer).publishing(unpublished))
        })
    })
    .await
}

/// Hides all consults from one's own history (1.7)
#[utoipa::path(
    operation_id = "hideAllConsults",
    delete, path = "/consult/history_list", tag = "consult", params(IdempotencyKey),
    responses((status = 200, body = HiddenEnvelope)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hide_all(
    State(app): State<App>,
    user: User,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    // A repetition hides nothing that came since.
    if let Some(first) = write.once.first_answer(&app.database).await? {
        return Ok(first);
    }
    // A long history goes in parts: entries would wait for one transaction that locks all of it.
    while app.to_the_end(hide_part(app.clone(), user.clone())).await? {}
    let journal = app.journal.clone();
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let (unpublished, _) = hide_page(tx, &journal, user.id).await?;
            Ok(Written::new(Answer::whole(&HIDDEN)?).publishing(unpublished))
        })
    })
    .await
}

/// Hides a part of a history in a transaction of its own. Whether there may be more.
async fn hide_part(app: App, user: User) -> Result<bool, Error> {
    let journal = app.journal.clone();
    let hidden = app.database.transaction(move |tx| {
        Box::pin(async move {
            let hidden = hide_page(tx, &journal, user.id).await?;
            account::lock_device(tx, &user).await?;
            Ok::<_, Error>(hidden)
        })
    });
    let (unpublished, is_full) = hidden.await?;
    app.journal.publish(unpublished);
    Ok(is_full)
}

/// The entries to publish for a part, and whether there may be more.
async fn hide_page(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    user: UserId,
) -> Result<(Unpublished, bool), Error> {
    let page = table::hide_page(tx, user).await?;
    let unpublished = journal.hide(tx, user, &page.conversations).await?;
    Ok((unpublished, page.is_full))
}
