//! The file, and how often a user gets it.

use std::io;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use telemetry::events::rest::Event;
use tokio::sync::mpsc::{self, Receiver};
use utoipa::ToSchema;

use super::writing::Writing;
use crate::{
    account::{
        self,
        budget::{Budget, DAY_MS, spend},
    },
    app::App,
    caller::{Role, User},
    clock::now_ms,
    http::{
        answer::write_headers,
        error::{Error, ErrorCode},
    },
};

/// Exports of a user: each walks all of their lists.
const EXPORTS: Budget = Budget::new(
    "account_export",
    ErrorCode::ExportLimit.limit(),
    DAY_MS,
    ErrorCode::ExportLimit,
);

/// One's own data. Values have the form of the endpoints that their descriptions name; lists have all pages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct AccountExport {
    /// `huizhen-export-1`.
    format: String,
    /// When it began, epoch milliseconds.
    created_ms: i64,
    /// GET /account, with the whole phone.
    #[schema(value_type = Object)]
    account: (),
    /// GET /account/notice_list.
    #[schema(value_type = Vec<Object>)]
    notices: (),
    /// Of a member: GET /member/detail.
    #[schema(value_type = Option<Object>, required = false)]
    member: (),
    /// Of a member: GET /family.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    family: (),
    /// Of a doctor: GET /doctor/{id}.
    #[schema(value_type = Option<Object>, required = false)]
    doctor: (),
    /// Of a doctor: GET /doctor/verification.
    #[schema(value_type = Option<Object>, required = false)]
    verification: (),
    /// Of a doctor: GET /clinic/my_list.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    clinics: (),
    /// GET /team/my_list.
    #[schema(value_type = Vec<Object>)]
    teams: (),
    /// Consults that the user is or was in, hidden ones too.
    #[schema(inline)]
    consults: Vec<ExportedConsult>,
    /// Of a member: GET /consult/about_me_list.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    consults_about_me: (),
    /// GET /vas.
    #[schema(value_type = Vec<Object>)]
    services: (),
    /// Those that the user has hidden from it.
    #[schema(value_type = Vec<Object>)]
    hidden_services: (),
    /// Private chats, hidden ones too.
    #[schema(inline)]
    chats: Vec<ExportedChat>,
    /// Of a member: GET /member/consumption_list, each change of the wallet.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    wallet: (),
    /// Of a member: GET /wallet/order_list.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    orders: (),
    /// Of a member: GET /wallet/refund_list.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    refunds: (),
    /// Finished uploads, as POST /media/{id}/finish answers, with `address` and `created_ms`. Their bytes are at the address.
    #[schema(value_type = Vec<Object>)]
    media: (),
    /// The last field: a file without it broke off.
    complete: bool,
}

/// A consult, with its entries as the user sees them, the newest first.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct ExportedConsult {
    /// GET /consult/{id}, with advice and rating.
    #[schema(value_type = Object)]
    consult: (),
    /// GET /consult/{id}/messages.
    #[schema(value_type = Vec<Object>)]
    entries: (),
    /// Of doctors: the staff room's.
    #[schema(value_type = Option<Vec<Object>>, required = false)]
    staff_entries: (),
}

/// A private chat, with its entries, the newest first.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct ExportedChat {
    /// GET /chat_list.
    #[schema(value_type = Object)]
    chat: (),
    #[schema(value_type = Vec<Object>)]
    entries: (),
}

/// One's own data as a file
///
/// All that their own lists show to a member or a doctor, in one JSON document: account, profile, notices, family, teams,
/// consults and chats with the entries that they see, a member's money, and the addresses of their media. A team's money is
/// the team's:
/// GET /team/{id}/income. Three a day. It is streamed: `complete` stands at its end.
#[utoipa::path(
    operation_id = "createAccountExport",
    get, path = "/account/export", tag = "account",
    responses(
        (status = 200, body = AccountExport, description = "An attachment."),
        (status = 403, description = "`account.export_forbidden`"),
        (status = 429, description = "`account.export_limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn export(State(app): State<App>, user: User) -> Result<Response, Error> {
    // An assistant's records are the team's, an operator's are the platform's.
    if !matches!(user.role, Role::Member | Role::Doctor) {
        return Err(ErrorCode::ExportForbidden.into());
    }
    let now_ms = now_ms();
    let spender = user.clone();
    let spent = app.database.transaction(move |tx| {
        Box::pin(async move {
            spend(tx, &[EXPORTS.of(&spender.id.get().to_string())]).await?;
            account::lock_device(tx, &spender).await
        })
    });
    spent.await?;
    let name = format!("attachment; filename=\"huizhen-{}.json\"", user.id.get());
    // A piece waits while the caller takes the one before.
    let (sender, receiver) = mpsc::channel(1);
    let id = user.id.get();
    let writing = async move {
        let outcome = Writing::new(app, user, sender).write(now_ms).await;
        if let Err(error) = &outcome {
            let inner = error.inner().unwrap_or_default();
            Event::ExportBroken { user: id, inner }.emit();
        }
        outcome
    };
    let mut response = Response::new(Body::from_stream(written(writing, receiver)));
    write_headers(response.headers_mut());
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The pieces of a file that is written while they are read. A failure breaks it off.
fn written(
    writing: impl Future<Output = Result<(), Error>> + Send + 'static,
    mut pieces: Receiver<Bytes>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let pieces = stream::poll_fn(move |cx| pieces.poll_recv(cx)).map(Ok);
    let failure = stream::once(Box::pin(writing)).filter_map(|outcome| {
        let failure = outcome
            .err()
            .map(|error| io::Error::other(error.inner().unwrap_or("").to_owned()));
        std::future::ready(failure.map(Err))
    });
    stream::select(pieces, failure)
}
