//! Approving and refusing a change by hand: by another operator than asked for it.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use database::Transaction;
use ledger::{Account, Movement, Transfer};
use proto::UserId;

use crate::{
    account,
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, Write},
        once::Once,
    },
    operator::audit::{self, Act, Row},
    wallet::table::by_hand::{self, ByHand, Step},
};

/// A change that operators decide.
pub(super) trait Decided: ByHand {
    const MISSING: ErrorCode;
    const ENDED: ErrorCode;
    const APPROVED: Act;
    const REFUSED: Act;

    /// The member whose wallet it changes.
    fn member(&self) -> i64;

    /// The movement of an approval. Rows that later movements depend on are changed with it.
    fn movement(&self, tx: &mut Transaction<'_>) -> impl Future<Output = Result<Movement, Error>> + Send;

    /// The refusal of a movement that the ledger refuses.
    fn refusal(error: ledger::Error) -> Error {
        error.into()
    }
}

/// The change in question, by its path, and the key of the request.
pub(crate) struct Asked {
    id: Id,
    once: Once,
}

impl FromRequest<App> for Asked {
    type Rejection = <Write<Nothing> as FromRequest<App>>::Rejection;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let PathId(id) = PathId::from_request_parts(&mut parts, app).await?;
        let write = Write::<Nothing>::from_request(Request::from_parts(parts, body), app).await?;
        let once = write.once;
        Ok(Self { id, once })
    }
}

impl Asked {
    pub(super) async fn approve<T: Decided>(self, app: State<App>, by: Operator) -> Result<Answer, Error> {
        self.decide::<T>(&app, by.id, Step::Approved).await
    }

    pub(super) async fn refuse<T: Decided>(self, app: State<App>, by: Operator) -> Result<Answer, Error> {
        self.decide::<T>(&app, by.id, Step::Refused).await
    }

    async fn decide<T: Decided>(self, app: &App, operator: UserId, next: Step) -> Result<Answer, Error> {
        let (id, transfer) = (self.id.get(), app.database.allocate_id(ledger::SEQUENCE).await?);
        app.write(self.once, move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                let asked = by_hand::lock::<T>(tx, id).await?.ok_or(T::MISSING)?;
                if !may_end(&asked, operator, next)? {
                    return Ok(Written::new(Answer::one(&asked)?));
                }
                let ended: T = by_hand::end(tx, id, (next, operator), now_ms).await?;
                let mut act = T::REFUSED;
                if next == Step::Approved {
                    act = T::APPROVED;
                    // Before the orders that a reversal changes, as everywhere.
                    let member = UserId::from_database(ended.member());
                    let is_closed = !account::lock_if_unclosed(tx, member).await?;
                    let movement = ended.movement(tx).await?;
                    if is_closed && raises_wallet(&movement, member) {
                        return Err(ErrorCode::AccountClosed.into());
                    }
                    let transfer = Transfer {
                        id: transfer,
                        movement,
                        by: Some(operator),
                        now_ms,
                    };
                    ledger::post(tx, transfer).await.map_err(T::refusal)?;
                }
                // Behind the ledger, as everywhere: the audit log's lock is the last.
                let row = Row::by(operator, act).account(ended.member());
                audit::write(tx, row.about(format!("{}:{id}", T::TABLE)), now_ms).await?;
                Ok(Written::new(Answer::one(&ended)?))
            })
        })
        .await
    }
}

/// Whether money goes into a member's wallet. Out of that of a closed account an operator may take it.
fn raises_wallet(movement: &Movement, member: UserId) -> bool {
    let mut legs = movement.legs().iter();
    legs.any(|leg| leg.account == Account::Wallet(member) && leg.amount_fen > 0)
}

/// Whether an operator ends a change; false where they have ended it so before.
fn may_end<T: Decided>(asked: &T, operator: UserId, next: Step) -> Result<bool, Error> {
    let progress = asked.progress();
    if progress.asked_by == operator.get() {
        return Err(ErrorCode::OwnApproval.into());
    }
    if progress.state == Step::Asked.as_str() {
        return Ok(true);
    }
    if progress.state == next.as_str() && progress.ended_by == Some(operator.get()) {
        return Ok(false);
    }
    Err(T::ENDED.into())
}
