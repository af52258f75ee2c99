//! The books on an engine: each act writes the row of its cause and posts in one transaction, as the domains do.

use database::{Database, Transaction, params};
use ledger::{
    Account, Commission, Error, Fen, Kind, Month, Movement, Outside, Posted, SEQUENCE, Split, Transfer,
    Window, lock_balance, post, withdrawable_in,
};
use prost::Message;
use proto::{UserId, wire};

use super::{Act, Line, Outcome};

/// Why an act was refused.
#[derive(Debug)]
pub enum Refused {
    Ledger(Error),
    Act(String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Ledger(error)
    }
}

impl From<database::Error> for Refused {
    fn from(error: database::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<Refused> for String {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Act(why) => why,
            Refused::Ledger(Error::Insufficient(account)) => format!("insufficient {account}"),
            Refused::Ledger(Error::TooLarge(account)) => format!("too large {account}"),
            Refused::Ledger(other) => panic!("{other}"),
        }
    }
}

type Acted = Result<Posted, Refused>;

pub struct Stored {
    pub database: Database,
    now_ms: i64,
}

fn member_of(member: i64) -> UserId {
    UserId::from_database(member)
}

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

impl Stored {
    pub fn new(database: Database) -> Self {
        Self { database, now_ms: 0 }
    }

    pub fn at(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    pub async fn act(&self, act: &Act) -> Outcome {
        let id = self.database.allocate_id(SEQUENCE).await.unwrap();
        let (work, now_ms) = (act.clone(), self.now_ms);
        let acted = self
            .database
            .transaction(move |tx| Box::pin(async move { acts(tx, id, &work, now_ms).await }))
            .await;
        match acted {
            Ok(Posted::Now) => Ok(self.lines(id).await),
            Ok(Posted::Before) => Ok(Vec::new()),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Some acts in one transaction, none of which is refused.
    pub async fn act_all(&self, acts_of: Vec<(i64, Act)>) {
        let mut numbered = Vec::new();
        for act in acts_of {
            numbered.push((self.database.allocate_id(SEQUENCE).await.unwrap(), act));
        }
        let acted: Result<(), Refused> = self
            .database
            .transaction(move |tx| {
                Box::pin(async move {
                    for (id, (now_ms, act)) in &numbered {
                        acts(tx, *id, act, *now_ms).await?;
                    }
                    Ok(())
                })
            })
            .await;
        acted.unwrap();
    }

    async fn lines(&self, transfer: i64) -> Vec<Line> {
        let sql =
            "SELECT account, amount_fen, balance_after_fen FROM posting WHERE transfer_id = $1 ORDER BY line";
        let rows = self.database.query(sql, params![transfer]).await.unwrap();
        rows.iter()
            .map(|row| (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap()))
            .collect()
    }
}

/// One act in its transaction.
pub async fn acts(tx: &mut Transaction<'_>, id: i64, act: &Act, now_ms: i64) -> Acted {
    match act {
        Act::TopUp {
            order,
            member,
            amount,
        } => {
            let sql = "INSERT INTO payment_order (id, user_id, provider, scene, amount_fen, state, refunded_fen, created_ms,
                paid_ms, asked) VALUES ($1, $2, 'mockpay', 'app', $3, 'paid', 0, $4, $4, 0) ON CONFLICT DO NOTHING";
            tx.execute(sql, params![*order, *member, *amount, now_ms]).await?;
            let movement = Movement::top_up(*order, Outside::Mockpay, member_of(*member), fen(*amount));
            moves(tx, id, movement, now_ms).await
        }
        Act::Credit {
            credit,
            member,
            amount,
        } => {
            let sql = "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms, ended_by, ended_ms)
                VALUES ($1, $2, $3, '', 'approved', 1, $4, 2, $4) ON CONFLICT DO NOTHING";
            tx.execute(sql, params![*credit, *member, *amount, now_ms])
                .await?;
            moves(
                tx,
                id,
                Movement::credit(*credit, member_of(*member), fen(*amount)),
                now_ms,
            )
            .await
        }
        Act::Join {
            team,
            member,
            times,
            fee,
        } => {
            let sql = "INSERT INTO membership (team_id, member_id, times) VALUES ($1, $2, $3)
                ON CONFLICT (team_id, member_id) DO UPDATE SET times = excluded.times WHERE membership.times < excluded.times";
            tx.execute(sql, params![*team, *member, *times]).await?;
            moves(
                tx,
                id,
                Movement::join(*team, member_of(*member), *times, fen(*fee)),
                now_ms,
            )
            .await
        }
        Act::Leave { team, member, times } => {
            let sql = "SELECT times FROM membership WHERE team_id = $1 AND member_id = $2";
            let row = tx.query_first(sql, params![*team, *member]).await?;
            if row.map(|row| row.get::<i64>(0)).transpose()? != Some(*times) {
                return Err(Refused::Act("not joined".into()));
            }
            let cause = format!("membership:{team}:{member}:{times}");
            let sql = "SELECT id FROM transfer WHERE kind = 'leave' AND cause = $1";
            if tx.query_first(sql, params![cause]).await?.is_some() {
                return Err(Refused::Act("left".into()));
            }
            let member = member_of(*member);
            let rest = lock_balance(tx, Account::Fee { team: *team, member }).await?;
            moves(tx, id, Movement::leave(*team, member, *times, rest), now_ms).await
        }
        Act::Begin { .. } => begins(tx, id, act, now_ms).await,
        Act::Finish { consult } => ends(tx, id, *consult, "finished", now_ms).await,
        Act::Cancel { consult } => ends(tx, id, *consult, "cancelled", now_ms).await,
        Act::Vas { .. } => confirms(tx, id, act, now_ms).await,
        Act::RefundConsult {
            refund,
            consult,
            amount,
        } => refunds(tx, id, *refund, Price::Consult(*consult), *amount, now_ms).await,
        Act::RefundVas { refund, vas, amount } => {
            refunds(tx, id, *refund, Price::Vas(*vas), *amount, now_ms).await
        }
        Act::Withdraw {
            withdrawal,
            team,
            amount,
        } => {
            let window = Window::at(now_ms);
            let sql =
                "INSERT INTO withdrawal (id, team_id, month, amount_fen, payee_id, state, asked_by, asked_ms)
                VALUES ($1, $2, $3, $4, 1, 'asked', 1, $5) ON CONFLICT DO NOTHING";
            let new = params![*withdrawal, *team, window.month.get(), *amount, now_ms];
            if tx.execute(sql, new).await? == 0 {
                return Ok(Posted::Before);
            }
            if !window.open {
                return Err(Refused::Act("window closed".into()));
            }
            if *amount > withdrawable_in(tx, *team, window).await? {
                return Err(Refused::Act("not withdrawable".into()));
            }
            moves(
                tx,
                id,
                Movement::withdraw(*withdrawal, *team, fen(*amount)),
                now_ms,
            )
            .await
        }
        Act::Paid { withdrawal } => pays(tx, id, *withdrawal, "paid", now_ms).await,
        Act::Failed { withdrawal } => pays(tx, id, *withdrawal, "failed", now_ms).await,
        Act::PayBack {
            pay_back,
            member,
            amount,
        } => {
            let sql = "INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, asked)
                VALUES ($1, $2, 1, 'mockpay', $3, 'asked', $4, 0) ON CONFLICT DO NOTHING";
            tx.execute(sql, params![*pay_back, *member, *amount, now_ms])
                .await?;
            let movement = Movement::pay_back(*pay_back, Outside::Mockpay, member_of(*member), fen(*amount));
            moves(tx, id, movement, now_ms).await
        }
        Act::PayBackFailed { pay_back } => {
            let sql =
                "UPDATE payment_refund SET state = 'failed', ended_ms = $2 WHERE id = $1 AND state = 'asked'
                RETURNING user_id, amount_fen";
            let Some(row) = tx.query_first(sql, params![*pay_back, now_ms]).await? else {
                return refuse(tx, "SELECT state FROM payment_refund WHERE id = $1", *pay_back).await;
            };
            let (member, amount) = (member_of(row.get(0)?), fen(row.get(1)?));
            let movement = Movement::pay_back_failed(*pay_back, Outside::Mockpay, member, amount);
            moves(tx, id, movement, now_ms).await
        }
        Act::Reverse { kind, cause } => {
            let sql = "SELECT id FROM transfer WHERE kind = $1 AND cause = $2";
            let row = tx.query_first(sql, params![kind, cause]).await?;
            let row = row.ok_or_else(|| Refused::Act("unknown".into()))?;
            if Kind::from_word(kind) == Some(Kind::Reversal) {
                return Err(Refused::Act("a reversal".into()));
            }
            let movement = Movement::reversal(tx, row.get(0)?).await?.unwrap();
            moves(tx, id, movement, now_ms).await
        }
    }
}

async fn moves(tx: &mut Transaction<'_>, id: i64, movement: Movement, now_ms: i64) -> Acted {
    let transfer = Transfer {
        id,
        movement,
        by: None,
        now_ms,
    };
    Ok(post(tx, transfer).await?)
}

/// Refuses by the state of a row.
async fn refuse(tx: &mut Transaction<'_>, sql: &'static str, id: i64) -> Acted {
    let row = tx.query_first(sql, params![id]).await?;
    let state = row.map_or(Ok("unknown".to_owned()), |row| row.get(0))?;
    Err(Refused::Act(state))
}

async fn begins(tx: &mut Transaction<'_>, id: i64, act: &Act, now_ms: i64) -> Acted {
    let Act::Begin {
        consult,
        team,
        member,
        price,
        per_mille,
    } = act
    else {
        panic!("{act:?}");
    };
    let sql = "INSERT INTO consult (id, status, creator_id, target_id, team_id, assistant_id, staff_conversation_id,
        symptom_type, symptom_content, images, created_ms) VALUES ($1, 'waiting', $2, $2, $3, 1, 0, '', '', '[]', $4)
        ON CONFLICT DO NOTHING";
    if tx.execute(sql, params![*consult, *member, *team, now_ms]).await? == 0 {
        return Ok(Posted::Before);
    }
    let fee = Account::Fee {
        team: *team,
        member: member_of(*member),
    };
    let split = Split::of(fen(*price), lock_balance(tx, fee).await?);
    let sql = "INSERT INTO consult_charge (consult_id, team_id, member_id, price_fen, commission_per_mille, fee_fen,
        wallet_fen, state, commission_fen, refunded_fen, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, 'held', 0, 0, $8)";
    let (fee_fen, wallet_fen) = (split.fee.get(), split.wallet.get());
    let new = params![
        *consult, *team, *member, *price, *per_mille, fee_fen, wallet_fen, now_ms
    ];
    tx.execute(sql, new).await?;
    moves(
        tx,
        id,
        Movement::begin(*consult, *team, member_of(*member), split),
        now_ms,
    )
    .await
}

async fn ends(tx: &mut Transaction<'_>, id: i64, consult: i64, status: &'static str, now_ms: i64) -> Acted {
    let month = Month::at(now_ms).get();
    let state = if status == "finished" {
        "earned"
    } else {
        "returned"
    };
    let sql = "UPDATE consult_charge SET state = $2, ended_ms = $3, month = $4 WHERE consult_id = $1 AND state = 'held'
        RETURNING team_id, member_id, price_fen, commission_per_mille, fee_fen, wallet_fen";
    let Some(row) = tx
        .query_first(sql, params![consult, state, now_ms, month])
        .await?
    else {
        return refuse(
            tx,
            "SELECT state FROM consult_charge WHERE consult_id = $1",
            consult,
        )
        .await;
    };
    let sql = "UPDATE consult SET status = $2, ended_ms = $3 WHERE id = $1";
    tx.execute(sql, params![consult, status, now_ms]).await?;
    let (team, member): (i64, i64) = (row.get(0)?, row.get(1)?);
    let (price, commission) = (fen(row.get(2)?), Commission::new(row.get(3)?).unwrap());
    let movement = if status == "finished" {
        let sql = "UPDATE consult_charge SET commission_fen = $2 WHERE consult_id = $1";
        tx.execute(sql, params![consult, commission.of(price).get()])
            .await?;
        Movement::finish(consult, team, price, commission)
    } else {
        let split = Split {
            fee: fen(row.get(4)?),
            wallet: fen(row.get(5)?),
        };
        Movement::cancel(consult, team, member_of(member), split)
    };
    moves(tx, id, movement, now_ms).await
}

async fn confirms(tx: &mut Transaction<'_>, id: i64, act: &Act, now_ms: i64) -> Acted {
    let Act::Vas {
        vas,
        team,
        member,
        price,
        per_mille,
    } = act
    else {
        panic!("{act:?}");
    };
    let commission = Commission::new(*per_mille).unwrap();
    let sql = "INSERT INTO vas (id, consult_id, team_id, doctor_id, member_id, name, description, price_fen, state, created_ms,
        decided_ms, commission_per_mille, commission_fen, month)
        VALUES ($1, $1, $2, 1, $3, '', '', $4, 'confirmed', $5, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let (part, month) = (commission.of(fen(*price)).get(), Month::at(now_ms).get());
    let new = params![*vas, *team, *member, *price, now_ms, *per_mille, part, month];
    if tx.execute(sql, new).await? == 1 {
        let event = wire::VasEvent {
            vas_id: *vas,
            price_fen: *price,
            ..wire::VasEvent::default()
        };
        says(tx, *vas, (6, wire::entry::Event::Vas(event))).await?;
    }
    let movement = Movement::vas(*vas, *team, member_of(*member), fen(*price), commission);
    moves(tx, id, movement, now_ms).await
}

/// Writes an entry behind the others of a consult.
async fn says(
    tx: &mut Transaction<'_>,
    consult: i64,
    (kind, event): (i64, wire::entry::Event),
) -> Result<(), Refused> {
    let sql = tx.text(
        "SELECT coalesce(max(seq), 0) + 1 FROM entry_index WHERE conversation_id = $1",
        "SELECT coalesce(max(seq), 0) + 1 FROM entry WHERE conversation_id = $1",
    );
    let seq: i64 = tx.query_first(sql, params![consult]).await?.unwrap().get(0)?;
    let extra = wire::Entry {
        event: Some(event),
        ..wire::Entry::default()
    };
    let sql = "INSERT INTO entry (conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body,
        reply_to_seq, corrects_seq, extra, recalled) VALUES ($1, $2, 1, $3, 0, '', '', $4, 0, 0, $5, $6)";
    let entry = params![consult, seq, kind, &b""[..], extra.encode_to_vec(), false];
    tx.execute(sql, entry).await?;
    if tx.is_of_file() {
        let sql =
            "INSERT INTO entry_index (conversation_id, seq, entry_id) VALUES ($1, $2, last_insert_rowid())";
        tx.execute(sql, params![consult, seq]).await?;
    }
    Ok(())
}

/// A price that was earned.
#[derive(Clone, Copy)]
enum Price {
    Consult(i64),
    Vas(i64),
}

async fn refunds(
    tx: &mut Transaction<'_>,
    id: i64,
    refund: i64,
    of: Price,
    amount: i64,
    now_ms: i64,
) -> Acted {
    let (sql, key) = match of {
        Price::Consult(consult) => (
            "UPDATE consult_charge SET refunded_fen = refunded_fen + 0 WHERE consult_id = $1
             RETURNING consult_id, team_id, member_id, price_fen, commission_fen, refunded_fen, state, coalesce(month, 0)",
            consult,
        ),
        Price::Vas(vas) => (
            "UPDATE vas SET refunded_fen = refunded_fen + 0 WHERE id = $1
             RETURNING consult_id, team_id, member_id, price_fen, commission_fen, refunded_fen, 'earned', month",
            vas,
        ),
    };
    let Some(row) = tx.query_first(sql, params![key]).await? else {
        return Err(Refused::Act("unknown".into()));
    };
    let seen = tx
        .query_first("SELECT id FROM refund WHERE id = $1", params![refund])
        .await?;
    if seen.is_some() {
        return Ok(Posted::Before);
    }
    let state: String = row.get(6)?;
    if state != "earned" {
        return Err(Refused::Act(state));
    }
    let (consult, team, member): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (price, commission, before) = (fen(row.get(3)?), fen(row.get(4)?), fen(row.get(5)?));
    if before.get() + amount > price.get() {
        return Err(Refused::Act("exceeds the price".into()));
    }
    let part = Commission::refunded(commission, price, before, fen(amount));
    let vas = match of {
        Price::Consult(_) => None,
        Price::Vas(vas) => Some(vas),
    };
    let sql = "INSERT INTO refund (id, consult_id, vas_id, team_id, member_id, amount_fen, commission_fen, reason, by_id,
        created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, '', 1, $8)";
    tx.execute(
        sql,
        params![refund, consult, vas, team, member, amount, part.get(), now_ms],
    )
    .await?;
    let sql = match of {
        Price::Consult(_) => {
            "UPDATE consult_charge SET refunded_fen = refunded_fen + $2 WHERE consult_id = $1"
        }
        Price::Vas(_) => "UPDATE vas SET refunded_fen = refunded_fen + $2 WHERE id = $1",
    };
    tx.execute(sql, params![key, amount]).await?;
    let event = wire::RefundEvent {
        refund_id: refund,
        vas_id: vas.unwrap_or_default(),
        amount_fen: amount,
    };
    says(tx, consult, (13, wire::entry::Event::Refund(event))).await?;
    let month = Month::new(row.get(7)?).unwrap();
    let movement = Movement::refund(refund, team, member_of(member), fen(amount), part, month);
    moves(tx, id, movement, now_ms).await
}

async fn pays(
    tx: &mut Transaction<'_>,
    id: i64,
    withdrawal: i64,
    outcome: &'static str,
    now_ms: i64,
) -> Acted {
    let sql = "UPDATE withdrawal SET state = $2, ended_ms = $3 WHERE id = $1 AND state = 'asked'
        RETURNING team_id, amount_fen";
    let Some(row) = tx.query_first(sql, params![withdrawal, outcome, now_ms]).await? else {
        return refuse(tx, "SELECT state FROM withdrawal WHERE id = $1", withdrawal).await;
    };
    let (team, amount) = (row.get(0)?, fen(row.get(1)?));
    let movement = match outcome {
        "paid" => Movement::paid(withdrawal, team, amount),
        _ => Movement::failed(withdrawal, team, amount),
    };
    moves(tx, id, movement, now_ms).await
}
