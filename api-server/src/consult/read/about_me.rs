//! The consults that relatives opened about the caller, and the caller's refusal of further ones.
//!
//! They read the record and its state. The conversation belongs to those who are in it.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    consult::{AboutMe, record::Consult, table},
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Id, Nothing, PageQuery, PathId, Write},
    },
};

/// The consults that relatives opened about oneself
///
/// By a member with an account of their own. Each shows who opened it, its complaint and its state; its conversation and its
/// price are not shown. `refused` says whether further ones of its creator are refused.
#[utoipa::path(
    operation_id = "listConsultsAboutMe",
    get, path = "/consult/about_me_list", tag = "consult", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<Consult>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: AboutMe, page: PageQuery) -> Result<Answer, Error> {
    let found = table::about(user.id).page(&app.database, &page).await?;
    let shown = |about: table::About| about.record.into_record_alone().refused(about.refused);
    Answer::page(found.map(shown))
}

/// A user whose further consults are refused.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"user_id": 9}))]
pub(crate) struct RefuseConsults {
    user_id: Id,
}

/// Refuses further consults that a user opens about oneself
///
/// By a member. The user has the caller in their family, or opened a consult about them. Consults that were opened before go
/// on.
#[utoipa::path(
    operation_id = "refuseConsultsAboutMe",
    post, path = "/consult/about_me/refusal", tag = "consult", request_body = RefuseConsults, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`member.members_only`"),
        (status = 404, description = "`consult.opener_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn refuse(
    State(app): State<App>,
    user: AboutMe,
    Write { body, once }: Write<RefuseConsults>,
) -> Result<Answer, Error> {
    let target: User = user.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let opener = UserId::from_database(body.user_id.get());
            if !table::knows(tx, target.id, opener).await? {
                return Err(Error::new(ErrorCode::ConsultOpenerNotFound).field("user_id"));
            }
            table::put_refusal(tx, target.id, opener, now_ms()).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Permits consults that a user opens about oneself again
///
/// By a member. It succeeds also where nothing was refused.
#[utoipa::path(
    operation_id = "removeConsultRefusal",
    delete, path = "/consult/about_me/refusal/{user_id}", tag = "consult",
    params(("user_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn permit(
    State(app): State<App>,
    user: AboutMe,
    PathId(opener): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let target = user.id;
    app.write(write.once, move |tx| {
        Box::pin(async move {
            table::remove_refusal(tx, target, UserId::from_database(opener.get())).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
