//! A worker: a member who visits their team again and again, and the team's part in it, one call at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::acts::{
    Act, CONSULT_REFUND_FEN, PAY_BACK_FEN, PRICES, SERVICE_FEN, SERVICE_REFUND_FEN, TOP_UP_FEN, VISIT,
    WITHDRAWAL_FEN,
};
use super::books::Posted;
use super::call::Caller;
use crate::workload::rest::Figures;
use crate::world::rest::Rest;
use crate::world::{Practice, User};

/// Withdrawals of one member: a team has four of them, and withdraws at most 20 times in a window.
const WITHDRAWALS: u32 = 5;
/// How often an order is looked at that was paid.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to become paid.
const PAID_WITHIN: Duration = Duration::from_secs(30);

/// When a member works, and when it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) measured_from: Instant,
    pub(super) until: Instant,
}

/// Movements of one member, or of all.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Transfers while it was measured.
    pub(super) measured: u64,
    /// Calls that were sent again.
    pub(super) resent: u64,
    /// All acknowledged movements.
    pub(super) posted: Vec<Posted>,
    wallet_fen: i64,
    consumed_fen: i64,
}

impl Account {
    /// Adds those of another member.
    pub(super) fn add(&mut self, other: Self) {
        self.measured += other.measured;
        self.resent += other.resent;
        self.posted.extend(other.posted);
    }
}

/// A member and their visit.
pub(super) struct Member {
    caller: Caller,
    practice: Practice,
    patient: User,
    /// How often they joined.
    times: i64,
    order: i64,
    pay: String,
    consult: i64,
    other: i64,
    vas: i64,
    /// How often they may still withdraw; 0 while the window is closed.
    withdrawals: u32,
    pub(super) figures: Figures,
    pub(super) account: Account,
}

impl Member {
    pub(super) fn new(number: u64, rest: Rest, practice: Practice, patient: User) -> Self {
        Self {
            caller: Caller::new(rest, number),
            practice,
            patient,
            times: 0,
            order: 0,
            pay: String::new(),
            consult: 0,
            other: 0,
            vas: 0,
            withdrawals: 0,
            figures: Figures::default(),
            account: Account::default(),
        }
    }

    /// One visit without a withdrawal.
    pub(super) async fn visit_once(mut self) -> Result<Self> {
        for act in VISIT {
            self.act(act).await.with_context(|| act.endpoint())?;
        }
        Ok(self)
    }

    /// Visits until the time is over.
    pub(super) async fn run(mut self, work: Work) -> Self {
        match self.window().await {
            Ok(is_open) => self.withdrawals = if is_open { WITHDRAWALS } else { 0 },
            Err(error) => {
                self.figures.fault(format!("GET /team/{{id}}/income: {error:#}"));
                return self;
            }
        }
        for act in VISIT.into_iter().cycle() {
            let begun = Instant::now();
            if begun >= work.until {
                break;
            }
            if !self.calls(act) {
                continue;
            }
            let posted = match self.act(act).await {
                Ok(posted) => posted,
                Err(error) => {
                    self.figures.fault(format!("{}: {error:#}", act.endpoint()));
                    break;
                }
            };
            let ended = Instant::now();
            if begun >= work.measured_from && ended <= work.until {
                self.figures.record(act.endpoint(), ended - begun);
                self.account.measured += posted;
            }
        }
        self.account.resent = self.caller.resent;
        self
    }

    /// Compares the wallet with what was acknowledged.
    pub(super) async fn compare_wallet(&mut self) {
        let wallet = match self.caller.get("/wallet", &self.patient.access_token).await {
            Ok(wallet) => wallet,
            Err(error) => return self.figures.fault(format!("GET /wallet: {error:#}")),
        };
        let expected = json!({
            "balance_fen": self.account.wallet_fen, "total_consumed_fen": self.account.consumed_fen,
        });
        if wallet != expected {
            self.figures
                .fault(format!("the wallet is {wallet} and should be {expected}"));
        }
    }

    fn calls(&self, act: Act) -> bool {
        act != Act::Withdraw || self.withdrawals > 0
    }

    async fn window(&mut self) -> Result<bool> {
        let path = format!("/team/{}/income", self.practice.team);
        let income = self.caller.get(&path, &self.practice.doctor.access_token).await?;
        income["window"]["open"].as_bool().context("no window.open")
    }

    /// Returns how many transfers it made.
    async fn act(&mut self, act: Act) -> Result<u64> {
        if !self.calls(act) {
            return Ok(0);
        }
        let (path, body) = self.request(act);
        let token = match act {
            Act::BringIn => &self.practice.assistant.access_token,
            Act::Propose | Act::Finish | Act::RefundService | Act::RefundConsult | Act::Withdraw => {
                &self.practice.doctor.access_token
            }
            _ => &self.patient.access_token,
        };
        let done = match act {
            Act::Pay => {
                self.caller.press(&path).await?;
                self.await_paid().await?
            }
            _ => self.caller.post(&path, token, body).await?,
        };
        let posted = self.note(act, &done)?;
        let (wallet_fen, consumed_fen) = act.effect();
        self.account.wallet_fen += wallet_fen;
        self.account.consumed_fen += consumed_fen;
        let moved = posted.len();
        self.account.posted.extend(posted);
        Ok(moved as u64)
    }

    fn request(&self, act: Act) -> (String, Value) {
        let (team, consult, vas) = (self.practice.team, self.consult, self.vas);
        match act {
            Act::TopUp => (
                "/wallet/top_up".to_owned(),
                json!({"amount_fen": TOP_UP_FEN, "provider": "mockpay", "scene": "app"}),
            ),
            Act::Pay => (self.pay.clone(), json!({})),
            Act::Join => (
                "/team/join".to_owned(),
                json!({
                    "team_id": team, "agreement_version": 1, "membership_fee_fen": PRICES.membership_fee_fen,
                }),
            ),
            Act::Begin | Act::BeginOther => (
                "/consult".to_owned(),
                json!({
                    "creator_member_id": self.patient.user_id, "target_member_id": self.patient.user_id,
                    "team_id": team, "symptom_content": "load test", "symptom_type": "text/plain",
                    "price_fen": PRICES.consult_price_fen,
                }),
            ),
            Act::CancelOther => (format!("/consult/{}/cancel", self.other), json!({})),
            Act::BringIn => (
                format!("/consult/{consult}/doctor"),
                json!({"doctor_id": self.practice.doctor.user_id}),
            ),
            Act::Propose => (
                format!("/consult/{consult}/vas"),
                json!({"name": "load test", "description": "", "price_fen": SERVICE_FEN}),
            ),
            Act::Confirm => (format!("/vas/{vas}/confirm"), json!({})),
            Act::RefundService => (
                format!("/vas/{vas}/refund"),
                json!({"amount_fen": SERVICE_REFUND_FEN, "reason": "load test"}),
            ),
            Act::Finish => (format!("/consult/{consult}/finish"), json!({})),
            Act::RefundConsult => (
                format!("/consult/{consult}/refund"),
                json!({"amount_fen": CONSULT_REFUND_FEN, "reason": "load test"}),
            ),
            Act::Withdraw => (
                format!("/team/{team}/withdrawal"),
                json!({"amount_fen": WITHDRAWAL_FEN}),
            ),
            Act::Leave => (format!("/team/{team}/leave"), json!({})),
            Act::PayBack => ("/wallet/refund".to_owned(), json!({"amount_fen": PAY_BACK_FEN})),
        }
    }

    /// Keeps the ids of an answer; returns the movements that it acknowledges.
    fn note(&mut self, act: Act, done: &Value) -> Result<Vec<Posted>> {
        let id = |name: &str| {
            done[name]
                .as_i64()
                .with_context(|| format!("no {name} in {done}"))
        };
        let membership = |times| {
            format!(
                "membership:{}:{}:{times}",
                self.practice.team, self.patient.user_id
            )
        };
        let posted = match act {
            Act::TopUp => {
                self.order = id("order_id")?;
                let page = done["ticket"]["page"].as_str().context("no ticket.page")?;
                self.pay = format!("{page}/pay");
                return Ok(Vec::new());
            }
            Act::BringIn => return Ok(Vec::new()),
            Act::Propose => {
                self.vas = id("vas_id")?;
                return Ok(Vec::new());
            }
            Act::PayBack => {
                let refunds = done["refunds"].as_array().context("no refunds")?;
                let of = |refund: &Value| {
                    Some(("pay_back", format!("pay_back:{}", refund["refund_id"].as_i64()?)))
                };
                return Ok(refunds.iter().filter_map(of).collect());
            }
            Act::Pay => ("top_up", format!("order:{}", self.order)),
            Act::Join => {
                self.times += 1;
                ("join", membership(self.times))
            }
            Act::Begin => {
                self.consult = id("consultation_id")?;
                ("begin", format!("consult:{}", self.consult))
            }
            Act::BeginOther => {
                self.other = id("consultation_id")?;
                ("begin", format!("consult:{}", self.other))
            }
            Act::CancelOther => ("cancel", format!("consult:{}", self.other)),
            Act::Confirm => ("vas", format!("vas:{}", self.vas)),
            Act::RefundService | Act::RefundConsult => ("refund", format!("refund:{}", id("refund_id")?)),
            Act::Finish => ("finish", format!("consult:{}", self.consult)),
            Act::Withdraw => {
                let withdrawal = id("withdrawal_id")?;
                self.withdrawals -= 1;
                ("withdrawal", format!("withdrawal:{withdrawal}"))
            }
            Act::Leave => ("leave", membership(self.times)),
        };
        Ok(vec![posted])
    }

    /// Waits until the provider's notice has arrived.
    async fn await_paid(&mut self) -> Result<Value> {
        let path = format!("/wallet/order/{}", self.order);
        let begun = Instant::now();
        loop {
            let order = self.caller.get(&path, &self.patient.access_token).await?;
            if order["state"] == "paid" {
                return Ok(order);
            }
            anyhow::ensure!(begun.elapsed() < PAID_WITHIN, "the order is not paid: {order}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
