//! Asking for income (提现).

use axum::extract::State;
use ledger::{Fen, Movement, Posted, Transfer, Window};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Withdrawal;
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::DemandedKey,
        error::{Error, ErrorCode},
        input::{PathId, Within, Write},
    },
    income::table::{self, NewWithdrawal},
    team,
};

/// The sequence of their ids.
const SEQUENCE: &str = "withdrawal";

/// The largest amount of one withdrawal, as of one transfer.
const MAX_FEN: i64 = Fen::MAX.get();
const _: () = assert!(MAX_FEN == 1_000_000_000_000, "the schema of an amount names it");

/// Withdrawals of a team in one window, whatever came of them.
const MAX_WITHDRAWALS: i64 = ErrorCode::WithdrawalLimit.limit();

/// The amount to withdraw.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"amount_fen": 120_000}))]
pub(crate) struct AskForIncome {
    /// By default all that is withdrawable.
    amount_fen: Option<Within<1, 1_000_000_000_000>>,
}

/// Withdraws income
///
/// By the team's owner, in a window: days 1 to 5 of a month in Beijing time, income of the months before. Refused while the
/// payee was set less than 24 hours ago, and after 20 times in one window. Outside a window the refusal has `window`, the next one, beside `error`.
#[utoipa::path(
    operation_id = "withdrawIncome",
    post, path = "/team/{id}/withdrawal", tag = "income", request_body = AskForIncome,
    params(("id" = i64, Path, minimum = 1), DemandedKey),
    responses(
        (status = 200, body = Envelope<Withdrawal>),
        (status = 403, description = "`team.forbidden`, `withdrawal.window_closed`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`withdrawal.payee_missing`, `withdrawal.payee_too_new`, `withdrawal.too_much`, \
                                      `withdrawal.limit_reached`, `income.insufficient`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    State(app): State<App>,
    user: User,
    PathId(team_id): PathId,
    Write { body, once }: Write<AskForIncome>,
) -> Result<Answer, Error> {
    once.demand_key()?;
    let id = app.database.allocate_id(SEQUENCE).await?;
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    let team = team_id.get();
    app.write(once, move |tx| {
        Box::pin(async move {
            team::lock_owned(tx, team, &user).await?;
            let now_ms = now_ms();
            let window = Window::at(now_ms);
            table::prefetch_count(tx, team, window.month);
            let payee = table::newest_payee_in(tx, team).await?;
            let payee = payee.ok_or(ErrorCode::PayeeMissing)?;
            if !payee.is_usable(now_ms) {
                return Err(ErrorCode::PayeeTooNew.into());
            }
            if !window.open {
                return Err(Error::window_closed(window));
            }
            // A bound on rows: the owner could else ask for each fen by itself.
            if table::count_withdrawals(tx, team, window.month).await? >= MAX_WITHDRAWALS {
                return Err(ErrorCode::WithdrawalLimit.into());
            }
            let withdrawable = ledger::withdrawable_in(tx, team, window).await?;
            let amount = amount(body.amount_fen.map(Within::get), withdrawable)?;
            let new = NewWithdrawal {
                id,
                team,
                month: window.month,
                amount_fen: amount.get(),
                payee: payee.id,
                by: user.id,
            };
            table::new_withdrawal(tx, new, now_ms).await?;
            let movement = Movement::withdraw(id, team, amount);
            let by = Some(user.id);
            let transfer = Transfer {
                id: transfer,
                movement,
                by,
                now_ms,
            };
            match ledger::post(tx, transfer).await? {
                Posted::Now => {}
                Posted::Before => return Err(Error::internal("a new withdrawal was posted before")),
            }
            Ok(Written::new(Answer::one(&table::withdrawal_in(tx, id).await?)?))
        })
    })
    .await
}

/// The amount to withdraw of what is withdrawable.
fn amount(asked: Option<i64>, withdrawable: i64) -> Result<Fen, Error> {
    let fen = asked.unwrap_or(withdrawable.min(MAX_FEN));
    if fen > withdrawable {
        return Err(Error::new(ErrorCode::WithdrawalTooMuch).field("amount_fen"));
    }
    Fen::new(fen)
        .filter(|fen| !fen.is_zero())
        .ok_or_else(|| ErrorCode::IncomeInsufficient.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_within_what_is_withdrawable() {
        let of = |asked, withdrawable| {
            amount(asked, withdrawable)
                .map(Fen::get)
                .map_err(|error| error.code())
        };
        assert_eq!(of(None, 500), Ok(500));
        assert_eq!(of(None, MAX_FEN + 7), Ok(MAX_FEN));
        assert_eq!(of(Some(500), 500), Ok(500));
        assert_eq!(of(Some(1), 500), Ok(1));
        assert_eq!(of(Some(501), 500), Err(ErrorCode::WithdrawalTooMuch));
        assert_eq!(of(Some(1), 0), Err(ErrorCode::WithdrawalTooMuch));
        assert_eq!(of(None, 0), Err(ErrorCode::IncomeInsufficient));
    }
}
