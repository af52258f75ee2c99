//! Where a team's income is paid to (收款账户).

use axum::extract::State;
use database::Transaction;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::table::{self, NewPayee};
use crate::{
    account::{self, Code, Password, Proof, Refusals, budget::DAY_MS},
    app::App,
    caller::{Led, User},
    clock::now_ms,
    http::{
        address::ClientAddress,
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{Ascii, Json, Line, PathId},
    },
    team::{self, Team},
};

/// How long a payee waits before its first use, milliseconds: the owner has time to notice a theft.
const REST_MS: i64 = DAY_MS;
/// The last characters of an account number that answers show.
const SHOWN: usize = 4;
/// The shortest account number of a bank, digits.
const MIN_BANK_DIGITS: usize = 8;

/// The refusals of a change.
const CHANGE: Refusals = Refusals {
    field: "password",
    password: ErrorCode::PayeeRefused,
    code: ErrorCode::PayeeRefused,
};

/// The kind of an account that income is paid to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PayeeKind {
    Bank,
    Wechat,
    Alipay,
}

impl PayeeKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
        }
    }
}

/// A new payee, and a proof of ownership: the current password, or a code sent to the owner's phone.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "kind": "bank", "holder": "王芳", "bank": "中国工商银行北京分行", "account_number": "6222020200112233445",
    "password": "correct horse 1"
}))]
pub(crate) struct SetPayee {
    kind: PayeeKind,
    /// The account's holder.
    holder: Line<1, 64>,
    /// The bank and its branch; of a bank account only.
    bank: Option<Line<1, 100>>,
    account_number: Ascii<4, 64>,
    /// The owner's current password.
    password: Option<Password>,
    /// A code from POST /account/code instead.
    code: Option<Code>,
}

/// A payee as the database has it. Only [`PayeeShown`] leaves this module.
pub(super) struct Payee {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) holder: String,
    pub(super) bank: String,
    pub(super) account_number: String,
    pub(super) created_ms: i64,
}

/// Where income is paid to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payee)]
pub(crate) struct PayeeShown {
    #[schema(value_type = PayeeKind)]
    kind: String,
    holder: String,
    /// Empty but for a bank account.
    bank: String,
    /// The last four characters, after asterisks.
    account_number: String,
    created_ms: i64,
    /// From when on income is paid to it: 24 hours after it was set.
    usable_ms: i64,
}

impl PayeeShown {
    pub(super) fn new(kind: String, holder: String, bank: String, number: &str, created_ms: i64) -> Self {
        Self {
            kind,
            holder,
            bank,
            account_number: masked(number),
            created_ms,
            usable_ms: created_ms + REST_MS,
        }
    }
}

impl Payee {
    fn show(self) -> PayeeShown {
        PayeeShown::new(
            self.kind,
            self.holder,
            self.bank,
            &self.account_number,
            self.created_ms,
        )
    }

    /// Whether income may be paid to it. One of the future comes from a clock that was wrong, and is too new.
    pub(super) fn is_usable(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.created_ms) >= REST_MS
    }
}

/// The last characters; of a short number fewer, so that at least half of it is hidden.
fn masked(number: &str) -> String {
    let characters = number.chars().count();
    let hidden = characters - SHOWN.min(characters / 2);
    let shown: String = number.chars().skip(hidden).collect();
    format!("****{shown}")
}

/// The payee of a team
///
/// For its owner and its assistant. The account number is masked.
#[utoipa::path(
    operation_id = "getTeamPayee",
    get, path = "/team/{id}/payee", tag = "income", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<PayeeShown>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`withdrawal.payee_missing`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let payee = table::newest_payee(&app.database, id.get()).await?;
    Answer::one(&payee.ok_or(ErrorCode::PayeeMissing)?.show())
}

/// Sets the payee of a team
///
/// By the team's owner, with their current password or an SMS code: an access token alone is not enough. Income is paid to it
/// 24 hours later, also to the first one. Withdrawals that were asked for before keep their payee.
#[utoipa::path(
    operation_id = "setTeamPayee",
    put, path = "/team/{id}/payee", tag = "income", request_body = SetPayee,
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<PayeeShown>),
        (status = 403, description = "`team.forbidden`, `withdrawal.password_refused`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.dissolved`"),
        (status = 429, description = "`account.too_many_attempts`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn set(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    ClientAddress(address): ClientAddress,
    Json(body): Json<SetPayee>,
) -> Result<Answer, Error> {
    // Before the password: others learn nothing about it.
    team::check_owner(&app.database, id.get(), &user).await?;
    let bank = check(body.kind, body.bank, &body.account_number)?;
    let new = NewPayee {
        team: id.get(),
        kind: body.kind.as_str(),
        holder: body.holder.into_string(),
        bank,
        account_number: body.account_number.into_string(),
        by: user.id,
    };
    let proof = Proof::of(&app, &user, address, (body.password, body.code), &CHANGE).await?;
    let handle = app.clone();
    app.to_the_end(async move {
        let store = store(handle.clone(), user, proof, new);
        Answer::one(&store.await?.show())
    })
    .await
}

async fn store(app: App, user: User, proof: Proof, new: NewPayee) -> Result<Payee, Error> {
    let handle = app.clone();
    app.database
        .transaction(move |tx: &mut Transaction<'_>| {
            Box::pin(async move {
                let now_ms = now_ms();
                if !proof.holds(tx, &handle, &user).await? {
                    // Committed, so that the attempt counts.
                    return Ok(Err(CHANGE.refuse(&proof)));
                }
                let team = new.team;
                team::lock_owned(tx, team, &user).await?;
                table::new_payee(tx, new, now_ms).await?;
                let payee = table::newest_payee_in(tx, team).await?;
                account::lock_device(tx, &user).await?;
                Ok::<_, Error>(payee.ok_or_else(|| ErrorCode::PayeeMissing.into()))
            })
        })
        .await?
}

/// Checks what the kind asks for; returns the bank, empty where there is none.
fn check(kind: PayeeKind, bank: Option<Line<1, 100>>, number: &str) -> Result<String, Error> {
    let is_plain = number.trim() == number;
    let is_number = number.len() >= MIN_BANK_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    match (kind, bank) {
        (PayeeKind::Bank, None) => Err(Error::invalid(
            "bank",
            "银行账户须填写开户行",
            "must be given for a bank account",
        )),
        (PayeeKind::Bank, Some(_)) if !is_number => Err(Error::invalid(
            "account_number",
            format!("银行账号应为至少 {MIN_BANK_DIGITS} 位数字"),
            format!("must be at least {MIN_BANK_DIGITS} digits for a bank account"),
        )),
        (PayeeKind::Bank, Some(bank)) => Ok(bank.into_string()),
        (PayeeKind::Wechat | PayeeKind::Alipay, Some(_)) => Err(Error::invalid(
            "bank",
            "只有银行账户有开户行",
            "is of a bank account only",
        )),
        (PayeeKind::Wechat | PayeeKind::Alipay, None) if !is_plain => Err(Error::invalid(
            "account_number",
            "首尾不能有空格",
            "must not begin or end with a space",
        )),
        (PayeeKind::Wechat | PayeeKind::Alipay, None) => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_half_of_a_number_is_hidden() {
        for (number, shown) in [
            ("6222020200112233445", "****3445"),
            ("12345678", "****5678"),
            ("12345", "****45"),
            ("1234", "****34"),
        ] {
            assert_eq!(masked(number), shown);
        }
    }

    #[test]
    fn a_payee_rests_for_a_day_by_a_clock_that_runs_forwards() {
        let payee = Payee {
            id: 1,
            kind: "bank".into(),
            holder: "王芳".into(),
            bank: "b".into(),
            account_number: "12345678".into(),
            created_ms: 1_000_000_000,
        };
        for (after_ms, usable) in [
            (REST_MS, true),
            (REST_MS - 1, false),
            (0, false),
            (-REST_MS, false),
            (-10 * REST_MS, false),
        ] {
            assert_eq!(payee.is_usable(payee.created_ms + after_ms), usable, "{after_ms}");
        }
        assert!(!payee.is_usable(i64::MIN));
    }
}
