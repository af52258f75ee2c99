//! The audit log of operators' acts.

use axum::extract::State;
use database::{Transaction, params};
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::App,
    caller::Operator,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, PageQuery},
    },
};

/// The acts of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = AuditAct, rename_all = "snake_case")]
pub(crate) enum Act {
    OperatorAdded,
    OperatorDisabled,
    OperatorReset,
    OperatorEnrolled,
    OperatorLoggedIn,
    AccountDisabled,
    AccountEnabled,
    SessionsEnded,
    ChatRead,
    #[schema(rename = "people_searched")]
    UsersSearched,
    ConsultsSearched,
    ConsultRead,
    StaffRoomRead,
    MediaRead,
    JobPaused,
    JobResumed,
    BillItemClosed,
    PayoutsExported,
    WithdrawalEntered,
    WithdrawalApproved,
    CreditAsked,
    CreditApproved,
    CreditRefused,
    ReversalAsked,
    ReversalApproved,
    ReversalRefused,
    PriceRefunded,
    CommissionSet,
    LedgerProved,
    DoctorApproved,
    DoctorDeclined,
    DoctorSuspended,
    DoctorReinstated,
    TeamClosed,
    TeamReopened,
    ClinicClosed,
    ClinicReopened,
}

impl Act {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OperatorAdded => "operator_added",
            Self::OperatorDisabled => "operator_disabled",
            Self::OperatorReset => "operator_reset",
            Self::OperatorEnrolled => "operator_enrolled",
            Self::OperatorLoggedIn => "operator_logged_in",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::SessionsEnded => "sessions_ended",
            Self::ChatRead => "chat_read",
            Self::UsersSearched => "people_searched",
            Self::ConsultsSearched => "consults_searched",
            Self::ConsultRead => "consult_read",
            Self::StaffRoomRead => "staff_room_read",
            Self::MediaRead => "media_read",
            Self::JobPaused => "job_paused",
            Self::JobResumed => "job_resumed",
            Self::BillItemClosed => "bill_item_closed",
            Self::PayoutsExported => "payouts_exported",
            Self::WithdrawalEntered => "withdrawal_entered",
            Self::WithdrawalApproved => "withdrawal_approved",
            Self::CreditAsked => "credit_asked",
            Self::CreditApproved => "credit_approved",
            Self::CreditRefused => "credit_refused",
            Self::ReversalAsked => "reversal_asked",
            Self::ReversalApproved => "reversal_approved",
            Self::ReversalRefused => "reversal_refused",
            Self::PriceRefunded => "price_refunded",
            Self::CommissionSet => "commission_set",
            Self::LedgerProved => "ledger_proved",
            Self::DoctorApproved => "doctor_approved",
            Self::DoctorDeclined => "doctor_declined",
            Self::DoctorSuspended => "doctor_suspended",
            Self::DoctorReinstated => "doctor_reinstated",
            Self::TeamClosed => "team_closed",
            Self::TeamReopened => "team_reopened",
            Self::ClinicClosed => "clinic_closed",
            Self::ClinicReopened => "clinic_reopened",
        }
    }
}

/// A new row.
pub(crate) struct Row {
    operator: Option<UserId>,
    act: Act,
    account: Option<i64>,
    consult: Option<i64>,
    team: Option<i64>,
    clinic: Option<i64>,
    subject: Option<String>,
    reason: String,
}

impl Row {
    /// Of an operator.
    pub(crate) fn by(operator: UserId, act: Act) -> Self {
        Self {
            operator: Some(operator),
            ..Self::of_the_command_line(act)
        }
    }

    /// Of the command line.
    pub(crate) fn of_the_command_line(act: Act) -> Self {
        Self {
            operator: None,
            act,
            account: None,
            consult: None,
            team: None,
            clinic: None,
            subject: None,
            reason: String::new(),
        }
    }

    pub(crate) fn account(mut self, account: i64) -> Self {
        self.account = Some(account);
        self
    }

    pub(crate) fn consult(mut self, consult: i64) -> Self {
        self.consult = Some(consult);
        self
    }

    pub(crate) fn team(mut self, team: i64) -> Self {
        self.team = Some(team);
        self
    }

    pub(crate) fn clinic(mut self, clinic: i64) -> Self {
        self.clinic = Some(clinic);
        self
    }

    /// The record in question, which is of no kind above: `job:settlement`, `bill_item:7`.
    pub(crate) fn about(mut self, subject: String) -> Self {
        self.subject = Some(subject);
        self
    }

    pub(crate) fn because(mut self, reason: String) -> Self {
        self.reason = reason;
        self
    }
}

/// Writes a row in the transaction of its act. The transaction allocates the id too, so that ids follow the commit order.
pub(crate) async fn write(tx: &mut Transaction<'_>, row: Row, now_ms: i64) -> Result<(), Error> {
    let next = tx
        .query_first(
            "INSERT INTO sequence (name, next_value) VALUES ('audit', 2)
             ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value + 1
             RETURNING next_value - 1",
            vec![],
        )
        .await?;
    let id: i64 = next
        .ok_or_else(|| Error::internal("sequence gave no row"))?
        .get(0)?;
    tx.execute(
        "INSERT INTO audit (id, operator_id, act, account_id, consult_id, subject, reason, created_ms, team_id, clinic_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            id,
            row.operator.map(UserId::get),
            row.act.as_str(),
            row.account,
            row.consult,
            row.subject,
            row.reason,
            now_ms,
            row.team,
            row.clinic
        ],
    )
    .await?;
    Ok(())
}

/// An act of an operator.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditItem {
    pub(super) audit_id: i64,
    /// The operator; absent for the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator_id: Option<i64>,
    /// The operator's name; absent for the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operator_name: Option<String>,
    #[schema(value_type = Act)]
    pub(super) act: String,
    /// The account in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<i64>,
    /// The consult in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consultation_id: Option<i64>,
    /// The team in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) team_id: Option<i64>,
    /// The clinic in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clinic_id: Option<i64>,
    /// Another record in question, by its kind and id or name: `bill_item:7`, `job:bills`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// The operator's reason; empty for acts without one.
    pub(super) reason: String,
    pub(super) created_ms: i64,
}

/// The audit log
///
/// Every act of the operators, the newest first. Rows are never changed or deleted.
#[utoipa::path(
    operation_id = "listAuditRecords",
    get, path = "/operator/audit", tag = "operator", params(PageParams),
    responses((status = 200, body = ListEnvelope<AuditItem>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, _: Operator, page: PageQuery) -> Result<Answer, Error> {
    let total = if page.count {
        Some(table::count_audit(&app.database).await?)
    } else {
        None
    };
    let items = table::audit(&app.database, &page).await?;
    Answer::page(Page::cut(items, total, &page, |last| Cursor {
        at: last.audit_id,
        id: 0,
    }))
}
