//! A service that charges, wallets with money, and the balance of the books.

use api_server::{PaymentProvider, Settings};
use database::params;
use ledger::{Account, Fen, Movement, Transfer};
use proto::UserId;
use testkit::citus::OF_A_TEST;

use super::{
    people::{Person, Team},
    service::{Service, roomy},
};

pub fn wallet(who: &Person) -> Account {
    Account::Wallet(UserId::from_database(who.id))
}

pub fn fee(team: &Team, who: &Person) -> Account {
    Account::Fee {
        team: team.id,
        member: UserId::from_database(who.id),
    }
}

pub fn income(team: &Team) -> Account {
    Account::Income(team.id)
}

/// Settings of a service whose members can top up, so that prices are charged.
pub fn charging() -> Settings {
    Settings {
        payment_providers: vec![PaymentProvider::Mockpay],
        ..roomy()
    }
}

impl Service {
    pub async fn charging() -> Self {
        Self::start_with(charging()).await
    }

    /// Puts money into a wallet, as two operators do.
    pub async fn credit(&self, who: &Person, fen: i64) {
        let credit = self.database.allocate_id("credit").await.unwrap();
        let member = UserId::from_database(who.id);
        let transfer = Transfer {
            id: self.database.allocate_id(ledger::SEQUENCE).await.unwrap(),
            movement: Movement::credit(credit, member, Fen::new(fen).unwrap()),
            by: None,
            now_ms: 1_800_000_000_000,
        };
        let sql = "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms, ended_by, ended_ms)
             VALUES ($1, $2, $3, 'a test', 'approved', 1, $4, 2, $4)";
        let row = params![credit, member.get(), fen, transfer.now_ms];
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    tx.execute(sql, row).await?;
                    ledger::post(tx, transfer).await
                })
            })
            .await
            .unwrap();
    }

    /// I6: the books are proved, causes and entries included.
    #[track_caller]
    pub fn reconciles(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let report = ledger::reconcile::reconcile(&self.database, None, |_| ()).await;
            let report = report.unwrap();
            assert!(report.is_balanced(), "{:#?}, at {caller}", report.faults);
        }
    }

    /// The balance of a guarded account.
    pub async fn balance(&self, account: Account) -> i64 {
        ledger::balance(&self.database, account).await.unwrap()
    }

    /// The share of the platform from now on.
    pub async fn commission(&self, per_mille: i64) {
        let sql = "INSERT INTO commission (from_ms, per_mille, by_id, created_ms) VALUES ($1, $2, 0, 0)";
        self.database
            .transaction(move |tx| {
                Box::pin(async move { tx.execute(sql, params![per_mille + 1, per_mille]).await })
            })
            .await
            .unwrap();
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        let sql = format!("{OF_A_TEST}{sql}");
        let row = self.database.query_first(sql, vec![]).await.unwrap();
        row.map_or(0, |row| row.get(0).unwrap())
    }

    /// I6: each transfer sums to zero, each balance is the sum of its postings and that of the last one, and none was ever
    /// below zero.
    #[track_caller]
    pub fn balances(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            for (fault, sql) in [
                (
                    "transfers that do not sum to zero",
                    "SELECT count(*) FROM (SELECT transfer_id FROM posting GROUP BY transfer_id
                         HAVING sum(amount_fen) <> 0) wrong",
                ),
                (
                    "transfers without two postings",
                    "SELECT count(*) FROM transfer t
                     WHERE (SELECT count(*) FROM posting p WHERE p.transfer_id = t.id) < 2",
                ),
                (
                    "postings that took an account below zero",
                    "SELECT count(*) FROM posting WHERE balance_after_fen < 0",
                ),
                (
                    "accounts that are not the sum of their postings",
                    "SELECT count(*) FROM ledger_account a WHERE balance_fen <>
                         (SELECT coalesce(sum(amount_fen), 0) FROM posting p WHERE p.account = a.account)",
                ),
                (
                    "accounts whose last posting left another balance",
                    "SELECT count(*) FROM ledger_account a WHERE balance_fen <>
                         (SELECT balance_after_fen FROM posting p WHERE p.account = a.account AND p.place = a.postings)",
                ),
                (
                    "prices that are held and settled",
                    "SELECT count(*) FROM consult_charge c JOIN ledger_account a
                         ON a.account = 'held:' || CAST(c.consult_id AS TEXT)
                     WHERE a.balance_fen <> CASE c.state WHEN 'held' THEN c.price_fen ELSE 0 END",
                ),
                (
                    "months that are not the sum of what was earned in them",
                    "SELECT count(*) FROM (SELECT team_id FROM income_month GROUP BY team_id
                         HAVING sum(posted_fen) <> (SELECT balance_fen FROM ledger_account
                                                    WHERE account = 'income:' || CAST(team_id AS TEXT))) wrong",
                ),
            ] {
                assert_eq!(self.number(sql).await, 0, "{fault}, at {caller}");
            }
        }
    }
}
