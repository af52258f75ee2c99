//! Posting, on both engines.

use database::Database;
use ledger::{
    Account, Commission, Error, Fen, Month, Movement, Outside, Posted, SEQUENCE, Split, Transfer, Wallet,
    balance, post,
};
use proto::UserId;
use testkit::store::Store;

use crate::place::open;

const MEMBER: UserId = UserId::from_database(12);
const NOON_MS: i64 = 1_796_000_000_000;

async fn moves(database: &Database, movement: Movement) -> Result<Posted, Error> {
    let id = database.allocate_id(SEQUENCE).await.unwrap();
    let transfer = Transfer {
        id,
        movement,
        by: Some(MEMBER),
        now_ms: NOON_MS,
    };
    database
        .transaction(move |tx| Box::pin(async move { post(tx, transfer).await }))
        .await
}

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

async fn holds(database: &Database, account: Account) -> i64 {
    balance(database, account).await.unwrap()
}

testkit::on_both!(
    i6_a_cause_moves_money_once,
    i6_no_account_falls_below_zero,
    a_consult_is_paid_by_the_fee_first,
    a_transfer_is_reversed_once,
    i6_the_sum_consumed_is_that_of_the_charges_less_what_went_back,
);

async fn i6_a_cause_moves_money_once(store: Store) {
    let (_place, database) = open(store).await;
    let top_up = || Movement::top_up(5, Outside::Mockpay, MEMBER, fen(8888));
    assert_eq!(moves(&database, top_up()).await.unwrap(), Posted::Now);
    assert_eq!(moves(&database, top_up()).await.unwrap(), Posted::Before);
    assert_eq!(holds(&database, Account::Wallet(MEMBER)).await, 8888);
    let nothing = Movement::top_up(6, Outside::Mockpay, MEMBER, Fen::ZERO);
    assert_eq!(moves(&database, nothing).await.unwrap(), Posted::Before);
    database.close().await;
}

async fn i6_no_account_falls_below_zero(store: Store) {
    let (_place, database) = open(store).await;
    moves(&database, Movement::top_up(5, Outside::Mockpay, MEMBER, fen(100)))
        .await
        .unwrap();
    let vas = |id, price| Movement::vas(id, 4, MEMBER, fen(price), Commission::new(100).unwrap());
    let refused = moves(&database, vas(1, 101)).await;
    assert!(matches!(
        refused,
        Err(Error::Insufficient(Account::Wallet(MEMBER)))
    ));
    assert_eq!(holds(&database, Account::Income(4)).await, 0);
    // The refusal wrote nothing, so its cause is free.
    assert_eq!(moves(&database, vas(1, 100)).await.unwrap(), Posted::Now);
    assert_eq!(holds(&database, Account::Wallet(MEMBER)).await, 0);
    assert_eq!(holds(&database, Account::Income(4)).await, 90);
    database.close().await;
}

async fn a_consult_is_paid_by_the_fee_first(store: Store) {
    let (_place, database) = open(store).await;
    let fee = Account::Fee {
        team: 4,
        member: MEMBER,
    };
    moves(
        &database,
        Movement::top_up(5, Outside::Mockpay, MEMBER, fen(1000)),
    )
    .await
    .unwrap();
    moves(&database, Movement::join(4, MEMBER, 1, fen(300)))
        .await
        .unwrap();
    let split = Split::of(fen(500), fen(300));
    moves(&database, Movement::begin(7, 4, MEMBER, split))
        .await
        .unwrap();
    assert_eq!(holds(&database, fee).await, 0);
    assert_eq!(holds(&database, Account::Wallet(MEMBER)).await, 500);
    assert_eq!(holds(&database, Account::Held(7)).await, 500);
    moves(&database, Movement::cancel(7, 4, MEMBER, split))
        .await
        .unwrap();
    assert_eq!(holds(&database, fee).await, 300);
    assert_eq!(holds(&database, Account::Wallet(MEMBER)).await, 700);
    let finish = Movement::finish(7, 4, fen(500), Commission::NONE);
    let refused = moves(&database, finish).await;
    assert!(matches!(refused, Err(Error::Insufficient(Account::Held(7)))));
    database.close().await;
}

async fn a_transfer_is_reversed_once(store: Store) {
    let (_place, database) = open(store).await;
    moves(&database, Movement::credit(1, MEMBER, fen(100)))
        .await
        .unwrap();
    let row = database
        .query_first("SELECT id FROM transfer WHERE cause = 'credit:1'", Vec::new())
        .await
        .unwrap();
    let credit: i64 = row.unwrap().get(0).unwrap();
    for expected in [Posted::Now, Posted::Before] {
        let id = database.allocate_id(SEQUENCE).await.unwrap();
        let posted = database
            .transaction(move |tx| {
                Box::pin(async move {
                    let movement = Movement::reversal(tx, credit).await?.unwrap();
                    let transfer = Transfer {
                        id,
                        movement,
                        by: None,
                        now_ms: NOON_MS,
                    };
                    post(tx, transfer).await
                })
            })
            .await;
        assert_eq!(posted.unwrap(), expected);
    }
    assert_eq!(holds(&database, Account::Wallet(MEMBER)).await, 0);
    database.close().await;
}

async fn i6_the_sum_consumed_is_that_of_the_charges_less_what_went_back(store: Store) {
    let (_place, database) = open(store).await;
    let wallet = async |balance_fen, consumed_fen| {
        let wallet = Wallet::of(&database, MEMBER).await.unwrap();
        assert_eq!(
            (wallet.balance_fen, wallet.consumed_fen),
            (balance_fen, consumed_fen)
        );
    };
    wallet(0, 0).await;
    moves(
        &database,
        Movement::top_up(5, Outside::Mockpay, MEMBER, fen(1000)),
    )
    .await
    .unwrap();
    moves(&database, Movement::join(4, MEMBER, 1, fen(300)))
        .await
        .unwrap();
    // Neither consumes.
    wallet(700, 0).await;
    let by_fee = Split::of(fen(200), fen(300));
    moves(&database, Movement::begin(7, 4, MEMBER, by_fee))
        .await
        .unwrap();
    wallet(700, 200).await;
    let by_both = Split::of(fen(150), fen(100));
    moves(&database, Movement::begin(8, 4, MEMBER, by_both))
        .await
        .unwrap();
    wallet(650, 350).await;
    moves(&database, Movement::cancel(8, 4, MEMBER, by_both))
        .await
        .unwrap();
    wallet(700, 200).await;
    moves(
        &database,
        Movement::vas(1, 4, MEMBER, fen(50), Commission::new(100).unwrap()),
    )
    .await
    .unwrap();
    wallet(650, 250).await;
    moves(
        &database,
        Movement::refund(1, 4, MEMBER, fen(20), fen(2), Month::at(NOON_MS)),
    )
    .await
    .unwrap();
    wallet(670, 230).await;
    // Each is a posting of the wallet, also the one that the fee paid.
    let rows = database
        .query(
            "SELECT amount_fen, balance_after_fen FROM posting WHERE account = 'wallet:12' ORDER BY place",
            Vec::new(),
        )
        .await
        .unwrap();
    let chain: Vec<(i64, i64)> = rows
        .iter()
        .map(|row| (row.get(0).unwrap(), row.get(1).unwrap()))
        .collect();
    assert_eq!(
        chain,
        [
            (1000, 1000),
            (-300, 700),
            (0, 700),
            (-50, 650),
            (50, 700),
            (-50, 650),
            (20, 670)
        ]
    );
    database.close().await;
}
