//! Many tasks at once: each cause is posted once, no two transfers wait for each other, and no account falls below zero.

use std::sync::Arc;

use database::{Database, params};
use ledger::{Account, Commission, Error, Fen, Movement, Outside, Posted, SEQUENCE, Transfer, balance, post};
use proto::UserId;
use testkit::{Random, store::Store};

use crate::place::{first, open};

const NOW_MS: i64 = 1_796_000_000_000;

fn member(id: i64) -> UserId {
    UserId::from_database(id)
}

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

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

/// Runs movements at once, and counts those that moved now and those that were refused for want of money. Any other refusal,
/// as a deadlock would be, fails the test.
async fn at_once(database: &Database, movements: Vec<Movement>) -> (usize, usize) {
    let begin = Arc::new(tokio::sync::Barrier::new(movements.len()));
    let tasks: Vec<_> = movements
        .into_iter()
        .map(|movement| {
            let (database, begin) = (database.clone(), begin.clone());
            tokio::spawn(async move {
                begin.wait().await;
                moves(&database, movement).await
            })
        })
        .collect();
    let (mut moved, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(Posted::Now) => moved += 1,
            Ok(Posted::Before) => {}
            Err(Error::Insufficient(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    (moved, refused)
}

/// Walks every chain by plain SQL: the proof of the crate has no part in it.
async fn assert_chains(database: &Database) {
    for sql in [
        "SELECT count(*) FROM posting WHERE balance_after_fen < 0",
        "SELECT count(*) FROM posting p WHERE p.place > 1 AND p.balance_after_fen <> p.amount_fen +
             (SELECT q.balance_after_fen FROM posting q WHERE q.account = p.account AND q.place = p.place - 1)",
        "SELECT count(*) FROM posting WHERE place = 1 AND balance_after_fen <> amount_fen",
        "SELECT count(*) FROM ledger_account a WHERE a.balance_fen <>
             (SELECT p.balance_after_fen FROM posting p WHERE p.account = a.account AND p.place = a.postings)",
        "SELECT count(*) FROM (SELECT transfer_id FROM posting GROUP BY transfer_id HAVING sum(amount_fen) <> 0) wrong",
        "SELECT count(*) FROM transfer t WHERE (SELECT count(*) FROM posting p WHERE p.transfer_id = t.id) < 2",
    ] {
        let wrong: i64 = first(database, sql, params![]).await.get(0).unwrap();
        assert_eq!(wrong, 0, "{sql}");
    }
}

testkit::on_both!(
    i6_of_one_cause_at_once_one_wins,
    i6_money_is_spent_once_by_many_at_once,
    i6_opposing_transfers_do_not_wait_for_each_other,
);

async fn i6_of_one_cause_at_once_one_wins(store: Store) {
    let (_place, database) = open(store).await;
    for order in 1..=30_i64 {
        let top_up = || Movement::top_up(order, Outside::Mockpay, member(1 + order % 3), fen(7));
        let movements = (0..2 + order as usize % 19).map(|_| top_up()).collect();
        assert_eq!(at_once(&database, movements).await, (1, 0), "order {order}");
    }
    for id in 1..=3 {
        assert_eq!(balance(&database, Account::Wallet(member(id))).await.unwrap(), 70);
    }
    assert_chains(&database).await;
    database.close().await;
}

/// 100 fen, and many services that want some of it: exactly what fits is paid.
async fn i6_money_is_spent_once_by_many_at_once(store: Store) {
    let (_place, database) = open(store).await;
    for round in 0..10_i64 {
        let who = member(round + 1);
        moves(
            &database,
            Movement::top_up(round, Outside::Mockpay, who, fen(100)),
        )
        .await
        .unwrap();
        let vas = |at| Movement::vas(round * 100 + at, 4, who, fen(30), Commission::new(100).unwrap());
        let outcome = at_once(&database, (0..12).map(vas).collect()).await;
        assert_eq!(outcome, (3, 9), "round {round}");
        assert_eq!(balance(&database, Account::Wallet(who)).await.unwrap(), 10);
    }
    assert_eq!(balance(&database, Account::Income(4)).await.unwrap(), 10 * 3 * 27);
    assert_chains(&database).await;
    database.close().await;
}

/// Between the same few accounts, in both directions: without one order of locks PostgreSQL would find a deadlock.
async fn i6_opposing_transfers_do_not_wait_for_each_other(store: Store) {
    let (_place, database) = open(store).await;
    for id in 1..=3 {
        let order = 1_000_000 + id;
        moves(
            &database,
            Movement::top_up(order, Outside::Mockpay, member(id), fen(1000)),
        )
        .await
        .unwrap();
    }
    let mut random = Random::new(11);
    let mut id = 0;
    for _ in 0..15 {
        let movements = (0..24)
            .map(|_| {
                id += 1;
                let (who, team) = (member(1 + random.below(3)), 1 + random.below(2));
                let amount = fen(1 + random.below(90));
                match random.below(6) {
                    0 => Movement::join(team, who, id, amount),
                    1 => Movement::leave(team, who, id, amount),
                    2 => Movement::vas(id, team, who, amount, Commission::new(100).unwrap()),
                    3 => {
                        let month = ledger::Month::at(NOW_MS);
                        Movement::refund(id, team, who, amount, Fen::ZERO, month)
                    }
                    4 => Movement::withdraw(id, team, amount),
                    _ => Movement::failed(id, team, amount),
                }
            })
            .collect();
        let (moved, refused) = at_once(&database, movements).await;
        assert_eq!(moved + refused, 24);
        assert!(moved > 0);
    }
    assert_chains(&database).await;
    database.close().await;
}
