//! Amounts and balances at their limits: integers on both engines, and refused beyond.

use database::{Database, params};
use ledger::{
    Account, Commission, Error, Fen, MAX_BALANCE_FEN, Month, Movement, Outside, Posted, SEQUENCE, Transfer,
    Wallet, balance, earned, post, reconcile::reconcile,
};
use proto::UserId;
use testkit::store::Store;

use crate::place::{execute, first, open};

const MEMBER: UserId = UserId::from_database(12);
const NOW_MS: i64 = 1_796_000_000_000;

async fn moves(database: &Database, movement: Movement) -> Result<Posted, Error> {
    let id = database.allocate_id(SEQUENCE).await.unwrap();
    let transfer = Transfer {
        id,
        movement,
        by: None,
        now_ms: NOW_MS,
    };
    database
        .transaction(move |tx| Box::pin(async move { post(tx, transfer).await }))
        .await
}

fn top_up(order: i64, amount: Fen) -> Movement {
    Movement::top_up(order, Outside::Wechat, MEMBER, amount)
}

testkit::on_both!(
    i6_a_balance_ends_at_its_limit,
    i6_sums_beyond_an_integer_are_refused,
    i6_a_cause_is_not_posted_with_other_amounts,
    i6_a_reversal_takes_no_account_below_zero,
    a_balance_below_zero_is_refused_by_the_table,
);

async fn i6_a_balance_ends_at_its_limit(store: Store) {
    let (_place, database) = open(store).await;
    moves(&database, top_up(1, Fen::MAX)).await.unwrap();
    // As after a thousand of the largest top-ups, less one fen.
    let near = MAX_BALANCE_FEN - Fen::MAX.get() - 1;
    execute(
        &database,
        "UPDATE ledger_account SET balance_fen = $1",
        params![near],
    )
    .await;
    moves(&database, top_up(2, Fen::MAX)).await.unwrap();
    assert_eq!(
        balance(&database, Account::Wallet(MEMBER)).await.unwrap(),
        MAX_BALANCE_FEN - 1
    );
    let refused = moves(&database, top_up(3, Fen::new(2).unwrap())).await;
    assert!(
        matches!(refused, Err(Error::TooLarge(Account::Wallet(MEMBER)))),
        "{refused:?}"
    );
    let refused = moves(&database, top_up(3, Fen::MAX)).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
    moves(&database, top_up(3, Fen::new(1).unwrap())).await.unwrap();
    assert_eq!(
        balance(&database, Account::Wallet(MEMBER)).await.unwrap(),
        MAX_BALANCE_FEN
    );
    let all = Movement::vas(1, 4, MEMBER, Fen::MAX, Commission::new(999).unwrap());
    moves(&database, all).await.unwrap();
    let left = balance(&database, Account::Wallet(MEMBER)).await.unwrap();
    assert_eq!(left, MAX_BALANCE_FEN - Fen::MAX.get());
    // SQLite keeps integers: a real would not be read at all.
    let sql = "SELECT balance_fen, consumed_fen FROM ledger_account WHERE account = 'wallet:12'";
    let row = first(&database, sql, params![]).await;
    let sums: (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
    assert_eq!(sums, (left, Fen::MAX.get()));
    database.close().await;
}

/// On SQLite a sum beyond an integer would become a real; on PostgreSQL it is out of range.
async fn i6_sums_beyond_an_integer_are_refused(store: Store) {
    let (_place, database) = open(store).await;
    moves(&database, top_up(1, Fen::MAX)).await.unwrap();
    let vas = |id, price| Movement::vas(id, 4, MEMBER, Fen::new(price).unwrap(), Commission::NONE);
    moves(&database, vas(1, 100)).await.unwrap();
    let near = 8_999_999_999_999_999_999_i64;
    execute(
        &database,
        "UPDATE income_month SET earned_fen = $1",
        params![near - 5],
    )
    .await;
    moves(&database, vas(2, 5)).await.unwrap();
    assert_eq!(earned(&database, 4).await.unwrap(), near);
    let refused = moves(&database, vas(3, 1)).await;
    let constraint = |error: &Result<Posted, Error>| match error {
        Err(Error::Database(error)) => error.constraint().map(str::to_owned),
        _ => None,
    };
    assert_eq!(
        constraint(&refused).as_deref(),
        Some("income_month_earned_fen_check"),
        "{refused:?}"
    );
    execute(&database, "UPDATE income_month SET earned_fen = 0", params![]).await;
    execute(
        &database,
        "UPDATE ledger_account SET consumed_fen = $1 WHERE kind = 'wallet'",
        params![near],
    )
    .await;
    let refused = moves(&database, vas(3, 1)).await;
    assert_eq!(
        constraint(&refused).as_deref(),
        Some("ledger_account_consumed_fen_check"),
        "{refused:?}"
    );
    assert_eq!(Wallet::of(&database, MEMBER).await.unwrap().consumed_fen, near);
    // The fault is named, and the proof itself does not overflow.
    let report = reconcile(&database, None, |_| ()).await.unwrap();
    let rows: Vec<&str> = report.faults.iter().map(|fault| fault.row.as_str()).collect();
    let month = format!("income_month:4:{}", Month::at(NOW_MS).get());
    assert!(
        rows.contains(&"wallet:12") && rows.contains(&month.as_str()),
        "{rows:?}"
    );
    database.close().await;
}

async fn i6_a_cause_is_not_posted_with_other_amounts(store: Store) {
    let (_place, database) = open(store).await;
    let fen = |fen| Fen::new(fen).unwrap();
    moves(&database, top_up(1, fen(100))).await.unwrap();
    assert_eq!(
        moves(&database, top_up(1, fen(100))).await.unwrap(),
        Posted::Before
    );
    for other in [
        top_up(1, fen(101)),
        Movement::top_up(1, Outside::Alipay, MEMBER, fen(100)),
        Movement::top_up(1, Outside::Wechat, UserId::from_database(13), fen(100)),
    ] {
        let refused = moves(&database, other).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(balance(&database, Account::Wallet(MEMBER)).await.unwrap(), 100);
    database.close().await;
}

async fn i6_a_reversal_takes_no_account_below_zero(store: Store) {
    let (_place, database) = open(store).await;
    let fen = |fen| Fen::new(fen).unwrap();
    moves(&database, top_up(1, fen(100))).await.unwrap();
    let of = first(&database, "SELECT id FROM transfer", params![])
        .await
        .get::<i64>(0)
        .unwrap();
    moves(&database, Movement::vas(1, 4, MEMBER, fen(1), Commission::NONE))
        .await
        .unwrap();
    let reverse = async || {
        let id = database.allocate_id(SEQUENCE).await.unwrap();
        database
            .transaction(move |tx| {
                Box::pin(async move {
                    let movement = Movement::reversal(tx, of).await?.unwrap();
                    let (by, now_ms) = (None, NOW_MS);
                    post(
                        tx,
                        Transfer {
                            id,
                            movement,
                            by,
                            now_ms,
                        },
                    )
                    .await
                })
            })
            .await
    };
    let refused: Result<Posted, Error> = reverse().await;
    assert!(
        matches!(refused, Err(Error::Insufficient(Account::Wallet(MEMBER)))),
        "{refused:?}"
    );
    assert_eq!(balance(&database, Account::Wallet(MEMBER)).await.unwrap(), 99);
    // The refusal wrote nothing: with the money back it goes.
    moves(&database, top_up(2, fen(1))).await.unwrap();
    assert_eq!(reverse().await.unwrap(), Posted::Now);
    assert_eq!(reverse().await.unwrap(), Posted::Before);
    assert_eq!(balance(&database, Account::Wallet(MEMBER)).await.unwrap(), 0);
    let unknown: Result<Option<Movement>, Error> = database
        .transaction(|tx| Box::pin(async move { Movement::reversal(tx, -1).await }))
        .await;
    assert_eq!(unknown.unwrap(), None);
    database.close().await;
}

async fn a_balance_below_zero_is_refused_by_the_table(store: Store) {
    let (_place, database) = open(store).await;
    moves(&database, top_up(1, Fen::MAX)).await.unwrap();
    for balance_fen in [-1, MAX_BALANCE_FEN + 1] {
        let refused: Result<u64, database::Error> = database
            .transaction(move |tx| {
                Box::pin(async move {
                    tx.execute("UPDATE ledger_account SET balance_fen = $1", params![balance_fen])
                        .await
                })
            })
            .await;
        let error = refused.unwrap_err();
        assert_eq!(error.constraint(), Some("ledger_account_balance_fen_check"));
    }
    database.close().await;
}
