//! Invitations that one got or sent.

use axum::extract::State;

use super::{ReceivedInvitation, SentInvitation, one::members_only, table};
use crate::{
    account,
    app::App,
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{Cursor, PageQuery},
    },
};

/// Invitations into families that one got
///
/// By a member: those that are open, and those that were accepted, which can still be declined.
#[utoipa::path(
    operation_id = "listFamilyInvitations",
    get, path = "/family/invitation_list", tag = "family", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<ReceivedInvitation>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn received(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    members_only(&user)?;
    let phone = account::phone_of(&app.database, user.id)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    let now_ms = now_ms();
    let total = if page.count {
        Some(table::count_received(&app.database, &phone, now_ms).await?)
    } else {
        None
    };
    let mut items = table::received(&app.database, &phone, now_ms, &page).await?;
    let next_cursor = page.cut(&mut items, |last| Cursor {
        at: last.created_ms,
        id: last.invitation_id,
    });
    Answer::page(Page {
        items,
        next_cursor,
        total,
    })
}

/// Invitations into one's family that are open
///
/// By a member. Nothing in it tells whether a phone has an account, or its owner has declined.
#[utoipa::path(
    operation_id = "listSentFamilyInvitations",
    get, path = "/family/sent_invitation_list", tag = "family", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<SentInvitation>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn sent(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    members_only(&user)?;
    let now_ms = now_ms();
    let total = if page.count {
        Some(table::count_sent(&app.database, user.id, now_ms).await?)
    } else {
        None
    };
    let mut items = table::sent(&app.database, user.id, now_ms, &page).await?;
    let next_cursor = page.cut(&mut items, |last| Cursor {
        at: last.created_ms,
        id: last.invitation_id,
    });
    Answer::page(Page {
        items,
        next_cursor,
        total,
    })
}
