//! Reading one's record.

use axum::extract::State;
use ledger::Wallet;

use super::{Caller, Member};
use crate::{
    app::App,
    family,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
    },
    profile,
};

/// One's record
///
/// By the member, with their whole family.
#[utoipa::path(
    operation_id = "getMember",
    get, path = "/member/detail", tag = "member",
    responses((status = 200, body = Envelope<Member>), (status = 403, description = "`member.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: Caller) -> Result<Answer, Error> {
    let named = profile::named(&app.database, user.id)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    let wallet = Wallet::of(&app.database, user.id).await?;
    let family = family::relatives(&app.database, user.id).await?;
    Answer::one(&Member::new(user.id, named, wallet, family))
}
