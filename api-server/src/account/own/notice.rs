//! Notices of operators' decisions about a user, or about a team or clinic of theirs. A notice is written in the transaction
//! of the act. The wire has no frame of an account: apps read the number of unread ones with the account.

use axum::extract::State;
use database::Transaction;
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    account::table::notice as table,
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::Error,
        input::{Id, PageQuery, Write},
    },
};

/// The kinds of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = NoticeKind, rename_all = "snake_case")]
pub(crate) enum NoticeKind {
    /// The doctor is verified from now on.
    DoctorApproved,
    /// With the operator's reason; the doctor may ask again.
    DoctorDeclined,
    /// With the operator's reason.
    DoctorSuspended,
    /// Suspended before, and verified again.
    DoctorReinstated,
    /// To the owner, with the operator's reason.
    TeamClosed,
    TeamReopened,
    /// To the founder, with the operator's reason.
    ClinicClosed,
    ClinicReopened,
}

impl NoticeKind {
    /// The words of REST and the database, in the order of the kinds.
    const WORDS: [&str; 8] = [
        "doctor_approved",
        "doctor_declined",
        "doctor_suspended",
        "doctor_reinstated",
        "team_closed",
        "team_reopened",
        "clinic_closed",
        "clinic_reopened",
    ];

    const fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// A new notice.
pub(crate) struct NewNotice<'t> {
    pub(crate) kind: NoticeKind,
    /// The operator's words, where the user is to read them.
    pub(crate) reason: &'t str,
    /// Id and name of the team or clinic.
    pub(crate) place: Option<(i64, &'t str)>,
}

/// Notifies a user, in the transaction of the act, after its audit row: both number their rows one by one.
pub(crate) async fn notify(tx: &mut Transaction<'_>, user: UserId, new: NewNotice<'_>) -> Result<(), Error> {
    let NewNotice { kind, reason, place } = new;
    table::put(tx, user, (kind.as_str(), reason), place).await
}

/// An operator's decision about the caller, or about a team or clinic of theirs.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccountNotice)]
pub(crate) struct Notice {
    pub(in crate::account) notice_id: i64,
    #[schema(value_type = NoticeKind)]
    pub(in crate::account) kind: String,
    /// The operator's words; empty where the kind has none.
    pub(in crate::account) reason: String,
    /// The team or clinic; absent in a notice about the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::account) place_id: Option<i64>,
    /// Its name at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::account) place_name: Option<String>,
    pub(in crate::account) created_ms: i64,
    /// When the caller has read it, epoch milliseconds; absent while it is unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::account) read_ms: Option<i64>,
}

/// Notices to the caller
///
/// The newest first: decisions of operators about a doctor, with the reason of a refusal or suspension, and to an owner or founder
/// the closing and reopening of a team or clinic. A suspended doctor reads them, too. GET /account has the number of unread ones.
#[utoipa::path(
    operation_id = "listAccountNotices",
    get, path = "/account/notice_list", tag = "account", params(PageParams),
    responses((status = 200, body = ListEnvelope<Notice>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(table::of(user.id).page(&app.database, &page).await?)
}

/// How far the caller has read.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"notice_id": 12}))]
pub(crate) struct ReadNotices {
    /// The newest notice that was read.
    notice_id: Id,
}

/// Marks notices as read
///
/// This one and all earlier ones. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "readAccountNotices",
    post, path = "/account/notice_list/read", tag = "account", request_body = ReadNotices, params(IdempotencyKey),
    responses((status = 200, body = Envelope<Empty>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn read(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<ReadNotices>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            table::mark_read(tx, user.id, body.notice_id.get(), now_ms).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
